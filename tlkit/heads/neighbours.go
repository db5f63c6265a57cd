package heads

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Temperature is that of [Neighbours]: a neighbour counts exp(cosine/Temperature). It is DINO's.
const Temperature = 0.07

// maxReferences is the largest number of feature values that a head of neighbours keeps, 400 MB.
const maxReferences = 100 << 20

// defaultNeighbours are the numbers of neighbours that folds choose from.
var defaultNeighbours = []int{1, 3, 5, 10, 20}

// unfoldedNeighbours is used where there are no folds to choose by.
const unfoldedNeighbours = 5

// Neighbours predicts a class from the K training pictures with the most similar features, by DINO's
// protocol: each has a vote of exp(cosine/0.07) for its class. Probabilities are the shares of the
// votes, smoothed by one more neighbour that votes for all classes alike, so that none is 0.
type Neighbours struct {
	K        int // of the most similar pictures
	Features int // C, the width of a feature row
	Outputs  int // number of classes

	// Factor multiplies the logits, and is that of the lowest out-of-fold log loss; 1 without folds.
	Factor float64

	X []float32 // [N, C] features of the training pictures, scaled to length 1
	Y []int     // [N] their classes
}

// NewNeighbours keeps the training samples of one label a picture. It is an error if they do not pass
// [head.Samples.Check], or if they take more than 400 MB.
func NewNeighbours(s head.Samples, k int) (*Neighbours, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Targets != nil {
		return nil, advice.New(fmt.Errorf("heads: nearest neighbours of several labels or of values, want one label a picture"), "leave out --head knn")
	}
	if len(s.X) > maxReferences {
		return nil, advice.New(fmt.Errorf("heads: nearest neighbours among %d pictures of %d features take %d MB, at most %d MB are kept", s.Len(), s.Features, len(s.X)>>18, maxReferences>>18), "use a logistic head, or fewer pictures")
	}
	n := &Neighbours{K: min(k, s.Len()), Features: s.Features, Outputs: s.Classes, X: unit(s.X, s.Features), Y: slices.Clone(s.Y), Factor: 1}
	return n, n.Check()
}

// Size returns the width of a feature row and the number of classes.
func (n *Neighbours) Size() (features, outputs int) { return n.Features, n.Outputs }

// Check reports sizes that do not fit together, classes that do not exist, and references that are not of
// length 1 or 0.
func (n *Neighbours) Check() error {
	if n.Features < 1 || n.Outputs < 2 || len(n.Y) == 0 || len(n.X) != len(n.Y)*n.Features {
		return fmt.Errorf("heads: %d feature values of %d neighbours with %d features and %d classes, want at least one neighbour and two classes, and a row of features for each", len(n.X), len(n.Y), n.Features, n.Outputs)
	}
	if n.K < 1 || n.K > len(n.Y) {
		return fmt.Errorf("heads: the %d nearest of %d neighbours, want 1 to %d", n.K, len(n.Y), len(n.Y))
	}
	if !(n.Factor > 0) || math.IsInf(n.Factor, 0) {
		return fmt.Errorf("heads: factor %v of the logits of neighbours, want a positive number", n.Factor)
	}
	for i, y := range n.Y {
		if y < 0 || y >= n.Outputs {
			return fmt.Errorf("heads: neighbour %d has class %d, want 0 to %d", i, y, n.Outputs-1)
		}
		var sum float64
		for _, v := range n.X[i*n.Features : (i+1)*n.Features] {
			sum += float64(v) * float64(v)
		}
		if sum != 0 && !(math.Abs(sum-1) < 1e-3) {
			return fmt.Errorf("heads: the features of neighbour %d have the squared length %v, want 1", i, sum)
		}
	}
	return nil
}

