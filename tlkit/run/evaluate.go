package run

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Evaluation is how a head or a pretrained classifier does on a data set. It is the
// command line's JSON.
type Evaluation struct {
	Accuracy float64          `json:"accuracy"`
	Correct  int              `json:"correct"`
	Total    int              `json:"total"`
	Interval metrics.Interval `json:"interval"` // 95 %, Wilson
	Split    string           `json:"split"`

	// Of a pretrained classifier: the label's output is the largest, or among the five
	// largest, of all its outputs. Top1 equals Accuracy.
	Top1 *float64 `json:"top1,omitempty"`
	Top5 *float64 `json:"top5,omitempty"`

	Model      string           `json:"model"`
	Head       string           `json:"head,omitempty"`
	Data       string           `json:"data"`
	Statistics string           `json:"statistics,omitempty"`
	Preset     string           `json:"preset,omitempty"`
	Engine     string           `json:"engine"`
	Seconds    float64          `json:"seconds"`
	Parity     *float64         `json:"parity,omitempty"`  // of a head: how far its built-in pictures were off
	Warning    string           `json:"warning,omitempty"` // why the figure may be better than the truth
	Report     *evaluate.Report `json:"report,omitempty"`  // of a head
}

// Line is the evaluation in one line.
func (e *Evaluation) Line() string {
	a := metrics.Accuracy{Correct: e.Correct, Total: e.Total}
	if e.Top5 != nil {
		return fmt.Sprintf("top-1 %s, top-5 %.1f %% on %s of %s", a, 100**e.Top5, e.Split, e.Data)
	}
	return fmt.Sprintf("accuracy %s on %s of %s", a, e.Split, e.Data)
}

// IsHead says whether a name on the command line means a head file: it is a file, or ends like one.
func IsHead(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() || strings.HasSuffix(name, ".safetensors")
}

// EvaluateHead measures a head file on a data set: by default on the split that Train
// reports on. The data set's labels must be among the head's.
func EvaluateHead(ctx context.Context, path, dataName, split, weightsFile string, place Place, p Progress) (*Evaluation, error) {
	clock := startClock()
	h, err := export.Read(path)
	if err != nil {
		return nil, err
	}
	s := Spec{Data: dataName, Model: h.Backbone.Name, Weights: weightsFile, Split: split, Seed: h.Seed}
	p.State("opening data", 0, 0)
	ds, err := datasets.Open(ctx, dataName, datasets.Options{Offline: place.Offline, Seed: s.Seed, Report: fetching(p)})
	if err != nil {
		return nil, err
	}
	introduce(ds, p)
	split, warning, err := splitFor(h, ds, split)
	if err != nil {
		return nil, err
	}
	if warning != "" {
		p.Say(warning)
	}
	items := ds.In(split)
	if len(items) == 0 {
		return nil, fmt.Errorf("run: split %q of %s has no pictures; it has %v", split, dataName, ds.Splits())
	}
	class := make(map[string]int, len(h.Labels))
	for i, l := range h.Labels {
		class[l] = i
	}
	for i, item := range items {
		c, ok := -1, false
		if item.Class >= 0 {
			c, ok = class[ds.Labels[item.Class]]
		}
		if !ok {
			return nil, fmt.Errorf("run: %s is labelled %q, which the head does not know; its labels are %s", item.Rel, ds.Truth(item), some(h.Labels))
		}
		items[i].Class = c
	}
	eng, err := openEngine(ctx, place.Offline, p)
	if err != nil {
		return nil, err
	}
	if eng.Why != "" {
		p.Say(eng.Why)
	}
	c, err := h.Open(ctx, eng, export.Options{Zoo: place.zoo(s.Weights, nil, p)})
	if err != nil {
		return nil, err
	}
	o := &opened{data: ds, net: c.Net(), eng: eng}
	m, err := o.extract(ctx, features.Job{Items: items, Preset: h.Preset, Backbone: features.FromNet(o.net, eng)}, p)
	if err != nil {
		return nil, err
	}
	in := evaluate.Input{Labels: h.Labels, Logits: h.Linear.Logits(m.Data)}
	for _, i := range m.Items {
		in.Truth, in.Files = append(in.Truth, items[i].Class), append(in.Files, items[i].Rel)
	}
	report, err := evaluate.New(in)
	if err != nil {
		return nil, err
	}
	return &Evaluation{
		Accuracy: report.Accuracy.Value(), Correct: report.Accuracy.Correct, Total: report.Accuracy.Total, Interval: report.Interval, Split: split,
		Model: h.Backbone.Name, Head: path, Data: ds.Name, Preset: h.Preset.Name, Engine: eng.Name, Seconds: clock.seconds(), Parity: &c.Parity, Report: report, Warning: warning,
	}, nil
}

