// Package learner fits a head on cached features by a [Plan], fine-tunes the network below it
// by a [TunePlan], and records the history.
//
//	plan, err := learner.NewPlan(learner.Logistic, train, 0, 0, 1)
//	result, err := learner.FitHead(ctx, learner.Data{Train: train, Valid: valid, Folds: folds}, plan, recorder)
//
//	plan, err := learner.NewTunePlan(learner.Tlkit, net, items, 5, 1)
//	tuned, err := learner.FineTune(ctx, learner.TuneData{Net: net, Head: result.Fit, ...}, plan, recorder)
//
// Fine-tuning starts from the fitted head. What does not move is computed once for each
// picture and kept on disk; a step costs the rest. Its state is saved while it runs, and
// on a CPU an interrupted training ends with the bits of one that was not.
//
// What is learnt about a picture is one label, several, or real values: [TuneData].Task.
//
// Every choice is made on folds of the training pictures. Validation pictures are
// measured along the way, so that the curve can be drawn, and decide nothing.
package learner

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Data is what a head learns from and is measured on.
type Data struct {
	Train head.Samples
	Folds [][]int      // held-out rows of Train for each fold; all views and duplicates of a picture in one fold; nil when the plan has none
	Valid head.Samples // measured, never chosen on; may be empty (no rows)
	Split string       // what Valid is called in the history; "" = valid
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

// Axis is the x axis of a plan's history: solver iterations, epochs, or of ridge
// regression, which has neither, the strengths it was solved at.
func (p Plan) Axis() string {
	switch p.Head {
	case SGD:
		return curves.Epochs
	case Ridge:
		return curves.Strengths
	}
	return curves.Iterations
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
	var failed error
	step := func(s head.Step) {
		if to == nil || failed != nil {
			return
		}
		failed = to.Add(p.points(s, d)...)
	}
	var fit *head.Fit
	var err error
	switch p.Head {
	case Logistic:
		fit, err = head.Logistic(ctx, d.Train, head.LogisticOptions{Strengths: p.Strengths, Folds: folds, Step: step})
	case SGD:
		momentum := p.Momentum
		if momentum == 0 {
			momentum = -1
		}
		fit, err = head.SGD(ctx, d.Train, head.SGDOptions{Epochs: p.Epochs, Batch: p.Batch, Rate: p.Rate, Momentum: momentum, Every: p.Every, Drop: p.Drop, Seed: p.Seed, Folds: folds, Step: step})
	case Ridge:
		fit, err = head.Ridge(ctx, d.Train, head.RidgeOptions{Strengths: p.Strengths, Folds: folds, Step: step})
	default:
		err = fmt.Errorf("learner: head %q, want %q, %q or %q", p.Head, Logistic, SGD, Ridge)
	}
	if err != nil {
		return nil, err
	}
	if to != nil && failed == nil {
		text := "last epoch"
		switch p.Head {
		case Logistic:
			text = fmt.Sprintf("optimum, L2 %g", fit.Strength)
		case Ridge:
			text = fmt.Sprintf("L2 %g", fit.Strength)
		}
		failed = to.Mark(curves.Mark{Kind: curves.Chosen, Step: fit.Steps, Epoch: float64(fit.Steps), Text: text})
	}
	if failed != nil {
		return nil, fmt.Errorf("learner: the head is fitted but its history cannot be written: %w", failed)
	}
	return &Result{Fit: fit, Plan: p}, nil
}

// points are the rows of history of one step.
func (p Plan) points(s head.Step, d Data) []curves.Point {
	at := func(split, metric string, v float64, n int) curves.Point {
		return curves.Point{Step: s.Step, Epoch: float64(s.Step), Phase: curves.Head, Split: split, Metric: metric, Value: v, N: n}
	}
	metric, n, nValid := curves.Accuracy, d.Train.Len(), d.Valid.Len()
	switch {
	case p.Head == Ridge:
		metric, n, nValid = curves.R2, 0, 0 // no fraction of so many pictures
	case d.Train.Targets != nil:
		metric, n, nValid = curves.MAP, 0, 0
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
