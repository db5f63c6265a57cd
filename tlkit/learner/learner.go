// Package learner fits a head on cached features by a [Plan] and records the history.
//
//	plan, err := learner.NewPlan(task.Classes{}, train, learner.Options{Seed: 1})
//	result, err := learner.FitHead(ctx, learner.Data{Train: train, Valid: valid, Folds: folds}, plan, recorder)
//
// Every choice is made on folds of the training pictures. Validation pictures are measured along
// the way, so that the curve can be drawn, and decide nothing. To train the backbone too, see
// package finetune.
package learner

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Data is what a head learns from and is measured on.
type Data struct {
	Task  task.Task // what is learnt; nil = task.Classes
	Train head.Samples
	Folds [][]int      // held-out rows of Train for each fold; all views and duplicates of a picture in one fold; nil when the plan has none
	Valid head.Samples // measured, never chosen on; may be empty (no rows)
	Split string       // what Valid is called in the history; "" = valid
}

func (d Data) task() task.Task {
	if d.Task == nil {
		return task.Classes{}
	}
	return d.Task
}

// Result is a fitted head.
type Result struct {
	Fit  *head.Fit
	Plan Plan
}

// Recorder takes the history as it happens. A *curves.Recorder is one.
type Recorder interface {
	Add(...curves.Point) error
	Mark(curves.Mark) error
}

// FitHead fits the head of the plan. to may be nil. A history that cannot be written
// fails the run at the end of the fit; ctx stops it between steps.
func FitHead(ctx context.Context, d Data, p Plan, to Recorder) (*Result, error) {
	if p.Folds > 0 && len(d.Folds) < 2 {
		return nil, fmt.Errorf("learner: the plan asks for %d folds and the data has %d: build them with datasets.Folds", p.Folds, len(d.Folds))
	}
	folds := d.Folds
	if p.Folds == 0 {
		folds = nil
	}
	var unwritten error
	fit, err := p.fit(ctx, d.Train, folds, func(s head.Step) {
		if to != nil && unwritten == nil {
			unwritten = to.Add(p.points(s, d)...)
		}
	})
	if err != nil {
		return nil, err
	}
	if to != nil && unwritten == nil {
		unwritten = to.Mark(curves.Mark{Kind: curves.Chosen, Step: fit.Steps, Epoch: float64(fit.Steps), Text: p.chosen(fit)})
	}
	if unwritten != nil {
		return nil, fmt.Errorf("learner: the head is fitted but its history cannot be written: %w", unwritten)
	}
	return &Result{Fit: fit, Plan: p}, nil
}

// fit runs the solver that the plan names.
func (p Plan) fit(ctx context.Context, train head.Samples, folds [][]int, step func(head.Step)) (*head.Fit, error) {
	switch p.Head {
	case head.LogisticKind:
		return head.Logistic(ctx, train, head.LogisticOptions{Strengths: p.Strengths, Folds: folds, Step: step})
	case head.SGDKind:
		momentum := p.Momentum
		if momentum == 0 {
			momentum = -1 // 0 would stand for the default
		}
		return head.SGD(ctx, train, head.SGDOptions{Epochs: p.Epochs, Batch: p.Batch, Rate: p.Rate, Momentum: momentum,
			Every: p.Every, Drop: p.Drop, Seed: p.Seed, Folds: folds, Step: step})
	case head.RidgeKind:
		return head.Ridge(ctx, train, head.RidgeOptions{Strengths: p.Strengths, Folds: folds, Step: step})
	}
	return nil, fmt.Errorf("learner: head %q, want %q, %q or %q", p.Head, head.LogisticKind, head.SGDKind, head.RidgeKind)
}

// chosen says which step of the fit was kept.
func (p Plan) chosen(fit *head.Fit) string {
	switch p.Head {
	case head.LogisticKind:
		return fmt.Sprintf("optimum, L2 %g", fit.Strength)
	case head.RidgeKind:
		return fmt.Sprintf("L2 %g", fit.Strength)
	}
	return "last epoch"
}

// points are the rows of history of one step.
func (p Plan) points(s head.Step, d Data) []curves.Point {
	at := func(split string, metric metrics.Metric, v float64, n int) curves.Point {
		return curves.Point{Step: s.Step, Epoch: float64(s.Step), Phase: curves.Head, Split: split, Metric: metric, Value: v, N: n}
	}
	metric, n, nValid := d.task().Metric(), 0, 0
	if metric.Counts() {
		n, nValid = d.Train.Len(), d.Valid.Len()
	}
	out := []curves.Point{
		at(curves.Train, curves.Loss, s.TrainLoss, 0),
		at(curves.Train, metric, s.TrainScore, n),
	}
	if !math.IsNaN(s.FoldLoss) {
		out = append(out,
			at(curves.Folds, curves.Loss, s.FoldLoss, 0),
			at(curves.Folds, metric, s.FoldScore, n))
	}
	if d.Valid.Len() > 0 {
		split := cmp.Or(d.Split, curves.Valid)
		loss, score := s.Measure(d.Valid)
		out = append(out,
			at(split, curves.Loss, loss, 0),
			at(split, metric, score, nValid))
	}
	if s.Rate > 0 {
		out = append(out, at("", curves.Rate, s.Rate, 0))
	}
	return out
}
