package head

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// DefaultRidge are the L2 strengths that folds of [Ridge] choose from: λ in mean squared error/2 +
// λ/2·‖w‖² on standardised features and targets. scikit-learn's alpha is λ·N.
var DefaultRidge = []float64{300, 100, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01}

// RidgeOptions are the options of [Ridge].
type RidgeOptions struct {
	// Candidates, strongest first; nil = DefaultRidge; a single one needs no folds.
	Strengths []float64
	// Indices of the held-out samples of each fold; required with several strengths.
	Folds [][]int
	// Step is called with the head of each strength, strongest first; may be nil.
	Step func(Step)
	// Progress is called after each strength of each fold, with the number of those done and of
	// all; may be nil.
	Progress func(done, total int)
}

// Ridge fits ridge regression on standardised features, in closed form: of real values
// (Samples.Targets) or of classes (Samples.Y), as 0 and 1 for each class. For classes, folds choose the
// strength by log loss; the outputs are multiplied by the factor that gives the lowest one, so that
// they are logits. Targets are standardised too, so that one strength suits values of any units; the returned
// head gives values in the original units. Ridge takes the strength with the lowest out-of-fold
// squared error; in a tie, the stronger one. Losses are squared errors in units of the targets'
// variance, averaged over the values.
//
// The result depends only on the arguments. ctx stops the fit between strengths.
//
// It is an error if the samples do not pass [Samples.Check], if a target is constant, or if folds
// are missing, overlap or leave nothing to learn from.
func Ridge(ctx context.Context, s Samples, o RidgeOptions) (*Fit, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	strengths, err := ladder(o.Strengths, DefaultRidge, o.Folds)
	if err != nil {
		return nil, err
	}
	if s.Targets == nil {
		return ridgeOfClasses(ctx, s, o, strengths)
	}
	scale, err := spread(s)
	if err != nil {
		return nil, err
	}
	d := newDesign(s)
	folds, err := makeFolds(d, s, o.Folds)
	if err != nil {
		return nil, err
	}
	held, err := ridgeOutOfFold(ctx, choosing{folds, strengths, &counter{total: len(folds) * len(strengths), report: o.Progress}}, s, scale)
	if err != nil {
		return nil, err
	}
	fit := &Fit{}
	if len(folds) > 0 {
		for i, l := range strengths {
			c := Choice{Strength: l}
			c.Loss, c.Score = s.errors(held[i], scale)
			fit.Choices = append(fit.Choices, c)
		}
	}
	if err := fit.solveRidge(ctx, d, s, scale, ridgePath{strengths, held, o.Step}); err != nil {
		return nil, err
	}
	if len(strengths) == 1 {
		fit.Choices = nil
	}
	return fit, fit.Head.Check()
}

// ridgeOfClasses fits one value of 0 or 1 for each class.
func ridgeOfClasses(ctx context.Context, s Samples, o RidgeOptions, strengths []float64) (*Fit, error) {
	values := Samples{X: s.X, Features: s.Features, Classes: s.Classes, Targets: make([]float64, s.Len()*s.Classes)}
	for i, y := range s.Y {
		values.Targets[i*s.Classes+y] = 1
	}
	scale, err := spread(values)
	if err != nil {
		return nil, err
	}
	d := newDesign(values)
	folds, err := makeFolds(d, values, o.Folds)
	if err != nil {
		return nil, err
	}
	held, err := ridgeOutOfFold(ctx, choosing{folds, strengths, &counter{total: len(folds) * len(strengths), report: o.Progress}}, values, scale)
	if err != nil {
		return nil, err
	}
	b := d.basis(values.all())
	axes, system := b.axes(), newRidge(b.z, values.pick(values.all()), scale)
	return closedForm{s: s, candidates: strengths, held: held, step: o.Step, solve: func(strength float64) (*Linear, error) {
		params, err := system.solve(strength)
		if err != nil {
			return nil, err
		}
		return b.linear(axes, params, s.Classes), nil
	}}.fit(ctx, len(folds) > 0)
}

// ridgeOutOfFold returns the out-of-fold values at each strength, [N, K] each. Folds run one after
// the other, because the matrix products and factorisations of each use all processors.
func ridgeOutOfFold(ctx context.Context, c choosing, s Samples, scale []float64) ([][]float32, error) {
	strengths := c.strengths
	held := make([][]float32, len(strengths))
	for i := range held {
		held[i] = make([]float32, len(s.Targets))
	}
	for _, f := range c.folds {
		system := newRidge(f.b.z, f.s, scale)
		for i, l := range strengths {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			params, err := system.solve(l)
			if err != nil {
				return nil, err
			}
			f.fill(held[i], params, s.Classes)
			c.count.next()
		}
	}
	return held, nil
}

// ridgePath lists the strengths to solve at, with the out-of-fold result of each.
type ridgePath struct {
	strengths []float64
	held      [][]float32
	step      func(Step) // may be nil
}