// Logits returns the logarithms of the probabilities of every row, times Factor.
func (n *Neighbours) Logits(x []float32) []float32 {
	if n.Features < 1 || len(x)%n.Features != 0 {
		return nil
	}
	x = unit(x, n.Features)
	out := make([]float32, len(x)/n.Features*n.Outputs)
	inParts(len(x)/n.Features, func(i int) {
		similar := n.similarities(x[i*n.Features : (i+1)*n.Features])
		near := nearest(similar, n.K, func(int) bool { return true })
		row := out[i*n.Outputs : (i+1)*n.Outputs]
		n.vote(row, similar, near)
		for k := range row {
			row[k] *= float32(n.Factor)
		}
	})
	return out
}

// similarities returns the cosines of a row of length 1 with the references.
func (n *Neighbours) similarities(row []float32) []float64 {
	out := make([]float64, len(n.Y))
	v := blas32.Vector{N: n.Features, Inc: 1, Data: row}
	for j := range out {
		out[j] = blas32.DDot(v, blas32.Vector{N: n.Features, Inc: 1, Data: n.X[j*n.Features : (j+1)*n.Features]})
	}
	return out
}

// nearest returns the indices of the k most similar among those that may be asked, most similar first;
// of equal ones, the first.
func nearest(similar []float64, k int, may func(int) bool) []int {
	near := make([]int, 0, k+1)
	for j, v := range similar {
		if len(near) == k && !(v > similar[near[k-1]]) || !may(j) {
			continue
		}
		at := len(near)
		for at > 0 && v > similar[near[at-1]] {
			at--
		}
		near = slices.Insert(near, at, j)
		near = near[:min(k, len(near))]
	}
	return near
}

// vote writes the logarithms of the smoothed shares of votes into out, [K].
func (n *Neighbours) vote(out []float32, similar []float64, near []int) {
	votes, sum := make([]float64, n.Outputs), 0.0
	for _, j := range near {
		w := math.Exp((similar[j] - similar[near[0]]) / Temperature)
		votes[n.Y[j]] += w
		sum += w
	}
	k := float64(len(near))
	for c, v := range votes {
		out[c] = float32(math.Log((k*v/sum + 1/float64(n.Outputs)) / (k + 1)))
	}
}

// inParts calls do for 0..n-1, on all processors.
func inParts(n int, do func(i int)) {
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}

// fitNeighbours chooses the number of neighbours by out-of-fold log loss, each with its best factor; in a
// tie, the smaller one.
func fitNeighbours(ctx context.Context, s head.Samples, o Options) (*Fitted, error) {
	n, err := NewNeighbours(s, unfoldedNeighbours)
	if err != nil || len(o.Folds) == 0 {
		return &Fitted{Kind: KNNKind, Model: n}, err
	}
	held := n.outOfFold(o)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &Fitted{Kind: KNNKind, Model: n}
	best := Tried{Loss: math.Inf(1)}
	for i, k := range defaultNeighbours {
		factor, loss := s.Calibrate(held[i])
		if !(loss < best.Loss) {
			continue
		}
		for j := range held[i] {
			held[i][j] *= float32(factor)
		}
		best, out.OutOfFold = tried(s, KNNKind, held[i]), held[i]
		best.Neighbours, n.Factor = k, factor
	}
	n.K = min(best.Neighbours, len(n.Y))
	out.Families = []Tried{best}
	return out, n.Check()
}

// outOfFold returns the logits of each reference by those outside its fold, for each number of
// neighbours.
func (n *Neighbours) outOfFold(o Options) [][]float32 {
	held := make([][]float32, len(defaultNeighbours))
	for i := range held {
		held[i] = make([]float32, len(n.Y)*n.Outputs)
	}
	fold := make([]int, len(n.Y))
	for f, rows := range o.Folds {
		for _, r := range rows {
			fold[r] = f
		}
	}
	most := slices.Max(defaultNeighbours)
	inParts(len(n.Y), func(i int) {
		similar := n.similarities(n.X[i*n.Features : (i+1)*n.Features])
		near := nearest(similar, most, func(j int) bool { return fold[j] != fold[i] })
		for c, k := range defaultNeighbours {
			n.vote(held[c][i*n.Outputs:(i+1)*n.Outputs], similar, near[:min(k, len(near))])
		}
	})
	return held
}
