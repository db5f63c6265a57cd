package policy

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/sealed"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

func fileOf(p Policy, d Demonstrations, f *Familiarity) *File {
	return &File{
		Policy: p, Learnt: d.Learnt("test"), Familiarity: f, Parity: [][]float32{{1, 2}, {3, 4}}, Entries: map[string]string{"maker": "test"},
		Sight: Sight{Model: "none", Stage: "here", Map: d.Map, Preset: transforms.Preset{Size: 32, Geometry: transforms.GeometrySquash, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}},
	}
}

// written writes a policy file.
func written(t *testing.T) (path string, f *File) {
	t.Helper()
	d := shown(t, 8, 3)
	w, err := FitWaypoint(t.Context(), d, WaypointOptions{Strengths: []float64{0.1}})
	if err != nil {
		t.Fatal(err)
	}
	familiarity, err := FitFamiliarity(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	path, f = filepath.Join(t.TempDir(), "policy.safetensors"), fileOf(w, d, familiarity)
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	return path, f
}

// What is written acts as what was fitted, and is as familiar with what it sees.
func TestFile(t *testing.T) {
	path, f := written(t)
	back, err := Open(path)
	if err != nil || back.Entries["maker"] != "test" || len(back.SHA256) != 64 || back.Learnt.SHA256 != f.Learnt.SHA256 || back.Learnt.Demonstrations != 8 || len(back.Parity) != 2 || back.Parity[1][0] != 3 {
		t.Fatalf("%+v, %v", back, err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	seen := table{[2]float64{0.2, 0.7}, [2]float64{0.6, 0.3}}.seen(r)
	for _, state := range [][]float32{{0.4, 0.4, 0, 1}, {0.4, 0.4, 1, 0.4}, {0.4, 0.4, 1, 0}} {
		a, _ := f.Guard(false).Start(0)
		b, _ := back.Guard(false).Start(0)
		x, _ := a.Act(seen, state)
		y, err := b.Act(seen, state)
		if err != nil || x.Where != y.Where || x.Note != y.Note || !slices.Equal(x.Heat, y.Heat) || x.Strange == 0 || float32(x.Strange) != float32(y.Strange) {
			t.Errorf("after reading, %v became %v (%v)", x, y, err)
		}
	}
	if err := (&File{Policy: &Oracle{}}).Write(path); err == nil || !strings.Contains(err.Error(), "*policy.Oracle") {
		t.Errorf("a policy that files cannot hold: %v", err)
	}
}

// Files that are damaged, cut short or of something else say so, and none panics.
func TestFileRefuses(t *testing.T) {
	path, _ := written(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.safetensors")
	refused := func(what, want string, data []byte) {
		t.Helper()
		if err := os.WriteFile(other, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(other); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v: want one sentence with %q", what, f, err, want)
		}
	}
	refused("changed", "damaged", bytes.Replace(raw, []byte("[8,8,6]"), []byte("[8,8,5]"), 1))
	refused("cut short", "other.safetensors", raw[:len(raw)/2])
	refused("empty", "other.safetensors", nil)
	refused("a page", "not a policy file", []byte("<!DOCTYPE html><html>"))
	refused("a pickle", "not a policy file", []byte("\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00c__builtin__\neval\n."))
	for i := range 300 {
		data := slices.Clone(raw)
		data[i*len(raw)/300] ^= 1 << (i % 8)
		refused("one bit", "other.safetensors", data)
	}
}

// Files whose sha256 is right, but whose parts do not fit, are refused as well.
func TestFileIsCheckedBehindItsDigest(t *testing.T) {
	path, _ := written(t)
	w, _, err := sealed.Open(path, mostFile)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	read := func(without string) (all []weights.Tensor) {
		for _, name := range w.Names() {
			tensor, _ := w.Tensor(name)
			values, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			if name != without {
				all = append(all, weights.FromFloat32(name, tensor.Shape, values))
			}
		}
		return all
	}
	about := w.Metadata[contractEntry]
	swap := func(from, to string) map[string]string {
		if !strings.Contains(about, from) {
			t.Fatalf("the contract has no %s: %s", from, about)
		}
		return map[string]string{kindEntry: kindWaypoint, contractEntry: strings.Replace(about, from, to, 1)}
	}
	for want, c := range map[string]struct {
		entries map[string]string
		without string
	}{
		"not a policy file":        {entries: map[string]string{contractEntry: about}},
		`kind "pickle 1", want`:    {entries: map[string]string{kindEntry: "pickle 1", contractEntry: about}},
		"its contract":             {entries: map[string]string{kindEntry: kindWaypoint, contractEntry: "{"}},
		"unknown field":            {entries: swap(`"robot":`, `"run":"rm -rf","robot":`)},
		"want 10 finite ones":      {entries: swap("[8,8,6]", "[8,8,5]")},
		"a map of":                 {entries: swap("[8,8,6]", "[8,-8,6]")},
		"size 0":                   {entries: swap(`"size":32`, `"size":0`)},
		"has no action dx":         {entries: swap(`"dx"`, `"wheel"`)},
		"limits of familiarity":    {entries: swap(`"limits":[`, `"limits":[-1,`)},
		"no tensor waypoint.open":  {entries: swap("robot", "robot"), without: "waypoint.open"},
		"no tensor familiarity.me": {entries: swap("robot", "robot"), without: familiarMean},
	} {
		if err := sealed.Write(path, read(c.without), c.entries); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// What is unlike the demonstrations is not familiar: another table, a black picture, a picture that
// stays when the robot moves, and a robot that is where no demonstration was. Then it holds.
func TestGuard(t *testing.T) {
	_, f := written(t)
	r := rand.New(rand.NewPCG(5, 5))
	scene := table{[2]float64{0.2, 0.7}, [2]float64{0.6, 0.3}}
	state := []float32{0.4, 0.4, 0, 1}
	other := scene.seen(r)
	for i := range other {
		other[i] = 3*other[i] + 2
	}
	seen := scene.seen(r)
	for _, c := range []struct {
		note  string
		looks [][]float32
		state []float32
	}{
		{"", [][]float32{seen}, state},
		{"unlike", [][]float32{other}, state},
		{"unlike", [][]float32{make([]float32, len(seen))}, state},
		{"frozen", [][]float32{seen, seen}, state},
		{"the state's x is 3", [][]float32{seen}, []float32{3, 0.4, 0, 1}},
	} {
		a, err := f.Guard(true).Start(0)
		if err != nil {
			t.Fatal(err)
		}
		var d Decision
		for i, look := range c.looks {
			c.state = slices.Clone(c.state)
			c.state[0] += 0.01 * float32(i)
			if d, err = a.Act(look, c.state); err != nil {
				t.Fatal(err)
			}
		}
		if (d.Strange > 1) != (c.note != "") || !strings.Contains(d.Note, c.note) {
			t.Errorf("want %q, got %.2f, %q", c.note, d.Strange, d.Note)
		}
		still := d.Actions[0][0] == 0 && d.Actions[0][1] == 0 && d.Actions[0][2] == c.state[2]
		if still != (c.note != "") {
			t.Errorf("%q: the actions are %v", d.Note, d.Actions)
		}
	}
}

// Actions stay within what was shown, and a tenth more.
func TestLimit(t *testing.T) {
	dims := []sim.Dimension{{Name: "a", Min: -1, Max: 1}, {Name: "b", Min: -1, Max: 1}, {Name: "c"}}
	action := []float32{0.9, -0.9, 7}
	Learnt{Action: [][2]float64{{-0.5, 0.5}, {-1, 1}, {0, 5}}}.limit(dims, action)
	if !slices.Equal(action, []float32{0.6, -0.9, 5.5}) {
		t.Errorf("limited to %v", action)
	}
}

func TestHold(t *testing.T) {
	s := sim.Spec{
		State:  []sim.Dimension{{Name: "x"}, {Name: "elbow"}, {Name: "gripper", Max: 1}},
		Action: []sim.Dimension{{Name: "dx", Min: -1, Max: 1}, {Name: "elbow", Min: -3, Max: 3}, {Name: "gripper", Max: 1}, {Name: "lamp", Min: 2, Max: 4}},
	}
	if got := hold(s, []float32{0.5, 1.5, 1}); !slices.Equal(got, []float32{0, 1.5, 1, 2}) {
		t.Errorf("hold is %v", got)
	}
}
