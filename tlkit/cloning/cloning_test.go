package cloning

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

const side, channels = 6, 3

// shown is demonstrations of a tip that goes to where channel 0 of a map is bright. The map shows a second
// bright place in channel 1, which says nothing.
func shown(episodes int, seed uint64) policy.Demonstrations {
	d := policy.Demonstrations{Spec: spec(), Map: [3]int{side, side, channels}}
	r := rand.New(rand.NewPCG(seed, 0))
	for e := range episodes {
		goal, other := [2]int{r.IntN(side), r.IntN(side)}, [2]int{r.IntN(side), r.IntN(side)}
		tip := [2]float64{r.Float64(), r.Float64()}
		for range 6 {
			f := policy.Frame{Episode: e, State: []float32{float32(tip[0]), float32(tip[1])}, Action: make([]float32, 2), Seen: seen(r, goal, other)}
			for i := range 2 {
				step := min(max((float64(goal[i])+0.5)/side-tip[i], -0.1), 0.1)
				f.Action[i] = float32(step)
				tip[i] += step
			}
			d.Frames = append(d.Frames, f)
		}
	}
	return d
}

func seen(r *rand.Rand, goal, other [2]int) []float32 {
	m := make([]float32, side*side*channels)
	for i := range m {
		m[i] = float32(0.3 * r.NormFloat64())
	}
	m[(goal[1]*side+goal[0])*channels] += 4
	m[(other[1]*side+other[0])*channels+1] += 4
	return m
}

func spec() sim.Spec {
	return sim.Spec{
		Task: "test/go", Robot: "tip", Rate: 10, Steps: 20, Cameras: []sim.Camera{{Name: "top", Side: 64}},
		State:  []sim.Dimension{{Name: "x", Max: 1}, {Name: "y", Max: 1}},
		Action: []sim.Dimension{{Name: "dx", Min: -0.1, Max: 0.1}, {Name: "dy", Min: -0.1, Max: 0.1}},
	}
}

