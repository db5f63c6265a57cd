//go:build !unix

package shim

import "errors"

func become(string, []string) error { return errors.ErrUnsupported }
