package features

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// scripted is a network with forms of known speeds and results, on the plain Go engine.
type scripted struct {
	eng   *engine.Engine
	name  string
	list  []engine.Form            // the first one is the usual form
	pause map[string]time.Duration // of a call, by form
	off   map[string]float32       // added to each feature, by the form's bits
	fails map[string]error         // by form
	calls map[string]*atomic.Int32 // by form
	most  atomic.Int32             // calls at the same time
	now   atomic.Int32
}

var (
	plain    = engine.Form{Runtime: engine.XLA, Batch: 4}
	twoByTwo = engine.Form{Runtime: engine.XLA, Batch: 2, Side: 2}
	eigen    = engine.Form{Runtime: engine.XLA, Convolutions: engine.Eigen, Batch: 4}
	onnx     = engine.Form{Runtime: engine.ONNXRuntime, Batch: 8}
	onnxOnes = engine.Form{Runtime: engine.ONNXRuntime, Batch: 1, Side: 2}
)

func newScripted(t *testing.T, list ...engine.Form) *scripted {
	t.Helper()
	t.Setenv(cachedir.EnvVar, t.TempDir())
	t.Setenv(engine.BackendVar, "go")
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	s := &scripted{eng: e, name: "scripted", list: list, pause: map[string]time.Duration{}, off: map[string]float32{}, fails: map[string]error{}, calls: map[string]*atomic.Int32{}}
	for _, f := range list {
		s.pause[f.String()] = 20 * time.Millisecond
		s.calls[f.String()] = new(atomic.Int32)
	}
	return s
}

// backbone is the network as a new process sees it.
func (s *scripted) backbone() Backbone {
	b := s.in(s.list[0])
	b.forms = &forms{name: s.name, program: s.name, weights: "its own", eng: s.eng, width: 3, size: 8, usual: s.list[0], list: s.list,
		backbone: s.in, closeOthers: func(engine.Form) {},
		published: func([]float32) (float64, bool) { return 0, false }}
	return b
}

func (s *scripted) in(f engine.Form) Backbone {
	return Backbone{Identity: s.name + " " + f.Bits(), Features: 3, Batch: f.Batch, Side: f.Side, Form: f, AnyBatch: f.Runtime == engine.ONNXRuntime,
		Open: func(context.Context, int) (func([]float32) ([]float32, error), error) {
			if err := s.fails[f.String()]; err != nil {
				return nil, err
			}
			return func(batch []float32) ([]float32, error) {
				if c := s.calls[f.String()]; c != nil {
					c.Add(1)
				}
				s.most.Store(max(s.most.Load(), s.now.Add(1)))
				defer s.now.Add(-1)
				time.Sleep(s.pause[f.String()])
				out := make([]float32, 0, 3*f.Batch)
				for at := 0; at < len(batch); at += 8 * 8 * 3 {
					var sum [3]float32
					for i, v := range batch[at : at+8*8*3] {
						sum[i%3] += v
					}
					for _, v := range sum {
						out = append(out, v+s.off[f.Bits()])
					}
				}
				return out, nil
			}, nil
		}}
}

