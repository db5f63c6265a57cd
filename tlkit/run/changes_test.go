package run

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/learner"
)

// Settings that make no sense, alone or together, are refused before anything is opened.
func TestChangesThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		words string
		spec  Spec
	}{
		{"without fine-tuning; say for how many epochs", Spec{Rate: 1e-3}},
		{"without fine-tuning", Spec{Mixup: 0.2}},
		{"without fine-tuning", Spec{Batch: 8}},
		{"without fine-tuning", Spec{Augment: learner.AugmentOff}},
		{"which has those of PyTorch's tutorial", Spec{Head: "sgd", Rate: 1e-2}},
		{"leave out --views or --augment", Spec{Finetune: 1, Views: 4, Augment: learner.AugmentOff}},
		{"learning rate -1", Spec{Finetune: 1, Rate: -1}},
		{"learning rate NaN", Spec{Finetune: 1, Rate: math.NaN()}},
		{"usual rates are between", Spec{Finetune: 1, Rate: 100}},
		{"mixup 11", Spec{Finetune: 1, Mixup: 11}},
		{"batches of -2", Spec{Finetune: 1, Batch: -2}},
		{"no other to be mixed with", Spec{Finetune: 1, Batch: 1, Mixup: 0.1}},
		{`"on" or "off"`, Spec{Finetune: 1, Augment: "maybe"}},
		{"class weights for a ridge head", Spec{Head: "ridge", ClassWeights: true}},
	} {
		c.spec.Data, c.spec.Model = "no such data", "mobilenetv2"
		if _, err := Train(context.Background(), c.spec, Place{Folder: t.TempDir()}, nil); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: want an error with %q, got %v", c.spec, c.words, err)
		}
	}
}

// Class weights need classes: that is said once the data is open, before the network is.
func TestClassWeightsNeedClasses(t *testing.T) {
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 4)
	table := "path,size\n"
	for i, name := range []string{"discs/00", "discs/01", "discs/02", "discs/03", "bars/00", "bars/01", "bars/02", "bars/03"} {
		table += fmt.Sprintf("%s.png,%g\n", name, 1.5*float64(i))
	}
	file := filepath.Join(folder, "sizes.csv")
	testpictures.Write(t, file, []byte(table))
	said := &heard{}
	_, err := Train(context.Background(), Spec{Data: file, Model: "mobilenetv2", ClassWeights: true, Seed: 1}, Place{Folder: t.TempDir(), Offline: true}, said)
	if err == nil || !strings.Contains(err.Error(), "class weights need one label a picture") || said.has("loading weights") {
		t.Errorf("%v, said %q", err, said.lines)
	}
}

// What a spec changes reaches the plan, the head and the files of the run.
func TestChangesReachTheRun(t *testing.T) {
	folder, work := testpictures.Shapes(t, []string{"discs", "bars"}, 9), t.TempDir()
	for _, name := range []string{"00", "01", "02", "03", "04"} { // fewer of one label
		if err := os.Remove(filepath.Join(folder, "bars", name+".png")); err != nil {
			t.Fatal(err)
		}
	}
	head := Spec{Data: folder, Model: "resnet20_cifar10", Weights: formula(t, "resnet20_cifar10"), Seed: 1, ClassWeights: true}
	tuned := head
	tuned.Finetune, tuned.Plan, tuned.From, tuned.Rate, tuned.Batch, tuned.Mixup, tuned.Augment = 1, finetune.Fastai, "layer3", 3e-4, 4, 0.2, learner.AugmentOff
	place := Place{Folder: work, Name: "few", Keep: true, Resume: true}
	train(t, head, place)
	said := &heard{}
	r, err := Train(context.Background(), tuned, place, said) // continues from the head
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"batch 4", "rate 0.0003, as asked for", "mixup 0.2", "class weights", "no crops and flips"} {
		if !said.has(words) {
			t.Errorf("nothing said about %q: %q", words, said.lines)
		}
	}
	if r.Finetune == nil || math.Abs(r.Finetune.Rate-3e-4) > 1e-12 {
		t.Errorf("fine-tuned at %+v", r.Finetune)
	}
	for file, words := range map[string]string{"plan.json": `"class_weights": true`, "finetune.json": `"mixup": 0.2`, "spec.json": `"augment": "off"`} {
		if b, err := os.ReadFile(filepath.Join(r.Run, file)); err != nil || !strings.Contains(string(b), words) {
			t.Errorf("%s has no %s: %v\n%s", file, words, err, b)
		}
	}

	// Other settings under this name are refused, and the way out is named; without Keep they move
	// the run aside.
	other := tuned
	other.Rate = 1e-4
	if _, err := Train(context.Background(), other, place, nil); err == nil || !strings.Contains(err.Error(), "rate: 0.0003 there, 0.0001 now") || !strings.Contains(err.Error(), "Retrain: true") || strings.Contains(err.Error(), "delete") {
		t.Errorf("another rate: %v", err)
	}
}
