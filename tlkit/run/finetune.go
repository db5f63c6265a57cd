package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// tuning is one seed's fine-tuning.
type tuning struct {
	*learner.Tuned
	summary *Finetuning
	probe   *Probe
}

// finetune trains the backbone behind a fitted head. What is interrupted lies in the run's folder.
func (o *opened) finetune(ctx context.Context, s Spec, place Place, f *folder, index int, train, eval *sample, split string, fitted *learner.Result, to learner.Recorder, p Progress) (*tuning, error) {
	name := "finetune"
	if index > 0 {
		name = fmt.Sprintf("finetune.seed%d", s.Seed)
	}
	d := o.tuneData(split, train, fitted, p)
	d.Folder, d.Resume, d.Valid = f.file(name), place.Resume, eval.items
	plan, err := o.tunePlan(s, d.Train)
	if err != nil {
		return nil, err
	}
	if index == 0 {
		p.Say(plan.String())
	}
	began := time.Now()
	tuned, err := learner.FineTune(ctx, d, plan, to)
	if err != nil {
		return nil, err
	}
	if !tuned.Pays {
		p.Say(tuned.Why)
	}
	t := &tuning{Tuned: tuned, summary: &Finetuning{
		Plan: plan.Name, Epochs: plan.Epochs, Pays: tuned.Pays, Why: tuned.Why, Mix: tuned.Plan.Mix, Steps: tuned.Steps,
		Changed: len(tuned.Net.Changes()), Trials: tuned.Trials, Seconds: time.Since(began).Seconds(),
		Training: tuned.Training.Seconds(), Saving: tuned.Saving.Seconds(),
	}}
	if tuned.Pays {
		t.summary.From = tuned.Plan.Groups[0].Stages[0]
		for _, g := range tuned.Plan.Groups {
			t.summary.Rate = max(t.summary.Rate, g.Rate)
		}
	}
	// What a resumed run would need is done with; the weights go into the head file.
	if err := os.RemoveAll(filepath.Join(d.Folder, "checkpoints")); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	if index > 0 {
		return t, nil
	}
	return t, f.write("finetune.json", map[string]any{"plan": tuned.Plan, "pays": tuned.Pays, "why": tuned.Why, "trials": tuned.Trials})
}

// tunePlan is the plan of fine-tuning that was asked for.
func (o *opened) tunePlan(s Spec, train []datasets.Item) (learner.TunePlan, error) {
	plan, err := learner.NewTunePlan(s.Plan, o.net, train, s.Finetune, s.Seed)
	if err != nil || s.From == "" {
		return plan, err
	}
	return plan.StartingAt(o.net, s.From)
}

// judge gives the logits of the tuned network for the reported pictures, by the way that every later process takes: the
// whole network over the pictures. before are those of the head alone.
func (t *tuning) judge(ctx context.Context, o *opened, eval *sample, before []float32, s Spec, p Progress) ([]float32, error) {
	logits := before
	if t.Pays {
		tuned := *o
		tuned.net = t.Net
		after, err := tuned.sample(ctx, features.FromNet(t.Net, o.eng), eval.items, 0, s.Seed, p)
		if err != nil {
			return nil, err
		}
		if after.s.Len() != eval.s.Len() {
			return nil, fmt.Errorf("run: %d pictures could be read before fine-tuning, %d after it: they changed on disk", eval.s.Len(), after.s.Len())
		}
		logits = t.Head.Logits(after.s.X)
	}
	k, n := eval.s.Classes, eval.s.Len()
	alone := metrics.Accuracy{Correct: head.Correct(before, eval.s.Y, k), Total: n}
	t.probe = &Probe{Accuracy: alone.Value(), Correct: alone.Correct, Total: n, Interval: alone.Interval(), LogLoss: head.LogLoss(before, eval.s.Y, k)}
	c, err := metrics.Compare(eval.s.Y, head.Classes(before, k), head.Classes(logits, k))
	if err != nil {
		return nil, err
	}
	t.probe.Gain, t.probe.GainInterval = c.Difference, c.Interval
	return logits, nil
}

// probeOver is the probe of several seeds.
func probeOver(runs []One) (*Probe, error) {
	out := *runs[0].Probe
	alone, gain := make([]One, len(runs)), make([]float64, len(runs))
	for i, r := range runs {
		alone[i], gain[i] = One{Accuracy: r.Probe.Accuracy, Correct: r.Probe.Correct, Total: r.Probe.Total}, r.Probe.Gain
	}
	mean, err := meanOf(alone)
	if err != nil {
		return nil, err
	}
	out.Accuracy, out.Interval = mean.Value, mean.Interval
	if mean, err = metrics.MeanOf(gain); err != nil {
		return nil, err
	}
	out.Gain = mean.Value
	if mean.SD > 0 { // else what is left is the uncertainty of the pictures, as the first run has it
		out.GainInterval = mean.Interval
	}
	return &out, nil
}
