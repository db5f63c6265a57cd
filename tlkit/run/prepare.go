package run

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Prepare opens the data set, network and engine of a spec and fits its head, as [Train] does. It
// returns the data for fine-tuning by your own plan, or for [finetune.FindRate]:
//
//	d, err := run.Prepare(ctx, spec, run.Place{}, nil)
//	plan, err := finetune.NewPlan(finetune.Fastai, d, finetune.Options{Epochs: 5, Seed: 1})
//	plan.Groups[0].Rate = 1e-4
//	tuned, err := finetune.Train(ctx, d, plan, recorder)
//
// Prepare makes no run folder. A program that calls it many times should close d.Engine. Folds
// of the spec must be 0, and Seeds at most 1. p may be nil.
func Prepare(ctx context.Context, s Spec, place Place, p Progress) (finetune.Data, error) {
	nothing := finetune.Data{}
	p, shown := place.Shown(p)
	defer shown()
	if s.Folds > 0 || s.Seeds > 1 {
		return nothing, advice.New(fmt.Errorf("run: %d folds and %d seeds, want a single training", s.Folds, s.Seeds), "leave both out")
	}
	if err := s.check(); err != nil {
		return nothing, err
	}
	o, err := open(ctx, s, place, p, (*datasets.Dataset).CheckTraining)
	if err != nil {
		return nothing, err
	}
	split := cmp.Or(s.Split, string(o.data.Evaluation()))
	// Reading the pictures drops those that cannot be read.
	train, valid, err := o.samples(ctx, o.data.In("train"), o.data.In(datasets.Split(split)), views{s.Views, s.Seed}, p)
	if err == nil {
		err = o.settle(p)
	}
	if err != nil {
		return nothing, err
	}
	s.Finetune = max(s.Finetune, 1) // the head is to be one that fine-tuning starts from
	fitted, err := o.fitHead(ctx, train, s, p)
	if err != nil {
		return nothing, err
	}
	d := o.tuneData(split, train, fitted, p)
	d.Steps = 0 // there is no history of the head for the curve to continue
	d.Valid = valid.items
	return d, nil
}

// tuneData returns the starting point of fine-tuning.
func (o *opened) tuneData(split string, train *sample, fitted *learner.Result, p Progress) finetune.Data {
	d := finetune.Data{
		Net: o.net, Engine: o.eng, Form: o.form, Split: split, Task: o.task, Outputs: len(o.data.Labels), Head: fitted.Fit, Features: train.s, Steps: fitted.Fit.Steps, Say: p.Say,
		State: func(what string, done, total int) { p.State(what, int64(done), int64(total)) },
	}
	if fitted.Plan.Head == head.RidgeKind { // its history has a step for each strength
		d.Steps = len(fitted.Plan.Strengths)
	}
	d.Train, d.Rows = distinct(train.items)
	return d
}

// distinct returns the pictures of some rows, each once, and the picture of each row. Views of a
// picture are next to each other.
func distinct(rows []datasets.Item) (items []datasets.Item, pictures []int) {
	for _, it := range rows {
		if len(items) == 0 || items[len(items)-1].Rel != it.Rel {
			items = append(items, it)
		}
		pictures = append(pictures, len(items)-1)
	}
	return items, pictures
}
