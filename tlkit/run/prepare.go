package run

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Prepare opens what a spec names and fits its head, as [Train] does, and hands it over for fine-tuning by a plan of
// one's own, or for [learner.FindRate]:
//
//	d, err := run.Prepare(ctx, spec, run.Place{}, nil)
//	plan, err := learner.NewTunePlan(learner.Fastai, d.Net, d.Train, 5, 1)
//	plan.Groups[0].Rate = 1e-4
//	tuned, err := learner.FineTune(ctx, d, plan, recorder)
//
// No run folder is made. The engine closes with the program; whoever makes many calls closes d.Engine.
func Prepare(ctx context.Context, s Spec, place Place, p Progress) (learner.TuneData, error) {
	none := learner.TuneData{}
	if p == nil {
		p = Silent{}
	}
	if s.Folds > 0 || s.Seeds > 1 {
		return none, fmt.Errorf("run: %d folds and %d seeds to prepare, want one training: none of both", s.Folds, s.Seeds)
	}
	o, err := open(ctx, s, place, p)
	if err != nil {
		return none, err
	}
	if err := o.data.CheckTraining(); err != nil {
		return none, err
	}
	split := s.Split
	if split == "" {
		split = o.data.Evaluation()
	}
	b := features.FromNet(o.net, o.eng)
	train, err := o.sample(ctx, b, o.data.In("train"), s.Views, s.Seed, p)
	if err != nil {
		return none, err
	}
	if s.Head, err = headKind(o.data.Task, s.Head); err != nil {
		return none, err
	}
	plan, err := learner.NewPlan(s.Head, train.s, s.Epochs, s.Views, s.Seed)
	if err != nil {
		return none, err
	}
	fitted, err := learner.FitHead(ctx, learner.Data{Train: train.s, Folds: train.folds(plan.Folds, s.Seed)}, plan, nil)
	if err != nil {
		return none, err
	}
	d := o.tuneData(split, train, fitted, p)
	d.Steps = 0 // the head has no history here that the curve could go on behind
	// Pictures that cannot be read are known once they were read.
	valid, err := o.sample(ctx, b, o.data.In(split), 0, s.Seed, p)
	if err != nil {
		return none, err
	}
	d.Valid = valid.items
	return d, nil
}

// tuneData is where fine-tuning begins.
func (o *opened) tuneData(split string, train *sample, fitted *learner.Result, p Progress) learner.TuneData {
	d := learner.TuneData{
		Net: o.net, Engine: o.eng, Split: split, Task: o.data.Task, Classes: len(o.data.Labels), Head: fitted.Fit, Features: train.s, Steps: fitted.Fit.Steps, Say: p.Say,
		State: func(what string, done, total int) { p.State(what, int64(done), int64(total)) },
	}
	if fitted.Plan.Head == learner.Ridge { // its history goes on behind the strength that was kept
		d.Steps = len(fitted.Plan.Strengths)
	}
	d.Train, d.Rows = distinct(train.items)
	return d
}

// distinct are the pictures of some rows, each once, and which of them each row is of: views of a picture lie side by
// side.
func distinct(rows []datasets.Item) (items []datasets.Item, of []int) {
	for _, it := range rows {
		if len(items) == 0 || items[len(items)-1].Rel != it.Rel {
			items = append(items, it)
		}
		of = append(of, len(items)-1)
	}
	return items, of
}
