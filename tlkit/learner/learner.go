// Package learner fits a head on cached features by a [Plan] and records the history.
//
//	plan, err := learner.NewPlan(task.Classes{}, train, learner.Options{Seed: 1})
//	data := learner.Data{Train: train, Valid: valid, Folds: folds}
//	result, err := learner.FitHead(ctx, data, plan, recorder)
//
// Every choice is made on folds of the training pictures. Validation pictures are only measured,
// for the curve; they decide nothing. To train the backbone too, see package finetune.
package learner

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Data is the training data of a head, with the pictures it is measured on.
type Data struct {
	Task  task.Task    // what is learnt; nil = task.Classes
	Train head.Samples // features of the training pictures
	// Held-out rows of Train for each fold, with all views and duplicates of a picture in the same
	// fold; nil if the plan has no folds.
	Folds [][]int
	Valid head.Samples // measured, never used to choose; may be empty (no rows)
	Split string       // name of Valid in the history; "" = valid
	// Towards is the head that a logistic fit starts from and is pulled towards, see
	// head.LogisticOptions; nil = zeros.
	Towards *head.Linear
	// Progress is called with the number of fits on folds that are done, and of all; may be nil. It
	// is called from one goroutine at a time.
	Progress func(done, total int)
}

func (d Data) task() task.Task {
	if d.Task == nil {
		return task.Classes{}
	}
	return d.Task
}

// Result is a fitted head with the plan it was fitted by.
type Result struct {
	Fit  *head.Fit // Fit.Head is nil if Model is not linear
	Plan Plan

	Model    heads.Model   // what predicts; *head.Linear for most plans
	Kind     head.Kind     // of Model; for heads.AutoKind, the family that was chosen
	Families []heads.Tried // for heads.AutoKind: what was tried on folds
}

// Recorder records the history of a training while it runs. *curves.Recorder is one.
type Recorder interface {
	Add(...curves.Point) error
	Mark(curves.Mark) error
}

// FitHead fits the head by the plan and records the history. recorder may be nil. A history that
// cannot be written is an error, reported when the fit is complete. ctx stops the fit between
// steps.
func FitHead(ctx context.Context, d Data, p Plan, recorder Recorder) (*Result, error) {
	if p.Folds > 0 && len(d.Folds) < 2 {
		return nil, advice.New(fmt.Errorf("learner: the plan has %d folds and Data.Folds has %d", p.Folds, len(d.Folds)), "make them with datasets.Folds")
	}
	folds := d.Folds
	if p.Folds == 0 {
		folds = nil
	}
	var unwritten error
	result, err := p.fit(ctx, d, folds, func(s head.Step) {
		if recorder != nil && unwritten == nil {
			unwritten = recorder.Add(p.points(s, d)...)
		}
	})
	if err != nil {
		return nil, err
	}
	result.Plan = p
	fit := result.Fit
	if last := result.lastStep(d); last != nil && recorder != nil && unwritten == nil {
		unwritten = recorder.Add(last...)
	}
	if recorder != nil && unwritten == nil {
		unwritten = recorder.Mark(curves.Mark{Kind: curves.Chosen, Step: fit.Steps, Epoch: float64(fit.Steps), Text: result.chosen()})
	}
	if unwritten != nil {
		return nil, fmt.Errorf("learner: the head is fitted, but its history cannot be written: %w", unwritten)
	}
	return result, nil
}

// fit runs the solver that the plan names.
func (p Plan) fit(ctx context.Context, d Data, folds [][]int, step func(head.Step)) (*Result, error) {
	if d.Towards != nil && p.Head != head.LogisticKind {
		return nil, fmt.Errorf("learner: head %q, want %q: no other one starts from a given head", p.Head, head.LogisticKind)
	}
	if p.byFamily(d.task()) {
		return p.fitFamily(ctx, d, folds, step)
	}
	fit, err := p.solve(ctx, d, folds, step)
	if err != nil {
		return nil, err
	}
	return &Result{Fit: fit, Model: fit.Head, Kind: p.Head}, nil
}

// byFamily reports whether package heads fits the plan's head.
func (p Plan) byFamily(t task.Task) bool {
	switch p.Head {
	case heads.LDAKind, heads.KNNKind, heads.CosineKind, heads.AutoKind:
		return true
	case head.RidgeKind:
		return t.Name() == datasets.Classes
	}
	return false
}

// fitFamily fits a head of package heads.
func (p Plan) fitFamily(ctx context.Context, d Data, folds [][]int, step func(head.Step)) (*Result, error) {
	f, err := heads.Fit(ctx, p.Head, d.Train, heads.Options{Folds: folds, ClassWeights: p.ClassWeights, Step: step, Progress: d.Progress})
	if err != nil {
		return nil, err
	}
	out := &Result{Fit: &head.Fit{OutOfFold: f.OutOfFold, Steps: f.Steps}, Model: f.Model, Kind: f.Kind}
	out.Fit.Head, _ = f.Model.(*head.Linear)
	if f.Kind != heads.LDAKind { // its number is a shrinkage
		out.Fit.Strength, out.Fit.Choices = f.Strength, f.Choices
	}
	if p.Head == heads.AutoKind {
		out.Families = f.Families
	}
	return out, nil
}

