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
	rows    []int // the picture of each row of the training features
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
	t := &tuning{Tuned: tuned, rows: d.Rows, summary: &Finetuning{
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
	alone, err := judge(o.data.Task, o.data.Labels, eval.s, before, nil, nil)
	if err != nil {
		return nil, err
	}
	one := alone.figures(s.Seed, 0)
	t.probe = &Probe{Metric: one.Metric, Score: one.Score, Accuracy: one.Accuracy, Correct: one.Correct, Total: one.Total, Interval: one.Interval, LogLoss: alone.logLoss()}
	t.probe.Gain, t.probe.GainInterval, err = gain(o.data.Task, eval.s, before, logits)
	return logits, err
}

// gain is the score of some logits minus that of those before, with its 95 % interval.
func gain(task datasets.Task, s head.Samples, before, after []float32) (float64, metrics.Interval, error) {
	k := s.Classes
	a, b := metrics.Matrix{Rows: s.Len(), Cols: k, Data: before}, metrics.Matrix{Rows: s.Len(), Cols: k, Data: after}
	switch task {
	case datasets.Labels:
		g, err := metrics.CompareMAP(positive(s.Targets), a, b)
		return g.Value, g.Interval, err
	case datasets.Values:
		g, err := metrics.CompareR2(s.Targets, a, b)
		return g.Value, g.Interval, err
	}
	c, err := metrics.Compare(s.Y, head.Classes(before, k), head.Classes(after, k))
	return c.Difference, c.Interval, err
}

// outOfFold gives each row of the training features what a network that did not see its picture says about it, as far as
// fine-tuning found out; else what the head alone had found.
func (t *tuning) outOfFold(k int, alone []float32) []float32 {
	if t == nil || !t.Pays {
		return alone
	}
	if t.OutOfFold == nil {
		return nil
	}
	var out []float32
	for _, r := range t.rows {
		out = append(out, t.OutOfFold[r*k:(r+1)*k]...)
	}
	return out
}

// probeOver is the probe of several seeds.
func probeOver(runs []One) (*Probe, error) {
	out := *runs[0].Probe
	alone, gain := make([]One, len(runs)), make([]float64, len(runs))
	for i, r := range runs {
		alone[i], gain[i] = One{Metric: r.Probe.Metric, Score: r.Probe.Score, Accuracy: r.Probe.Accuracy, Correct: r.Probe.Correct, Total: r.Probe.Total, Interval: r.Probe.Interval}, r.Probe.Gain
	}
	mean, err := meanOf(alone)
	if err != nil {
		return nil, err
	}
	if out.Interval = mean.Interval; out.Metric == MAP || out.Metric == R2 {
		out.Score = mean.Value
	} else {
		out.Accuracy = mean.Value
	}
	if mean, err = metrics.MeanOf(gain); err != nil {
		return nil, err
	}
	out.Gain = mean.Value
	if mean.SD > 0 { // else what is left is the uncertainty of the pictures, as the first run has it
		out.GainInterval = mean.Interval
	}
	return &out, nil
}
