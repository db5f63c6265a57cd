package run

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/words"
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
	Task     datasets.Task    `json:"task"`
	Metric   string           `json:"metric"`   // what Score is of: Accuracy, MAP or R2
	Score    float64          `json:"score"`    // of classes only in JSON, see Accuracy
	Accuracy float64          `json:"accuracy"` // of classes
	Correct  int              `json:"correct"`  // of classes
	Total    int              `json:"total"`    // pictures
	Interval metrics.Interval `json:"interval"` // 95 % of the score: Wilson's, of labels and values a bootstrap's
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

	LabelsReport *evaluate.LabelsReport `json:"labels_report,omitempty"` // of a head for several labels a picture
	ValuesReport *evaluate.ValuesReport `json:"values_report,omitempty"` // of a head for real values
}

// Text is the report of a head; "" of a pretrained classifier.
func (e *Evaluation) Text() string {
	if e.Report == nil && e.LabelsReport == nil && e.ValuesReport == nil {
		return ""
	}
	v := verdict{classes: e.Report, labels: e.LabelsReport, values: e.ValuesReport}
	return v.text()
}

// ScoreLine is the score with its interval: "accuracy 94.8 % (145 of 153, 95 % 90.0-97.3)".
func (e *Evaluation) ScoreLine() string {
	if e.Metric == MAP || e.Metric == R2 {
		return scoreWords(e.Metric, e.Score, e.Interval, fmt.Sprintf("%d pictures", e.Total))
	}
	return "accuracy " + metrics.Accuracy{Correct: e.Correct, Total: e.Total}.String()
}

// Line is the evaluation in one line.
func (e *Evaluation) Line() string {
	a := metrics.Accuracy{Correct: e.Correct, Total: e.Total}
	if e.Top5 != nil {
		return fmt.Sprintf("top-1 %s, top-5 %.1f %% on %s of %s", a, 100**e.Top5, e.Split, e.Data)
	}
	return fmt.Sprintf("%s on %s of %s", e.ScoreLine(), e.Split, e.Data)
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
	asked, err := inHeadsOrder(h, ds, items)
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
	c, err := h.Open(ctx, eng, export.Options{Zoo: place.zoo(s.Weights, nil, p)})
	if err != nil {
		return nil, err
	}
	o := &opened{data: ds, net: c.Net(), eng: eng}
	m, err := o.extract(ctx, features.Job{Items: items, Preset: h.Preset, Backbone: features.FromNet(o.net, eng)}, p)
	if err != nil {
		return nil, err
	}
	kept, files := make([]datasets.Item, 0, m.Rows()), make([]string, 0, m.Rows())
	for _, i := range m.Items {
		kept, files = append(kept, items[i]), append(files, items[i].Rel)
	}
	v, err := judge(asked.Task, asked.Labels, samples(asked, m.Data, m.Features, kept), h.Linear.Logits(m.Data), h.Thresholds, files)
	if err != nil {
		return nil, err
	}
	f := v.figures(h.Seed, 0)
	return &Evaluation{
		Task: asked.Task, Metric: cmp.Or(f.Metric, Accuracy), Score: f.score(), Accuracy: f.Accuracy, Correct: f.Correct, Total: f.Total, Interval: f.Interval, Split: split,
		Model: h.Backbone.Name, Head: path, Data: ds.Name, Preset: h.Preset.Name, Engine: eng.Name, Seconds: clock.seconds(), Parity: &c.Parity, Warning: warning,
		Report: v.classes, LabelsReport: v.labels, ValuesReport: v.values,
	}, nil
}

// inHeadsOrder rewrites classes and targets of items as the head numbers them. The data set
// returned has the head's labels and no pictures of its own.
func inHeadsOrder(h *export.Head, ds *datasets.Dataset, items []datasets.Item) (*datasets.Dataset, error) {
	task := cmp.Or(h.Task, datasets.Classes)
	if ds.Task != task {
		return nil, fmt.Errorf("run: the head says %s and %s holds %s; measure it on pictures of its own kind", task.Words(h.Labels), ds.Name, ds.Task.Words(ds.Labels))
	}
	at := make(map[string]int, len(h.Labels)) // by name, the head's number
	for i, l := range h.Labels {
		at[l] = i
	}
	if task == datasets.Values {
		for _, l := range h.Labels {
			if !slices.Contains(ds.Labels, l) {
				return nil, fmt.Errorf("run: %s has no value %q, which the head predicts; it has %s", ds.Name, l, words.Some(ds.Labels))
			}
		}
	}
	for i, item := range items {
		if task == datasets.Classes {
			c, ok := -1, false
			if item.Class >= 0 {
				c, ok = at[ds.Labels[item.Class]]
			}
			if !ok {
				return nil, fmt.Errorf("run: %s is labelled %q, which the head does not know; its labels are %s", item.Rel, ds.Truth(item), words.Some(h.Labels))
			}
			items[i].Class = c
			continue
		}
		targets := make([]float64, len(h.Labels)) // a label that the set does not have is on none of its pictures
		for k, v := range item.Targets {
			c, ok := at[ds.Labels[k]]
			switch {
			case ok:
				targets[c] = v
			case task == datasets.Labels && v != 0:
				return nil, fmt.Errorf("run: %s is labelled %q, which the head does not know; its labels are %s", item.Rel, ds.Labels[k], words.Some(h.Labels))
			}
		}
		items[i].Targets = targets
	}
	return &datasets.Dataset{Name: ds.Name, Task: task, Labels: h.Labels}, nil
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
			return "", "", fmt.Errorf("run: this head learnt from all pictures of %s; its figure is the one by folds, %s; measure it on other pictures, or pass --split all to measure it on what it learnt", ds.Name, resultWords(h.Result))
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

// resultWords is the figure in a head file.
func resultWords(r export.Result) string {
	if r.Metric == MAP || r.Metric == R2 {
		return scoreWords(r.Metric, r.Score, r.Interval, fmt.Sprintf("%d pictures", r.Total))
	}
	return fmt.Sprintf("%d of %d", r.Correct, r.Total)
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
	if o.data.Task != datasets.Classes {
		return nil, fmt.Errorf("run: a pretrained classifier is for one label a picture, and %s holds %s; train a head on it", o.data.Name, o.data.Task.Words(o.data.Labels))
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