// splitFor chooses the pictures a head is measured on and says what is doubtful about it. A
// split that the publisher or the person made is taken at its word. One that was dealt by a
// seed means something only for the very pictures the head was trained on: of any others
// nobody knows which the head has learnt from.
func splitFor(h *export.Head, ds *datasets.Dataset, asked string) (split, warning string, err error) {
	same := h.Data.Fingerprint == ds.Fingerprint()
	byFolds := strings.Contains(h.Result.Split, "folds of")
	split = asked
	if split == "" {
		switch {
		case ds.Dealt && same && byFolds:
			return "", "", fmt.Errorf("run: this head learnt from all pictures of %s; its figure is the one by folds, %d of %d; measure it on other pictures, or pass --split all to measure it on what it learnt", ds.Name, h.Result.Correct, h.Result.Total)
		case ds.Dealt && !same || ds.Evaluation() == "":
			split = "all"
		default:
			split = ds.Evaluation()
		}
	}
	named, _ := data.SplitNamed(split)
	switch {
	case same && (split == "all" || named == "train" || byFolds && ds.Dealt):
		warning = "these pictures are among those the head learnt from: the figure says nothing about others"
	case ds.Dealt && !same:
		warning = fmt.Sprintf("these are not exactly the pictures the head was trained with (%s); if it learnt from some of them, the figure is too good", h.Data.Name)
	}
	return split, warning, nil
}

// some names at most twenty: a head of 300 labels must not fill the screen.
func some(names []string) string {
	const shown = 20
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// EvaluateModel measures a checkpoint's own classifier, zero-shot: nothing is trained.
// meaning says which of its labels stand for those of the data set, see
// [evaluate.ParseMeaning]. By default all pictures count, since it has seen none.
func EvaluateModel(ctx context.Context, s Spec, meaning string, place Place, p Progress) (*Evaluation, error) {
	clock := startClock()
	row, err := zoo.Find(s.Model)
	if err != nil {
		return nil, err
	}
	trunk := fmt.Errorf("run: %s is a trunk without a classifier of its own: train a head on it (tlkit train --model %s), or evaluate one of %s", row.Name, row.Name, strings.Join(classifiers(), ", "))
	if row.Classes == "" && s.Weights == "" {
		return nil, trunk
	}
	o, err := open(ctx, s, place, p)
	if err != nil {
		return nil, err
	}
	o.introduce(p)
	outputs, err := o.net.Labels()
	if err != nil {
		return nil, err
	}
	if outputs == nil {
		return nil, trunk
	}
	m, err := evaluate.ParseMeaning(meaning, o.data.Labels, outputs)
	if err != nil {
		return nil, err
	}
	if s.Split == "" {
		s.Split = "all"
	}
	items := o.data.In(s.Split)
	if len(items) == 0 {
		return nil, fmt.Errorf("run: split %q of %s has no pictures; it has %v", s.Split, s.Data, o.data.Splits())
	}
	for _, item := range items {
		if item.Class < 0 {
			return nil, fmt.Errorf("run: %s has no label to compare with; put the pictures of each label in a folder of its own", item.Rel)
		}
	}
	b, err := features.Logits(o.net, o.eng)
	if err != nil {
		return nil, err
	}
	logits, err := o.extract(ctx, features.Job{Items: items, Preset: o.net.Preset, Backbone: b}, p)
	if err != nil {
		return nil, err
	}
	truth := make([]int, 0, logits.Rows())
	for _, i := range logits.Items {
		truth = append(truth, items[i].Class)
	}
	top1, err := m.TopK(logits.Data, b.Features, truth, 1)
	if err != nil {
		return nil, err
	}
	top5, err := m.TopK(logits.Data, b.Features, truth, 5)
	if err != nil {
		return nil, err
	}
	v1, v5 := top1.Value(), top5.Value()
	return &Evaluation{
		Accuracy: v1, Correct: top1.Correct, Total: top1.Total, Interval: top1.Interval(), Split: s.Split, Top1: &v1, Top5: &v5,
		Model: o.net.Row.Name, Data: o.data.Name, Statistics: s.Statistics, Preset: o.net.Preset.Name, Engine: o.eng.Name, Seconds: clock.seconds(),
	}, nil
}

// classifiers are the rows that can be evaluated as they are.
func classifiers() []string {
	var names []string
	for _, r := range zoo.Rows() {
		if r.Classes != "" {
			names = append(names, r.Name)
		}
	}
	return names
}

// Predict opens a head file and says what is on some pictures.
func Predict(ctx context.Context, path string, pictures []string, weightsFile string, place Place, p Progress) ([]export.Prediction, error) {
	h, err := export.Read(path)
	if err != nil {
		return nil, err
	}
	eng, err := openEngine(ctx, place.Offline, p)
	if err != nil {
		return nil, err
	}
	if eng.Why != "" {
		p.Say(eng.Why)
	}
	c, err := h.Open(ctx, eng, export.Options{Zoo: place.zoo(weightsFile, nil, p)})
	if err != nil {
		return nil, err
	}
	return c.Classify(ctx, pictures)
}
