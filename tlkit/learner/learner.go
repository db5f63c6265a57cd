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

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
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
	Fit  *head.Fit
	Plan Plan
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
	fit, err := p.fit(ctx, d, folds, func(s head.Step) {
		if recorder != nil && unwritten == nil {
			unwritten = recorder.Add(p.points(s, d)...)
		}
	})
	if err != nil {
		return nil, err
	}
	if recorder != nil && unwritten == nil {
		unwritten = recorder.Mark(curves.Mark{Kind: curves.Chosen, Step: fit.Steps, Epoch: float64(fit.Steps), Text: p.chosen(fit)})
	}
	if unwritten != nil {
		return nil, fmt.Errorf("learner: the head is fitted, but its history cannot be written: %w", unwritten)
	}
	return &Result{Fit: fit, Plan: p}, nil
}

// fit runs the solver that the plan names.
func (p Plan) fit(ctx context.Context, d Data, folds [][]int, step func(head.Step)) (*head.Fit, error) {
	train := d.Train
	if d.Towards != nil && p.Head != head.LogisticKind {
		return nil, fmt.Errorf("learner: head %q, want %q: no other one starts from a given head", p.Head, head.LogisticKind)
	}
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
	return nil, fmt.Errorf("learner: head %q, want %q, %q or %q", p.Head, head.LogisticKind, head.SGDKind, head.RidgeKind)
}

// chosen describes the step of the fit that was kept.
func (p Plan) chosen(fit *head.Fit) string {
	switch p.Head {
	case head.LogisticKind:
		return fmt.Sprintf("optimum, L2 %g", fit.Strength)
	case head.RidgeKind:
		return fmt.Sprintf("L2 %g", fit.Strength)
	}
	return "last epoch"
}

// points returns the history points of one step.
func (p Plan) points(s head.Step, d Data) []curves.Point {
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
		loss, score := s.Measure(d.Valid)
		out = append(out,
			point(split, curves.Loss, loss, 0),
			point(split, metric, score, nValid))
	}
	if s.Rate > 0 {
		out = append(out, point("", curves.Rate, s.Rate, 0))
	}
	return out
}
