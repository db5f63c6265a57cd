package confidence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Familiar tells pictures like those that a head has learnt from, from others. A picture's strangeness is
// a weighted sum of three deviations, each in standard deviations of what held-out training pictures show:
//
//   - how far its features are from the nearest class, along the main directions of the training features,
//     each weighed by how little a class varies in it (Mahalanobis distance),
//   - how much of its features lies outside of these directions,
//   - how unsure the head is, for one label a picture.
//
// Features are scaled to length 1 first.
type Familiar struct {
	Rate     float64 `json:"rate"`     // of false alarms, that Limit stands for
	Limit    float64 `json:"limit"`    // of the strangeness
	Pictures int     `json:"pictures"` // that it was fitted on
	// Mean and deviation of the distance, the rest and the unsureness of held-out pictures; 0 and 0 for
	// what is not used.
	Scale [3][2]float64 `json:"scale"`

	Mean       []float32 `json:"-"` // [C] of the features
	Directions []float32 `json:"-"` // [R, C], of length 1 and at right angles
	Whiten     []float32 `json:"-"` // [R, R]
	Centres    []float32 `json:"-"` // [G, R] of the classes, whitened
}

// weights of the three deviations in the strangeness, chosen on ants and bees, flowers, cats and dogs and
// textures, each against the others: see TestUnknown in package run.
var weights = [3]float64{1, 0.5, 2}

const (
	directions   = 64  // at most
	mostFamiliar = 800 // pictures that are compared; the time grows with the square
	// A part that hardly varies must not decide by what rounding to float32 changes.
	leastDeviation = 1e-3
	fewFamiliar    = 20 // that are too few
)

// FitFamiliar learns what training pictures look like, from their features and the out-of-fold logits of
// their labels; logits may be nil. The limit is such that rate is the share of false alarms. It is ErrFew
// with fewer than 20 pictures, or where there are no folds.
func FitFamiliar(s head.Samples, outOfFold []float32, folds [][]int, rate float64) (*Familiar, error) {
	if s.Features < 1 || len(s.X) != s.Len()*s.Features || outOfFold != nil && len(outOfFold) != s.Len()*s.Classes {
		return nil, fmt.Errorf("confidence: %d feature values and %d logits of %d samples, want %d for each and %d", len(s.X), len(outOfFold), s.Len(), s.Features, s.Classes)
	}
	if !(rate > 0 && rate < 1) {
		return nil, fmt.Errorf("confidence: %v false alarms, want a share between 0 and 1, such as 0.05", rate)
	}
	if s.Len() < fewFamiliar || len(folds) < 2 {
		return nil, fmt.Errorf("%w: %d in %d folds", ErrFew, s.Len(), len(folds))
	}
	j := newFamiliarising(s, outOfFold, folds)
	parts := make([][3]float64, len(j.rows))
	for f := range folds {
		var rest []int
		for i, of := range j.fold {
			if of != f {
				rest = append(rest, i)
			}
		}
		if len(rest) == len(j.rows) || len(rest) < fewFamiliar/2 {
			continue
		}
		fit, err := j.fit(rest)
		if err != nil {
			return nil, err
		}
		for i, of := range j.fold {
			if of == f {
				parts[i] = fit.parts(i)
			}
		}
	}
	out := &Familiar{Rate: rate, Pictures: s.Len()}
	if err := out.limit(parts, j.unsure != nil); err != nil {
		return nil, err
	}
	return out, j.keep(out)
}

// limit learns scales and limit from what held-out pictures show.
func (f *Familiar) limit(parts [][3]float64, unsure bool) error {
	for p := range f.Scale {
		if p == 2 && !unsure {
			continue
		}
		column := make([]float64, len(parts))
		for i := range parts {
			column[i] = parts[i][p]
		}
		f.Scale[p][0], f.Scale[p][1] = meanAndDeviation(column)
		f.Scale[p][1] = max(f.Scale[p][1], leastDeviation)
	}
	strangeness := make([]float64, len(parts))
	for i, p := range parts {
		strangeness[i] = f.strangeness(p)
	}
	var err error
	f.Limit, err = Quantile(strangeness, 1-f.Rate)
	return err
}

func (f *Familiar) strangeness(parts [3]float64) (sum float64) {
	for p, v := range parts {
		if d := f.Scale[p][1]; d > 0 {
			sum += weights[p] * (v - f.Scale[p][0]) / d
		}
	}
	return sum
}

