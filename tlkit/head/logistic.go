package head

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// DefaultStrengths are the L2 strengths that folds choose from: λ in mean cross-entropy + λ/2·‖W‖²
// on standardised features. scikit-learn's C is 1/(λ·N).
var DefaultStrengths = []float64{10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003}

// LogisticOptions are the options of [Logistic].
type LogisticOptions struct {
	// Candidates, strongest first; nil = DefaultStrengths; a single one needs no folds.
	Strengths []float64
	// Indices of the held-out samples of each fold; required with several strengths.
	Folds      [][]int
	Iterations int // maximum number of solver iterations of the final fit; 0 = 200
	// ClassWeights weighs the loss of each sample by N/(K n), where n of the N samples have its
	// class, so that rare classes count as much as frequent ones; also where the strength is
	// chosen. It needs one label a picture. Losses in Step stay without weights.
	ClassWeights bool
	// OneScale divides the centred features by one number, the root of their mean variance, instead
	// of each by its own standard deviation. A handful of samples says nothing about the latter.
	OneScale bool
	// Towards is a head whose weights the penalty pulls towards, instead of towards zero: λ/2·‖W−W₀‖²
	// on standardised features. The solver starts at it. A feature that is the same in all samples
	// keeps its weights. nil = zeros.
	Towards *Linear
	// Step is called after each iteration of the final fit; may be nil.
	Step func(Step)
	// Progress is called with the number of fits on folds that are done, and of all: one for each
	// strength of each fold, and one more of each fold at the chosen strength. It is called from one
	// goroutine at a time, and may be nil.
	Progress func(done, total int)
}

// counter counts the fits on folds that are done.
type counter struct {
	mu          sync.Mutex
	done, total int
	report      func(done, total int) // may be nil
}

func (c *counter) next() {
	if c.report == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	c.report(c.done, c.total)
}

// Step is one row of the history of a fit.
type Step struct {
	Step int // from 1: solver iterations, epochs of SGD, or strengths of Ridge
	// Of the training samples, without the penalty: mean cross-entropy in nats; for Ridge, squared
	// error in units of the variance.
	TrainLoss  float64
	TrainRight int // training samples classified correctly; -1 if the samples have no classes
	// Samples classified correctly out of fold; -1 without folds or classes.
	FoldRight int
	FoldLoss  float64 // out-of-fold loss; NaN without folds

	// TrainScore and FoldScore are accuracy for one label a picture, mean average precision for
	// several labels, mean R² for values. FoldScore is out of fold; NaN without folds.
	TrainScore, FoldScore float64

	Rate float64 // learning rate of the step; 0 if the solver has none (L-BFGS)
	Head *Linear // the head after this step

	scale []float64 // of the targets of Ridge
}

// Measure returns the loss and the score of the head after this step on other samples, in the units
// of TrainLoss and TrainScore.
func (s Step) Measure(other Samples) (loss, score float64) {
	logits := s.Head.Logits(other.X)
	if s.scale != nil {
		return other.errors(logits, s.scale)
	}
	loss, score, _ = other.measure(logits)
	return loss, score
}

// Choice is the out-of-fold result at one strength.
type Choice struct {
	Strength float64 `json:"strength"`
	Loss     float64 `json:"loss"` // out-of-fold loss, see Step.TrainLoss
	// Out-of-fold samples classified correctly; classes only.
	Right int `json:"right,omitempty"`
	// Out-of-fold accuracy, mean average precision or mean R².
	Score float64 `json:"score,omitempty"`
}

// Fit is a trained head with the choices and results of its fit.
type Fit struct {
	Head     *Linear
	Strength float64  // the chosen λ; 0 for SGD
	Choices  []Choice // one for each candidate; nil if there was only one
	// [N, K] logits of each sample, from the head that was fitted without its fold; nil without
	// folds
	OutOfFold []float32
	Steps     int
}