func opened(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// In scenes that were not shown, the tip goes to the bright place.
func TestFitGoesWhereItWasShown(t *testing.T) {
	c, err := Fit(t.Context(), opened(t), shown(40, 1), Options{Points: 4, Ahead: 2, Used: 1, Steps: []int{700}})
	if err != nil {
		t.Fatal(err)
	}
	r, off := rand.New(rand.NewPCG(9, 9)), 0.0
	const tries = 30
	for range tries {
		goal, other := [2]int{r.IntN(side), r.IntN(side)}, [2]int{r.IntN(side), r.IntN(side)}
		a, err := c.Start(0)
		if err != nil {
			t.Fatal(err)
		}
		state := []float32{r.Float32(), r.Float32()}
		for range 12 {
			d, err := a.Act(seen(r, goal, other), state)
			if err != nil {
				t.Fatal(err)
			}
			state[0], state[1] = state[0]+d.Actions[0][0], state[1]+d.Actions[0][1]
		}
		off += math.Hypot(float64(state[0])-(float64(goal[0])+0.5)/side, float64(state[1])-(float64(goal[1])+0.5)/side) / tries
	}
	t.Logf("%.3f from the bright place", off)
	if off > 0.2 { // a policy that stands still is 0.5 off
		t.Errorf("the tip ends %.3f from the bright place", off)
	}
}

// Folds choose among the candidates, and a second fit has the same bits.
func TestFoldsChoose(t *testing.T) {
	e, o := opened(t), Options{Points: 2, Ahead: 2, Steps: []int{40, 1, 20}}
	c, err := Fit(t.Context(), e, shown(9, 1), o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Steps == 1 || !slices.Contains(o.Steps, c.Steps) || c.Used != 2 {
		t.Errorf("%d steps, %d actions used", c.Steps, c.Used)
	}
	again, err := Fit(t.Context(), e, shown(9, 1), o)
	if err != nil || !reflect.DeepEqual(c, again) {
		t.Errorf("a second fit differs, %v", err)
	}
}

// The policy in plain Go computes what the graph computes.
func TestPolicyIsTheNetwork(t *testing.T) {
	for _, flat := range []bool{false, true} {
		d := shown(6, 3)
		if flat {
			d.Map = [3]int{}
		}
		l, err := newLesson(d, Options{Points: 3, Ahead: 2, Used: 2, Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		tr, err := newTrainer(opened(t), l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.train(t.Context(), -1, []int{5}); err != nil {
			t.Fatal(err)
		}
		c, err := tr.policy()
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		in := l.newInputs()
		for b := range batch {
			l.fill(in, b, b%len(d.Frames), nil)
		}
		out, err := tr.judge.Call(tr.arguments(in)...)
		if err != nil {
			t.Fatal(err)
		}
		graph := float64(out[0].Value().(float32))
		for b := range batch {
			sum += energy(t, c, d, l, b%len(d.Frames)) / batch
		}
		if math.Abs(sum-graph) > 1e-3*(1+math.Abs(graph)) {
			t.Errorf("pooled %v: the loss of the policy is %.5f, that of the graph %.5f", flat, sum, graph)
		}
	}
}

// energy is the loss of a frame, from the definition and the outputs of the policy's network.
func energy(t *testing.T, c *policy.Chunk, d policy.Demonstrations, l *lesson, frame int) float64 {
	t.Helper()
	out, err := c.Outputs(d.Frames[frame].Seen, d.Frames[frame].State)
	if err != nil {
		t.Fatal(err)
	}
	n := len(c.Robot.Action)
	likely := out[c.Modes*c.Ahead*n:]
	var all, sum float64
	for _, v := range likely {
		all += math.Exp(float64(v))
	}
	for m, v := range likely {
		loss := 0.0
		for k := range c.Ahead {
			if frame+k > l.episodes[frame][1] {
				continue
			}
			for i := range n {
				off := math.Abs(float64(out[(m*c.Ahead+k)*n+i]) - float64(d.Frames[frame+k].Action[i])/0.1)
				loss += 0.5/0.1*min(off, 0.1)*min(off, 0.1) + max(off-0.1, 0)
			}
		}
		sum += math.Exp(float64(v)-loss) / all
	}
	return -math.Log(sum) / float64(c.Ahead)
}

// Moved by whole cells, a map and its tip are the same scene.
func TestShift(t *testing.T) {
	l := &lesson{Demonstrations: policy.Demonstrations{Map: [3]int{3, 4, 1}}}
	from, to := []float32{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23}, make([]float32, 12)
	l.shift(to, from, 1, -1)
	if want := []float32{10, 10, 11, 12, 20, 20, 21, 22, 20, 20, 21, 22}; !slices.Equal(to, want) {
		t.Errorf("moved right and up: %v, want %v", to, want)
	}
}

func TestFitRefuses(t *testing.T) {
	e := opened(t)
	for want, spoil := range map[string]func(*policy.Demonstrations, *Options){
		"no demonstrations":       func(d *policy.Demonstrations, _ *Options) { d.Frames = nil },
		"of 1 scenes, want 2":     func(d *policy.Demonstrations, _ *Options) { d.Frames = d.Frames[:6] },
		"is NaN":                  func(d *policy.Demonstrations, _ *Options) { d.Frames[3].Action[0] = float32(math.NaN()) },
		"which are no limits":     func(d *policy.Demonstrations, _ *Options) { d.Spec.Action[0].Max = d.Spec.Action[0].Min },
		"3 of 2 actions used":     func(_ *policy.Demonstrations, o *Options) { o.Ahead, o.Used = 2, 3 },
		"want positive numbers":   func(_ *policy.Demonstrations, o *Options) { o.Steps = []int{0, 5} },
		"has 2 features, want 10": func(d *policy.Demonstrations, _ *Options) { d.Frames[3].Seen = d.Frames[3].Seen[:2] },
	} {
		d, o := shown(3, 1), Options{Steps: []int{1}}
		spoil(&d, &o)
		if _, err := Fit(t.Context(), e, d, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Fit(ctx, e, shown(3, 1), Options{Steps: []int{5}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
