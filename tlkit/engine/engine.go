// Package engine opens the fastest GoMLX backend of this machine: XLA on an NVIDIA card, XLA
// on the CPU, or plain Go. It reports which one, and why not a faster one.
//
//	e, err := engine.Open(ctx, engine.Options{})
//	...
//	exec, err := graph.NewExec(e.Backend, func(x *graph.Node) *graph.Node { ... })
//
// XLA is a shared library (see package plugin). It is opened by its absolute path after its
// content was checked, and is never searched for. What it compiles is kept in a cache between
// processes, so the second notebook cell that builds the same network does not wait for the
// compiler again.
//
// The package builds without cgo too; then only the plain Go backend is available.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// Options for [Open]. The zero value opens what is installed.
type Options struct {
	// Install fetches the CPU plugin when it is missing (63 MB, once).
	Install bool
	// Report gets the progress of an installation: what is being done, with the bytes done
	// and in total (0 = unknown). It may be nil.
	Report func(what string, done, total int64)
	// Note gets a sentence about each file of the cache that was damaged: the plugin, which is then
	// set aside and, with Install, fetched anew; a compiled program, which is compiled anew. It may
	// be nil.
	Note func(sentence string)
	// Form is the form in which frozen networks run; the zero value chooses one for each network, by
	// measurement where the work is long enough.
	Form Form
	// NoCompileCache compiles every program anew. It applies to the whole process until the
	// next Open.
	NoCompileCache bool
}

// Engine is an opened backend.
type Engine struct {
	Backend compute.Backend

	Name    string // "xla:cuda", "xla:cpu" or "go:ops_sequential"
	Device  string // "AMD EPYC 9354 (2 threads)", or the card
	Plugin  string // the version and source of XLA; "" for plain Go
	Why     string // why nothing faster is used, in one sentence; "" if this is the fastest
	Threads int    // processor threads this process may use
	Form    Form   // Options.Form
	Frozen  Frozen // what may compute networks whose weights do not change

	library string  // the ONNX Runtime that GOMLX_BACKEND names by its path; "" = the one of set-up
	install Options // with which the engine was opened

	share *shared
	once  sync.Once
	noted sync.Once // what is wrong with ONNX Runtime
}

// BackendVar is the environment variable GOMLX_BACKEND, which chooses the backend: "xla:cpu",
// "xla:cuda", "xla:/path/to/plugin.so" or "go", each optionally followed by a comma and
// go-xla's options. With "onnxruntime", or "onnxruntime:/path/to/libonnxruntime.so", the best backend is
// opened for what trains, and frozen networks run on ONNX Runtime alone.
const BackendVar = compute.ConfigEnvVar

// Open opens the fastest backend available: XLA on an NVIDIA card, else XLA on the CPU, else
// plain Go, with the reason in Engine.Why. If GOMLX_BACKEND is set, Open opens what it names
// or fails. ONNX Runtime is not opened: see [Engine.ONNXRuntime].
//
// Engines of one process share a backend; it is released when the last of them is closed.
//
// Open installs nothing unless o.Install is set, and uses the network only to install.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e, err := openBackend(ctx, o)
	if err != nil {
		return nil, err
	}
	e.Form, e.install = o.Form, o
	return e, nil
}

func openBackend(ctx context.Context, o Options) (*Engine, error) {
	order := os.Getenv(BackendVar)
	if order == "" {
		return best(ctx, o)
	}
	e, err := ordered(ctx, order, o)
	if err != nil {
		return nil, fmt.Errorf("engine: %s=%s: %w", BackendVar, order, err)
	}
	return e, nil
}

// best tries CUDA, the CPU and plain Go, in this order.
func best(ctx context.Context, o Options) (*Engine, error) {
	if !xlaBuilt {
		return plainGo("", "this program was built without cgo, so XLA cannot be opened; build it with a C compiler and CGO_ENABLED=1")
	}
	cuda, cpu, ferr := plugin.Find(ctx)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	var why []string
	if cuda != nil {
		e, err := openCUDA(cuda, "", o)
		if err == nil {
			e.Frozen = FrozenBackend // a card is faster than any processor
			return e, nil
		}
		why = append(why, oneLine(err))
	}
	if cpu == nil && o.Install {
		var err error
		cpu, err = plugin.InstallCPU(ctx, o.plugin())
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("engine: %w", err)
			}
			why = append(why, notInstalled(err, ferr != nil))
		} else {
			_, _, ferr = plugin.Find(ctx) // a damaged file was replaced
		}
	} else if cpu == nil && ferr == nil {
		why = append(why, oneLine(plugin.ErrNotInstalled))
	}
	if ferr != nil {
		why = append([]string{oneLine(ferr)}, why...)
	}
	if cpu != nil {
		e, err := openCPU(ctx, cpu, "", o)
		if err == nil {
			e.Why = strings.Join(why, "; ")
			return e, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("engine: %w", ctx.Err())
		}
		reason := "XLA does not open: " + oneLine(err)
		if !errors.Is(err, fetch.ErrHash) { // else it says what to run
			reason += "; run: tlkit doctor"
		}
		why = append(why, reason)
	}
	return plainGo("", strings.Join(why, "; "))
}

// Of returns an Engine on a backend that you opened with GoMLX, for the packages that take an Engine.
// The backend stays yours: Close does not release it. Its programs do not go through the compile cache.
func Of(b compute.Backend) *Engine {
	s := &shared{key: "backend " + b.Description(), backend: b, users: 2} // never the last
	return &Engine{Backend: b, Name: b.String(), Device: b.DeviceDescription(0), Threads: runtime.NumCPU(), Frozen: FrozenBackend, share: s}
}