// Logistic fits L2 logistic regression (L-BFGS) on standardised features: softmax for one label a
// picture (Samples.Y), or a sigmoid for each of several labels (Samples.Targets of 0 and 1; mean
// cross-entropy + λ/2·‖w‖² for each label, with one λ for all). It takes the strength with the
// lowest out-of-fold log loss; in a tie, the stronger one. Only the samples given here take part in
// the choice. The features' mean and standard deviation are taken over all samples, folds included;
// they do not depend on labels.
//
// The result depends only on the arguments. ctx stops the fit between iterations.
//
// It is an error if the samples do not pass [Samples.Check], if folds are missing, overlap or leave
// nothing to learn from, or if the fit does not converge.
func Logistic(ctx context.Context, s Samples, o LogisticOptions) (*Fit, error) {
	err := s.Check()
	if err == nil && s.Targets != nil {
		err = s.checkLabels()
	}
	if err != nil {
		return nil, err
	}
	strengths, err := ladder(o.Strengths, DefaultStrengths, o.Folds)
	if err != nil {
		return nil, err
	}
	if o.Iterations == 0 {
		o.Iterations = 200
	}
	var weights []float64
	if o.ClassWeights {
		weights, err = s.classWeights()
		if err != nil {
			return nil, err
		}
	}
	prior, err := newPrior(o.Towards, s)
	if err != nil {
		return nil, err
	}
	scale := byFeature
	if o.OneScale {
		scale = together
	}
	d := newScaledDesign(s, scale)
	folds, err := makeFolds(d, s, o.Folds)
	if err != nil {
		return nil, err
	}
	for i := range folds {
		folds[i].weights, folds[i].prior = weights, prior
	}
	fit := &Fit{Strength: strengths[0]}
	count := &counter{total: len(folds), report: o.Progress}
	if len(strengths) > 1 {
		count.total = len(folds) * (len(strengths) + 1)
		fit.Choices, err = chooseStrength(ctx, choosing{folds, strengths, count}, s)
		if err != nil {
			return nil, err
		}
		fit.Strength = fit.Choices[lowest(fit.Choices)].Strength
	}
	history, err := foldHistory(ctx, folds, s, foldFit{fit.Strength, o.Iterations, count})
	if err != nil {
		return nil, err
	}
	all := s.all()
	b := d.basis(all)
	axes := b.axes()
	report := func(step int, params []float64) {
		fit.Steps = step
		if o.Step == nil {
			return
		}
		h := prior.add(b.linear(axes, params, s.Classes))
		logits := h.Logits(s.X)
		row := Step{Step: step, FoldRight: -1, FoldLoss: math.NaN(), FoldScore: math.NaN(), Head: h}
		row.TrainLoss, row.TrainScore, row.TrainRight = s.measure(logits)
		if held := history.at(step); held != nil {
			row.FoldLoss, row.FoldScore, row.FoldRight = s.measure(held)
		}
		o.Step(row)
	}
	params, err := problem{z: b.thin(), Samples: s.pick(all), strength: fit.Strength, weights: weights, prior: prior}.solve(ctx, descent{iterations: o.Iterations, tolerance: finalTolerance, report: report})
	if err != nil {
		return nil, err
	}
	fit.Head = prior.add(b.linear(axes, params, s.Classes))
	fit.OutOfFold = history.at(fit.Steps)
	return fit, fit.Head.Check()
}

// ladder returns the strengths to try, after checking them.
func ladder(strengths, usual []float64, folds [][]int) ([]float64, error) {
	if strengths == nil {
		strengths = usual
	}
	for _, l := range strengths {
		if !(l > 0) || math.IsInf(l, 0) {
			return nil, fmt.Errorf("head: L2 strength %v, want a positive number", l)
		}
	}
	if len(strengths) == 0 || len(strengths) > 1 && len(folds) < 2 {
		return nil, fmt.Errorf("head: %d strengths and %d folds, want one strength, or at least 2 folds to choose among several", len(strengths), len(folds))
	}
	return strengths, nil
}

type fold struct {
	b    *basis
	s    Samples // labels of the fold's training rows, without features
	held []int
	x    *mat.Dense // the held-out rows in the basis

	weights []float64 // of the classes; nil = none
	prior   *prior    // of all samples; nil = none
}

// problem returns the fit of the fold's training rows.
func (f fold) problem(strength float64) problem {
	return problem{z: f.b.thin(), Samples: f.s, strength: strength, weights: f.weights, prior: f.prior.of(f.b.of)}
}

func makeFolds(d *design, s Samples, held [][]int) ([]fold, error) {
	folds := make([]fold, 0, len(held))
	count := make([]int, s.Len())
	for f, rows := range held {
		out := make([]bool, s.Len())
		for _, i := range rows {
			if i < 0 || i >= s.Len() {
				return nil, fmt.Errorf("head: fold %d names sample %d of %d", f, i, s.Len())
			}
			out[i] = true
			count[i]++
		}
		var train []int
		for i := range s.Len() {
			if !out[i] {
				train = append(train, i)
			}
		}
		if len(train) == 0 || len(rows) == 0 {
			return nil, advice.New(fmt.Errorf("head: fold %d holds out %d of %d samples, want some held out and some to learn from", f, len(rows), s.Len()), "use fewer folds")
		}
		b := d.basis(train)
		folds = append(folds, fold{b: b, s: s.pick(train), held: rows, x: b.heldOut(rows)})
	}
	for i, c := range count {
		if len(held) > 0 && c != 1 {
			return nil, fmt.Errorf("head: sample %d is held out by %d folds, want exactly one", i, c)
		}
	}
	return folds, nil
}

