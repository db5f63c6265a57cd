//go:build cgo && unix

package mujoco

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

// built reports whether this program can open the library.
const built = true

// A pointer is to a struct of MuJoCo's.
type pointer = unsafe.Pointer

func (e *cError) err() error { return errors.New(C.GoString(&e.text[0])) }

type cError C.tlkit_mj_error

func (e *cError) c() *C.tlkit_mj_error { return (*C.tlkit_mj_error)(e) }

// nativeOpen opens the library if it is of the wanted version, and returns the version it has.
func nativeOpen(path string, want int) (version int, err error) {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	var e cError
	var got C.int
	if C.tlkit_mj_open(c, C.int(want), &got, e.c()) == 0 && (got == 0 || int(got) == want) {
		return 0, e.err()
	}
	return int(got), nil
}

func nativeLoad(name string, files []file) (pointer, error) {
	var pins runtime.Pinner
	defer pins.Unpin()
	list := make([]C.tlkit_mj_file, len(files))
	for i, f := range files {
		n := C.CString(f.name)
		defer C.free(unsafe.Pointer(n))
		list[i] = C.tlkit_mj_file{name: n, size: C.int(len(f.content))}
		if len(f.content) > 0 {
			pins.Pin(&f.content[0])
			list[i].content = unsafe.Pointer(&f.content[0])
		}
	}
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	var e cError
	m := C.tlkit_mj_load(c, unsafe.SliceData(list), C.int(len(list)), e.c())
	if m == nil {
		return nil, e.err()
	}
	return m, nil
}

func nativeData(model pointer) (pointer, error) {
	var e cError
	d := C.tlkit_mj_data(model, e.c())
	if d == nil {
		return nil, e.err()
	}
	return d, nil
}

func nativeFreeModel(model pointer) { C.tlkit_mj_free_model(model) }

func nativeFreeData(data pointer) { C.tlkit_mj_free_data(data) }

func nativeStep(model, data pointer, n int) error {
	var e cError
	if C.tlkit_mj_step(model, data, C.int(n), e.c()) == 0 {
		return e.err()
	}
	return nil
}

func nativeForward(model, data pointer) error {
	var e cError
	if C.tlkit_mj_forward(model, data, e.c()) == 0 {
		return e.err()
	}
	return nil
}

func nativeReset(model, data pointer) error {
	var e cError
	if C.tlkit_mj_reset(model, data, e.c()) == 0 {
		return e.err()
	}
	return nil
}

func nativeFind(model pointer, k Kind, name string) int {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return int(C.tlkit_mj_find(model, C.int(k), c))
}

func nativeName(model pointer, k Kind, id int) string {
	return C.GoString(C.tlkit_mj_name(model, C.int(k), C.int(id)))
}

// integer reads an int of a struct.
func integer(p pointer, at uintptr) int { return int(*(*int32)(unsafe.Add(p, at))) }

// number is a number within a struct.
func number(p pointer, at uintptr) *float64 { return (*float64)(unsafe.Add(p, at)) }

// array is what a pointer within a struct leads to: n numbers of MuJoCo's, which live as long as the
// struct.
func array[T byte | int32 | float32 | float64](p pointer, at uintptr, n int) []T {
	first := *(*unsafe.Pointer)(unsafe.Add(p, at))
	if first == nil || n <= 0 {
		return nil
	}
	return unsafe.Slice((*T)(first), n)
}
