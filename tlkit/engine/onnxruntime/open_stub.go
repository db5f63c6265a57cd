//go:build !cgo || !unix

package onnxruntime

import "errors"

// built is false: the library is a shared library, and opening one needs cgo.
const built = false

func load(string) (string, error) { return "", errors.ErrUnsupported }

type native struct{}

func newNative([]byte, *Session, int) (native, error) { return native{}, errors.ErrUnsupported }

func (native) close() {}

func (native) run([]Tensor, int) ([]Tensor, error) { return nil, errors.ErrUnsupported }
