package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim"
)

func open(t testing.TB, task string) *World {
	t.Helper()
	w, err := sim.Open(task)
	if err != nil {
		t.Fatal(err)
	}
	return w.(*World)
}

func draw(t testing.TB, w *World, side int) *image.NRGBA {
	t.Helper()
	img, err := w.Draw("top", side)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// run is a checksum of a whole episode: all states and truths, and two of its pictures.
func run(t *testing.T, task string, seed uint64) (numbers, pictures uint32) {
	w := open(t, task)
	sums := [2]uint32{}
	add := func(k int, data []byte) { sums[k] = crc32.Update(sums[k], crc32.IEEETable, data) }
	_, err := sim.Demonstrate(t.Context(), w, seed, sim.Lesson{Noise: 0.3, Slip: 0.05}, func(f sim.Frame) error {
		for _, v := range slices.Concat(f.State, f.Truth, f.Action) {
			add(0, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
		}
		if f.Index == 6 {
			add(1, draw(t, w, 160).Pix)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	add(1, draw(t, w, 96).Pix)
	return sums[0], sums[1]
}

// Worlds are frozen: figures in the documentation and demonstrations on disk come from them.
func TestFrozen(t *testing.T) {
	for name, want := range map[string][2]uint32{
		"bench/sort 1":          {0x12984a94, 0x217cc566},
		"bench/sort 2":          {0xb342c849, 0xee09259f},
		"bench/sort-two-ants 3": {0x84af8f6b, 0x92e25b7a},
		"bench/reach 4":         {0xecc05b38, 0x010b89ef},
		"bench/push 5":          {0x4906a2d6, 0x355f2338},
	} {
		var task string
		var seed uint64
		fmt.Sscan(name, &task, &seed)
		numbers, pictures := run(t, task, seed)
		if want != [2]uint32{numbers, pictures} {
			t.Errorf("%q: {%#08x, %#08x}, // was {%#08x, %#08x}", name, numbers, pictures, want[0], want[1])
		}
	}
}

// See the test of the same name in data/insects.
func TestNoFusedArithmetic(t *testing.T) {
	if testing.Short() {
		t.Skip("cross-compiles for arm64")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to compile with")
	}
	for _, dir := range []string{".", "..", "../../../internal/dice"} {
		cmd := exec.Command(goTool, "build", "-gcflags=-S", "-o", os.DevNull, ".")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOARCH=arm64", "GOOS=linux", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("cannot compile for arm64 here: %v", err)
		}
		if !strings.Contains(string(out), "FMULD") {
			t.Fatal("the listing shows no multiplication: it is not what this test takes it for")
		}
		for _, line := range regexp.MustCompile(`(?m)^.*\bFN?M(ADD|SUB)[SD]\b.*$`).FindAllString(string(out), -1) {
			t.Errorf("fused: %s", strings.TrimSpace(line))
		}
	}
}

// The teachers do their tasks, with an arm that shakes and fingers that err.
func TestTeachersSucceed(t *testing.T) {
	for _, task := range sim.Tasks() {
		w, good := open(t, task), 0
		const n = 200
		for seed := range uint64(n) {
			o, err := sim.Demonstrate(t.Context(), w, seed, sim.Lesson{Noise: 0.3, Slip: 0.03}, func(sim.Frame) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if o.Success {
				good++
			}
		}
		if task == "bench/reach" && good >= n*9/10 { // a slip beside an ant ends it
			continue
		}
		if good < n*98/100 {
			t.Errorf("%s: the teacher succeeds in %d of %d", task, good, n)
		}
	}
}

// Doing nothing, or anything, does not do the task.
func TestTasksAreNotFree(t *testing.T) {
	for _, task := range sim.Tasks() {
		w, good := open(t, task), 0
		for seed := range uint64(100) {
			w.Reset(seed)
			x := seed*2654435761 + 1
			for !w.Done().Over {
				x = x*6364136223846793005 + 1442695040888963407
				a := []float32{float32(int8(x>>56)) / 128 * speed, float32(int8(x>>48)) / 128 * speed, float32(x >> 40 & 1)}
				if err := w.Step(a); err != nil {
					t.Fatal(err)
				}
			}
			if w.Done().Success {
				good++
			}
			if o := w.Done(); o.Why == "" || o.Steps > w.Spec().Steps {
				t.Fatalf("%s %d ends with %+v", task, seed, o)
			}
		}
		if good > 20 {
			t.Errorf("%s: random actions succeed in %d of 100", task, good)
		}
	}
}

func TestSortByHand(t *testing.T) {
	w := open(t, "bench/sort")
	w.Reset(1)
	to := func(p vec, shut float32) {
		for w.tip.dist(p) > 1e-6 && !w.outcome.Over {
			d := p.sub(w.tip)
			if err := w.Step([]float32{float32(d.x), float32(d.y), shut}); err != nil {
				t.Fatal(err)
			}
			if w.outcome.Steps > 70 {
				t.Fatalf("it does not come to %v", p)
			}
		}
	}
	ant, start := w.things[1].at, w.things[bee].at
	to(ant, 0)
	w.Step([]float32{0, 0, 1})
	if w.held != 1 || w.Feel()[3] != 0.4 {
		t.Fatalf("shut on the ant: holds %d, feels %v", w.held, w.Feel())
	}
	to(vec{0.5, 0.5}, 1)
	if w.things[1].at != w.tip || w.things[bee].at != start {
		t.Error("the ant is not carried, or the bee is")
	}
	w.Step([]float32{0, 0, 0})
	if w.held != -1 || w.Feel()[3] != 1 || w.outcome.Over {
		t.Errorf("let go: holds %d, feels %v, %+v", w.held, w.Feel(), w.outcome)
	}
	to(w.things[bee].at, 0)
	to(w.things[bee].at, 1)
	w.Step([]float32{0, 0, 1})
	to(w.goal, 1)
	if w.outcome.Over {
		t.Error("it is over before the bee was let go")
	}
	w.Step([]float32{0, 0, 0})
	if !w.outcome.Success || w.outcome.Why != "the bee is on the blossom" {
		t.Errorf("the end is %+v", w.outcome)
	}
	if err := w.Step([]float32{0, 0, 0}); err == nil || !strings.Contains(err.Error(), "call Reset") {
		t.Errorf("a step after the end: %v", err)
	}
}

// The sugar obeys the limit surface: a push through the middle does not turn it, one beside it does,
// fingers never end inside it, and it never moves against the push.
func TestPushing(t *testing.T) {
	s := thing{at: vec{0.5, 0.5}, cos: 1}
	for y := 0.7; y > 0.5; y -= 0.002 {
		s.give(vec{0.5, y})
	}
	if math.Abs(s.at.x-0.5) > 1e-9 || math.Abs(s.sin) > 1e-9 || math.Abs(s.at.y-(0.5-half-finger+0.002)) > 0.003 {
		t.Errorf("pushed through the middle: %+v", s)
	}
	for k := range 200 {
		s := thing{at: vec{0.5, 0.5}, cos: 1}
		x := 0.5 + (float64(k)/199-0.5)*0.12
		last := s.at.y
		for y := 0.62; y > 0.45; y -= 0.002 {
			s.give(vec{x, y})
			if _, _, depth := s.touch(vec{x, y}); depth > 1e-3 {
				t.Fatalf("fingers at %.3f reach %.4f into the sugar", x, depth)
			}
			if s.at.y > last+1e-3 {
				t.Fatalf("the sugar comes towards fingers at %.3f", x)
			}
			last = s.at.y
		}
		if turned := s.sin; math.Abs(x-0.5) > 0.02 && (turned < 0) != (x > 0.5) {
			t.Errorf("pushed upwards at %.3f it turns by %.3f", x-0.5, turned)
		}
	}
}

// Things lie apart and within reach, and all grounds occur.
func TestScenes(t *testing.T) {
	w := open(t, "bench/sort-two-ants")
	for seed := range uint64(500) {
		w.Reset(seed)
		for i, a := range w.things {
			if a.at.x < 0.14 || a.at.x > 0.86 || a.at.y < 0.14 || a.at.y > 0.8 || a.at.dist(w.goal) < 0.27 {
				t.Fatalf("scene %d: thing %d at %v, the blossom at %v", seed, i, a.at, w.goal)
			}
			for _, b := range w.things[:i] {
				if a.at.dist(b.at) < 0.22 {
					t.Fatalf("scene %d: two things at %v and %v", seed, a.at, b.at)
				}
			}
		}
		if w.tip.dist(w.things[bee].at) <= 0.2 {
			t.Fatalf("scene %d starts at the bee", seed)
		}
	}
}

// A scene does not depend on what was drawn before it, nor on what else is drawn.
func TestDrawingChangesNothing(t *testing.T) {
	a, b := open(t, "bench/sort"), open(t, "bench/sort")
	for seed := range uint64(3) {
		b.Reset(seed + 50)
		draw(t, b, 64)
		a.Reset(seed)
		b.Reset(seed)
		for range 12 {
			draw(t, b, 64)
			draw(t, b, 32)
			draw(t, b, 48)
			action := a.Teach()
			a.Step(action)
			b.Step(action)
		}
		if !slices.Equal(a.Feel(), b.Feel()) || !slices.Equal(draw(t, a, 64).Pix, draw(t, b, 64).Pix) {
			t.Errorf("scene %d differs when it is drawn", seed)
		}
	}
}

// A picture shows what the world holds: move one thing, and the picture changes there alone.
func TestPicturesShowTheWorld(t *testing.T) {
	w := open(t, "bench/sort")
	w.Reset(3)
	before := draw(t, w, 160)
	at := w.things[bee].at
	w.things[bee].at = vec{2, 2} // away
	after := draw(t, w, 160)
	inside, outside := 0, 0
	for y := range 160 {
		for x := range 160 {
			if i := before.PixOffset(x, y); before.Pix[i] != after.Pix[i] {
				if at.dist(vec{float64(x) / 160, float64(y) / 160}) < 0.21 {
					inside++
				} else {
					outside++
				}
			}
		}
	}
	if inside < 200 || outside > 0 {
		t.Errorf("without the bee %d pixels change near it and %d elsewhere", inside, outside)
	}
}

func TestRefuses(t *testing.T) {
	w := open(t, "bench/sort")
	for want, err := range map[string]error{
		"no camera":  second(w.Draw("wrist", 160)),
		"7 pixels":   second(w.Draw("top", 7)),
		"2049 pixel": second(w.Draw("top", 2049)),
		"dx is NaN":  w.Step([]float32{float32(math.NaN()), 0, 0}),
		"2 numbers":  w.Step([]float32{0, 0}),
		"no task":    second(New("dance", Options{})),
		"4 ants":     second(New(Sort, Options{Ants: 4})),
		"-1 ants":    second(New(Sort, Options{Ants: -1})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if w.Done().Steps != 0 {
		t.Error("a refused step counts")
	}
	s := w.Spec()
	s.Action[0].Max = 99
	if w.Spec().Action[0].Max != speed {
		t.Error("the caller of Spec can change the world")
	}
}

func second[T any](_ T, err error) error { return err }

func BenchmarkDraw(b *testing.B) {
	w := open(b, "bench/sort")
	w.Reset(5)
	draw(b, w, 160)
	for b.Loop() {
		draw(b, w, 160)
	}
}

func BenchmarkReset(b *testing.B) {
	w := open(b, "bench/sort")
	for i := uint64(0); b.Loop(); i++ {
		w.Reset(i)
		draw(b, w, 160)
	}
}

func BenchmarkStep(b *testing.B) {
	w := open(b, "bench/push")
	for i := uint64(0); b.Loop(); i++ {
		if w.Done().Over {
			w.Reset(i)
		}
		w.Step(w.Teach())
	}
}
