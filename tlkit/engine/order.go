package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// ordered opens exactly what GOMLX_BACKEND names.
func ordered(ctx context.Context, order string, o Options) (*Engine, error) {
	if library, ok := ordersONNXRuntime(order); ok {
		return besides(ctx, library, o)
	}
	e, err := backend(ctx, order, o)
	if err != nil {
		return nil, err
	}
	e.Frozen = FrozenBackend
	return e, nil
}

// backend opens exactly the backend of that name.
func backend(ctx context.Context, order string, o Options) (*Engine, error) {
	name, config, _ := strings.Cut(order, ":")
	switch name {
	case "go":
		return plainGo(config, "")
	case "xla", "stablehlo", "shlo", "hlo":
	default:
		return another(order, name)
	}
	if !xlaBuilt {
		return nil, advice.New(errors.New("this program was built without cgo, so XLA cannot be opened"), "build it with a C compiler and CGO_ENABLED=1")
	}
	which, options, _ := strings.Cut(config, ",")
	cuda, cpu, ferr := (*plugin.Plugin)(nil), (*plugin.Plugin)(nil), error(nil)
	if !filepath.IsAbs(which) {
		cuda, cpu, ferr = plugin.Find(ctx)
	}
	switch {
	case filepath.IsAbs(which):
		p, err := plugin.FindAt(ctx, which)
		if err != nil {
			return nil, err
		}
		if p.Platform == "cuda" {
			return openCUDA(p, options, o)
		}
		return openXLA(p, options, o)
	case which == "cuda", which == "" && cuda != nil:
		if cuda == nil {
			if ferr == nil {
				ferr = errors.New("no NVIDIA card is seen here")
			}
			return nil, ferr
		}
		return openCUDA(cuda, options, o)
	case which == "cpu", which == "":
		if cpu == nil && o.Install {
			var err error
			cpu, err = plugin.InstallCPU(ctx, o.plugin())
			if err != nil {
				return nil, err
			}
		}
		if cpu == nil && ferr != nil {
			return nil, ferr // it is there and damaged
		}
		if cpu == nil {
			return nil, plugin.ErrNotInstalled
		}
		return openCPU(ctx, cpu, options, o)
	}
	return nil, fmt.Errorf("plugin %q: want cpu, cuda or the absolute path of a PJRT plugin", which)
}

func openCUDA(p *plugin.Plugin, options string, o Options) (*Engine, error) {
	e, err := openXLA(p, withDefaults(options, cudaDefaults), o)
	if err != nil {
		return nil, fmt.Errorf("the NVIDIA card cannot be used: %s", explainCUDA(err))
	}
	return e, nil
}

// withDefaults adds the options that were not given.
func withDefaults(options, defaults string) string {
	for _, d := range strings.Split(defaults, ",") {
		key, _, _ := strings.Cut(d, "=")
		given := false
		for _, have := range strings.Split(options, ",") {
			k, _, _ := strings.Cut(have, "=")
			given = given || k == key || k == "no"+key
		}
		if !given {
			options = strings.Trim(options+","+d, ",")
		}
	}
	return options
}

// another opens a backend that the program itself has registered.
func another(order, name string) (*Engine, error) {
	known := compute.List()
	for _, k := range known {
		if k == name {
			e, err := acquire(order, func() (compute.Backend, *compileCache, error) {
				b, err := compute.NewWithConfig(order)
				return b, nil, err
			})
			if err != nil {
				return nil, cause(err)
			}
			e.Device = deviceOfCPU()
			return e, nil
		}
	}
	return nil, advice.New(fmt.Errorf("there is no backend %q", name), "want xla:cpu, xla:cuda, xla:/path/to/plugin.so, onnxruntime or go")
}
