package robot

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/episodes"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// recordTaught writes the demonstrations of a lab as a data set; change may give it another robot.
func recordTaught(t *testing.T, lab *Lab, change func(*sim.Spec, *sim.Frame)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demos")
	spec := lab.Robot.Clone()
	if change != nil {
		change(&spec, nil)
	}
	w, err := episodes.Create(dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lab.Spec.Demos {
		o, err := lab.Demonstrate(t.Context(), i, func(f sim.Frame) error {
			if change != nil {
				change(nil, &f)
			}
			return w.Add(f)
		})
		if err != nil {
			t.Fatal(err)
		}
		if !o.Success {
			w.Drop()
		} else if err := w.End(""); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A data set gives the same policy as the demonstrations that it holds, bit for bit, and so does a
// converted one.
func TestDataSetFitsAsTaught(t *testing.T) {
	if testing.Short() {
		t.Skip("runs MobileNetV2 on some hundred pictures")
	}
	taught := open(t, Spec{Task: "bench/sort", Demos: 6}, run.Place{})
	want, err := taught.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := recordTaught(t, taught, nil)
	set, err := episodes.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if err := set.Convert(t.Context(), dir+"-new", episodes.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{dir, dir + "-new"} {
		lab := open(t, Spec{Task: folder}, run.Place{})
		if lab.Simulated() || !reflect.DeepEqual(lab.Robot, taught.Robot) || lab.Spec.Demos != 6 {
			t.Fatalf("%+v, %d demonstrations, want those of %+v", lab.Robot, lab.Spec.Demos, taught.Robot)
		}
		got, err := lab.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a, b := got.Policy.(*policy.Waypoint), want.Policy.(*policy.Waypoint)
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(got.File.Parity, want.File.Parity) || !reflect.DeepEqual(got.File.Familiarity, want.File.Familiarity) {
			t.Errorf("%s gives another policy: strength %g, want %g", folder, a.Strength, b.Strength)
		}
		if l := got.File.Learnt; l.SHA256 != want.File.Learnt.SHA256 || l.Source != filepath.Base(folder) {
			t.Errorf("learnt from %+v, want the states, actions and features of %+v", l, want.File.Learnt)
		}
		if strings.Contains(got.File.Entries["tlkit.spec"], filepath.Dir(folder)) {
			t.Errorf("the policy says where the folder was: %s", got.File.Entries["tlkit.spec"])
		}
		near := a.Chosen().Near
		if near.Total < 30 || near.Correct == 0 || near.Value() <= a.Guess.Value() || !strings.Contains(a.Offline(), "no success rate") {
			t.Errorf("offline %v, a guess %v, %q", near, a.Guess, a.Offline())
		}
	}
}

// A robot of another kind: the tip in pixels and between other numbers, joint targets as actions, and
// a gripper that is open at 80.
func stranger(s *sim.Spec, f *sim.Frame) {
	if s != nil {
		s.Task, s.Robot = "", "so100"
		s.State = []sim.Dimension{{Name: "pan"}, {Name: "px"}, {Name: "py"}, {Name: "gripper.pos"}}
		s.Action = []sim.Dimension{{Name: "pan"}, {Name: "lift"}, {Name: "gripper.pos"}}
		s.Truth = nil
		return
	}
	x, y, shut := f.State[0], f.State[1], f.Action[2]
	f.State = []float32{x - y, 640 * x, 480 - 480*y, 80 - 30*f.State[2]} // the object keeps the fingers apart
	f.Action, f.Truth = []float32{x + y, y, 80 - 70*shut}, nil
}

// Named, the tip and the gripper of another robot are learnt from as well.
func TestMappedDataSet(t *testing.T) {
	if testing.Short() {
		t.Skip("runs MobileNetV2 on some hundred pictures")
	}
	taught := open(t, Spec{Task: "bench/sort", Demos: 6}, run.Place{})
	want, err := taught.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := recordTaught(t, taught, stranger)
	data := Data{Tip: [2]string{"px", "observation.state.2"}, Edges: [4]float64{0, 640, 480, 0}, Gripper: "action.2"}
	lab := open(t, Spec{Task: dir, Data: data}, run.Place{})
	got, err := lab.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The features are the same, and so are the places, but for rounding.
	a, b := got.Policy.(*policy.Waypoint), want.Policy.(*policy.Waypoint)
	if near, was := a.Chosen().Near, b.Chosen().Near; near.Total != was.Total || near.Correct < was.Correct-2 || near.Correct > was.Correct+2 {
		t.Errorf("%v found, want about %v", near, was)
	}
	for i, name := range []string{"x", "y", "gripper"} {
		if s := got.Policy.Spec(); s.State[i].Name != name || s.Action[i].Name != []string{"dx", "dy", "gripper"}[i] || len(s.State) != 3 || s.Rate != 10 {
			t.Errorf("the robot is %+v", s)
		}
	}
	file := filepath.Join(t.TempDir(), "p.safetensors")
	if _, err := lab.Export(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	p, err := OpenPolicy(t.Context(), file, run.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()

	// The pictures need no more of the network than the taught ones did.
	if again, err := lab.Teach(t.Context()); err != nil || again.Cached != again.Frames || again.Frames != want.Frames {
		t.Errorf("%+v, %v: want %d frames, all cached", again, err, want.Frames)
	}
	for want, change := range map[string]func(*Data){
		`no "elbow"; there are pan, px, py`: func(d *Data) { d.Tip[1] = "elbow" },
		"both px":                           func(d *Data) { d.Tip[1] = "px" },
		"does not say which numbers are the place of the tip": func(d *Data) { d.Tip = [2]string{} },
		"--edges 0,640,0,480":                                            func(d *Data) { d.Edges = [4]float64{} },
		"the picture's edges at [0 0 0 1]":                               func(d *Data) { d.Edges = [4]float64{0, 0, 0, 1} },
		"does not say which number commands the gripper":                 func(d *Data) { d.Gripper = "" },
		`no camera "wrist"; there are top`:                               func(d *Data) { d.Camera = "wrist" },
		"the gripper's command begins above":                             func(d *Data) { d.Gripper = "lift" },
		`its action has no "claw"; there are pan, lift, gripper.pos; or`: func(d *Data) { d.Gripper = "claw" },
	} {
		changed := data
		change(&changed)
		lab := open(t, Spec{Task: dir, Data: changed}, run.Place{})
		if _, err := lab.Fit(t.Context()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// What needs a simulator says that there is none, whatever is wrong with the data set.
func TestDataSetHasNoSimulator(t *testing.T) {
	ctx := t.Context()
	lab := open(t, Spec{Task: t.TempDir()}, run.Place{})
	for name, do := range map[string]func() error{
		"Watch":       func() error { _, err := lab.Watch(ctx, 1); return err },
		"Try":         func() error { _, err := lab.Try(ctx, 1, 0); return err },
		"Curve":       func() error { _, err := lab.Curve(ctx, []int{2}, 1); return err },
		"Control":     func() error { _, err := lab.Control(ctx, 2, 1, 0); return err },
		"Film":        func() error { _, err := lab.Film(ctx, nil, 1); return err },
		"Disturbed":   func() error { _, err := lab.Disturbed(ctx, "dim", 1); return err },
		"Break":       func() error { _, err := lab.Break(ctx, 1); return err },
		"Alarms":      func() error { _, err := lab.Alarms(ctx, 1); return err },
		"Demonstrate": func() error { _, err := lab.Demonstrate(ctx, 0, nil); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "is a data set: there is no simulator to") || !strings.Contains(err.Error(), "; tlkit robot fit ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, do := range map[string]func() error{
		"Fit":   func() error { _, err := lab.Fit(ctx); return err },
		"Teach": func() error { _, err := lab.Teach(ctx); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "not a LeRobot data set") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(ctx, Spec{Task: t.TempDir(), Policy: Nearest}, run.Place{}, nil); err == nil || !strings.Contains(err.Error(), "no simulator") {
		t.Errorf("the nearest demonstrations: %v", err)
	}
	if _, err := Open(ctx, Spec{Task: "bench/sort", Data: Data{Gripper: "claw"}}, run.Place{}, nil); err == nil || !strings.Contains(err.Error(), "is simulated") {
		t.Errorf("a mapping of a simulated task: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	taught := open(t, Spec{Task: "bench/sort", Demos: 2}, run.Place{})
	if _, err := Open(gone, Spec{Task: recordTaught(t, taught, nil)}, run.Place{}, nil); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// Of more frames than keep their features, a data set keeps those that demonstrations keep as they come.
func TestRankIsThatOfThin(t *testing.T) {
	s := &sighted{}
	const demos, long = 60, 50
	for e := range demos {
		for range long {
			s.kept = append(s.kept, len(s.seen.Frames))
			s.seen.Frames = append(s.seen.Frames, policy.Frame{Episode: e, Seen: []float32{1}})
		}
		s.thin()
	}
	all := make([]int, len(s.seen.Frames))
	for i := range all {
		all[i] = i
	}
	let := rank(s.seen.Frames, all)
	if len(let) != demos*long-mostSeen {
		t.Fatalf("%d let go of %d", len(let), demos*long)
	}
	for _, i := range let {
		if s.seen.Frames[i].Seen != nil {
			t.Fatalf("frame %d keeps its features only as it comes", i)
		}
	}
}
