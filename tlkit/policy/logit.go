package policy

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

// grid is the cells of a map [h,w,C].
type grid struct{ h, w, c int }

func (g grid) cells() int { return g.h * g.w }

// around calls do with each of the up to eight neighbours of a cell.
func (g grid) around(cell int, do func(other int)) {
	y, x := cell/g.w, cell%g.w
	for v := max(y-1, 0); v <= min(y+1, g.h-1); v++ {
		for u := max(x-1, 0); u <= min(x+1, g.w-1); u++ {
			if v != y || u != x {
				do(v*g.w + u)
			}
		}
	}
}

// neighbours lists the neighbours of each cell.
func (g grid) neighbours() [][]int {
	all := make([][]int, g.cells())
	for i := range all {
		g.around(i, func(other int) { all[i] = append(all[i], other) })
	}
	return all
}

// spread shares out a place among the middles of its four nearest cells.
func (g grid) spread(place [2]float64, share func(cell int, part float64)) {
	x, ux := between(place[0]*float64(g.w)-0.5, g.w)
	y, uy := between(place[1]*float64(g.h)-0.5, g.h)
	for v, py := range []float64{1 - uy, uy} {
		for u, px := range []float64{1 - ux, ux} {
			if part := px * py; part > 0 {
				share((y+v)*g.w+x+u, part)
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

// logit is a conditional logit over the cells of maps: the score of a cell is that of its own
// channels, plus the mean score that its neighbours' channels have under other weights. It is
// convex in both: mean cross-entropy over the frames + strength/2·‖w‖².
type logit struct {
	grid       grid
	neighbours [][]int
	frames     []logitFrame
	strength   float64
}

type logitFrame struct {
	x      []float32 // [cells,C], standardised
	cells  [4]int32  // of the target
	shares [4]float32
}

// blockFrames is how many frames are added up together. Sums of blocks are added in order, so that
// the number of threads changes nothing.
const blockFrames = 16

// scratch is the memory of one goroutine.
type scratch struct{ own, near, scores, back []float32 }

func (p *logit) scratch() *scratch {
	n := p.grid.cells()
	return &scratch{make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)}
}

// score writes the scores of a frame's cells under w, [2C]: of the cell, then of its neighbours.
func (p *logit) score(x, w []float32, s *scratch) {
	c := p.grid.c
	cells := blas32.General{Rows: p.grid.cells(), Cols: c, Stride: c, Data: x}
	blas32.Gemv(blas.NoTrans, 1, cells, blas32.Vector{N: c, Inc: 1, Data: w[:c]}, 0, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.own})
	blas32.Gemv(blas.NoTrans, 1, cells, blas32.Vector{N: c, Inc: 1, Data: w[c:]}, 0, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.near})
	for i, others := range p.neighbours {
		var sum float32
		for _, j := range others {
			sum += s.near[j]
		}
		s.scores[i] = s.own[i] + sum/float32(max(len(others), 1))
	}
}

// softmax turns scores into probabilities, and returns the logarithm of their sum.
func softmax(scores []float32) float64 {
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

// cross returns the cross-entropy of a frame, in nats, and leaves its probabilities in s.scores.
func (p *logit) cross(f logitFrame, w []float32, s *scratch) float64 {
	p.score(f.x, w, s)
	var right float64
	for k, share := range f.shares {
		right += float64(share) * float64(s.scores[f.cells[k]])
	}
	return softmax(s.scores) - right
}

// against adds the gradient of a frame, whose probabilities are in s.scores, to grad [2C].
func (p *logit) against(f logitFrame, grad []float32, s *scratch) {
	for k, share := range f.shares {
		s.scores[f.cells[k]] -= share
	}
	clear(s.back)
	for i, others := range p.neighbours {
		v := s.scores[i] / float32(max(len(others), 1))
		for _, j := range others {
			s.back[j] += v
		}
	}
	c := p.grid.c
	cells := blas32.General{Rows: p.grid.cells(), Cols: c, Stride: c, Data: f.x}
	blas32.Gemv(blas.Trans, 1, cells, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.scores}, 1, blas32.Vector{N: c, Inc: 1, Data: grad[:c]})
	blas32.Gemv(blas.Trans, 1, cells, blas32.Vector{N: cells.Rows, Inc: 1, Data: s.back}, 1, blas32.Vector{N: c, Inc: 1, Data: grad[c:]})
}

// loss returns the value at w and writes the gradient; grad may be nil.
func (p *logit) loss(w, grad []float64) float64 {
	w32 := make([]float32, len(w))
	for i, v := range w {
		w32[i] = float32(v)
	}
	blocks := (len(p.frames) + blockFrames - 1) / blockFrames
	losses, grads := make([]float64, blocks), make([][]float32, blocks)
	inParallel(blocks, func() func(int) {
		s := p.scratch()
		return func(b int) {
			if grad != nil {
				grads[b] = make([]float32, len(w))
			}
			for _, f := range p.frames[b*blockFrames : min((b+1)*blockFrames, len(p.frames))] {
				losses[b] += p.cross(f, w32, s)
				if grad != nil {
					p.against(f, grads[b], s)
				}
			}
		}
	})
	n := float64(len(p.frames))
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
			grad[i] = grad[i]/n + p.strength*v
		}
	}
	return sum/n + p.strength/2*norm
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

// solve minimises the loss by L-BFGS, from start or from zero, and returns the weights.
func (p *logit) solve(ctx context.Context, start []float64) ([]float64, error) {
	size := 2 * p.grid.c
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
		return nil, fmt.Errorf("policy: the fit of the waypoints did not converge: %w", err)
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