// Strangeness is how unlike the training pictures one is, from its features and its logits; above Limit,
// it is unlike them.
func (f *Familiar) Strangeness(features, logits []float32) float64 {
	c, r := len(f.Mean), f.size()
	x := make([]float64, c)
	by := 1 / length(features)
	var whole float64
	for i, v := range features {
		x[i] = float64(v)*by - float64(f.Mean[i])
		whole += x[i] * x[i]
	}
	z := make([]float64, r)
	for d := range z {
		for i, v := range f.Directions[d*c : (d+1)*c] {
			z[d] += float64(v) * x[i]
		}
		whole -= z[d] * z[d]
	}
	parts := [3]float64{f.nearest(z), math.Sqrt(max(whole, 0)), 0}
	if f.Scale[2][1] > 0 {
		parts[2] = unsureness(logits)
	}
	return f.strangeness(parts)
}

// nearest is the distance of the coordinates along the directions from the nearest class.
func (f *Familiar) nearest(z []float64) float64 {
	r := len(z)
	white := make([]float64, r)
	for a := range white {
		for b, v := range f.Whiten[a*r : (a+1)*r] {
			white[a] += float64(v) * z[b]
		}
	}
	nearest := math.Inf(1)
	for g := 0; g+r <= len(f.Centres); g += r {
		var d float64
		for a, v := range f.Centres[g : g+r] {
			d += (white[a] - float64(v)) * (white[a] - float64(v))
		}
		nearest = min(nearest, d)
	}
	return math.Sqrt(nearest)
}

// size is the number of directions.
func (f *Familiar) size() int { return int(math.Round(math.Sqrt(float64(len(f.Whiten))))) }

// Unlike reports whether a picture is unlike the training pictures.
func (f *Familiar) Unlike(features, logits []float32) (strangeness float64, unlike bool) {
	strangeness = f.Strangeness(features, logits)
	return strangeness, !(strangeness <= f.Limit)
}

// Check reports sizes that do not fit together for so many features, and numbers that are not finite.
func (f *Familiar) Check(features int) error {
	r := f.size()
	if r < 1 || r > directions || r*r != len(f.Whiten) || len(f.Mean) != features || len(f.Directions) != r*features || len(f.Centres) == 0 || len(f.Centres)%r != 0 {
		return fmt.Errorf("confidence: familiarity of %d features with %d means, %d directions, %d and %d numbers, want sizes that fit together", features, len(f.Mean), r, len(f.Whiten), len(f.Centres))
	}
	if !(f.Rate > 0 && f.Rate < 1) || math.IsNaN(f.Limit) || math.IsInf(f.Limit, 0) {
		return fmt.Errorf("confidence: familiarity with the limit %v for %v false alarms, want finite ones", f.Limit, f.Rate)
	}
	for _, part := range [][]float32{f.Mean, f.Directions, f.Whiten, f.Centres} {
		for _, v := range part {
			if w := float64(v); math.IsNaN(w) || math.IsInf(w, 0) {
				return fmt.Errorf("confidence: familiarity holds %v, want finite numbers", v)
			}
		}
	}
	return nil
}

// unsureness is the logarithm of the odds that another label than the most probable is right.
func unsureness(logits []float32) float64 {
	best := head.Classes(logits, len(logits))[0]
	top, sum := float64(logits[best]), 0.0
	for k, v := range logits {
		if k != best {
			sum += math.Exp(float64(v) - top)
		}
	}
	return max(math.Log(sum), -50) // finite
}

func length(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return max(math.Sqrt(sum), 1e-12)
}

// familiarising is what familiarity is learnt from. All fits work on the inner products of the pictures'
// features, so that they take as long for wide features as for narrow ones.
type familiarising struct {
	s      head.Samples
	rows   []int // of s
	fold   []int // of each of them
	class  []int
	unit   *mat.Dense // [n, C]
	inner  *mat.Dense // [n, n]
	unsure []float64  // nil without logits
}

func newFamiliarising(s head.Samples, logits []float32, folds [][]int) *familiarising {
	j := &familiarising{s: s}
	every := (s.Len() + mostFamiliar - 1) / mostFamiliar
	fold := make([]int, s.Len())
	for f, rows := range folds {
		for _, r := range rows {
			fold[r] = f
		}
	}
	for r := 0; r < s.Len(); r += every {
		class := 0
		if s.Targets == nil {
			class = s.Y[r]
		}
		j.rows, j.fold, j.class = append(j.rows, r), append(j.fold, fold[r]), append(j.class, class)
		if logits != nil && s.Targets == nil && s.Classes > 1 {
			j.unsure = append(j.unsure, unsureness(logits[r*s.Classes:(r+1)*s.Classes]))
		}
	}
	n := len(j.rows)
	j.unit, j.inner = mat.NewDense(n, s.Features, nil), mat.NewDense(n, n, nil)
	for i, r := range j.rows {
		row := s.Row(r)
		by := 1 / length(row)
		for c, v := range row {
			j.unit.Set(i, c, float64(v)*by)
		}
	}
	j.inner.Mul(j.unit, j.unit.T())
	return j
}