// solveRidge solves on all samples at the chosen strength, and at the other strengths if the
// history needs them.
func (fit *Fit) solveRidge(ctx context.Context, d *design, s Samples, scale []float64, path ridgePath) error {
	best := lowest(fit.Choices)
	b := d.basis(s.all())
	axes := b.axes()
	system := newRidge(b.z, s.pick(s.all()), scale)
	for i, l := range path.strengths {
		if i != best && path.step == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		params, err := system.solve(l)
		if err != nil {
			return err
		}
		h := b.linear(axes, params, s.Classes)
		if i == best {
			fit.Head, fit.Strength, fit.Steps = h, l, i+1
			if len(fit.Choices) > 0 {
				fit.OutOfFold = path.held[i]
			}
		}
		if path.step == nil {
			continue
		}
		row := Step{Step: i + 1, TrainRight: -1, FoldRight: -1, FoldLoss: math.NaN(), FoldScore: math.NaN(), Head: h, scale: scale}
		row.TrainLoss, row.TrainScore = s.errors(h.Logits(s.X), scale)
		if len(fit.Choices) > 0 {
			row.FoldLoss, row.FoldScore = fit.Choices[i].Loss, fit.Choices[i].Score
		}
		path.step(row)
	}
	return nil
}

// spread returns the means and standard deviations of the targets, [2·K].
func spread(s Samples) ([]float64, error) {
	k, n := s.Classes, float64(s.Len())
	out := make([]float64, 2*k)
	mean, sd := out[:k], out[k:]
	for i, v := range s.Targets {
		mean[i%k] += v / n
	}
	for i, v := range s.Targets {
		e := v - mean[i%k]
		sd[i%k] += e * e / n
	}
	for c := range sd {
		sd[c] = math.Sqrt(sd[c])
		if !(sd[c] > 1e-12*math.Abs(mean[c])) {
			return nil, advice.New(fmt.Errorf("head: value %d is %g in every training sample, so there is nothing to learn", c, mean[c]), "remove it")
		}
	}
	return out, nil
}

// errors returns the mean squared error of values [N, K] in units of the variance, and the mean R².
func (s Samples) errors(values []float32, scale []float64) (loss, r2 float64) {
	k := s.Classes
	for i, t := range s.Targets {
		e := (float64(values[i]) - t) / scale[k+i%k]
		loss += e * e / float64(len(s.Targets))
	}
	r2, _, err := metrics.MeanR2(metrics.Matrix{Rows: s.Len(), Cols: k, Data: values}, s.Targets)
	if err != nil {
		r2 = math.NaN()
	}
	return loss, r2
}

// ridge holds the normal equations of centred rows, for any strength.
type ridge struct {
	gram   *mat.SymDense // zᵀz/n of the centred rows, [r, r]
	right  *mat.Dense    // zᵀt/n, [r, K]
	centre []float64     // of z, [r]
	mean   []float64     // of the standardised targets, [K]
	scale  []float64     // of the raw targets: mean, then standard deviation
}

func newRidge(z *mat.Dense, s Samples, scale []float64) *ridge {
	n, r := z.Dims()
	k := s.Classes
	out := &ridge{centre: make([]float64, r), mean: make([]float64, k), scale: scale}
	c, t := mat.DenseCopyOf(z), mat.NewDense(n, k, nil)
	for i := range n {
		for j, v := range c.RawRowView(i) {
			out.centre[j] += v / float64(n)
		}
		for j := range k {
			v := (s.Targets[i*k+j] - scale[j]) / scale[k+j]
			t.Set(i, j, v)
			out.mean[j] += v / float64(n)
		}
	}
	for i := range n {
		for j := range r {
			c.Set(i, j, c.At(i, j)-out.centre[j])
		}
		for j := range k {
			t.Set(i, j, t.At(i, j)-out.mean[j])
		}
	}
	out.gram, out.right = mat.NewSymDense(r, nil), mat.NewDense(r, k, nil)
	out.gram.SymOuterK(1/float64(n), c.T())
	out.right.Mul(c.T(), t)
	out.right.Scale(1/float64(n), out.right)
	return out
}

// solve returns β [r, K] then the bias [K], both in the units of the targets.
func (q *ridge) solve(strength float64) ([]float64, error) {
	r, k := q.right.Dims()
	a := mat.NewSymDense(r, nil)
	a.CopySym(q.gram)
	for i := range r {
		a.SetSym(i, i, a.At(i, i)+strength)
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return nil, advice.New(fmt.Errorf("head: ridge regression at strength %g has no solution", strength), "use a larger one")
	}
	var beta mat.Dense
	if err := chol.SolveTo(&beta, q.right); err != nil {
		if !errors.As(err, new(mat.Condition)) { // an ill-conditioned system is still solved
			return nil, fmt.Errorf("head: ridge regression at strength %g: %w", strength, err)
		}
	}
	params := make([]float64, r*k+k)
	for j := range k {
		sd := q.scale[k+j]
		bias := q.mean[j]
		for i := range r {
			v := beta.At(i, j)
			bias -= v * q.centre[i]
			params[i*k+j] = v * sd
		}
		params[r*k+j] = bias*sd + q.scale[j]
	}
	return params, nil
}