func (o Options) plugin() plugin.Options { return plugin.Options{Report: o.Report, Note: o.Note} }

// openCPU opens a CPU plugin that Find returned. One that turns out to be damaged is set aside, and
// with o.Install another is fetched.
func openCPU(ctx context.Context, p *plugin.Plugin, options string, o Options) (*Engine, error) {
	e, err := openXLA(p, options, o)
	if err == nil || !errors.Is(err, fetch.ErrHash) {
		return e, err
	}
	aside, asideErr := p.SetAside()
	if asideErr != nil {
		return nil, fmt.Errorf("%w (%w)", err, asideErr)
	}
	if !o.Install {
		return nil, advice.New(fmt.Errorf("the plugin is damaged and was set aside as %s: %w", aside, errors.Unwrap(err)), "run: tlkit setup")
	}
	fresh, err := plugin.InstallCPU(ctx, o.plugin())
	if err != nil {
		return nil, advice.New(fmt.Errorf("the plugin was damaged, was set aside as %s, and could not be fetched anew: %w", aside, err), "run: tlkit setup")
	}
	if o.Note != nil {
		o.Note("the XLA plugin was damaged on the disk; it was set aside as " + aside + " and fetched anew")
	}
	return openXLA(fresh, options, o)
}

// notInstalled says in one line why the plugin could not be installed. `tlkit setup` gives
// the details, and says how to install it by hand.
func notInstalled(err error, damaged bool) string {
	state := "is not here"
	if damaged {
		state = "is not usable"
	}
	cause := "it could not be fetched"
	switch {
	case errors.Is(err, fetch.ErrHash):
		cause = "what was fetched is not the pinned file"
	case errors.Is(err, fs.ErrPermission):
		return "the XLA plugin cannot be read or put into the cache: permission denied; run: tlkit doctor"
	case errors.Is(err, syscall.ENOSPC):
		cause = "the disk of the cache is full"
	case errors.Is(err, fetch.ErrUnreachable):
		cause = "no source could be reached"
	}
	return "the XLA plugin " + state + " and " + cause + "; run: tlkit setup"
}

// cudaDefaults lets several notebooks share a card, since none reserves all its memory at
// once, and makes results agree with the CPU's to float32, since TF32 is off.
const cudaDefaults = "preallocate=false,tf32=false"

// plainGo opens the backend written in Go, always with sequential operations: in parallel
// they can wait for each other forever.
func plainGo(config, why string) (*Engine, error) {
	if !strings.Contains(config, "ops_") {
		config = strings.Trim(config+",ops_sequential", ",")
	}
	e, err := acquire("go:"+config, func() (compute.Backend, *compileCache, error) {
		b, err := gobackend.New(config)
		return b, nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("the plain Go backend does not open: %w", cause(err))
	}
	e.Device = deviceOfCPU()
	if why != "" {
		e.Why = why + slower
	}
	return e, nil
}

// openXLA opens a plugin that Find returned.
func openXLA(p *plugin.Plugin, options string, o Options) (*Engine, error) {
	cachedir.Use(context.Background(), p.Path)
	name := "xla:" + p.Platform
	if options != "" && options != cudaDefaults {
		name += "," + options
	}
	// Different files of one platform are different backends.
	e, err := acquire(name+"@"+p.SHA256, func() (compute.Backend, *compileCache, error) {
		device := ""
		if p.Platform == "cuda" {
			prepareCUDA(p, options)
			device = plugin.CardID()
		}
		cache := newCompileCache(device)
		b, err := quietly(func() (compute.Backend, error) { return newXLA(p, options) })
		if err != nil {
			return nil, nil, err
		}
		if p.Platform == "cpu" {
			return b, cache, nil
		}
		useCache(p, cache)
		// A card may be present and still fail to compute, for lack of memory or because of
		// libraries that do not fit the driver. One small program shows it.
		if err := smoke(b); err != nil {
			b.Finalize()
			return nil, nil, err
		}
		return b, cache, nil
	})
	if err != nil {
		return nil, cause(err)
	}
	if c := e.share.cache; c != nil && o.Note != nil {
		c.note.Store(&o.Note)
	}
	if o.NoCompileCache {
		useCache(p, nil)
	} else {
		useCache(p, e.share.cache)
	}
	e.Name = name
	e.Plugin = p.String()
	e.Device = deviceOfCPU()
	if p.Platform == "cuda" {
		e.Device = e.Backend.DeviceDescription(0)
	}
	return e, nil
}

// CompileCache returns what the compile cache did since this backend was opened: zeros for
// plain Go, which has none.
func (e *Engine) CompileCache() Stats {
	if e.share == nil || e.share.cache == nil {
		return Stats{}
	}
	return e.share.cache.stats()
}

// String describes the engine in one line: name, device, and why nothing faster is used.
func (e *Engine) String() string {
	s := e.Name + " on " + e.Device
	if e.Plugin != "" {
		s += ", " + e.Plugin
	}
	if e.Why != "" {
		s += " (" + e.Why + ")"
	}
	return s
}

func deviceOfCPU() string {
	n := runtime.NumCPU()
	if n == 1 {
		return processor().name + " (1 thread)"
	}
	return fmt.Sprintf("%s (%d threads)", processor().name, n)
}
