package rollout

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	_ "github.com/tlkit/transfer-learning/tlkit/sim/bench"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

const task = "bench/sort"

// fixed always does the same: it goes right, and tells how bright its pictures were.
type fixed struct {
	spec  sim.Spec
	seen  map[uint64][]float32
	fails bool
}

func (f fixed) Spec() sim.Spec { return f.spec }
func (f fixed) Start(scene uint64) (policy.Actor, error) {
	return fixedActor{f, scene}, nil
}

type fixedActor struct {
	fixed
	scene uint64
}

var errFixed = errors.New("the policy gave up")

func (a fixedActor) Act(seen, _ []float32) (policy.Decision, error) {
	if a.fails {
		return policy.Decision{}, errFixed
	}
	if a.seen != nil {
		a.seen[a.scene] = append(a.seen[a.scene], seen...)
	}
	return policy.Decision{Actions: [][]float32{{0.04, 0, 0}, {0.04, 0, 0}, {0.04, 0, 0}}}, nil
}

func robotOf(t *testing.T) sim.Spec {
	t.Helper()
	w, err := sim.Open(task)
	if err != nil {
		t.Fatal(err)
	}
	return w.Spec()
}

// brightness is eyes of one feature.
func brightness(batch int) *Eyes {
	return &Eyes{
		Preset: transforms.Preset{Size: 32, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"},
		Backbone: features.Backbone{Identity: "brightness", Features: 1, Batch: batch, Open: func(context.Context, int) (func([]float32) ([]float32, error), error) {
			return func(pixels []float32) ([]float32, error) {
				out := make([]float32, batch)
				for i, v := range pixels {
					out[i/(32*32*3)] += v / (32 * 32 * 3)
				}
				return out, nil
			}, nil
		}},
	}
}

// Each policy sees its own scene, whatever the batch, and the episode is over when time is up.
func TestEachSeesItsScene(t *testing.T) {
	see := func(batch int, scenes []uint64, before func(uint64, *transforms.Picture) (*transforms.Picture, error)) map[uint64][]float32 {
		p := fixed{spec: robotOf(t), seen: map[uint64][]float32{}}
		eyes := brightness(batch)
		eyes.Before = before
		tried, err := Run(t.Context(), Job{Task: task, Policy: p, Eyes: eyes, Scenes: scenes})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range tried.Episodes {
			if e.Scene != scenes[i] || e.Success || e.Steps != 80 || e.Looks != 27 || e.Why == "" {
				t.Errorf("episode %+v of scene %d: want 80 steps, 27 looks, no success", e, scenes[i])
			}
		}
		return p.seen
	}
	scenes := Scenes(5)
	all := see(2, scenes, nil)
	for _, s := range scenes {
		if alone := see(3, []uint64{s}, nil)[s]; !slices.Equal(alone, all[s]) {
			t.Errorf("scene %d is seen otherwise beside others", s)
		}
	}
	if slices.Equal(all[scenes[0]], all[scenes[1]]) {
		t.Error("two scenes look the same")
	}
	dark := see(2, scenes[:1], func(_ uint64, p *transforms.Picture) (*transforms.Picture, error) {
		return transforms.NewPicture(p.Width, p.Height), nil
	})
	if v := slices.Max(dark[scenes[0]]); v != 0 {
		t.Errorf("black pictures have brightness %v", v)
	}
}

func TestWatchAndProgress(t *testing.T) {
	oracle, err := policy.NewOracle(task)
	if err != nil {
		t.Fatal(err)
	}
	steps, done := map[uint64]int{}, 0
	tried, err := Run(t.Context(), Job{
		Task: task, Policy: oracle, Scenes: Scenes(4), Progress: func(d, _ int) { done = d },
		Watch: func(m Moment) error {
			if m.Step != steps[m.Scene] {
				t.Errorf("scene %d: step %d after %d moments", m.Scene, m.Step, steps[m.Scene])
			}
			steps[m.Scene]++
			return nil
		},
	})
	if err != nil || done != 4 || tried.Success().Correct != 4 {
		t.Fatal(err, done, tried)
	}
	for _, e := range tried.Episodes {
		if steps[e.Scene] != e.Steps+1 { // one before each step, one at the end
			t.Errorf("scene %d: %d moments of %d steps", e.Scene, steps[e.Scene], e.Steps)
		}
	}
	stop := errors.New("seen enough")
	if _, err := Run(t.Context(), Job{Task: task, Policy: oracle, Scenes: Scenes(2), Watch: func(Moment) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("error %v, want that of Watch", err)
	}
}

func TestRefused(t *testing.T) {
	good := fixed{spec: robotOf(t)}
	other := good
	other.spec = good.spec.Clone()
	other.spec.Action[0].Max = 1
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failing := good
	failing.fails = true
	for want, job := range map[string]Job{
		"no scenes":           {Task: task, Policy: good},
		"dx: from":            {Task: task, Policy: other, Scenes: Scenes(1)},
		`no task "bench/fly"`: {Task: "bench/fly", Policy: good, Scenes: Scenes(1)},
		errFixed.Error():      {Task: task, Policy: failing, Scenes: Scenes(1)},
	} {
		if _, err := Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	if _, err := Run(ctx, Job{Task: task, Policy: good, Scenes: Scenes(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestCompare(t *testing.T) {
	try := func(won ...bool) *Try {
		out := &Try{Task: task}
		for i, w := range won {
			out.Episodes = append(out.Episodes, Episode{Scene: uint64(i), Success: w})
		}
		return out
	}
	c, err := Compare(try(true, false, false, false), try(true, true, true, false))
	if err != nil || c.Both != 1 || c.OnlyB != 2 || c.OnlyA != 0 || c.Neither != 1 || c.P != 0.5 {
		t.Errorf("%+v, %v", c, err)
	}
	moved := try(true)
	moved.Episodes[0].Scene = 9
	for _, bad := range []*Try{try(true, true), moved} {
		if _, err := Compare(try(true), bad); err == nil {
			t.Errorf("%v is compared with other scenes", bad)
		}
	}
}
