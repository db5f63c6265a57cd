// Package embed lays features out on a plane, so that they can be drawn: pictures that a network finds
// alike lie together.
//
//	flat, err := embed.PCA(embed.Rows{N: n, C: c, Data: features}, 2)   // the two widest directions
//	near, err := embed.TSNE(ctx, embed.Rows{N: n, C: c, Data: features}, embed.Options{})
//
// PCA keeps large distances and loses small ones; t-SNE keeps neighbours together, and its large
// distances mean little. Trust says how far the neighbours on a plane are those of the features.
//
// The same features give the same places, on any number of processors. The results are checked
// against scikit-learn.
package embed

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Rows are the features of N pictures, C numbers each, row by row.
type Rows struct {
	N, C int
	Data []float32
}

func (r Rows) check() error {
	switch {
	case r.N < 1 || r.C < 1 || len(r.Data) != r.N*r.C:
		return fmt.Errorf("embed: %d numbers for %d pictures with %d features each, want at least one picture and as many numbers as both say", len(r.Data), r.N, r.C)
	case r.N > MostPictures:
		return advice.New(fmt.Errorf("embed: %d pictures, want at most %d", r.N, MostPictures), "take every so many-th")
	}
	for i, v := range r.Data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("embed: feature %d of picture %d is not finite", i%r.C, i/r.C)
		}
	}
	return nil
}

// MostPictures is the largest number of rows: time and memory grow with its square.
const MostPictures = 5000

// Plane is where the pictures of some rows lie.
type Plane struct {
	// At has the places, K numbers a picture: the first components of PCA, or the two axes of t-SNE.
	At [][]float64
	// Variance is the share of the variance along each component, of PCA.
	Variance []float64
	// KL is the Kullback-Leibler divergence in nats that t-SNE ended with: how far the neighbours on the
	// plane are from those of the features, 0 = the same. Perplexity is what it used.
	KL, Perplexity float64
}

// PCA returns the first k principal components of the rows, at most as many as there are pictures or
// features: their directions of largest variance. The largest weight of each direction is positive.
//
// It is our own, by subspace iteration, because gonum's decompositions compute all components: half a
// minute for two thousand pictures of which two are wanted.
func PCA(r Rows, k int) (*Plane, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if k = min(k, r.N, r.C); k < 1 {
		return nil, errors.New("embed: no component asked for, want at least 1")
	}
	x, total := centred(r)
	p := &Plane{At: make([][]float64, r.N), Variance: make([]float64, k)}
	directions, values := subspace(x, min(k+10, r.N, r.C), k)
	var y mat.Dense
	y.Mul(x, directions.Slice(0, r.C, 0, k))
	for i := range p.At {
		p.At[i] = append([]float64(nil), y.RawRowView(i)...)
	}
	for j := range k {
		if total > 0 {
			p.Variance[j] = values[j] / total
		}
	}
	return p, nil
}

// centred returns the rows minus their mean, and the sum of the squares.
func centred(r Rows) (x *mat.Dense, total float64) {
	mean := make([]float64, r.C)
	for i, v := range r.Data {
		mean[i%r.C] += float64(v) / float64(r.N)
	}
	values := make([]float64, len(r.Data))
	for i, v := range r.Data {
		values[i] = float64(v) - mean[i%r.C]
		total += values[i] * values[i]
	}
	return mat.NewDense(r.N, r.C, values), total
}

// subspace returns the directions [C,width] with the largest eigenvalues of xᵀx, and these. The first k
// are exact to about nine digits, unless eigenvalues are as good as equal.
func subspace(x *mat.Dense, width, k int) (*mat.Dense, []float64) {
	const rounds = 200
	_, c := x.Dims()
	random := rand.New(rand.NewPCG(1, uint64(c)))
	q := mat.NewDense(c, width, nil)
	for i := range c {
		for j := range width {
			q.Set(i, j, random.NormFloat64())
		}
	}
	var before, values []float64
	for range rounds {
		var xq, next mat.Dense
		xq.Mul(x, orthonormal(q))
		next.Mul(x.T(), &xq)
		q, values = rotated(&next, orthonormal(q))
		if settled(before, values, k) {
			break
		}
		before = values
	}
	q = orthonormal(q)
	for j := range k {
		positive(q, j)
	}
	return q, values
}

// orthonormal returns a basis of the columns of q.
func orthonormal(q *mat.Dense) *mat.Dense {
	rows, columns := q.Dims()
	var qr mat.QR
	qr.Factorize(q)
	var full mat.Dense
	qr.QTo(&full)
	return mat.DenseCopyOf(full.Slice(0, rows, 0, columns))
}

// rotated turns next = A·q towards the eigenvectors of A in the space of q, the largest eigenvalue first.
func rotated(next, q *mat.Dense) (*mat.Dense, []float64) {
	_, width := q.Dims()
	var small mat.Dense
	small.Mul(q.T(), next)
	symmetric := mat.NewSymDense(width, nil)
	for i := range width {
		for j := i; j < width; j++ {
			symmetric.SetSym(i, j, (small.At(i, j)+small.At(j, i))/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(symmetric, true) { // numbers that are not finite were refused before
		return next, make([]float64, width)
	}
	var vectors, turned mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil)
	order := mat.NewDense(width, width, nil) // gonum's ascend
	out := make([]float64, width)
	for j := range width {
		out[j] = max(values[width-1-j], 0)
		order.SetCol(j, mat.Col(nil, width-1-j, &vectors))
	}
	turned.Mul(next, order)
	return &turned, out
}

// settled reports whether the first k values have stopped changing.
func settled(before, now []float64, k int) bool {
	if before == nil || now[0] == 0 {
		return before != nil
	}
	for j := range k {
		tolerance := 1e-12
		if j >= 2 { // only drawn components need all digits
			tolerance = 1e-5
		}
		if math.Abs(now[j]-before[j]) > tolerance*now[0] {
			return false
		}
	}
	return true
}

// positive turns column j so that its largest weight is positive.
func positive(q *mat.Dense, j int) {
	rows, _ := q.Dims()
	largest := 0.0
	for i := range rows {
		if math.Abs(q.At(i, j)) > math.Abs(largest) {
			largest = q.At(i, j)
		}
	}
	if largest < 0 {
		for i := range rows {
			q.Set(i, j, -q.At(i, j))
		}
	}
}