func choose(t *testing.T, b Backbone, pictures int) Choice {
	t.Helper()
	c, err := b.Choose(t.Context(), pictures)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The fastest form is taken where the work is long, and kept for the next process, which measures
// nothing.
func TestTheFastestFormIsTakenAndKept(t *testing.T) {
	s := newScripted(t, plain, twoByTwo, eigen)
	s.pause[twoByTwo.String()] = time.Millisecond
	c := choose(t, s.backbone(), 1_000_000)
	if c.Form != twoByTwo || len(c.Trials) != 3 || c.Rate < 4*c.Trials[0].Rate {
		t.Fatalf("chose %+v", c)
	}
	before := s.calls[plain.String()].Load()
	again := choose(t, s.backbone(), 1_000_000)
	if again.Form != twoByTwo || again.Trials != nil || again.Rate != c.Rate || s.calls[plain.String()].Load() != before {
		t.Errorf("the next process chose %+v", again)
	}
}

// Short work takes the first form as it is; work of some seconds tries what fits into a twentieth.
func TestMeasuringTakesATwentieth(t *testing.T) {
	s := newScripted(t, plain, eigen)
	s.pause[eigen.String()] = time.Millisecond
	if c := choose(t, s.backbone(), 10); c.Form != plain || c.Rate != 0 {
		t.Errorf("ten pictures: %+v", c)
	}
	// 4 pictures take 20 ms, so 1,000 take 5 s, and a twentieth is less than compiling takes.
	if c := choose(t, s.backbone(), 1000); c.Form != plain || len(c.Trials) != 1 || c.Rate == 0 {
		t.Errorf("a thousand pictures: %+v", c)
	}
	// What was kept then does not stand in the way of long work.
	if c := choose(t, s.backbone(), 1_000_000); c.Form != eigen {
		t.Errorf("a million pictures: %+v", c)
	}
}

// A form whose features differ is refused by name and never used; so is one that does not open.
func TestFormsThatDifferAreRefused(t *testing.T) {
	s := newScripted(t, plain, eigen, twoByTwo)
	for _, f := range []engine.Form{eigen, twoByTwo} {
		s.pause[f.String()] = time.Millisecond
	}
	s.off[eigen.Bits()] = 0.5
	s.fails[twoByTwo.String()] = errors.New("no memory for it")
	c := choose(t, s.backbone(), 1_000_000)
	if c.Form != plain || len(c.Refused) != 2 || !strings.Contains(c.Refused[0].Refused, "differ by") || c.Refused[0].Form != eigen ||
		!strings.Contains(c.Refused[1].Refused, "no memory") {
		t.Fatalf("chose %+v", c)
	}
	s.off[eigen.Bits()] = float32(math.NaN())
	if c, err := s.backbone().Tune(t.Context()); err != nil || c.Form != plain {
		t.Errorf("with NaN: %+v, %v", c, err)
	}
	// A form that was asked for is an error then.
	s.eng.Form = eigen
	if c, err := s.backbone().Choose(t.Context(), 10); err == nil || !strings.Contains(err.Error(), "eigen") {
		t.Errorf("given: %+v, %v", c, err)
	}
}

// A form that computes other bits than when it was chosen, as on a machine that changed below its
// caches, is measured anew.
func TestAKeptFormIsReplayed(t *testing.T) {
	s := newScripted(t, plain, eigen)
	s.pause[eigen.String()] = time.Millisecond
	if c := choose(t, s.backbone(), 1_000_000); c.Form != eigen {
		t.Fatalf("chose %+v", c)
	}
	s.off[eigen.Bits()] = 1e-5 // within the tolerance, but other bits
	if c := choose(t, s.backbone(), 1_000_000); c.Trials == nil {
		t.Errorf("the kept form was taken as it is: %+v", c)
	}
	s.off[eigen.Bits()] = 0.5
	if c := choose(t, s.backbone(), 1_000_000); c.Form != plain {
		t.Errorf("a form with wrong numbers was taken: %+v", c)
	}
}

// Other bits must pay clearly; the same bits need only be faster.
func TestBitsChangeForAClearGainOnly(t *testing.T) {
	rate := func(f engine.Form, r float64) engine.Trial { return engine.Trial{Form: f, Rate: r} }
	for _, c := range []struct {
		a, b engine.Trial
		want bool
	}{
		{rate(eigen, 110), rate(plain, 100), false}, {rate(eigen, 120), rate(plain, 100), true},
		{rate(onnxOnes, 101), rate(onnx, 100), true}, {rate(onnxOnes, 99), rate(onnx, 100), false},
	} {
		if got := better(c.a, c.b); got != c.want {
			t.Errorf("%v instead of %v: %v", c.a, c.b, got)
		}
	}
}

// Rows of one form are never served as those of another whose bits differ, and those that are
// there are used although another form is faster.
func TestRowsBelongToBits(t *testing.T) {
	s := newScripted(t, plain, onnx, onnxOnes, eigen)
	extract := func(items int, f engine.Form) *Matrix {
		t.Helper()
		s.eng.Form = f
		m, err := Extract(t.Context(), Job{Items: pictures(t, t.TempDir(), items), Preset: sumsPreset, Backbone: s.backbone()})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := extract(90, plain); m.Cached != 0 {
		t.Fatal("cached rows in an empty cache")
	}
	for _, c := range []struct {
		form   engine.Form
		cached int
	}{{plain, 90}, {onnx, 0}, {onnxOnes, 90}, {eigen, 0}, {engine.Form{Runtime: engine.XLA, Batch: 2}, 0}} {
		if m := extract(90, c.form); m.Cached != c.cached {
			t.Errorf("form %v finds %d rows, want %d", c.form, m.Cached, c.cached)
		}
	}
	// Nothing given: ten pictures more cost ten pictures.
	if m := extract(100, engine.Form{}); m.Cached != 90 {
		t.Errorf("%d rows of 90 were found", m.Cached)
	}
}

// Calls run side by side, and every picture gets its own features.
func TestForwardSideBySide(t *testing.T) {
	s := newScripted(t, plain, onnxOnes)
	for _, f := range []engine.Form{plain, onnxOnes, twoByTwo} {
		s.eng.Form = f
		s.pause[f.String()] = 10 * time.Millisecond
		s.most.Store(0)
		const n = 25
		got := make([]float32, n)
		err := Forward(t.Context(), s.backbone(), Pass{Size: 8, Pictures: n,
			Prepare: func(i int) (transforms.Tensor, error) {
				t := transforms.Tensor{Data: make([]float32, 8*8*3)}
				t.Data[0] = float32(i)
				return t, nil
			},
			Use: func(rows []int, values []float32) error {
				for i, r := range rows {
					got[r] = values[3*i]
				}
				return nil
			},
			Bad: func(i int, err error) { t.Error(i, err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != float32(i) {
				t.Errorf("form %v: picture %d has %g", f, i, v)
			}
		}
		if most := s.most.Load(); most > int32(max(f.Side, 1)) || f.Side > 1 && most < 2 {
			t.Errorf("form %v: %d calls at the same time", f, most)
		}
	}
}