// familiarFit is a fit on some of the pictures.
type familiarFit struct {
	*familiarising
	rows    []int
	mean    []float64  // inner products of each picture with the mean of the rows
	square  float64    // of the mean
	combine *mat.Dense // [len(rows), R]: directions as sums of the centred rows
	whiten  *mat.TriDense
	centres *mat.Dense // [G, R]
}

// fit learns from some of the pictures.
func (j *familiarising) fit(rows []int) (*familiarFit, error) {
	f := &familiarFit{familiarising: j, rows: rows, mean: make([]float64, len(j.rows))}
	n := len(rows)
	for i := range f.mean {
		for _, r := range rows {
			f.mean[i] += j.inner.At(i, r) / float64(n)
		}
	}
	for _, r := range rows {
		f.square += f.mean[r] / float64(n)
	}
	centred := mat.NewDense(n, n, nil)
	for a, r := range rows {
		for b, q := range rows {
			centred.Set(a, b, j.inner.At(r, q)-f.mean[r]-f.mean[q]+f.square)
		}
	}
	_, features := f.unit.Dims()
	f.combine = principal(centred, max(min(directions, n/3, features/2), 1))
	var z mat.Dense
	z.Mul(centred, f.combine)
	return f, f.within(&z)
}

// within learns how the coordinates of the rows vary within their classes.
func (f *familiarFit) within(z *mat.Dense) error {
	n, r := z.Dims()
	classes := 1 + slices.Max(f.class)
	count, centres := make([]float64, classes), mat.NewDense(classes, r, nil)
	for a, i := range f.rows {
		k := f.class[i]
		count[k]++
		for d, v := range z.RawRowView(a) {
			centres.Set(k, d, centres.At(k, d)+v)
		}
	}
	kept := make([]float64, 0, classes*r) // classes that have rows
	for k, c := range count {
		row := centres.RawRowView(k)
		for d := range row {
			row[d] /= max(c, 1)
		}
		if c > 0 {
			kept = append(kept, row...)
		}
	}
	off := mat.NewDense(n, r, nil)
	for a, i := range f.rows {
		for d, v := range z.RawRowView(a) {
			off.Set(a, d, v-centres.At(f.class[i], d))
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(ledoitWolf(off)) {
		return fmt.Errorf("%w: the features of %d pictures do not vary", ErrFew, n)
	}
	var lower mat.TriDense
	chol.LTo(&lower)
	f.whiten = mat.NewTriDense(r, mat.Lower, nil)
	if err := f.whiten.InverseTri(&lower); err != nil {
		return fmt.Errorf("%w: the features of %d pictures hardly vary", ErrFew, n)
	}
	f.centres = mat.NewDense(len(kept)/r, r, nil)
	f.centres.Mul(mat.NewDense(len(kept)/r, r, kept), f.whiten.T())
	return nil
}

// parts are what strangeness is made of, of a picture that may be held out.
func (f *familiarFit) parts(i int) (out [3]float64) {
	k := make([]float64, len(f.rows))
	for b, r := range f.rows {
		k[b] = f.inner.At(i, r) - f.mean[i] - f.mean[r] + f.square
	}
	var z, white mat.VecDense
	z.MulVec(f.combine.T(), mat.NewVecDense(len(k), k))
	white.MulVec(f.whiten, &z)
	whole := f.inner.At(i, i) - 2*f.mean[i] + f.square - mat.Dot(&z, &z)
	nearest, groups := math.Inf(1), f.centres.RawMatrix().Rows
	for g := range groups {
		var d float64
		for a, v := range f.centres.RawRowView(g) {
			d += (white.AtVec(a) - v) * (white.AtVec(a) - v)
		}
		nearest = min(nearest, d)
	}
	out[0], out[1] = math.Sqrt(nearest), math.Sqrt(max(whole, 0))
	if f.unsure != nil {
		out[2] = f.unsure[i]
	}
	return out
}

// keep fits on all pictures, and puts the result where no inner products are needed.
func (j *familiarising) keep(out *Familiar) error {
	all := make([]int, len(j.rows))
	for i := range all {
		all[i] = i
	}
	f, err := j.fit(all)
	if err != nil {
		return err
	}
	n, c := j.unit.Dims()
	_, r := f.combine.Dims()
	mean := make([]float64, c)
	for i := range n {
		for d, v := range j.unit.RawRowView(i) {
			mean[d] += v / float64(n)
		}
	}
	// The columns of combine sum to zero over the centred rows, so that the rows need not be centred.
	var dirs mat.Dense
	dirs.Mul(f.combine.T(), j.unit)
	sums := make([]float64, r)
	for a := range n {
		for d, v := range f.combine.RawRowView(a) {
			sums[d] += v
		}
	}
	for d := range r {
		for e, m := range mean {
			out.Directions = append(out.Directions, float32(dirs.At(d, e)-sums[d]*m))
		}
		for e := range r {
			out.Whiten = append(out.Whiten, float32(f.whiten.At(d, e)))
		}
	}
	for _, m := range mean {
		out.Mean = append(out.Mean, float32(m))
	}
	for _, v := range f.centres.RawMatrix().Data {
		out.Centres = append(out.Centres, float32(v))
	}
	return out.Check(c)
}

// principal returns [n, r] coefficients: the main directions of centred rows with these inner products, as
// sums of the rows, each of length 1. Directions without any variance are left out. A few steps of subspace
// iteration are enough, because the directions only split the features in two parts; a whole eigenvalue
// decomposition takes ten times as long.
func principal(inner *mat.Dense, r int) *mat.Dense {
	n, _ := inner.Dims()
	rng := rand.New(rand.NewPCG(18, 4))
	start := make([]float64, n*r)
	for i := range start {
		start[i] = rng.NormFloat64()
	}
	q := mat.NewDense(n, r, start)
	for range 3 {
		var next mat.Dense
		next.Mul(inner, q)
		q = orthonormal(&next)
	}
	var image, small mat.Dense
	image.Mul(inner, q)
	small.Mul(q.T(), &image)
	sym := mat.NewSymDense(r, nil)
	for a := range r {
		for b := a; b < r; b++ {
			sym.SetSym(a, b, (small.At(a, b)+small.At(b, a))/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(sym, true) {
		return q
	}
	values := eigen.Values(nil)
	var vectors, turned mat.Dense
	eigen.VectorsTo(&vectors)
	turned.Mul(q, &vectors)
	first := 0 // the values ascend
	for first < r-1 && values[first] < 1e-9*values[r-1] {
		first++
	}
	out := mat.NewDense(n, r-first, nil)
	for d := first; d < r; d++ {
		by := 1 / math.Sqrt(max(values[d], 1e-18))
		for a := range n {
			out.Set(a, d-first, turned.At(a, d)*by)
		}
	}
	return out
}

// orthonormal returns columns of length 1 at right angles that span those of m.
func orthonormal(m *mat.Dense) *mat.Dense {
	n, r := m.Dims()
	columns := make([][]float64, r)
	for d := range r {
		v := mat.Col(nil, d, m)
		for range 2 { // the second time removes what rounding left
			for _, u := range columns[:d] {
				var dot float64
				for i, x := range v {
					dot += x * u[i]
				}
				for i := range v {
					v[i] -= dot * u[i]
				}
			}
		}
		var sum float64
		for _, x := range v {
			sum += x * x
		}
		by := 1 / max(math.Sqrt(sum), 1e-150)
		for i := range v {
			v[i] *= by
		}
		columns[d] = v
	}
	out := mat.NewDense(n, r, nil)
	for d, v := range columns {
		out.SetCol(d, v)
	}
	return out
}

// ledoitWolf returns the covariance of rows whose mean is zero, shrunk towards a multiple of the identity by
// as much as its own noise asks for (Ledoit and Wolf 2004), as scikit-learn's with assume_centered.
func ledoitWolf(rows *mat.Dense) *mat.SymDense {
	n, p := rows.Dims()
	var s mat.SymDense
	s.SymOuterK(1/float64(n), rows.T())
	trace := mat.Trace(&s) / float64(p)
	var squares float64
	for a := range p {
		for b := range p {
			v := s.At(a, b)
			squares += v * v
		}
	}
	distance := squares/float64(p) - trace*trace
	var fourth float64
	for i := range n {
		var sum float64
		for _, v := range rows.RawRowView(i) {
			sum += v * v
		}
		fourth += sum * sum
	}
	noise := (fourth/float64(n) - squares) / float64(n) / float64(p)
	shrink := 1.0
	if distance > 0 {
		shrink = min(max(noise, 0), distance) / distance
	}
	for a := range p {
		for b := a; b < p; b++ {
			v := s.At(a, b) * (1 - shrink)
			if a == b {
				v += shrink * trace
			}
			s.SetSym(a, b, v)
		}
	}
	return &s
}
