package run

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// EvaluateModel scores a checkpoint's own classifier without training (zero-shot). meaning maps its
// labels to those of the data set, see [evaluate.ParseMeaning]. By default it uses all pictures,
// because the classifier has seen none of them. p may be nil.
//
// A checkpoint that was trained on words needs no classifier: pictures are compared with "a photo of
// a LABEL.". meaning may give other words for labels, and other templates for "*":
// "ants=ant|carpenter ant,*=a photo of a {}.|a drawing of a {}.".
//
// It is an error if the checkpoint has neither, if the data set does not have one label a
// picture, or if a label gets no meaning.
func EvaluateModel(ctx context.Context, s Spec, meaning string, place Place, p Progress) (*Evaluation, error) {
	p, shown := place.Shown(p)
	defer shown()
	clock := startClock(p)
	z, err := openZeroShot(ctx, s, meaning, place, p)
	if err != nil {
		return nil, err
	}
	logits, err := z.outputs(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := z.settle(p); err != nil {
		return nil, err
	}
	truth := make([]int, 0, logits.Rows())
	for _, i := range logits.Items {
		truth = append(truth, z.items[i].Class)
	}
	top1, err := z.meaning.TopK(logits.Data, logits.Features, truth, 1)
	if err != nil {
		return nil, err
	}
	top5, err := z.meaning.TopK(logits.Data, logits.Features, truth, 5)
	if err != nil {
		return nil, err
	}
	v1, v5 := top1.Value(), top5.Value()
	return &Evaluation{
		Task: datasets.Classes, Score: top1.Score(), Split: z.split, Top1: &v1, Top5: &v5,
		Model: z.net.Row.Name, Data: z.data.Name, Statistics: s.Statistics, Preset: z.net.Preset.Name, Engine: z.eng.Name, Seconds: clock.seconds(), Guard: z.verdict,
	}, nil
}

// zeroShot is a pretrained classifier with the pictures it is scored on.
type zeroShot struct {
	*opened
	meaning evaluate.Meaning
	split   string
	items   []datasets.Item
	texts   [][]float32 // what the pictures are compared with; nil = the network has a classifier
}

// openZeroShot opens everything for EvaluateModel, and reports a checkpoint without a classifier
// and data without labels.
func openZeroShot(ctx context.Context, s Spec, meaning string, place Place, p Progress) (*zeroShot, error) {
	row, err := zoo.Find(s.Model)
	if err != nil {
		return nil, err
	}
	if row.Classes == "" && row.Text == "" && s.Weights == "" {
		return nil, errTrunk(row)
	}
	z := &zeroShot{split: cmp.Or(s.Split, "all")}
	o, err := open(ctx, s, place, p, func(ds *datasets.Dataset) error { return z.choose(ds, s) })
	if err != nil {
		return nil, err
	}
	z.opened = o
	o.introduce(p)
	if row.Text != "" {
		return z, z.inWords(ctx, s, meaning, place, p)
	}
	outputs, err := o.net.Labels()
	if err != nil {
		return nil, err
	}
	if outputs == nil {
		return nil, errTrunk(row)
	}
	z.meaning, err = evaluate.ParseMeaning(meaning, o.data.Labels, outputs)
	return z, err
}

// choose selects the pictures to score the classifier on.
func (z *zeroShot) choose(ds *datasets.Dataset, s Spec) error {
	if ds.Task != datasets.Classes {
		return advice.New(fmt.Errorf("run: a pretrained classifier is for one label a picture, and %s has %s", ds.Name, ds.Task.Words(ds.Labels)), "train a head on it")
	}
	z.items = ds.In(datasets.Split(z.split))
	if len(z.items) == 0 {
		return advice.New(fmt.Errorf("run: split %q of %s has no pictures", z.split, s.Data), "it has %v", ds.Splits())
	}
	for _, item := range z.items {
		if item.Class < 0 {
			return advice.New(fmt.Errorf("run: %s has no label to compare with", item.Rel), "put the pictures of each label in a folder of its own")
		}
	}
	return nil
}

func errTrunk(row zoo.Row) error {
	return advice.New(fmt.Errorf("run: %s has no classifier of its own", row.Name), "train a head on it (tlkit train --model %s), or evaluate one of %s", row.Name, strings.Join(classifiers(), ", "))
}

// classifiers returns the rows that have a classifier.
func classifiers() []string {
	var names []string
	for _, r := range zoo.Rows() {
		if r.Classes != "" {
			names = append(names, r.Name)
		}
	}
	return names
}
