package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// wholeSteps move the whole network; PyTorch does the same.
var wholeSteps = []Step{
	{Model: "resnet18", Batch: 8, Norms: finetune.FrozenNorms}, {Model: "resnet18", Batch: 8, Norms: finetune.BatchNorms},
	{Model: "resnet18", Batch: 32, Norms: finetune.FrozenNorms}, {Model: "resnet18", Batch: 32, Norms: finetune.BatchNorms},
	{Model: "mobilenetv2", Batch: 32, Norms: finetune.FrozenNorms}, {Model: "mobilenetv2", Batch: 32, Norms: finetune.BatchNorms},
}

// partSteps move the end of a network; they are compared with our step of all of it.
var partSteps = []Step{
	{Model: "mobilenetv2", Batch: 32, Norms: finetune.FrozenNorms, From: "features.18"},
	{Model: "mobilenetv2", Batch: 32, Norms: finetune.FrozenNorms, From: "features.17"},
	{Model: "resnet18", Batch: 32, Norms: finetune.FrozenNorms, From: "layer4"},
}

// finetune sets fine-tuning beside PyTorch's, with the tutorial's job; then it measures what else
// training spends time on.
func (s *session) finetune(ctx context.Context) error {
	if s.Python == "" {
		return errNoPeer
	}
	if err := s.finetuneJob(ctx); err != nil {
		return err
	}
	return s.shares(ctx)
}

// finetuneJob is the whole job: PyTorch's recipe, then our default plan with nothing cached.
func (s *session) finetuneJob(ctx context.Context) error {
	ds, job, err := s.tutorialJob(ctx)
	if err != nil {
		return err
	}
	job["everything"] = true
	s.doing("PyTorch fine-tunes all layers")
	peer, _, err := s.peer(ctx, job)
	if err != nil {
		return err
	}
	t, err := s.tlkit(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	s.doing("our plan, nothing cached")
	var r run.Result
	seconds, err := t.run(ctx, &r, "train", ds.Root, "--finetune", "5", "--json")
	if err != nil {
		return err
	}
	s.add(Figure{Name: "fine-tuning " + ds.Name + ", mobilenetv2, whole job", Ours: seconds, Unit: "s",
		Note: s.finetuneNote(r, peer)}.against(torch, peer.By, peer.Seconds))
	s.add(Figure{Name: "fine-tuning " + ds.Name + ", choosing and training", Ours: r.Finetune.Seconds, Unit: "s"}.
		against(torch, peer.By, peer.Seconds))
	return nil
}

// finetuneNote says how many pictures each side has right.
func (s *session) finetuneNote(r run.Result, peer peerAnswer) string {
	pays := "fine-tuning pays"
	if !r.Finetune.Pays {
		pays = "fine-tuning does not pay, the head alone is kept"
	}
	theirs := fmt.Sprintf("PyTorch ends with %d of %d, best of its epochs %d", peer.Correct, peer.Total, peer.Best)
	if s.Epochs < tutorialEpochs {
		theirs = fmt.Sprintf("PyTorch ran %d of 25 epochs, its time is scaled", s.Epochs)
	}
	return fmt.Sprintf("ours %d of %d (%s), the head alone %d; %s", r.Correct, r.Total, pays, r.Probe.Correct, theirs)
}

// steps measures training steps of the whole network and of its end.
func (s *session) steps(ctx context.Context) error {
	if len(s.Networks) > 0 {
		return s.wholeNetworks(ctx)
	}
	t, err := s.tlkit(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	type size struct {
		model string
		batch int
	}
	whole := map[size]float64{} // pictures/s with frozen norms
	for _, step := range wholeSteps {
		rate, err := s.step(ctx, t, step)
		if err != nil {
			return err
		}
		if step.Norms == finetune.FrozenNorms {
			whole[size{step.Model, step.Batch}] = rate
		}
	}
	for _, step := range partSteps {
		ours, err := s.ourStep(ctx, t, step)
		if err != nil {
			return err
		}
		s.add(Figure{What: "step part", Name: fmt.Sprintf("step %s from %s on, batch %d", step.Model, step.From, step.Batch), Ours: ours.Rate, Unit: picturesPerSecond,
			Model: step.Model, Batch: step.Batch, Norms: step.Norms, Note: "the frozen part is cached"}.
			against(otherWay, "our full step", whole[size{step.Model, step.Batch}]))
	}
	return nil
}

// shares measures how much of a training goes into checkpoints and into drawing the curve.
func (s *session) shares(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "tlkit-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var drawing atomic.Int64
	place := run.Place{Folder: dir, Name: "shares", Offline: s.Offline, Curves: func(r curves.Run) {
		began := time.Now()
		var png bytes.Buffer
		_ = plots.Curves(r).PNG(&png)
		drawing.Add(int64(time.Since(began)))
	}}
	spec := run.Spec{Data: s.Data, Model: "mobilenetv2", Seed: 1, Finetune: 4, Plan: finetune.Fastai}
	began := time.Now()
	r, err := run.Train(ctx, spec, place, s.Progress)
	if err != nil {
		return err
	}
	f, drawn := r.Finetune, time.Duration(drawing.Load()).Seconds()
	note := fmt.Sprintf("of %.0f s: 4 epochs of plan fastai on %s, all layers", f.Training, r.Data)
	s.add(Figure{Name: "checkpoints, share of training", Ours: 100 * f.Saving / f.Training, Unit: "%", Note: note})
	s.add(Figure{Name: "drawing the curve, share of the run", Ours: 100 * drawn / time.Since(began).Seconds(), Unit: "%", Note: note})
	return nil
}