// eachFold runs fn for all folds, on all processors. Folds share no state, so the order in which
// they finish cannot change a result.
func eachFold(folds []fold, fn func(f int) error) error {
	errs := make([]error, len(folds))
	var wg sync.WaitGroup
	for f := range folds {
		wg.Go(func() { errs[f] = fn(f) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// choosing is what a strength is chosen from and on.
type choosing struct {
	folds     []fold
	strengths []float64
	count     *counter
}

// foldFit is how the folds are fitted at the chosen strength.
type foldFit struct {
	strength   float64
	iterations int
	count      *counter
}

// chooseStrength fits each fold at every strength, from strong to weak. Each fit starts where the
// stronger one ended.
func chooseStrength(ctx context.Context, c choosing, s Samples) ([]Choice, error) {
	folds, strengths := c.folds, c.strengths
	logits := make([][]float32, len(strengths))
	for i := range logits {
		logits[i] = make([]float32, s.Len()*s.Classes)
	}
	err := eachFold(folds, func(f int) error {
		fo := folds[f]
		var start []float64
		for i, l := range strengths {
			// The choice among strengths a factor of 3 apart does not need a precise optimum.
			params, err := fo.problem(l).solve(ctx, descent{start: start, iterations: 60, tolerance: 1e-4})
			if err != nil {
				return err
			}
			fo.fill(logits[i], params, s.Classes)
			start = params
			c.count.next()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	choices := make([]Choice, len(strengths))
	for i, l := range strengths {
		c := Choice{Strength: l}
		c.Loss, c.Score, c.Right = s.measure(logits[i])
		c.Right = max(c.Right, 0)
		if weights := folds[0].weights; weights != nil {
			c.Loss = s.weighedLoss(logits[i], weights)
		}
		choices[i] = c
	}
	return choices, nil
}

// lowest returns the index of the choice with the lowest loss; in a tie, the first.
func lowest(choices []Choice) int {
	best := 0
	for i, c := range choices {
		if c.Loss < choices[best].Loss {
			best = i
		}
	}
	return best
}

// fill writes the logits of the fold's held-out rows into all, [N, K].
func (f fold) fill(all []float32, params []float64, classes int) {
	r := f.b.z.RawMatrix().Cols
	scores := make([]float64, len(f.held)*classes)
	thin{Dense: f.x}.scores(scores, turned(make([]float64, r*classes), params[:r*classes], classes), classes)
	f.prior.of(f.held).addTo(scores)
	for i, row := range f.held {
		for k := range classes {
			all[row*classes+k] = float32(scores[i*classes+k] + params[r*classes+k])
		}
	}
}

// heldHistory holds the out-of-fold logits after each iteration.
type heldHistory [][]float32

// at returns the logits after iteration step, counted from 1. It returns the last ones if the folds
// stopped earlier, and nil without folds.
func (h heldHistory) at(step int) []float32 {
	if len(h) == 0 {
		return nil
	}
	return h[max(min(step, len(h)), 1)-1]
}

func foldHistory(ctx context.Context, folds []fold, s Samples, how foldFit) (heldHistory, error) {
	if len(folds) == 0 {
		return nil, nil
	}
	// The logits of every iteration take K floats a sample; beyond 64 MB, only the last are kept.
	keep := s.Len()*s.Classes*how.iterations*4 <= 64<<20
	byFold := make([][][]float64, len(folds)) // parameters after each iteration
	err := eachFold(folds, func(f int) error {
		fo := folds[f]
		params, err := fo.problem(how.strength).solve(ctx, descent{iterations: how.iterations, tolerance: finalTolerance, report: func(_ int, p []float64) {
			if keep {
				byFold[f] = append(byFold[f], append([]float64(nil), p...))
			}
		}})
		if err == nil {
			byFold[f] = append(byFold[f], params)
			how.count.next()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	steps := 0
	for _, p := range byFold {
		steps = max(steps, len(p))
	}
	history := make(heldHistory, steps)
	for i := range history {
		history[i] = make([]float32, s.Len()*s.Classes)
		for f, p := range byFold {
			folds[f].fill(history[i], p[min(i, len(p)-1)], s.Classes)
		}
	}
	return history, nil
}

// problem is logistic regression: mean cross-entropy of z·β + b (for several labels, summed over
// the labels), plus strength/2·‖β‖².
type problem struct {
	z        thin // [n, r]
	Samples       // without features
	strength float64
	weights  []float64 // of the classes; nil = none
	prior    *prior    // of the same samples; nil = none
}

// work is memory for the loss of a problem.
type work struct {
	scores        []float64 // [n, K]
	columns, grad []float64 // β and its gradient by columns, [K, r]
}

func (p problem) work() *work {
	n, r := p.z.Dims()
	return &work{make([]float64, n*p.Classes), make([]float64, r*p.Classes), make([]float64, r*p.Classes)}
}

// loss returns the value at params (β [r, K] then b [K]) and writes the gradient.
func (p problem) loss(params, grad []float64, w *work) float64 {
	n, r := p.z.Dims()
	k, scores := p.Classes, w.scores
	p.z.scores(scores, turned(w.columns, params[:r*k], k), k)
	p.prior.addTo(scores)
	bias, gradBias := params[r*k:], grad[r*k:]
	clear(gradBias)
	var ce float64
	for i, t := range p.Targets {
		v := scores[i] + bias[i%k]
		ce += metrics.BinaryLoss(v, t)
		d := (metrics.Sigmoid(v) - t) / float64(n)
		scores[i] = d
		gradBias[i%k] += d
	}
	for i, c := range p.Y {
		row := scores[i*k : (i+1)*k]
		top := math.Inf(-1)
		for j := range row {
			row[j] += bias[j]
			top = max(top, row[j])
		}
		right := row[c] - top
		var z float64
		for j, v := range row {
			row[j] = math.Exp(v - top)
			z += row[j]
		}
		weight := 1.0
		if p.weights != nil {
			weight = p.weights[c]
		}
		ce += weight * (math.Log(z) - right)
		for j := range row {
			row[j] /= z * float64(n)
			row[j] *= weight
		}
		row[c] -= weight / float64(n)
		for j, v := range row {
			gradBias[j] += v
		}
	}
	p.z.against(w.grad, scores, k)
	var norm float64
	for i, v := range params[:r*k] {
		norm += v * v
		grad[i] = w.grad[i%k*r+i/k] + p.strength*v
	}
	return ce/float64(n) + p.strength/2*norm
}

// finalTolerance is the largest gradient entry at which the final fit stops.
const finalTolerance = 1e-6

// descent is how a problem is solved.
type descent struct {
	start      []float64 // nil = zeros
	iterations int       // maximum number
	tolerance  float64   // largest gradient entry at which to stop
	// report is called after each iteration with the parameters, which are valid only during the
	// call; may be nil.
	report func(step int, params []float64)
}

// solve minimises p by L-BFGS and returns the parameters.
func (p problem) solve(ctx context.Context, d descent) ([]float64, error) {
	_, r := p.z.Dims()
	size := r*p.Classes + p.Classes
	if d.start == nil {
		d.start = make([]float64, size)
	}
	steps, last := 0, append([]float64(nil), d.start...)
	rec := recorder(func(_ int, x []float64) {
		steps++
		copy(last, x)
		if d.report != nil {
			d.report(steps, x)
		}
	})
	space := p.work()
	current, grad, value := make([]float64, size), make([]float64, size), math.NaN()
	fresh := false
	// gonum asks for value and gradient separately; one pass computes both, and x tells when to
	// redo it.
	eval := func(x []float64) {
		if fresh && equal(x, current) {
			return
		}
		copy(current, x)
		value = p.loss(x, grad, space)
		fresh = true
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
	}, d.start, &optimize.Settings{
		GradientThreshold: d.tolerance,
		MajorIterations:   d.iterations,
		Converger:         &optimize.FunctionConverge{Relative: d.tolerance * 1e-2, Iterations: 3},
		Recorder:          rec,
	}, &optimize.LBFGS{})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// Near the optimum the line search runs out of float64 digits and reports an error; the
	// point it stopped at is the optimum to that precision. Any other failure is an error.
	if result == nil || math.IsNaN(result.F) || math.IsInf(result.F, 0) {
		return nil, fmt.Errorf("head: logistic regression did not converge: %w", err)
	}
	if steps == 0 || !equal(result.X, last) {
		// a line search out of digits can end on a better point than the last recorded one
		rec(steps+1, result.X)
	}
	return last, nil
}

func equal(a, b []float64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// recorder is called after each finished iteration.
type recorder func(step int, params []float64)

func (recorder) Init() error { return nil }

func (r recorder) Record(l *optimize.Location, op optimize.Operation, s *optimize.Stats) error {
	if op == optimize.MajorIteration && s.MajorIterations > 0 {
		r(s.MajorIterations, l.X)
	}
	return nil
}
