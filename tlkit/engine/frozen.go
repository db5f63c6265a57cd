package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
)

// Frozen says what may compute networks whose weights do not change, as extraction and predictions
// do. What trains runs on the engine's own backend always.
type Frozen string

// The values of [Engine.Frozen].
const (
	FrozenEither      Frozen = "either"      // the backend or ONNX Runtime, whichever is faster
	FrozenBackend     Frozen = "backend"     // the backend alone: GOMLX_BACKEND names it, or it is a card
	FrozenONNXRuntime Frozen = "onnxruntime" // ONNX Runtime alone: GOMLX_BACKEND=onnxruntime
)

// onnxRuntimeOrder is the word in GOMLX_BACKEND for ONNX Runtime.
const onnxRuntimeOrder = "onnxruntime"

// ordersONNXRuntime reports whether GOMLX_BACKEND is "onnxruntime", or "onnxruntime:" with the path of a
// library.
func ordersONNXRuntime(order string) (library string, ok bool) {
	word, library, _ := strings.Cut(order, ":")
	return library, word == onnxRuntimeOrder
}

// besides opens the best backend for what trains, and notes that frozen networks run on ONNX Runtime.
func besides(ctx context.Context, library string, o Options) (*Engine, error) {
	if library != "" && !filepath.IsAbs(library) {
		return nil, advice.New(fmt.Errorf("library %q is not an absolute path", library), "want %s:/path/to/libonnxruntime.so, or %s alone for the one of tlkit setup", onnxRuntimeOrder, onnxRuntimeOrder)
	}
	e, err := best(ctx, o)
	if err != nil {
		return nil, err
	}
	e.Frozen, e.library = FrozenONNXRuntime, library
	e.install = o
	return e, nil
}

// ONNXRuntime opens ONNX Runtime for frozen networks, once in a process. The error says in one line why
// it cannot be used here: it is not installed, does not fit this machine, or GOMLX_BACKEND names another
// backend. Where GOMLX_BACKEND names ONNX Runtime and Options.Install is set, it is installed.
func (e *Engine) ONNXRuntime(ctx context.Context) (*onnxruntime.Runtime, error) {
	if why := e.unused(); why != "" {
		return nil, fmt.Errorf("engine: ONNX Runtime is not used: %s", why)
	}
	rt, err := openRuntime(ctx, e.library, false)
	if errors.Is(err, onnxruntime.ErrNotInstalled) && e.install.Install {
		if _, err := onnxruntime.Install(ctx, onnxruntime.Options{Report: e.install.Report, Note: e.install.Note}); err != nil {
			return nil, err
		}
		return openRuntime(ctx, "", false)
	}
	return rt, err
}

// unused says why no network runs on ONNX Runtime; "" if one may.
func (e *Engine) unused() string {
	switch order := os.Getenv(BackendVar); {
	case e.Frozen != FrozenBackend:
		return ""
	case order != "":
		return fmt.Sprintf("%s=%s names the backend of every network", BackendVar, order)
	default:
		return "every network runs on " + e.Name
	}
}

// openRuntime opens the library at a path, or with "" the one of set-up. With full, its sha256 is computed
// first.
func openRuntime(ctx context.Context, path string, full bool) (*onnxruntime.Runtime, error) {
	find := onnxruntime.Find
	if path != "" {
		find = func() (*onnxruntime.Library, error) {
			l, err := onnxruntime.FindAt(ctx, path)
			if err != nil {
				err = advice.New(err, "name another file in %s, or set it to %s for the one of tlkit setup", BackendVar, onnxRuntimeOrder)
			}
			return l, err
		}
	}
	l, err := find()
	if err == nil && full {
		err = l.Verify(ctx, true)
	}
	if err != nil {
		return nil, err
	}
	return onnxruntime.Open(ctx, l)
}
