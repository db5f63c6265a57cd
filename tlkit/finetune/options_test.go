package finetune

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

func TestOptionsReplaceTheRecipes(t *testing.T) {
	d := Data{Net: formulaNet(t, "resnet20_cifar10", 0.8), Outputs: 2, Train: make([]datasets.Item, 40)}
	for i := range d.Train {
		d.Train[i] = datasets.Item{Rel: string(rune('a' + i)), SHA256: string(rune('a' + i)), Class: i % 2}
	}
	for _, recipe := range []Recipe{Tlkit, PytorchTutorial, KerasGuide, Fastai} {
		plain, err := NewPlan(recipe, d, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewPlan(recipe, d, Options{Seed: 1, Rate: 2e-3, Batch: 10, Mixup: 0.2, ClassWeights: true, Augment: learner.AugmentOff})
		if err != nil {
			t.Fatalf("%s: %v", recipe, err)
		}
		if got.Batch != 10 || got.Mixup != 0.2 || !got.ClassWeights || got.Augment || got.Views != 0 {
			t.Errorf("%s: %+v", recipe, got)
		}
		largest := 0.0
		for i, g := range got.Groups {
			largest = math.Max(largest, g.Rate)
			if was := plain.Groups[i].Rate / plain.Groups[0].Rate; math.Abs(g.Rate/got.Groups[0].Rate-was) > 1e-9*was {
				t.Errorf("%s: group %s has %v of the first one's rate, was %v", recipe, g.Name, g.Rate/got.Groups[0].Rate, was)
			}
		}
		if math.Abs(largest-2e-3) > 1e-12 || got.Search != nil && !slices.Equal(got.Search.Rates, []float64{2e-3}) {
			t.Errorf("%s: largest rate %v, search %+v", recipe, largest, got.Search)
		}
		for _, words := range []string{"rate 0.002, as asked for, instead of", "batches of 10 pictures, as asked for", "mixup 0.2", "class weights, as", "no crops and flips, as"} {
			if strings.Count(got.String(), words) != 1 {
				t.Errorf("%s: no %q in\n%s", recipe, words, got)
			}
		}
	}

	for words, c := range map[string]Options{
		"learning rate -1":                {Rate: -1},
		"learning rate NaN":               {Rate: math.NaN()},
		"learning rate 11":                {Rate: 11},
		"batches of -1":                   {Batch: -1},
		"use at most 40":                  {Batch: 41},
		"cannot follow batches of 1":      {Batch: 1},
		"no other to be mixed with":       {Batch: 1, Mixup: 0.2},
		"mixup 11":                        {Mixup: 11},
		`augmentation "yes"; use "on" or`: {Augment: "yes"},
	} {
		if _, err := NewPlan(Fastai, d, c); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want an error with %q, got %v", words, err)
		}
	}

	// Real values: augmentation is off until it is asked for, and there are no classes to weigh.
	d.Task, d.Outputs = task.Values{}, 1
	for i := range d.Train {
		d.Train[i].Targets = []float64{float64(i)}
	}
	plain, err := NewPlan(Tlkit, d, Options{Seed: 1})
	if err != nil || plain.Augment {
		t.Fatalf("%+v, %v", plain, err)
	}
	if got, err := NewPlan(Tlkit, d, Options{Augment: learner.AugmentOn}); err != nil || !got.Augment || got.Views != standardViews {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := NewPlan(Tlkit, d, Options{ClassWeights: true}); err == nil || !strings.Contains(err.Error(), "need one class a picture") {
		t.Errorf("class weights for values: %v", err)
	}
}
