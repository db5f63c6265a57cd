// Package heatmap fits and reads a conditional logit over the cells of feature maps: which cell is the
// one? Packages keypoint and policy both ask that.
package heatmap

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/optimize"
)

// Grid is the cells of a map [h,w,C].
type Grid struct{ H, W, C int }

// Cells is their number.
func (g Grid) Cells() int { return g.H * g.W }

// within calls do with each other cell that is at most reach cells away.
func (g Grid) within(cell, reach int, do func(other int)) {
	y, x := cell/g.W, cell%g.W
	for v := max(y-reach, 0); v <= min(y+reach, g.H-1); v++ {
		for u := max(x-reach, 0); u <= min(x+reach, g.W-1); u++ {
			if v != y || u != x {
				do(v*g.W + u)
			}
		}
	}
}

// Place returns the middle of the most likely cell, moved by the probabilities of those at most reach
// cells away, and how much of the probability is there.
func (g Grid) Place(probabilities []float32, reach int) (at [2]float64, sure float64) {
	best := 0
	for i, v := range probabilities {
		if v > probabilities[best] {
			best = i
		}
	}
	add := func(cell int) {
		v := float64(probabilities[cell])
		sure += v
		at[0] += v * (float64(cell%g.W) + 0.5) / float64(g.W)
		at[1] += v * (float64(cell/g.W) + 0.5) / float64(g.H)
	}
	add(best)
	g.within(best, reach, add)
	return [2]float64{at[0] / sure, at[1] / sure}, sure
}

// Neighbours lists the up to eight neighbours of each cell.
func (g Grid) Neighbours() [][]int {
	all := make([][]int, g.Cells())
	for i := range all {
		g.within(i, 1, func(other int) { all[i] = append(all[i], other) })
	}
	return all
}

// Spread shares out a place among the middles of its four nearest cells.
func (g Grid) Spread(place [2]float64, share func(cell int, part float64)) {
	x, ux := between(place[0]*float64(g.W)-0.5, g.W)
	y, uy := between(place[1]*float64(g.H)-0.5, g.H)
	for v, py := range []float64{1 - uy, uy} {
		for u, px := range []float64{1 - ux, ux} {
			if part := px * py; part > 0 {
				share((y+v)*g.W+x+u, part)
			}
		}
	}
}

// between splits a place on an axis of n middles into the lower one and the way to the next.
func between(at float64, n int) (lower int, way float64) {
	at = min(max(at, 0), float64(n-1))
	lower = min(int(at), max(n-2, 0))
	return lower, at - float64(lower)
}

// Logit is a conditional logit over the cells of maps: the score of a cell is that of its own
// channels, plus the mean score that its neighbours' channels have under other weights. It is
// convex in both: mean cross-entropy over the frames + strength/2·‖w‖².
type Logit struct {
	Grid     Grid
	Near     [][]int // Grid.Neighbours()
	Frames   []Frame
	Strength float64
}

// Frame is a map, and which cells are the one, in shares that sum to 1.
type Frame struct {
	X      []float32 // [cells,C], standardised
	Cells  [4]int32  // of the target
	Shares [4]float32
}

// Moments are mean and deviation of each channel, [C].
type Moments struct{ Mean, Deviation []float64 }

// Moments learns them from n maps. A channel that never changes gets the deviation 1: it says nothing.
func (g Grid) Moments(n int, row func(i int) []float32) Moments {
	m := Moments{make([]float64, g.C), make([]float64, g.C)}
	all := float64(n * g.Cells())
	for i := range n {
		for j, v := range row(i) {
			m.Mean[j%g.C] += float64(v) / all
		}
	}
	for i := range n {
		for j, v := range row(i) {
			e := float64(v) - m.Mean[j%g.C]
			m.Deviation[j%g.C] += e * e / all
		}
	}
	for i, v := range m.Deviation {
		if m.Deviation[i] = math.Sqrt(v); v == 0 {
			m.Deviation[i] = 1
		}
	}
	return m
}

// Raw turns weights of standardised channels into weights of channels. The means are left out: they
// add the same to every cell.
func (m Moments) Raw(w []float64) []float32 {
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = float32(v / m.Deviation[i%len(m.Deviation)])
	}
	return out
}

// Frame standardises a map whose place is known, in shares of the picture.
func (g Grid) Frame(row []float32, m Moments, place [2]float64) Frame {
	f := Frame{X: make([]float32, g.Cells()*g.C)}
	for j, v := range row {
		c := j % g.C
		f.X[j] = float32((float64(v) - m.Mean[c]) / m.Deviation[c])
	}
	k := 0
	g.Spread(place, func(cell int, part float64) {
		f.Cells[k], f.Shares[k] = int32(cell), float32(part)
		k++
	})
	return f
}

// blockFrames is how many frames are added up together. Sums of blocks are added in order, so that
// the number of threads changes nothing.
const blockFrames = 16

// Scratch is the memory of one goroutine.
type Scratch struct {
	Scores          []float32 // of the cells, by the last call
	own, near, back []float32
}

// Scratch makes memory for one goroutine.
func (p *Logit) Scratch() *Scratch {
	n := p.Grid.Cells()
	return &Scratch{make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)}
}

