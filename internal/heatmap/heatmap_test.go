package heatmap

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The gradient is that of the loss.
func TestGradient(t *testing.T) {
	g := Grid{H: 5, W: 4, C: 3}
	r := rand.New(rand.NewPCG(2, 2))
	p := &Logit{Grid: g, Near: g.Neighbours(), Strength: 0.3}
	for range 20 {
		row := make([]float32, g.Cells()*g.C)
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		m := g.Moments(1, func(int) []float32 { return row })
		p.Frames = append(p.Frames, g.Frame(row, m, [2]float64{r.Float64(), r.Float64()}))
	}
	w, grad := make([]float64, 2*g.C), make([]float64, 2*g.C)
	for i := range w {
		w[i] = 0.3 * r.NormFloat64()
	}
	p.loss(w, grad)
	for i := range w {
		const step = 1e-2 // the sums are of float32
		at := w[i]
		w[i] = at + step
		up := p.loss(w, nil)
		w[i] = at - step
		down := p.loss(w, nil)
		w[i] = at
		if want := (up - down) / (2 * step); math.Abs(want-grad[i]) > 2e-3*(1+math.Abs(want)) {
			t.Errorf("gradient %d is %.5f, by differences %.5f", i, grad[i], want)
		}
	}
}

// A place that is shared out among cells is found again, between their middles and at the rim.
func TestSpreadAndPlace(t *testing.T) {
	g := Grid{H: 7, W: 10, C: 1}
	for _, at := range [][2]float64{{0.5, 0.5}, {0.07, 0.11}, {0.333, 0.8}, {0.95, 0.92}} {
		heat := make([]float32, g.Cells())
		g.Spread(at, func(cell int, part float64) { heat[cell] += float32(part) })
		got, sure := g.Place(heat, 1)
		if math.Hypot(got[0]-at[0], got[1]-at[1]) > 1e-6 || math.Abs(sure-1) > 1e-6 {
			t.Errorf("%v became %v, sure %v", at, got, sure)
		}
	}
}

// What is too far from the best cell does not draw the place towards it.
func TestPlaceReach(t *testing.T) {
	g := Grid{H: 1, W: 10, C: 1}
	heat := []float32{0.6, 0, 0, 0, 0, 0, 0, 0, 0, 0.4}
	if at, sure := g.Place(heat, 3); math.Abs(at[0]-0.05) > 1e-9 || math.Abs(sure-0.6) > 1e-6 {
		t.Errorf("place %v, sure %v, want 0.05 and 0.6", at, sure)
	}
	if at, sure := g.Place(heat, 9); math.Abs(at[0]-0.41) > 1e-6 || math.Abs(sure-1) > 1e-6 {
		t.Errorf("place %v of all cells, sure %v, want 0.41 and 1", at, sure)
	}
}