// solve runs a solver of package head.
func (p Plan) solve(ctx context.Context, d Data, folds [][]int, step func(head.Step)) (*head.Fit, error) {
	train := d.Train
	switch p.Head {
	case head.LogisticKind:
		return head.Logistic(ctx, train, head.LogisticOptions{Strengths: p.Strengths, Folds: folds, Step: step, ClassWeights: p.ClassWeights, Towards: d.Towards, Progress: d.Progress})
	case head.SGDKind:
		momentum := p.Momentum
		if momentum == 0 {
			momentum = -1 // 0 stands for the default
		}
		return head.SGD(ctx, train, head.SGDOptions{Epochs: p.Epochs, Batch: p.Batch, Rate: p.Rate, Momentum: momentum,
			Every: p.Every, Drop: p.Drop, Seed: p.Seed, Folds: folds, Step: step, ClassWeights: p.ClassWeights})
	case head.RidgeKind:
		return head.Ridge(ctx, train, head.RidgeOptions{Strengths: p.Strengths, Folds: folds, Step: step, Progress: d.Progress})
	}
	return nil, fmt.Errorf("learner: head %q, want one of %v", p.Head, kinds)
}

// chosen describes the step of the fit that was kept.
func (r *Result) chosen() string {
	for _, f := range r.Families {
		if f.Chosen {
			return strings.TrimSpace(f.Name() + " " + f.Setting())
		}
	}
	switch r.Plan.Head {
	case head.LogisticKind, heads.CosineKind:
		return fmt.Sprintf("optimum, L2 %g", r.Fit.Strength)
	case head.RidgeKind:
		return fmt.Sprintf("L2 %g", r.Fit.Strength)
	case head.SGDKind:
		return "last epoch"
	}
	return string(r.Kind)
}

// lastStep returns the history points of a head that the steps of the fit did not end with: neighbours
// have none, and those of AutoKind are of the logistic head. nil = there is none to add.
func (r *Result) lastStep(d Data) []curves.Point {
	stepless := r.Fit.Steps == 0
	if !stepless && (r.Plan.Head != heads.AutoKind || r.Kind == head.LogisticKind) {
		return nil
	}
	r.Fit.Steps++
	score := func(s head.Samples, logits []float32) (loss, score float64) {
		return head.LogLoss(logits, s.Y, s.Classes), float64(head.Correct(logits, s.Y, s.Classes)) / float64(s.Len())
	}
	step := head.Step{Step: r.Fit.Steps, FoldLoss: math.NaN()}
	step.TrainLoss, step.TrainScore = score(d.Train, r.Model.Logits(d.Train.X))
	if r.Fit.OutOfFold != nil {
		step.FoldLoss, step.FoldScore = score(d.Train, r.Fit.OutOfFold)
	}
	return r.Plan.pointsOf(step, d, func(s head.Samples) (float64, float64) { return score(s, r.Model.Logits(s.X)) })
}

// points returns the history points of one step.
func (p Plan) points(s head.Step, d Data) []curves.Point {
	if p.Head == heads.CosineKind { // the step's head is for features of length 1
		return p.pointsOf(s, d, func(o head.Samples) (float64, float64) { return heads.MeasureCosine(s, o) })
	}
	return p.pointsOf(s, d, s.Measure)
}

// pointsOf returns the history points of one step, whose head measure scores on other pictures.
func (p Plan) pointsOf(s head.Step, d Data, measure func(head.Samples) (loss, score float64)) []curves.Point {
	point := func(split string, metric metrics.Metric, v float64, n int) curves.Point {
		return curves.Point{Step: s.Step, Epoch: float64(s.Step), Phase: curves.Head, Split: split, Metric: metric, Value: v, N: n}
	}
	metric, n, nValid := d.task().Metric(), 0, 0
	if metric.Counts() {
		n, nValid = d.Train.Len(), d.Valid.Len()
	}
	out := []curves.Point{
		point(curves.Train, curves.Loss, s.TrainLoss, 0),
		point(curves.Train, metric, s.TrainScore, n),
	}
	if !math.IsNaN(s.FoldLoss) {
		out = append(out,
			point(curves.Folds, curves.Loss, s.FoldLoss, 0),
			point(curves.Folds, metric, s.FoldScore, n))
	}
	if d.Valid.Len() > 0 {
		split := cmp.Or(d.Split, curves.Valid)
		loss, score := measure(d.Valid)
		out = append(out,
			point(split, curves.Loss, loss, 0),
			point(split, metric, score, nValid))
	}
	if s.Rate > 0 {
		out = append(out, point("", curves.Rate, s.Rate, 0))
	}
	return out
}
