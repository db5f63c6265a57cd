package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
)

// tuning is the fine-tuning of one seed.
type tuning struct {
	result  *finetune.Result
	summary *Finetuning
	probe   *Probe
	rows    []int // the picture of each row of the training features
}

// finetune trains the backbone with the fitted head. The state of an interrupted one is kept in the
// run's folder.
func (t *training) finetune(ctx context.Context) (*tuning, error) {
	name := "finetune"
	if !t.first {
		name = fmt.Sprintf("finetune.seed%d", t.spec.Seed)
	}
	d := t.opened.tuneData(t.split, t.train, t.fitted, t.progress)
	d.Folder, d.Resume, d.Valid = t.folder.file(name), t.place.Resume, t.eval.items
	plan, err := t.opened.tunePlan(t.spec, d.Train)
	if err != nil {
		return nil, err
	}
	if t.first {
		t.progress.Say(plan.String())
	}
	began := time.Now()
	if !t.place.Until.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, t.place.Until)
		defer stop()
	}
	result, err := finetune.Train(ctx, d, plan, t.recorder)
	if err != nil {
		return nil, err
	}
	if !result.Pays {
		t.progress.Say(result.Why)
	}
	out := &tuning{result: result, rows: d.Rows, summary: summarise(result, time.Since(began))}
	// Checkpoints are no longer needed; the weights go into the head file.
	if err := os.RemoveAll(filepath.Join(d.Folder, "checkpoints")); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	if !t.first {
		return out, nil
	}
	return out, t.folder.write("finetune.json", map[string]any{"plan": result.Plan, "pays": result.Pays, "why": result.Why, "trials": result.Trials})
}

// summarise returns the part of result.json about fine-tuning.
func summarise(r *finetune.Result, took time.Duration) *Finetuning {
	out := &Finetuning{
		Plan: r.Plan.Name, Epochs: r.Plan.Epochs, Pays: r.Pays, Why: r.Why, Mix: r.Plan.Mix, Steps: r.Steps,
		Changed: r.Net.Changed(), LoRA: r.Plan.LoRA, Trials: r.Trials, Seconds: took.Seconds(),
		Training: r.Training.Seconds(), Saving: r.Saving.Seconds(),
	}
	if r.Pays {
		out.Trainable, out.Parameters = r.Plan.Trainable(r.Net, r.Head.Classes)
		out.From = r.Plan.Groups[0].Stages[0]
		for _, g := range r.Plan.Groups {
			out.Rate = max(out.Rate, g.Rate)
		}
	}
	return out
}

// tunePlan returns the plan of fine-tuning for the spec.
func (o *opened) tunePlan(s Spec, train []datasets.Item) (finetune.Plan, error) {
	return finetune.NewPlan(s.Plan, finetune.Data{Net: o.net, Task: o.task, Train: train, Outputs: len(o.data.Labels)}, s.tuning())
}

// judge returns the logits of the tuned network for the reported pictures. It runs the whole
// network over the pictures, as every later process does. before are the logits of the head alone.
func (u *tuning) judge(ctx context.Context, t *training, before []float32) (logits []float32, err error) {
	logits = before
	if u.result.Pays {
		after, err := t.opened.with(u.result.Net).sample(ctx, t.eval.items, views{0, t.spec.Seed}, t.progress)
		if err != nil {
			return nil, err
		}
		if after.s.Len() != t.eval.s.Len() {
			return nil, advice.New(fmt.Errorf("run: %d pictures could be read before fine-tuning, %d after it, so they changed on disk", t.eval.s.Len(), after.s.Len()), "train again")
		}
		logits = u.result.Head.Logits(after.s.X)
	}
	alone, err := evaluate.New(t.opened.task, evaluate.Input{Names: t.opened.data.Labels, Truth: t.eval.s, Logits: before})
	if err != nil {
		return nil, err
	}
	u.probe = &Probe{Score: alone.Score()}
	u.probe.LogLoss, _ = alone.Loss()
	gain, err := t.opened.task.Compare(t.eval.s, before, logits)
	u.probe.Gain, u.probe.GainInterval = gain.Value, gain.Interval
	return logits, err
}

// outOfFold returns, for each row of the training features, the logits of a network that did not
// see its picture, if fine-tuning has them; otherwise those of the head alone.
func (u *tuning) outOfFold(k int, alone []float32) []float32 {
	switch {
	case !u.result.Pays:
		return alone
	case u.result.OutOfFold == nil:
		return nil
	}
	var out []float32
	for _, r := range u.rows {
		out = append(out, u.result.OutOfFold[r*k:(r+1)*k]...)
	}
	return out
}
