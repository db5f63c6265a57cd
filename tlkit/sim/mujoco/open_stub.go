//go:build !cgo || !unix

package mujoco

import "errors"

// built is false: MuJoCo is a shared library, and opening one needs cgo.
const built = false

type pointer = *struct{}

func nativeOpen(string, int) (int, error) { return 0, errors.ErrUnsupported }

func nativeLoad(string, []file) (pointer, error) { return nil, errors.ErrUnsupported }

func nativeData(pointer) (pointer, error) { return nil, errors.ErrUnsupported }

func nativeFreeModel(pointer) {}

func nativeFreeData(pointer) {}

func nativeStep(pointer, pointer, int) error { return errors.ErrUnsupported }

func nativeForward(pointer, pointer) error { return errors.ErrUnsupported }

func nativeReset(pointer, pointer) error { return errors.ErrUnsupported }

func nativeFind(pointer, Kind, string) int { return -1 }

func nativeName(pointer, Kind, int) string { return "" }

func integer(pointer, uintptr) int { return 0 }

func number(pointer, uintptr) *float64 { return new(float64) }

func array[T byte | int32 | float32 | float64](pointer, uintptr, int) []T { return nil }