// Score writes the scores of a frame's cells under w, [2C]: of the cell, then of its neighbours.
func (p *Logit) Score(x, w []float32, s *Scratch) {
	c := p.Grid.C
	cells := blas32.General{Rows: p.Grid.Cells(), Cols: c, Stride: c, Data: x}
	blas32.Gemv(blas.NoTrans, 1, cells, blas32.Vector{N: c, Inc: 1, Data: w[:c]}, 0, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.own})
	blas32.Gemv(blas.NoTrans, 1, cells, blas32.Vector{N: c, Inc: 1, Data: w[c:]}, 0, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.near})
	for i, others := range p.Near {
		var sum float32
		for _, j := range others {
			sum += s.near[j]
		}
		s.Scores[i] = s.own[i] + sum/float32(max(len(others), 1))
	}
}

// Softmax turns scores into probabilities, and returns the logarithm of their sum.
func Softmax(scores []float32) float64 {
	top := scores[0]
	for _, v := range scores {
		top = max(top, v)
	}
	var sum float64
	for i, v := range scores {
		e := math.Exp(float64(v - top))
		scores[i] = float32(e)
		sum += e
	}
	for i := range scores {
		scores[i] = float32(float64(scores[i]) / sum)
	}
	return float64(top) + math.Log(sum)
}

// Cross returns the cross-entropy of a frame, in nats, and leaves its probabilities in s.Scores.
func (p *Logit) Cross(f Frame, w []float32, s *Scratch) float64 {
	p.Score(f.X, w, s)
	var right float64
	for k, share := range f.Shares {
		right += float64(share) * float64(s.Scores[f.Cells[k]])
	}
	return Softmax(s.Scores) - right
}

// against adds the gradient of a frame, whose probabilities are in s.Scores, to grad [2C].
func (p *Logit) against(f Frame, grad []float32, s *Scratch) {
	for k, share := range f.Shares {
		s.Scores[f.Cells[k]] -= share
	}
	clear(s.back)
	for i, others := range p.Near {
		v := s.Scores[i] / float32(max(len(others), 1))
		for _, j := range others {
			s.back[j] += v
		}
	}
	c := p.Grid.C
	cells := blas32.General{Rows: p.Grid.Cells(), Cols: c, Stride: c, Data: f.X}
	blas32.Gemv(blas.Trans, 1, cells, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.Scores}, 1, blas32.Vector{N: c, Inc: 1, Data: grad[:c]})
	blas32.Gemv(blas.Trans, 1, cells, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.back}, 1, blas32.Vector{N: c, Inc: 1, Data: grad[c:]})
}

// loss returns the value at w and writes the gradient; grad may be nil.
func (p *Logit) loss(w, grad []float64) float64 {
	w32 := make([]float32, len(w))
	for i, v := range w {
		w32[i] = float32(v)
	}
	blocks := (len(p.Frames) + blockFrames - 1) / blockFrames
	losses, grads := make([]float64, blocks), make([][]float32, blocks)
	inParallel(blocks, func() func(int) {
		s := p.Scratch()
		return func(b int) {
			if grad != nil {
				grads[b] = make([]float32, len(w))
			}
			for _, f := range p.Frames[b*blockFrames : min((b+1)*blockFrames, len(p.Frames))] {
				losses[b] += p.Cross(f, w32, s)
				if grad != nil {
					p.against(f, grads[b], s)
				}
			}
		}
	})
	n := float64(len(p.Frames))
	var sum, norm float64
	clear(grad)
	for b, l := range losses {
		sum += l
		for i, g := range grads[b] {
			grad[i] += float64(g)
		}
	}
	for i, v := range w {
		norm += v * v
		if grad != nil {
			grad[i] = grad[i]/n + p.Strength*v
		}
	}
	return sum/n + p.Strength/2*norm
}

// inParallel calls do for 0 to n-1, from several goroutines; each makes one with its own memory.
func inParallel(n int, make func() (do func(int))) {
	var next struct {
		sync.Mutex
		i int
	}
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wait.Go(func() {
			do := make()
			for {
				next.Lock()
				i := next.i
				next.i++
				next.Unlock()
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wait.Wait()
}

// The gradient entry at which a fit ends, and the most iterations. The sums are of float32, so there
// are no more digits to gain.
const (
	smallest   = 1e-5
	iterations = 200
)

// Solve minimises the loss by L-BFGS, from start or from zero, and returns the weights.
func (p *Logit) Solve(ctx context.Context, start []float64) ([]float64, error) {
	size := 2 * p.Grid.C
	if start == nil {
		start = make([]float64, size)
	}
	at, grad, value, fresh := make([]float64, size), make([]float64, size), 0.0, false
	eval := func(x []float64) { // gonum asks for value and gradient separately; one pass computes both
		if fresh && equal(at, x) {
			return
		}
		copy(at, x)
		value, fresh = p.loss(x, grad), true
	}
	result, err := optimize.Minimize(optimize.Problem{
		Func: func(x []float64) float64 { eval(x); return value },
		Grad: func(out, x []float64) { eval(x); copy(out, grad) },
		Status: func() (optimize.Status, error) {
			if err := ctx.Err(); err != nil {
				return optimize.Failure, err
			}
			return optimize.NotTerminated, nil
		},
	}, start, &optimize.Settings{
		GradientThreshold: smallest, MajorIterations: iterations,
		Converger: &optimize.FunctionConverge{Relative: 1e-7, Iterations: 3},
	}, &optimize.LBFGS{})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// At the optimum the line search runs out of digits and says so; any other failure is one.
	if result == nil || math.IsNaN(result.F) || math.IsInf(result.F, 0) {
		return nil, fmt.Errorf("heatmap: the fit did not converge: %w", err)
	}
	return result.X, nil
}

func equal(a, b []float64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
