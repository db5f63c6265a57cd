package policy

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/heatmap"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// arm is a planar arm with fingers.
func arm() sim.Spec {
	share := func(name string) sim.Dimension { return sim.Dimension{Name: name, Unit: "picture", Max: 1} }
	move := func(name string) sim.Dimension {
		return sim.Dimension{Name: name, Unit: "picture", Min: -0.05, Max: 0.05}
	}
	return sim.Spec{
		Task: "test/pick", Robot: "planar-arm", Rate: 10, Steps: 80, Cameras: []sim.Camera{{Name: "top", Side: 64}},
		State:  []sim.Dimension{share("x"), share("y"), {Name: "gripper", Max: 1}, {Name: "opening", Max: 1}},
		Action: []sim.Dimension{move("dx"), move("dy"), {Name: "gripper", Max: 1}},
	}
}

// table is a scene: where to pick, where to put.
type table struct{ pick, put [2]float64 }

const side, channels = 8, 6

// seen draws a map: channel 0 is bright at the place to pick, 1 at the place to put, the rest is
// noise that is the same in every look at the scene.
func (t table) seen(r *rand.Rand) []float32 {
	g := heatmap.Grid{H: side, W: side, C: channels}
	m := make([]float32, side*side*channels)
	for i := range m {
		m[i] = float32(r.NormFloat64())
	}
	g.Spread(t.pick, func(cell int, part float64) { m[cell*channels] += float32(30 * part) })
	g.Spread(t.put, func(cell int, part float64) { m[cell*channels+1] += float32(30 * part) })
	return m
}

func random(r *rand.Rand) [2]float64 { return [2]float64{0.1 + 0.8*r.Float64(), 0.1 + 0.8*r.Float64()} }

// shown is demonstrations by the controller itself, which knows the places.
func shown(t *testing.T, episodes int, seed uint64) Demonstrations {
	t.Helper()
	b, err := newBody(arm())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	d := Demonstrations{Spec: arm(), Map: [3]int{side, side, channels}}
	for e := range episodes {
		scene := table{random(r), random(r)}
		start := random(r)
		state := []float32{float32(start[0]), float32(start[1]), 0, 1}
		for _, to := range [][2]float64{scene.pick, scene.put} {
			for done := false; !done; {
				action := b.drive(state, to)[0]
				d.Frames = append(d.Frames, Frame{Episode: e, State: slices.Clone(state), Action: action, Seen: scene.seen(r)})
				done = b.event(state, action)
				state[0], state[1] = state[0]+action[0], state[1]+action[1]
				state[2], state[3] = action[2], 1-0.6*action[2]
			}
		}
	}
	return d
}

