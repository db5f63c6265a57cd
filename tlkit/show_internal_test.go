package tlkit

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

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
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Every value that a person holds in a cell is shown as a table or in words, and never as fmt
// prints a struct, with braces and addresses.
func TestShowOfOurValues(t *testing.T) {
	result := run.Result{Task: datasets.Classes, Score: metrics.Fraction{Correct: 145, Total: 153}.Score(), Split: "test", Labels: []string{"ants", "bees"}, Model: "mobilenetv2",
		Choices: []head.Choice{{}}, Phases: []run.Phase{{Name: "head", Seconds: 1.5}}, Probe: &run.Probe{}, Finetune: &run.Finetuning{}}
	weight := backbone.Weight{Want: weights.Want{Name: "features.0.weight", Shape: []int{32, 3, 3, 3}}, GraphShape: []int{3, 3, 3, 32}, Stage: "features.0", Trainable: true}
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
		{metrics.Fraction{Correct: 3, Total: 4}, "75.0 % .3 of 4"},
		{[]metrics.Class{{Label: "ants"}}, "ants"},
		{[]evaluate.Mistake{{File: "a.jpg", Truth: "ants", Predicted: "bees"}}, "a.jpg +ants +bees"},
	} {
		var out bytes.Buffer
		if err := show.New(&out, "").Value(c.value); err != nil {
			t.Errorf("%T: %v", c.value, err)
		}
		if text := out.String(); !regexp.MustCompile(c.words).MatchString(text) || strings.ContainsAny(text, "{}") || regexp.MustCompile(`0x[0-9a-f]{5}|map\[|<nil>`).MatchString(text) {
			t.Errorf("%T: no %q in\n%s", c.value, c.words, text)
		}
	}
}
