package run

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Prepare opens what a spec names and fits its head, as [Train] does, and hands it over for fine-tuning by a plan of
// one's own, or for [finetune.FindRate]:
//
//	d, err := run.Prepare(ctx, spec, run.Place{}, nil)
//	plan, err := finetune.NewPlan(finetune.Fastai, d, finetune.Options{Epochs: 5, Seed: 1})
//	plan.Groups[0].Rate = 1e-4
//	tuned, err := finetune.Train(ctx, d, plan, recorder)
//
// No run folder is made. The engine closes with the program; a program that calls Prepare many times
// closes d.Engine.
func Prepare(ctx context.Context, s Spec, place Place, p Progress) (finetune.Data, error) {
	nothing := finetune.Data{}
	p = orSilent(p)
	if s.Folds > 0 || s.Seeds > 1 {
		return nothing, fmt.Errorf("run: %d folds and %d seeds to prepare, want one training: none of both", s.Folds, s.Seeds)
	}
	o, err := open(ctx, s, place, p)
	if err != nil {
		return nothing, err
	}
	if err := o.data.CheckTraining(); err != nil {
		return nothing, err
	}
	split := cmp.Or(s.Split, string(o.data.Evaluation()))
	b := features.FromNet(o.net, o.eng)
	train, err := o.sample(ctx, b, o.data.In("train"), views{s.Views, s.Seed}, p)
	if err != nil {
		return nothing, err
	}
	fitted, err := o.fitHead(ctx, train, s)
	if err != nil {
		return nothing, err
	}
	d := o.tuneData(split, train, fitted, p)
	d.Steps = 0 // the head has no history here that the curve could go on behind
	// Pictures that cannot be read are known once they were read.
	valid, err := o.sample(ctx, b, o.data.In(datasets.Split(split)), views{0, s.Seed}, p)
	if err != nil {
		return nothing, err
	}
	d.Valid = valid.items
	return d, nil
}

// tuneData is where fine-tuning begins.
func (o *opened) tuneData(split string, train *sample, fitted *learner.Result, p Progress) finetune.Data {
	d := finetune.Data{
		Net: o.net, Engine: o.eng, Split: split, Task: o.task, Outputs: len(o.data.Labels), Head: fitted.Fit, Features: train.s, Steps: fitted.Fit.Steps, Say: p.Say,
		State: func(what string, done, total int) { p.State(what, int64(done), int64(total)) },
	}
	if fitted.Plan.Head == head.RidgeKind { // its history goes on behind the strength that was kept
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