// The fit finds the two channels that matter, and the place within a tenth of a cell.
func TestWaypointFindsThePlaces(t *testing.T) {
	w, err := FitWaypoint(t.Context(), shown(t, 20, 1), WaypointOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for p, channel := range []int{open: 0, holding: 1} {
		for c, v := range w.Weight[p][:channels] {
			if c != channel && math.Abs(float64(v)) > float64(w.Weight[p][channel])/4 {
				t.Errorf("phase %d: channel %d weighs %.3f, the right one %.3f", p, c, v, w.Weight[p][channel])
			}
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		scene := table{random(r), random(r)}
		a, _ := w.Start(0)
		d, err := a.Act(scene.seen(r), []float32{0.5, 0.5, 0, 1})
		if err != nil {
			t.Fatal(err)
		}
		if off := math.Hypot(d.Where[0]-scene.pick[0], d.Where[1]-scene.pick[1]); off > 0.5/side || d.Sure < 0.5 {
			t.Errorf("pick at %.3f, found at %.3f, sure %.2f", scene.pick, d.Where, d.Sure)
		}
		d, err = a.Act(scene.seen(r), []float32{0.5, 0.5, 1, 0.4})
		if err != nil {
			t.Fatal(err)
		}
		if off := math.Hypot(d.Where[0]-scene.put[0], d.Where[1]-scene.put[1]); off > 0.5/side {
			t.Errorf("put at %.3f, found at %.3f", scene.put, d.Where)
		}
		var sum float64
		for _, v := range d.Heat {
			sum += float64(v)
		}
		if len(d.Heat) != side*side || math.Abs(sum-1) > 1e-4 {
			t.Errorf("heat of %d cells sums to %v", len(d.Heat), sum)
		}
	}
}

// Same data, same bits, on any number of processors.
// Offline figures are those of folds: high where the pictures show the places, and not above a guess where
// they do not.
func TestOffline(t *testing.T) {
	d := shown(t, 20, 1)
	w, err := FitWaypoint(t.Context(), d, WaypointOptions{})
	if err != nil {
		t.Fatal(err)
	}
	near := w.Chosen().Near
	if near.Value() < 0.6 || near.Total < 100 || w.Guess.Total != near.Total || w.Guess.Value() > 0.3 || !strings.Contains(w.Offline(), "no success rate") {
		t.Errorf("%v found, %v by a guess, %q", near, w.Guess, w.Offline())
	}
	for i := range d.Frames {
		for k := range d.Frames[i].Seen {
			d.Frames[i].Seen[k] = float32((i*7919+k*104729)%1000) / 1000
		}
	}
	blind, err := FitWaypoint(t.Context(), d, WaypointOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := blind.Chosen().Near; got.Value() > 0.3 {
		t.Errorf("%v found where nothing is to be seen", got)
	}
	if one, err := FitWaypoint(t.Context(), d, WaypointOptions{Strengths: []float64{1}}); err != nil || one.Offline() != "" || one.Guess.Total != 0 {
		t.Errorf("without folds: %q, %v", one.Offline(), err)
	}
}

// Numbers and events are checked without features.
func TestNumbersAndEvents(t *testing.T) {
	d := shown(t, 3, 1)
	for i := range d.Frames {
		d.Frames[i].Seen = nil
	}
	if n, err := d.Events(); n != 6 || err != nil || d.CheckNumbers() != nil {
		t.Errorf("%d events of 3 demonstrations, %v, %v", n, err, d.CheckNumbers())
	}
	last := len(d.Frames) - 1
	first := last
	for d.Frames[first-1].Episode == 2 {
		first--
	}
	d.Frames[first+1].Action[1] = 0.5
	if err := d.CheckNumbers(); err == nil || !strings.Contains(err.Error(), "demonstration 2, frame 1: the action's dy is 0.5, beyond its limits of -0.05 to 0.05; ") {
		t.Error(err)
	}
	d.Spec.Action[2].Name = "claw"
	if _, err := d.Events(); err == nil || !strings.Contains(err.Error(), "gripper") {
		t.Error(err)
	}
	d.Spec.State, d.Spec.Action = d.Spec.State[:2], d.Spec.Action[:2] // no fingers: each demonstration ends once
	if n, err := d.Events(); n != 3 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestFitIsDeterministic(t *testing.T) {
	d := shown(t, 12, 3)
	fit := func(threads int) []byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		w, err := FitWaypoint(t.Context(), d, WaypointOptions{})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "policy.safetensors")
		familiarity, err := FitFamiliarity(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := fileOf(w, d, familiarity).Write(file); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	one := fit(1)
	for _, threads := range []int{2, 5} {
		if !bytes.Equal(one, fit(threads)) {
			t.Errorf("%d threads give other bits than one", threads)
		}
	}
}

func TestDemonstrationsAreRefused(t *testing.T) {
	nan := float32(math.NaN())
	for want, spoil := range map[string]func(d *Demonstrations){
		"no demonstrations": func(d *Demonstrations) { d.Frames = nil },
		"1 demonstrations, want 2": func(d *Demonstrations) {
			d.Frames = slices.DeleteFunc(d.Frames, func(f Frame) bool { return f.Episode > 0 })
		},
		"demonstration 2 has no event":  func(d *Demonstrations) { each(d, 2, func(f *Frame) { f.Action[2] = f.State[2] }) },
		"the action's dx is NaN":        func(d *Demonstrations) { d.Frames[7].Action[0] = nan },
		"the state's y is +Inf":         func(d *Demonstrations) { d.Frames[7].State[1] = float32(math.Inf(1)) },
		"dy is 4.5, beyond its limits":  func(d *Demonstrations) { d.Frames[7].Action[1] = 4.5 },
		"action of 2 numbers, want 3":   func(d *Demonstrations) { d.Frames[7].Action = d.Frames[7].Action[:2] },
		"feature 5 of frame 7":          func(d *Demonstrations) { d.Frames[7].Seen[5] = nan },
		"has 3 features, want 384":      func(d *Demonstrations) { d.Frames[7].Seen = d.Frames[7].Seen[:3] },
		"pooled features":               func(d *Demonstrations) { d.Map = [3]int{} },
		"has no action dx":              func(d *Demonstrations) { d.Spec.Action[0].Name = "joint" },
		"in its state or in its action": func(d *Demonstrations) { d.Spec.State[2].Name = "thumb" },
		"show the same scene": func(d *Demonstrations) {
			var first []Frame
			for _, f := range d.Frames {
				if f.Episode == 0 {
					first = append(first, f)
				}
			}
			d.Frames = nil
			for e := range 4 {
				for _, f := range first {
					f.Episode = e
					d.Frames = append(d.Frames, f)
				}
			}
		},
	} {
		d := shown(t, 4, 9)
		spoil(&d)
		_, err := FitWaypoint(t.Context(), d, WaypointOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FitWaypoint(ctx, shown(t, 4, 9), WaypointOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// Frames whose features were left out are not learnt from; their actions still say what comes next.
func TestFramesWithoutFeatures(t *testing.T) {
	d := shown(t, 8, 3)
	all, err := FitWaypoint(t.Context(), d, WaypointOptions{Strengths: []float64{0.1}})
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for i := range d.Frames {
		if first := i == 0 || d.Frames[i-1].Episode != d.Frames[i].Episode; !first && i%3 != 0 {
			d.Frames[i].Seen = nil
			left++
		}
	}
	some, err := FitWaypoint(t.Context(), d, WaypointOptions{Strengths: []float64{0.1}})
	if err != nil || all.Frames-some.Frames != left {
		t.Fatalf("%d frames became %d without the features of %d, %v", all.Frames, some.Frames, left, err)
	}
	if _, err := FitNearest(d, 0); err != nil {
		t.Error(err)
	}
	d.Frames[0].Seen = nil
	if _, err := FitWaypoint(t.Context(), d, WaypointOptions{}); err == nil || !strings.Contains(err.Error(), "frame 0 (demonstration 0) has 0 features") {
		t.Errorf("an episode that begins without features: %v", err)
	}
}

func each(d *Demonstrations, episode int, do func(*Frame)) {
	for i := range d.Frames {
		if d.Frames[i].Episode == episode {
			do(&d.Frames[i])
		}
	}
}

// Fingers that have shut on nothing open, and the place is not tried again at once.
func TestShutOnNothing(t *testing.T) {
	w, err := FitWaypoint(t.Context(), shown(t, 20, 1), WaypointOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(w.body.nothing-0.2) > 1e-6 {
		t.Errorf("shut on nothing is below %v, want half of what is felt in the demonstrations, 0.2", w.body.nothing)
	}
	seen := table{[2]float64{0.25, 0.25}, [2]float64{0.8, 0.8}}.seen(rand.New(rand.NewPCG(3, 3)))
	a, _ := w.Start(0)
	was, _ := a.Act(seen, []float32{0.25, 0.25, 0, 1})
	at := was.Where
	for miss := 0; math.Hypot(at[0]-was.Where[0], at[1]-was.Where[1]) < 0.5/side; miss++ {
		if miss == 10 {
			t.Fatalf("after %d misses the fingers still go to %.3f", miss, at)
		}
		now, err := a.Act(seen, []float32{0.25, 0.25, 1, 0})
		if err != nil || now.Note == "" || len(now.Actions) != 1 || now.Actions[0][2] != 0 {
			t.Fatalf("%v: decided %v", err, now)
		}
		next, _ := a.Act(seen, []float32{0.25, 0.25, 0, 1})
		at = next.Where
	}
}

// A task that ends when the fingers shut shows no shut fingers: those that shut on nothing are known all
// the same.
func TestNothingWithoutShutFingers(t *testing.T) {
	d := shown(t, 6, 2)
	d.Frames = slices.DeleteFunc(d.Frames, func(f Frame) bool { return f.State[2] > 0.5 })
	w, err := FitWaypoint(t.Context(), d, WaypointOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for opening, empty := range map[float32]bool{0: true, 0.4: false} {
		if got := w.body.empty([]float32{0.5, 0.5, 1, opening}); got != empty {
			t.Errorf("an opening of %v is nothing: %v", opening, got)
		}
	}
}

// The controller stays within the limits, and toggles where it should.
func TestDrive(t *testing.T) {
	b, err := newBody(arm())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		from, to := random(r), random(r)
		actions := b.drive([]float32{float32(from[0]), float32(from[1]), 0, 1}, to)
		if len(actions) < 1 || len(actions) > steps {
			t.Fatalf("%d actions", len(actions))
		}
		at := from
		for i, a := range actions {
			if math.Hypot(float64(a[0]), float64(a[1])) > 0.05+1e-6 {
				t.Errorf("a step of %v", a)
			}
			near := math.Hypot(to[0]-at[0], to[1]-at[1]) < 0.025
			if shut := a[2] > 0.5; shut != near || shut && i != len(actions)-1 {
				t.Errorf("from %.3f to %.3f: step %d at %.3f has fingers %v", from, to, i, at, a[2])
			}
			at[0], at[1] = at[0]+float64(a[0]), at[1]+float64(a[1])
		}
	}
}

// Nearest goes where the nearest demonstration went.
func TestNearest(t *testing.T) {
	d := shown(t, 10, 6)
	n, err := FitNearest(d, 1)
	if err != nil {
		t.Fatal(err)
	}
	body, targets, _ := d.targets()
	for _, i := range []int{0, 5, 40} {
		f := d.Frames[targets[i].frame]
		a, _ := n.Start(0)
		got, err := a.Act(f.Seen, f.State)
		if err != nil {
			t.Fatal(err)
		}
		if math.Hypot(got.Where[0]-targets[i].place[0], got.Where[1]-targets[i].place[1]) > 1e-9 {
			t.Errorf("frame %d: went to %v, the demonstration to %v (phase %d)", i, got.Where, targets[i].place, body.phase(f.State))
		}
	}
	a, _ := n.Start(0)
	if _, err := a.Act([]float32{1}, d.Frames[0].State); err == nil {
		t.Error("a row of another length passes")
	}
}
