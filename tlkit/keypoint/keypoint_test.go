package keypoint

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const side, channels = 8, 6

// drawn makes maps with noise in which channel 2 is bright at the point. Channel 3 is brightest at one
// of the four cells beside it, which says which way the thing points.
func drawn(n int, seed uint64) (s Samples, way []int) {
	r := rand.New(rand.NewPCG(seed, 0))
	s.Map = [3]int{side, side, channels}
	for range n {
		m := make([]float32, side*side*channels)
		for i := range m {
			m[i] = float32(r.NormFloat64())
		}
		at, k := [2]float64{0.2 + 0.6*r.Float64(), 0.2 + 0.6*r.Float64()}, r.IntN(4)
		grid := (&Head{Map: s.Map, Weight: make([]float32, 2*channels)})
		g, _ := grid.grid(m)
		g.Spread(at, func(cell int, part float64) { m[cell*channels+2] += float32(20 * part) })
		to := [2]float64{at[0] + [4]float64{1, 0, -1, 0}[k]/side, at[1] + [4]float64{0, 1, 0, -1}[k]/side}
		g.Spread(to, func(cell int, part float64) { m[cell*channels+3] += float32(20 * part) })
		s.X, s.At, way = append(s.X, m...), append(s.At, at), append(way, k)
	}
	return s, way
}

func TestFindsThePoint(t *testing.T) {
	s, _ := drawn(60, 1)
	fit, err := Fit(t.Context(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(fit.Choices) != 5 || len(fit.OutOfFold) != 60 {
		t.Errorf("%d choices, %d out-of-fold points", len(fit.Choices), len(fit.OutOfFold))
	}
	fresh, way := drawn(50, 2)
	for i, at := range fresh.At {
		p, err := fit.Head.Find(fresh.Row(i))
		if err != nil {
			t.Fatal(err)
		}
		if off := math.Hypot(p.X-at[0], p.Y-at[1]); off > 1.0/side || p.Sure < 0.7 {
			t.Errorf("point %v found at %.3f, %.3f, sure %.2f", at, p.X, p.Y, p.Sure)
		}
		// What lies around it says which way it points, wherever it is.
		near, err := fit.Head.Around(fresh.Row(i), p, 1)
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		beside := [4]int{5, 7, 3, 1} // right, below, left, above of the middle of 3 x 3
		for k, cell := range beside {
			if near[cell*channels+3] > near[beside[best]*channels+3] {
				best = k
			}
		}
		if best != way[i] {
			t.Errorf("picture %d points %d, read as %d", i, way[i], best)
		}
	}
}

// A head that has seen a picture is no judge of it: points out of fold come from the other folds.
func TestOutOfFold(t *testing.T) {
	s, _ := drawn(24, 3)
	folds := [][]int{{0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}, {12, 13, 14, 15, 16, 17}}
	fit, err := Fit(t.Context(), s, Options{Strengths: []float64{0.1}, Folds: folds})
	if err != nil {
		t.Fatal(err)
	}
	var rest Samples
	rest.Map = s.Map
	for i := range s.At {
		if !slices.Contains(folds[1], i) {
			rest.X, rest.At = append(rest.X, s.Row(i)...), append(rest.At, s.At[i])
		}
	}
	alone, err := Fit(t.Context(), rest, Options{Strengths: []float64{0.1}, Folds: [][]int{}})
	if err != nil {
		t.Fatal(err)
	}
	// Not the same bits: the scale of the channels was learnt with the held-back pictures.
	p, _ := alone.Head.Find(s.Row(8))
	if q := fit.OutOfFold[8]; math.Hypot(p.X-q.X, p.Y-q.Y) > 0.01 {
		t.Errorf("out of fold %.4f %.4f, without the fold %.4f %.4f", q.X, q.Y, p.X, p.Y)
	}
	in, _ := fit.Head.Find(s.Row(20))
	if fit.OutOfFold[20].X != in.X {
		t.Error("a sample of no fold has another point than that of the head")
	}
}

func TestSameBits(t *testing.T) {
	s, _ := drawn(40, 4)
	fit := func(threads int) []float32 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		f, err := Fit(t.Context(), s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return f.Head.Weight
	}
	if !slices.Equal(fit(1), fit(3)) {
		t.Error("three threads give other bits than one")
	}
}

func TestRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Samples, *Options){
		"want three positive numbers":  func(s *Samples, _ *Options) { s.Map = [3]int{} },
		"want 384 for each":            func(s *Samples, _ *Options) { s.X = s.X[1:] },
		"want 2 or more":               func(s *Samples, _ *Options) { s.X, s.At = s.Row(0), s.At[:1] },
		"divide pixels by the width":   func(s *Samples, _ *Options) { s.At[3][1] = 83 },
		"x NaN":                        func(s *Samples, _ *Options) { s.At[3][0] = math.NaN() },
		"number 7 of the map of pictu": func(s *Samples, _ *Options) { s.X[2*side*side*channels+7] = float32(math.Inf(1)) },
		"in another fold":              func(_ *Samples, o *Options) { o.Folds = [][]int{{1, 2}, {2, 3}} },
		"holds back 0 of 20":           func(_ *Samples, o *Options) { o.Folds = [][]int{{}} },
		"strength -1":                  func(_ *Samples, o *Options) { o.Strengths = []float64{1, -1} },
		"no strengths":                 func(_ *Samples, o *Options) { o.Strengths = []float64{} },
	} {
		s, _ := drawn(20, 5)
		o := Options{}
		spoil(&s, &o)
		_, err := Fit(t.Context(), s, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	h := &Head{Map: [3]int{side, side, channels}, Weight: make([]float32, 2*channels)}
	if _, err := h.Find(make([]float32, 5)); err == nil {
		t.Error("a map of 5 numbers is read")
	}
	row := make([]float32, side*side*channels)
	for _, cells := range []int{-1, 33} {
		if _, err := h.Around(row, Point{X: 0.5, Y: 0.5}, cells); err == nil {
			t.Errorf("%d cells around a point", cells)
		}
	}
	if _, err := h.Around(row, Point{X: math.NaN()}, 1); err == nil {
		t.Error("the cells around no point")
	}
	if _, err := h.Around(row, Point{X: 1e300, Y: -1e300}, 1); err != nil { // far away: the rim
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s, _ := drawn(20, 6)
	if _, err := Fit(ctx, s, Options{}); err == nil {
		t.Error("a stopped fit ends without an error")
	}
}
