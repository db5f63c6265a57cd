// Package onnxruntime runs frozen networks, given as ONNX files, on Microsoft's ONNX Runtime. On a
// processor it is often twice as fast as XLA; it does not train.
//
//	lib, err := onnxruntime.Find()
//	...
//	rt, err := onnxruntime.Open(ctx, lib)
//	...
//	s, err := rt.Session(model, onnxruntime.SessionOptions{Threads: 1})
//	...
//	defer s.Close()
//	out, err := s.Run(onnxruntime.Tensor{Shape: []int{2, 224, 224, 3}, Float32: pictures})
//
// The library is an unmodified build by Microsoft, pinned by sha256 (see [Builds]) and kept in the
// cache. It is opened by its absolute path after its content was checked, and is never searched for.
//
// The binding is github.com/yalue/onnxruntime_go: it sets the threads of a session, takes models from
// memory, opens a library by its path and needs none to compile. compute-onnx, the other kept one, is
// a GoMLX backend whose binding is internal and has none of these settings.
//
// The package builds without cgo too; then [Open] returns an error.
package onnxruntime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// Runtime is ONNX Runtime, opened in this process. It stays open until the process ends.
type Runtime struct {
	library Library
}

var opened struct {
	sync.Mutex
	runtime *Runtime
}

// Open reads the library, checks its hash and opens it. A process can open one: a second call returns
// the same Runtime, and an error for a library of another content.
func Open(ctx context.Context, l *Library) (*Runtime, error) {
	if l == nil {
		return nil, ErrNotInstalled
	}
	if !built {
		return nil, advice.New(errors.New("onnxruntime: this program was built without cgo"), "build it with a C compiler and CGO_ENABLED=1")
	}
	opened.Lock()
	defer opened.Unlock()
	if r := opened.runtime; r != nil {
		if r.library.SHA256 != l.SHA256 {
			return nil, advice.New(fmt.Errorf("onnxruntime: %s is open in this process, so %s cannot be", r.library.Path, l.Path), "start a new one")
		}
		return r, nil
	}
	// Read in full: a damaged library may compute wrong numbers or end the process.
	if err := l.Verify(ctx, false); err != nil {
		return nil, l.setAside(err)
	}
	version, err := load(l.Path)
	if err != nil {
		return nil, advice.New(fmt.Errorf("onnxruntime: %s does not open: %w", l.Path, err), "%s", l.remedy(err))
	}
	cachedir.Use(context.Background(), l.Path)
	opened.runtime = &Runtime{library: *l}
	opened.runtime.library.Version = version
	return opened.runtime, nil
}

// setAside renames a damaged library of ours, so that it is not used again and Install brings another.
func (l *Library) setAside(damage error) error {
	if l.file == nil || !errors.Is(damage, fetch.ErrHash) {
		return damage
	}
	aside, err := fetch.SetAside(l.Path)
	if err != nil {
		return fmt.Errorf("%w (%w)", damage, err)
	}
	why := errors.Unwrap(damage) // without the advice, which comes last
	return advice.New(fmt.Errorf("%w; the damaged file was set aside as %s", why, aside), "%s", setUp)
}

// remedy says what to do about a library that does not open.
func (l *Library) remedy(err error) string {
	if l.file == nil {
		return "name another file in GOMLX_BACKEND, or set it to onnxruntime for the one of tlkit setup"
	}
	for _, b := range Here() {
		if strings.Contains(err.Error(), "GLIBC") || strings.Contains(err.Error(), ".so.") {
			return "it needs " + b.Needs + "; without it XLA is used"
		}
	}
	return "run: tlkit doctor; without it XLA is used"
}

// Version returns the library's version, as "1.32.0".
func (r *Runtime) Version() string { return r.library.Version }

// Library returns which file is open.
func (r *Runtime) Library() Library { return r.library }

// Identity names the library for the keys of caches: its version and the sha256 of its content.
func (r *Runtime) Identity() string {
	return fmt.Sprintf("onnxruntime %s, sha256 %s", r.library.Version, r.library.SHA256)
}
