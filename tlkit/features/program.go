package features

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// source makes the backbones of one network. It keeps their programs open, because opening one
// takes longer than running it.
type source struct {
	net   *zoo.Net
	eng   *engine.Engine
	out   output
	width int

	library *onnxruntime.Library // nil = not here, or not to be used
	missing error                // why it is nil
	stages  []string             // whose maps are taken; nil = what out names
	model   []byte               // with those outputs

	mu       sync.Mutex
	programs map[engine.Form]*program // by the key of the form
}

// errLibrary says that ONNX Runtime itself does not open, whatever the network. The engine has said so.
var errLibrary = errors.New("features: ONNX Runtime does not open")

// program is an opened network.
type program struct {
	run   func(batch []float32) ([]float32, error)
	close func()
}

func newSource(net *zoo.Net, e *engine.Engine, out output, width int) *source {
	s := &source{net: net, eng: e, out: out, width: width, programs: map[engine.Form]*program{}}
	s.library, s.missing = e.Library(context.Background()) // without it, all goes on
	runtime.AddCleanup(s, func(open map[engine.Form]*program) {
		for _, p := range open {
			p.close()
		}
	}, s.programs)
	return s
}

// backbone returns the network in a form.
func (s *source) backbone(f engine.Form) Backbone {
	b := Backbone{
		Identity: fmt.Sprintf("%s of %s, weights %s, on %s", s.out, s.net.Row.Family, s.net.Identity(), s.eng.Identity()),
		Features: s.width, Batch: f.Batch, Side: f.Side, Form: f, AnyBatch: f.Runtime == engine.ONNXRuntime,
	}
	switch {
	case f.Runtime == engine.ONNXRuntime && s.library != nil:
		b.Identity += fmt.Sprintf(", onnxruntime %s %s", s.library.Version, s.library.SHA256)
	case f.Convolutions != engine.YNNPACK:
		b.Identity += ", convolutions " + string(f.Convolutions)
	}
	b.Open = func(ctx context.Context, size int) (func([]float32) ([]float32, error), error) {
		if size != s.net.Preset.Size {
			return nil, fmt.Errorf("features: pictures of %d pixels for a network built for %d", size, s.net.Preset.Size)
		}
		p, err := s.open(ctx, f)
		if err != nil {
			return nil, err
		}
		return func(batch []float32) ([]float32, error) {
			defer runtime.KeepAlive(s) // or its programs are closed
			return p.run(batch)
		}, nil
	}
	return b
}

// open returns the program of a form, opened once.
func (s *source) open(ctx context.Context, f engine.Form) (*program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.programs[programOf(f)]; p != nil {
		return p, nil
	}
	if s.library == nil && s.eng.Frozen == engine.FrozenONNXRuntime { // what was ordered, or nothing
		return nil, s.missing
	}
	build := s.xla
	if f.Runtime == engine.ONNXRuntime {
		build = s.onnx
	}
	p, err := build(ctx, f)
	if err != nil {
		return nil, err
	}
	s.programs[programOf(f)] = p
	return p, nil
}

// programOf returns what of a form makes another program. ONNX Runtime takes any batch.
func programOf(f engine.Form) engine.Form {
	if f.Runtime == engine.ONNXRuntime {
		f.Batch = 0
	}
	return f
}

// closeOthers closes all programs but that of one form.
func (s *source) closeOthers(f engine.Form) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for form, p := range s.programs {
		if form != programOf(f) {
			p.close()
			delete(s.programs, form)
		}
	}
}

// xla compiles the network, once for each call that runs side by side: an extractor serves one
// goroutine.
func (s *source) xla(_ context.Context, f engine.Form) (*program, error) {
	side := max(f.Side, 1)
	idle := make(chan *zoo.Extractor, side)
	p := &program{close: func() {
		for range side {
			(<-idle).Close()
		}
	}}
	for range side {
		var x *zoo.Extractor
		err := s.eng.Compile(f, func() (err error) {
			if len(s.stages) > 0 {
				x, err = s.net.NewMapExtractor(s.eng.Backend, s.stages, f.Batch)
			} else {
				x, err = s.net.NewExtractor(s.eng.Backend, f.Batch)
			}
			return err
		})
		if err != nil {
			for len(idle) > 0 {
				(<-idle).Close()
			}
			return nil, err
		}
		idle <- x
	}
	out := s.out // s itself would never be freed
	p.run = func(batch []float32) ([]float32, error) {
		x := <-idle
		defer func() { idle <- x }()
		values, scores, err := x.Run(batch)
		if out == logits {
			return scores, err
		}
		return values, err
	}
	return p, nil
}

// onnx opens the network on ONNX Runtime. Calls side by side share the processors among them.
func (s *source) onnx(ctx context.Context, f engine.Form) (*program, error) {
	if s.library == nil {
		return nil, s.missing
	}
	runtime, err := s.eng.ONNXRuntime(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLibrary, err)
	}
	model, outputs := s.model, s.stages
	if model == nil {
		outputs = []string{string(s.out)}
		model, err = s.net.ONNX()
		if err != nil {
			return nil, err
		}
	}
	session, err := runtime.Session(model, onnxruntime.SessionOptions{Threads: max(s.eng.Threads/max(f.Side, 1), 1), Outputs: outputs})
	if err != nil {
		return nil, err
	}
	size := s.net.Preset.Size
	return &program{close: session.Close, run: func(batch []float32) ([]float32, error) {
		n := len(batch) / (size * size * 3)
		out, err := session.Run(onnxruntime.Tensor{Shape: []int{n, size, size, 3}, Float32: batch})
		if err != nil {
			return nil, err
		}
		values := make([][]float32, len(out))
		for i, t := range out {
			values[i] = t.Float32
		}
		return sideBySide(values, n)
	}}, nil
}
