package head

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// design is the standardised feature matrix, in the form that the solver needs.
//
// An L2-regularised linear model depends on the features only through their inner
// products, so with fewer samples than features the fit runs on the Cholesky rows of the
// N x N Gram matrix: the same optimum, at N/C of the cost of each iteration (a
// fifth for 244 pictures of 1,280 features). With more samples than features the
// standardised rows are used as they are.
type design struct {
	x     *mat.Dense    // [N, C], zero mean, unit variance
	gram  *mat.SymDense // x xᵀ when N < C, else nil
	mean  []float64     // of the raw features, [C]
	scale []float64     // 1/std of the raw features, 0 for a dead feature, [C]
}

// deadStd is the standard deviation below which a feature counts as constant: float32 rounding of a
// feature of size 1 is 6e-8, and dividing by it would turn noise into signal.
const deadStd = 1e-6

// scaling says what centred features are divided by.
type scaling int

const (
	byFeature scaling = iota // the standard deviation of each
	together                 // the root of their mean variance, one number for all
	asTheyAre                // nothing
)

func newDesign(s Samples) *design { return newScaledDesign(s, byFeature) }

func newScaledDesign(s Samples, how scaling) *design {
	n, c := s.Len(), s.Features
	d := &design{mean: make([]float64, c), scale: make([]float64, c)}
	for i := range n {
		for j, v := range s.Row(i) {
			d.mean[j] += float64(v)
		}
	}
	for j := range d.mean {
		d.mean[j] /= float64(n)
	}
	variance := make([]float64, c)
	for i := range n {
		for j, v := range s.Row(i) {
			e := float64(v) - d.mean[j]
			variance[j] += e * e
		}
	}
	d.setScale(variance, float64(n), how)
	d.x = mat.NewDense(n, c, nil)
	for i := range n {
		row := d.x.RawRowView(i)
		for j, v := range s.Row(i) {
			row[j] = (float64(v) - d.mean[j]) * d.scale[j]
		}
	}
	if n < c {
		d.gram = mat.NewSymDense(n, nil)
		d.gram.SymOuterK(1, d.x)
	}
	return d
}

// setScale sets the scale from sums of squares over n samples.
func (d *design) setScale(sums []float64, n float64, how scaling) {
	var all float64
	for _, v := range sums {
		all += v / n / float64(len(sums))
	}
	for j, v := range sums {
		std := math.Sqrt(v / n)
		switch {
		case how == asTheyAre:
			d.scale[j] = 1
		case how == together && all > 0:
			d.scale[j] = 1 / math.Sqrt(all)
		case how == byFeature && std > deadStd:
			d.scale[j] = 1 / std
		}
	}
}

// basis is the design restricted to some rows, ready for the solver: z is [n, r].
type basis struct {
	d    *design
	of   []int
	z    *mat.Dense
	chol *mat.TriDense // z as a lower triangle, when z comes from the Gram matrix
}

// thin returns z for products with few columns.
func (b *basis) thin() thin { return thin{b.z, b.chol != nil} }

func (d *design) basis(rows []int) *basis {
	b := &basis{d: d, of: rows}
	n := len(rows)
	if d.gram == nil {
		b.z = pick(d.x, rows)
		return b
	}
	g := mat.NewSymDense(n, nil)
	var trace float64
	for i, ri := range rows {
		for j := i; j < n; j++ {
			g.SetSym(i, j, d.gram.At(ri, rows[j]))
		}
		trace += g.At(i, i)
	}
	// Centred rows add up to zero, so the Gram matrix is singular; the jitter makes it
	// definite and moves the scores by one part in 10^8. Duplicate pictures need more.
	for jitter := 1e-8; ; jitter *= 100 {
		h := mat.NewSymDense(n, nil)
		h.CopySym(g)
		for i := range n {
			h.SetSym(i, i, g.At(i, i)+jitter*trace/float64(n)+math.SmallestNonzeroFloat32)
		}
		var chol mat.Cholesky
		if chol.Factorize(h) || jitter > 1 {
			b.chol = mat.NewTriDense(n, mat.Lower, nil)
			chol.LTo(b.chol)
			b.z = mat.DenseCopyOf(b.chol)
			return b
		}
	}
}

// into turns products with the samples, x·Xᵀ [m, n], into rows of the basis [m, r], in place.
// Multiplied by the solver's coefficients β, they give the scores of x. Since z is the Cholesky
// factor L of the Gram matrix, the result is x·Xᵀ·L⁻ᵀ.
func (b *basis) into(products *mat.Dense) *mat.Dense {
	// gonum's Solve would also estimate a condition number, which costs as much as the solve.
	blas64.Trsm(blas.Right, blas.Trans, 1, b.chol.RawTriangular(), products.RawMatrix())
	return products
}

// heldOut returns rows of the design in the basis.
func (b *basis) heldOut(held []int) *mat.Dense {
	if b.chol == nil {
		return pick(b.d.x, held)
	}
	cross := mat.NewDense(len(held), len(b.of), nil)
	for i, r := range held {
		row := cross.RawRowView(i)
		for j, c := range b.of {
			row[j] = b.d.gram.At(r, c)
		}
	}
	return b.into(cross)
}

// axes returns the C unit vectors in the basis; multiplied by β, they give the weights on
// standardised features. It returns nil if the basis is the features themselves.
func (b *basis) axes() *mat.Dense {
	if b.chol == nil {
		return nil
	}
	return b.into(mat.DenseCopyOf(pick(b.d.x, b.of).T()))
}

func pick(x *mat.Dense, rows []int) *mat.Dense {
	out := mat.NewDense(len(rows), x.RawMatrix().Cols, nil)
	for i, r := range rows {
		copy(out.RawRowView(i), x.RawRowView(r))
	}
	return out
}

// linear returns a head on raw features, with the standardisation folded into its weights. axes is
// the result of b.axes.
func (b *basis) linear(axes *mat.Dense, params []float64, classes int) *Linear {
	r := b.z.RawMatrix().Cols
	w := mat.NewDense(r, classes, params[:r*classes])
	if axes != nil {
		beta := turned(make([]float64, r*classes), params[:r*classes], classes)
		w = mat.NewDense(axes.RawMatrix().Rows, classes, nil)
		thin{Dense: axes}.scores(w.RawMatrix().Data, beta, classes)
	}
	c := len(b.d.mean)
	h := &Linear{Features: c, Classes: classes, Weight: make([]float32, c*classes), Bias: make([]float32, classes)}
	for k := range classes {
		bias := params[r*classes+k]
		for j := range c {
			v := w.At(j, k) * b.d.scale[j]
			h.Weight[k*c+j] = float32(v)
			bias -= v * b.d.mean[j]
		}
		h.Bias[k] = float32(bias)
	}
	return h
}
