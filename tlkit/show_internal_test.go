//go:build !tlkit_worker

package tlkit

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Every value that a person holds in a cell is shown as a table or in words, and never as fmt
// prints a struct, with braces and addresses.
func TestShowOfOurValues(t *testing.T) {
	result := run.Result{Task: datasets.Classes, Score: metrics.Fraction{Correct: 145, Total: 153}.Score(), Split: "test", Labels: []string{"ants", "bees"}, Model: "mobilenetv2",
		Choices: []head.Choice{{}}, Phases: []run.Phase{{Name: "head", Seconds: 1.5}}, Probe: &run.Probe{}, Finetune: &run.Finetuning{}}
	weight := backbone.Weight{Want: weights.Want{Name: "features.0.weight", Shape: []int{32, 3, 3, 3}}, GraphShape: []int{3, 3, 3, 32}, Stage: "features.0", Trainable: true}
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 1); err != nil {
		t.Fatal(err)
	}
	net, err := zoo.Load(context.Background(), row.Name, zoo.Options{Weights: file})
	if err != nil {
		t.Fatal(err)
	}
	report, err := evaluate.New(task.Classes{}, evaluate.Input{Names: []string{"ants", "bees"}, Truth: head.Samples{Y: []int{0, 1}, Classes: 2}, Logits: []float32{1, 0, 0, 1}, Files: []string{"x", "y"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		value any
		words string // in a row of it
	}{
		{Learner{Name: "bees", Data: "insects", Head: head.SGDKind}, "Data +insects"},
		{&Learner{Name: "bees", Data: "insects"}, "Name +bees"},
		{Open("x.head"), "Path +x.head"},
		{result, "Score +accuracy 94.8 % .145 of 153"},
		{&result, "Labels +ants, bees"},
		{[]run.Result{result}, "mobilenetv2"},
		{result.Phases, "head +1.5"},
		{result.Choices, "Strength"},
		{export.Prediction{Path: "a.jpg", Label: "ants", Probability: 0.9, Probabilities: map[string]float64{"bees": 0.1, "ants": 0.9}}, "Probabilities +ants 0.9, bees 0.1"},
		{[]export.Prediction{{Path: "a.jpg", Label: "ants", Probability: 0.9}}, "a.jpg +ants +0.9"},
		{weight, "Shape +32, 3, 3, 3"},
		{[]backbone.Weight{weight, weight}, "features.0.weight +32, 3, 3, 3 .* 3, 3, 3, 32 +features.0"},
		{&backbone.Declaration{Weights: []backbone.Weight{weight}, Map: []int{7, 7, 1280}}, "Weights +1 × Weight"},
		{zoo.Rows()[0], "Name +mobilenetv2"},
		{zoo.Rows()[:3], "mobilenetv2"},
		{zoo.Rows()[0].Preset, "Mean +0.485, 0.456, 0.406"},
		{finetune.Plan{Epochs: 3}, "plan : 3 epochs"},
		{[]finetune.Group{{Name: "head", Stages: []string{"head"}, Rate: 1e-3}}, "head +head +0.001"},
		{[]compare.Ranked{{Model: "resnet18", Licence: "BSD-3-Clause"}}, "resnet18 .*BSD-3-Clause"},
		{net, "layer3 +8 x 8 x 64 +203 520"},
		{net, "backbone +64 features +269 072"},
		{&finetune.Result{Plan: finetune.Plan{Epochs: 3}, Trials: []finetune.Trial{{From: "layer3"}}, Why: "it pays"}, "3 epochs(.|\n)*layer3(.|\n)*it pays"},
		{&run.Evaluation{Report: report, Score: report.Score(), Split: "valid"}, "ants +1 of 1(.|\n)*accuracy 100.0 % .2 of 2.* on valid"},
		{&run.Stored{Result: &result}, "Labels +ants, bees"},
		{export.Head{Labels: []string{"ants"}, Plan: []byte(`["head"]`)}, `Plan +."head".`},
		{metrics.Fraction{Correct: 3, Total: 4}, "75.0 % .3 of 4"},
		{[]metrics.Class{{Label: "ants"}}, "ants"},
		{[]evaluate.Mistake{{File: "a.jpg", Truth: "ants", Predicted: "bees"}}, "a.jpg +ants +bees"},
	} {
		var out bytes.Buffer
		if err := showOn(show.New(&out, ""), c.value); err != nil {
			t.Errorf("%T: %v", c.value, err)
		}
		if text := out.String(); !regexp.MustCompile(c.words).MatchString(text) || strings.ContainsAny(text, "{}") || regexp.MustCompile(`0x[0-9a-f]{5}|map\[|<nil>`).MatchString(text) {
			t.Errorf("%T: no %q in\n%s", c.value, c.words, text)
		}
	}
}

func TestRunnersUp(t *testing.T) {
	p := export.Prediction{Path: "a.jpg", Label: "ants", Probability: 0.9, Probabilities: map[string]float64{"ants": 0.9, "bees": 0.06, "wasps": 0.03, "flies": 0.0099, "moths": 0.0001}}
	if got := runnersUp(p); got != "bees 6.0 %, wasps 3.0 %" {
		t.Errorf("after the first: %q", got)
	}
	values := export.Prediction{Path: "b.jpg", Values: map[string]float64{"x": 1}}
	broken := export.Prediction{Path: "c.jpg", Error: "no picture"}
	tiles := predictionTiles([]export.Prediction{p, values, broken})
	if tiles[0].Prediction != "ants" || tiles[0].Probability != 0.9 || tiles[0].Caption != "bees 6.0 %, wasps 3.0 % · a.jpg" || tiles[1].Caption != "x 1 · b.jpg" || tiles[2].Caption != "c.jpg cannot be read" {
		t.Errorf("tiles %+v", tiles)
	}
	table := ranking([]string{"a.jpg", "c.jpg"}, []export.Prediction{p, broken})
	if got := table.Text(); !regexp.MustCompile(`a.jpg +ants +90.0 % +bees 6.0 %, wasps 3.0 %`).MatchString(got) || !strings.Contains(got, "cannot be read: no picture") {
		t.Errorf("table\n%s", got)
	}
	if n := len(predictionTiles(make([]export.Prediction, 100))); n != mostTiles {
		t.Errorf("%d tiles", n)
	}
}

// Pictures of a set that this project draws may be saved with a notebook, all others may not.
func TestOriginOfPredictedPictures(t *testing.T) {
	set, err := datasets.Open(context.Background(), "insects-few", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	drawn := set.Items[0].Path
	row := zoo.Rows()[0]
	h := export.Head{Labels: []string{"ants", "bees"}, Preset: row.Preset, Parity: make([]float32, 2*export.ParityPictures), Data: export.Data{Name: "insects-few"},
		Backbone: export.Backbone{Name: row.Name, SHA256: strings.Repeat("0", 64), Features: 1}, Linear: head.Linear{Features: 1, Classes: 2, Weight: []float32{1, 2}, Bias: []float32{0, 0}}}
	file := filepath.Join(t.TempDir(), "x.head.safetensors")
	for _, c := range []struct {
		data  string
		files []string
		want  show.Kind
	}{
		{"insects-few", []string{drawn}, show.Drawn},
		{"insects-few", []string{drawn, filepath.Join(t.TempDir(), "mine.jpg")}, show.Foreign},
		{"hymenoptera", []string{drawn}, show.Foreign},
	} {
		h.Data.Name = c.data
		if err := h.Write(file); err != nil {
			t.Fatal(err)
		}
		if got := originOf(file, c.files); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.data, c.files, got, c.want)
		}
	}
}
