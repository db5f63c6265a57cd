package run

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// stopping interrupts at the n-th report of a state.
type stopping struct {
	heard
	word string
	left int
	stop func()
}

func (s *stopping) State(what string, _, _ int64) {
	if what == s.word {
		if s.left--; s.left == 0 {
			s.stop()
		}
	}
}

// formula writes weights by the golden formula for a small network.
func formula(t *testing.T, name string) string {
	t.Helper()
	row, err := zoo.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".safetensors")
	if err := formulanet.Write(path, row.Arch(), row.Preset.Size, 0.8); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFinetune is a run with --finetune, on a small network with made-up weights: the figures are
// those of every later process, the same twice, interrupted or not, and the score of the head alone
// is reported too.
func TestFinetune(t *testing.T) {
	ctx := context.Background()
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 12), t.TempDir()
	frozen := Spec{Data: folder, Model: "resnet20_cifar10", Weights: formula(t, "resnet20_cifar10"), Seed: 1}
	spec := frozen
	spec.Finetune, spec.Plan = 1, finetune.Fastai
	place := Place{Folder: work, Name: "shapes", Keep: true, Out: filepath.Join(work, "out.safetensors")}
	alone := train(t, frozen, place)
	if alone.Probe != nil || alone.Finetune != nil {
		t.Errorf("a frozen run has figures of fine-tuning: %+v", alone.Probe)
	}

	// The same name continues from the head to fine-tuning: Keep only refuses other settings.
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	place.Resume = true
	if _, err := Train(ctx2, spec, place, &stopping{word: "fine-tuning", left: 1, stop: cancel}); !errors.Is(err, finetune.ErrInterrupted) || !strings.Contains(err.Error(), "--resume") {
		t.Fatalf("interrupted: %v", err)
	}
	if found, err := filepath.Glob(filepath.Join(work, Home, "shapes", "finetune", "checkpoints", "step-*")); err != nil || len(found) == 0 {
		t.Errorf("no checkpoint after an interrupt: %v", err)
	}
	said := &heard{}
	r, err := Train(ctx, spec, place, said)
	if err != nil {
		t.Fatal(err)
	}
	if !said.has("continuing after step 1") || !said.has("plan fastai") {
		t.Errorf("said %q", said.lines)
	}
	if r.Probe == nil || r.Probe.Correct != alone.Correct || r.Probe.Total != r.Total || r.Finetune == nil || !r.Finetune.Pays || r.Finetune.Changed < 90 {
		t.Errorf("probe %+v of %d, fine-tuning %+v", r.Probe, alone.Correct, r.Finetune)
	}
	if !strings.Contains(r.Line(), "head alone") {
		t.Errorf("says %q", r.Line())
	}
	history, err := curves.ReadFile(filepath.Join(r.Run, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := history.Unfrozen(); !ok || len(history.Series("", curves.Rate)) == 0 || len(history.Series(curves.Valid, curves.Accuracy)) < 3 {
		t.Errorf("history without fine-tuning: %+v", history.Marks)
	}

	straight := place
	straight.Name, straight.Resume, straight.Out = "straight", false, filepath.Join(work, "straight.safetensors")
	s := train(t, spec, straight)
	a, err := os.ReadFile(place.Out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(straight.Out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) || s.LogLoss != r.LogLoss {
		t.Errorf("the interrupted and the uninterrupted run give different heads: loss %v and %v", r.LogLoss, s.LogLoss)
	}

	e, err := EvaluateHead(ctx, HeadSpec{Head: place.Out, Data: folder, Weights: frozen.Weights}, Place{Folder: work}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Correct != r.Correct || e.Total != r.Total || math.Abs(e.Report.(*evaluate.ClassesReport).LogLoss-r.LogLoss) > 1e-6 {
		t.Errorf("evaluate: %d of %d, loss %v; train said %d of %d, %v", e.Correct, e.Total, e.Report.(*evaluate.ClassesReport).LogLoss, r.Correct, r.Total, r.LogLoss)
	}
	h, err := export.Read(place.Out)
	if err != nil || len(h.Changed) != r.Finetune.Changed || !strings.Contains(string(h.Plan), "fastai") {
		t.Errorf("the head file: %v, %d tensors changed", err, len(h.Changed))
	}

	// The norms of the head file against the checkpoint's: plan fastai updates them, the frozen run
	// does not.
	before, err := zoo.Load(ctx, frozen.Model, zoo.Options{Weights: frozen.Weights})
	if err != nil {
		t.Fatal(err)
	}
	after, err := before.With(h.Changed)
	if err != nil {
		t.Fatal(err)
	}
	norms, err := evaluate.CompareNorms(before, after)
	if err != nil || norms.Total != 19 || norms.Moved != 19 || !strings.Contains(norms.Text(), "19 of 19 moved") {
		t.Errorf("%+v, %v", norms, err)
	}

	// The same by hand: fine-tuning the data of Prepare by the same plan gives the same network.
	d, err := Prepare(ctx, frozen, Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := finetune.NewPlan(finetune.Fastai, d, finetune.Options{Epochs: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := finetune.Train(ctx, d, plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tuned.Head.Weight, h.Linear.Weight) || len(tuned.Net.Changes()) != len(h.Changed) {
		t.Errorf("fine-tuning by hand gives another head, %d tensors changed", len(tuned.Net.Changes()))
	}
	stored := map[string][]float32{}
	for _, c := range h.Changed {
		if stored[c.Name], err = c.Float32(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range tuned.Net.Changes() {
		if v, err := c.Float32(); err != nil || !slices.Equal(v, stored[c.Name]) {
			t.Errorf("by hand %s is another tensor: %v", c.Name, err)
		}
	}
	if len(d.Valid) != r.Total || d.Split != r.Split {
		t.Errorf("%d pictures of %s to measure, the run had %d of %s", len(d.Valid), d.Split, r.Total, r.Split)
	}

	// Its head file is that of the run, but for the plan of the head, and the score is the same.
	byHand, err := frozen.TunedHead(ctx, d, tuned, Place{})
	if err != nil {
		t.Fatal(err)
	}
	byHand.Plan = h.Plan
	other := filepath.Join(work, "by-hand.safetensors")
	if err := byHand.Write(other); err != nil {
		t.Fatal(err)
	}
	if c, err := os.ReadFile(other); err != nil || !bytes.Equal(a, c) {
		t.Errorf("the head file of a plan of one's own differs from the run's: %v, %+v", err, byHand.Result)
	}
	if _, err := frozen.TunedHead(ctx, d, nil, Place{}); err == nil || !strings.Contains(err.Error(), "pass the data of run.Prepare") {
		t.Errorf("without a result: %v", err)
	}
	for _, bad := range []Spec{{Data: testpictures.Shapes(t, []string{"discs", "bars"}, 3), Seed: 1}, {Data: folder, Seed: 2}} {
		if _, err := bad.TunedHead(ctx, d, tuned, Place{}); err == nil || !strings.Contains(err.Error(), "pass the spec that Prepare got") {
			t.Errorf("%+v: %v", bad, err)
		}
	}

	for word, bad := range map[string]Spec{
		"leave --folds out": {Data: folder, Model: frozen.Model, Finetune: 1, Folds: 3},
		"--finetune 5":      {Data: folder, Model: frozen.Model, Plan: "fastai"},
		"-1 epochs":         {Data: folder, Model: frozen.Model, Finetune: -1},
		`no stage "layer9"`: {Data: folder, Model: frozen.Model, Weights: frozen.Weights, Finetune: 1, From: "layer9", Seed: 1},
		`no plan "quickly"`: {Data: folder, Model: frozen.Model, Weights: frozen.Weights, Finetune: 1, Plan: "quickly", Seed: 1},
	} {
		if _, err := Train(ctx, bad, Place{Folder: t.TempDir()}, nil); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("want an error with %q, got %v", word, err)
		}
	}
}
