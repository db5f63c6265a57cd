package arms

import (
	"bytes"
	"errors"
	"image"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

const pick = "mujoco/fetch-pick"

// open installs and opens a task, and skips the test where MuJoCo does not run.
func open(t testing.TB, task string) *World {
	t.Helper()
	if err := sim.Install(t.Context(), task, sim.Downloads{}); err != nil {
		missing := errors.Is(err, fetch.ErrOffline) || errors.Is(err, fetch.ErrUnreachable) || strings.Contains(err.Error(), "without cgo")
		if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" && !missing {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w, err := sim.Open(task)
	if err != nil {
		t.Fatal(err)
	}
	return w.(*World)
}

var every = []string{pick, "mujoco/fetch-reach", "mujoco/fetch-push", "mujoco/sawyer-press"}

// The teacher does every task, also with an arm and fingers that err.
func TestTeacher(t *testing.T) {
	for _, task := range every {
		w := open(t, task)
		done := 0
		const scenes = 10
		for seed := range uint64(scenes) {
			end, err := sim.Demonstrate(t.Context(), w, seed, sim.Lesson{Noise: 0.3, Slip: 0.02}, func(f sim.Frame) error {
				fits(t, f.State, w.Spec().State)
				fits(t, f.Action, w.Spec().Action)
				fits(t, f.Truth, w.Spec().Truth)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if end.Success {
				done++
			} else {
				t.Logf("%s, scene %d: %s", task, seed, end.Why)
			}
		}
		if done < scenes-1 {
			t.Errorf("%s: the teacher succeeds in %d of %d scenes", task, done, scenes)
		}
	}
}

func fits(t *testing.T, v []float32, dims []sim.Dimension) {
	t.Helper()
	if len(v) != len(dims) {
		t.Fatalf("%d numbers, want %d", len(v), len(dims))
	}
	for i, d := range dims {
		if x := float64(v[i]); !(x >= d.Min && x <= d.Max) {
			t.Fatalf("%s is %g, want %g to %g", d.Name, x, d.Min, d.Max)
		}
	}
}

// play records an episode of the teacher: states, and two pictures.
func play(t *testing.T, w *World, seed uint64) (states [][]float32, pictures []*image.NRGBA) {
	t.Helper()
	if err := w.Reset(seed); err != nil {
		t.Fatal(err)
	}
	for i := 0; !w.Done().Over; i++ {
		states = append(states, w.Feel(), w.Truth())
		if i == 0 || i == 8 {
			p, err := w.Draw("front", 96)
			if err != nil {
				t.Fatal(err)
			}
			pictures = append(pictures, p)
		}
		if err := w.Step(w.Teach()); err != nil {
			t.Fatal(err)
		}
	}
	return states, pictures
}

// The same scene and actions give the same numbers and pixels, in another world and after other scenes;
// another scene gives others.
func TestDeterministic(t *testing.T) {
	a, b := open(t, pick), open(t, pick)
	play(t, b, 5)
	states, pictures := play(t, a, 3)
	again, seen := play(t, b, 3)
	if !reflect.DeepEqual(states, again) {
		t.Error("the same scene goes otherwise the second time")
	}
	for i := range pictures {
		if !bytes.Equal(pictures[i].Pix, seen[i].Pix) {
			t.Errorf("picture %d of the same scene differs", i)
		}
	}
	if other, _ := play(t, b, 4); reflect.DeepEqual(states[:2], other[:2]) {
		t.Error("two scenes are the same")
	}
	if bytes.Equal(pictures[0].Pix, pictures[1].Pix) {
		t.Error("the arm moves, and the picture does not change")
	}
}

// The robot's x and y are where the camera sees the table below the tool, and the block is where
// Truth says: in the picture, something else than the table is there.
func TestCamera(t *testing.T) {
	w := open(t, pick)
	for seed := range uint64(6) {
		if err := w.Reset(seed); err != nil {
			t.Fatal(err)
		}
		state, camera := w.Feel(), w.Camera()
		at, ok := camera.OnHeight(float64(state[0]), float64(state[1]), w.Plane())
		if tool := w.tool(); !ok || math.Abs(at[0]-tool[0]) > 1e-6 || math.Abs(at[1]-tool[1]) > 1e-6 {
			t.Errorf("scene %d: x, y stand for %v, the tool is at %v", seed, at, tool)
		}
		for i, v := range w.Truth() {
			if v < 0.05 || v > 0.95 {
				t.Errorf("scene %d: %s is %.2f: near the edge of the picture, or beyond", seed, w.Spec().Truth[i].Name, v)
			}
		}
	}
}

// A closed hand moves the arm where it is told, and the block goes along.
func TestCarries(t *testing.T) {
	w := open(t, pick)
	if err := w.Reset(1); err != nil {
		t.Fatal(err)
	}
	for !(w.shut && len(w.program) == 0) {
		if err := w.Step(w.Teach()); err != nil {
			t.Fatal(err)
		}
	}
	if o := w.opening(); o < 0.3 || o > 0.7 {
		t.Errorf("the fingers hold the block with an opening of %.2f", o)
	}
	if b := w.block(); b[2] < tableTop+2*blockHalf {
		t.Errorf("the block is at a height of %.3f: it was not lifted", b[2])
	}
}

func TestBadInput(t *testing.T) {
	w := open(t, pick)
	fresh := &World{task: fetchPick{}, about: fetchPick{}.spec()}
	nan := float32(math.NaN())
	before := w.Feel()
	draw := func(w *World, camera string, side int) error { _, err := w.Draw(camera, side); return err }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"NaN":          {w.Step([]float32{0, nan, 0}), "dy is NaN"},
		"infinite":     {w.Step([]float32{float32(math.Inf(1)), 0, 0}), "dx is +Inf"},
		"short":        {w.Step([]float32{0}), "an action of 1 numbers, want 3"},
		"none":         {w.Step(nil), "an action of 0 numbers, want 3"},
		"before Reset": {fresh.Step([]float32{0, 0, 0}), "call Reset"},
		"no picture":   {draw(fresh, "front", 64), "call Reset"},
		"no camera":    {draw(w, "top", 64), "there is one, front"},
		"too small":    {draw(w, "front", 7), "want 8 to 2048"},
		"too large":    {draw(w, "front", 4096), "want 8 to 2048"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", name, c.want, c.err)
		}
	}
	if !reflect.DeepEqual(before, w.Feel()) || w.Done().Steps != 0 {
		t.Error("a refused action has moved the arm")
	}
	if len(fresh.Feel()) != 4 || len(fresh.Truth()) != 4 || len(fresh.Teach()) != 3 || fresh.Done().Over {
		t.Error("a world before its first Reset has no numbers")
	}
	for range w.Spec().Steps { // far beyond every limit, up and down
		if err := w.Step([]float32{1e9, -1e9, float32(w.Done().Steps % 2)}); err != nil {
			t.Fatal(err)
		}
	}
	if end := w.Done(); !end.Over || end.Success {
		t.Errorf("after %d steps: %+v", w.Spec().Steps, end)
	}
	if err := w.Step([]float32{0, 0, 0}); err == nil || !strings.Contains(err.Error(), "after the end") {
		t.Error(err)
	}
}

// What is not there is an error that says what to type, and is not fetched behind a person's back.
func TestMissing(t *testing.T) {
	w := &World{task: elsewhere{}, about: fetchPick{}.spec()}
	if err := w.Reset(0); err == nil || !strings.Contains(err.Error(), "tlkit robot watch mujoco/fetch-pick") {
		t.Error(err)
	}
}

// elsewhere is a task whose robot is in no package.
type elsewhere struct{ fetchPick }

func (e elsewhere) robot() *robot { return &robot{from: "gym-none"} }

func BenchmarkReset(b *testing.B) {
	w := open(b, pick)
	for b.Loop() {
		if err := w.Reset(1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	w := open(b, pick)
	for b.Loop() {
		if w.Done().Over || w.Done().Steps > 50 {
			b.StopTimer()
			if err := w.Reset(1); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if err := w.Step(w.Teach()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	w := open(b, pick)
	for b.Loop() {
		if _, err := w.Draw("front", side); err != nil {
			b.Fatal(err)
		}
	}
}
