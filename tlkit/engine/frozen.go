package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
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
	return e, nil
}

// Library returns the ONNX Runtime for frozen networks, without opening it. With Options.Install, it is
// installed if it is missing. The error says in one line why it cannot be used here: it is not installed,
// or GOMLX_BACKEND names another backend.
func (e *Engine) Library(ctx context.Context) (*onnxruntime.Library, error) {
	if why := e.unused(); why != "" {
		return nil, fmt.Errorf("engine: ONNX Runtime is not used: %s", why)
	}
	l, err := findRuntime(ctx, e.library)
	if err != nil && !errors.Is(err, onnxruntime.ErrNotInstalled) {
		e.without(err)
	}
	if errors.Is(err, onnxruntime.ErrNotInstalled) && e.install.Install && (e.Frozen == FrozenONNXRuntime || !failedLately()) {
		l, err = onnxruntime.Install(ctx, onnxruntime.Options{Report: e.install.Report, Note: e.install.Note})
		if err != nil && ctx.Err() == nil {
			noteFailure()
		}
	}
	return l, err
}

// A failed installation is not tried again for a day: where there is no network, each run would wait for
// it in vain, and everything runs without ONNX Runtime.
const (
	failureFile = "onnxruntime.failed"
	patience    = 24 * time.Hour
)

func failedLately() bool {
	root, err := cachedir.Root()
	if err != nil {
		return true
	}
	info, err := os.Stat(filepath.Join(root, failureFile))
	return err == nil && time.Since(info.ModTime()) < patience
}

func noteFailure() {
	if root, err := cachedir.Dir(); err == nil {
		_ = atomicfile.WriteBytes(filepath.Join(root, failureFile), nil, 0o600)
	}
}

// ONNXRuntime opens ONNX Runtime for frozen networks, once in a process. Its errors are those of
// Library, and that the library does not fit this machine.
func (e *Engine) ONNXRuntime(ctx context.Context) (*onnxruntime.Runtime, error) {
	l, err := e.Library(ctx)
	if err != nil {
		return nil, err
	}
	rt, err := onnxruntime.Open(ctx, l)
	if err != nil {
		e.without(err)
	}
	return rt, err
}

// without notes, once, that networks run without an ONNX Runtime that is here.
func (e *Engine) without(err error) {
	if note := e.install.Note; note != nil && e.Frozen == FrozenEither {
		e.noted.Do(func() { note("ONNX Runtime is not used: " + oneLine(err)) })
	}
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

// findRuntime returns the library at a path, or with "" the one of set-up.
func findRuntime(ctx context.Context, path string) (*onnxruntime.Library, error) {
	if path == "" {
		return onnxruntime.Find()
	}
	l, err := onnxruntime.FindAt(ctx, path)
	if err != nil {
		return nil, advice.New(err, "name another file in %s, or set it to %s for the one of tlkit setup", BackendVar, onnxRuntimeOrder)
	}
	return l, nil
}

// openRuntime opens the library at a path, or with "" the one of set-up. With full, its sha256 is computed
// first.
func openRuntime(ctx context.Context, path string, full bool) (*onnxruntime.Runtime, error) {
	l, err := findRuntime(ctx, path)
	if err == nil && full {
		err = l.Verify(ctx, true)
	}
	if err != nil {
		return nil, err
	}
	return onnxruntime.Open(ctx, l)
}
