package head

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// defaultShrinkages are what folds of [LDA] choose from, strongest first.
var defaultShrinkages = []float64{0.95, 0.8, 0.5, 0.3, 0.1, 0.03}

// unfoldedShrinkage is used where there are no folds to choose by.
const unfoldedShrinkage = 0.5

// LDAOptions are the options of [LDA].
type LDAOptions struct {
	// Candidates in (0, 1], strongest first; nil = 0.95, 0.8, 0.5, 0.3, 0.1, 0.03, or 0.5 without
	// folds. scikit-learn's shrinkage is the same number.
	Shrinkages []float64
	// Indices of the held-out samples of each fold; required with several shrinkages.
	Folds [][]int
	// Step is called with the head of each shrinkage, strongest first; may be nil.
	Step func(Step)
	// Progress is called after each shrinkage of each fold, with the number of those done and of
	// all; may be nil.
	Progress func(done, total int)
}

// LDA fits linear discriminant analysis of classes on the features as they are, in closed form: each
// class is a Gaussian with its own mean and the covariance of all, (1−s)·S + s·(tr S/C)·I for the
// shrinkage s and the pooled covariance S within classes. Classes are as likely as they are frequent.
// It is LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s) of scikit-learn.
//
// With folds, LDA takes the shrinkage with the lowest out-of-fold log loss, in a tie the stronger one,
// and multiplies the logits by the factor that gives the lowest one: with more features than samples,
// the posterior probabilities of the Gaussians are far from what happens. Choice.Strength is the
// shrinkage.
//
// The result depends only on the arguments. ctx stops the fit between shrinkages. It is an error if the
// samples have Targets or do not pass [Samples.Check], if folds are missing, overlap or leave nothing
// to learn from, or if the samples of each class are equal.
func LDA(ctx context.Context, s Samples, o LDAOptions) (*Fit, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Targets != nil {
		return nil, advice.New(errors.New("head: discriminant analysis of Samples.Targets, want one label a picture in Samples.Y"), "use Logistic for several labels, Ridge for values")
	}
	usual := defaultShrinkages
	if len(o.Folds) < 2 {
		usual = []float64{unfoldedShrinkage}
	}
	shrinkages, err := ladder(o.Shrinkages, usual, o.Folds)
	if err != nil {
		return nil, err
	}
	for _, v := range shrinkages {
		if v > 1 {
			return nil, fmt.Errorf("head: shrinkage %v, want a number above 0 and at most 1", v)
		}
	}
	d := newScaledDesign(s, asTheyAre)
	folds, err := makeFolds(d, s, o.Folds)
	if err != nil {
		return nil, err
	}
	count := &counter{total: len(folds) * len(shrinkages), report: o.Progress}
	held, err := ldaOutOfFold(ctx, choosing{folds, shrinkages, count}, s)
	if err != nil {
		return nil, err
	}
	b := d.basis(s.all())
	axes := b.axes()
	all, err := newDiscriminant(b.z, s.pick(s.all()), s.Features)
	if err != nil {
		return nil, err
	}
	return closedForm{s: s, candidates: shrinkages, held: held, step: o.Step, solve: func(shrinkage float64) (*Linear, error) {
		params, err := all.solve(shrinkage)
		if err != nil {
			return nil, err
		}
		return b.linear(axes, params, s.Classes), nil
	}}.fit(ctx, len(folds) > 0)
}

// ldaOutOfFold returns the out-of-fold logits at each shrinkage, [N, K] each.
func ldaOutOfFold(ctx context.Context, c choosing, s Samples) ([][]float32, error) {
	held := make([][]float32, len(c.strengths))
	for i := range held {
		held[i] = make([]float32, s.Len()*s.Classes)
	}
	err := eachFold(c.folds, func(f int) error {
		fo := c.folds[f]
		part, err := newDiscriminant(fo.b.z, fo.s, s.Features)
		if err != nil {
			return err
		}
		for i, shrinkage := range c.strengths {
			if err := ctx.Err(); err != nil {
				return err
			}
			params, err := part.solve(shrinkage)
			if err != nil {
				return err
			}
			fo.fill(held[i], params, s.Classes)
			c.count.next()
		}
		return nil
	})
	return held, err
}

// discriminant has the statistics of classes in a basis, for any shrinkage.
type discriminant struct {
	within *mat.SymDense // pooled covariance, [r, r]
	mean   *mat.Dense    // of the classes, [K, r]
	prior  []float64     // log shares of the classes
	round  float64       // tr S / C: the variance of a feature within classes
}

// newDiscriminant takes the statistics of rows in a basis of so many features.
func newDiscriminant(z *mat.Dense, s Samples, features int) (*discriminant, error) {
	n, r := z.Dims()
	count, mean := s.perClass(z)
	out := &discriminant{within: mat.NewSymDense(r, nil), mean: mean, prior: make([]float64, s.Classes)}
	rest := mat.DenseCopyOf(z)
	for i, y := range s.Y {
		row := rest.RawRowView(i)
		for j, v := range mean.RawRowView(y) {
			row[j] -= v
		}
	}
	out.within.SymOuterK(1/float64(n), rest.T())
	out.round = mat.Trace(out.within) / float64(features)
	if !(out.round > 1e-12*mat.Norm(z, 2)/float64(n)) {
		return nil, advice.New(errors.New("head: discriminant analysis of samples that are equal within each class"), "use a logistic head, or two different pictures of a label at least")
	}
	for k, c := range count {
		// A class that a fold has no sample of is as unlikely as half of one.
		out.prior[k] = math.Log(max(c, 0.5) / float64(n))
	}
	return out, nil
}

// solve returns β [r, K] then the bias [K].
func (d *discriminant) solve(shrinkage float64) ([]float64, error) {
	k, r := d.mean.Dims()
	a := mat.NewSymDense(r, nil)
	a.ScaleSym(1-shrinkage, d.within)
	for i := range r {
		a.SetSym(i, i, a.At(i, i)+shrinkage*d.round)
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return nil, advice.New(fmt.Errorf("head: discriminant analysis at shrinkage %g has no solution", shrinkage), "use a larger one")
	}
	var beta mat.Dense
	if err := chol.SolveTo(&beta, d.mean.T()); err != nil && !errors.As(err, new(mat.Condition)) {
		return nil, fmt.Errorf("head: discriminant analysis at shrinkage %g: %w", shrinkage, err)
	}
	params := make([]float64, r*k+k)
	for j := range k {
		var square float64
		for i := range r {
			v := beta.At(i, j)
			params[i*k+j] = v
			square += v * d.mean.At(j, i)
		}
		params[r*k+j] = d.prior[j] - square/2
	}
	return params, nil
}
