package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/budget"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// A time that is too small gives the default network's head; the record is in the JSON, and its command
// is one that train understands.
func TestTrainWithinATime(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 10)
	t.Chdir(t.TempDir())
	var out, errs strings.Builder
	if status := execute(context.Background(), []string{"train", folder, "--time", "1ms", "--json", "--offline"}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	var r struct {
		run.Result
		Budget budget.Record `json:"budget"`
	}
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil || r.Model != defaultModel() || r.Budget.Over == "" || r.Budget.Asked != 0.001 {
		t.Fatalf("%v: %s", err, out.String())
	}
	out.Reset()
	if status := execute(context.Background(), append(r.Budget.Repeat[1:], "--offline"), &out, &errs); status != 0 || !strings.Contains(out.String(), r.Score.Brief()) {
		t.Errorf("status %d: the command of the record gives\n%s\n%s", status, out.String(), errs.String())
	}
	for _, bad := range []string{"0s", "90", "-1m"} {
		errs.Reset()
		if status := execute(context.Background(), []string{"train", folder, "--time", bad}, &out, &errs); status != 1 || !strings.Contains(errs.String(), "10m") && !strings.Contains(errs.String(), "a time such as") {
			t.Errorf("--time %s: status %d, %s", bad, status, errs.String())
		}
	}
}

// Every setting of a spec that a budget takes is a flag of the command that repeats it.
func TestRepeatHasFlags(t *testing.T) {
	c := &command{}
	train, _, err := c.root().Find([]string{"train"})
	if err != nil {
		t.Fatal(err)
	}
	s := run.Spec{Data: "x", LabelFolders: true, MinPerLabel: 2, Columns: "a=label", Model: "m", Weights: "w", Entry: "e", Statistics: "half", Preset: "p", Size: 288, Head: "sgd", Epochs: 3, Views: 2,
		ClassWeights: true, Split: "test", Seed: 7, Finetune: 4, Plan: finetune.Fastai, From: "f", Rate: 1e-3, Batch: 4, Mixup: 0.2, Augment: "on", LoRA: backbone.LoRA{Rank: 8, Alpha: 16, All: true, Norms: true}, Form: engine.Form{Runtime: engine.XLA, Batch: 2}}
	words := budget.Repeat(s)
	if err := train.ParseFlags(words[2:]); err != nil {
		t.Fatalf("%v: %q", err, words)
	}
	for flag, want := range map[string]string{"label-folders": "true", "min-per-label": "2", "column": "a=label", "model": "m", "weights": "w", "entry": "e", "statistics": "half", "preset": "p", "size": "288", "head": "sgd",
		"epochs": "3", "views": "2", "class-weights": "true", "split": "test", "seed": "7", "finetune": "4", "plan": "fastai", "from": "f", "rate": "0.001", "batch": "4", "mixup": "0.2", "augment": "on", "lora": "8", "lora-alpha": "16", "lora-all": "true", "lora-norms": "true", "form": "xla,batch=2"} {
		if got := train.Flags().Lookup(flag).Value.String(); got != want {
			t.Errorf("--%s is %q, want %q", flag, got, want)
		}
	}
}
