// Package task holds what differs between the things that can be learnt about a picture: one label
// ([Classes]), any number of labels ([Labels]) or real values ([Values]). It turns pictures and
// features into samples, and judges what a model says about them.
//
//	t, err := task.Named(set.Task)
//	samples := t.Samples(set.In("train"), features, len(set.Labels))
//	score, err := t.Measure(samples, logits)   // accuracy, mAP or R²
//
// Each task is one file. A fourth one is a file here, with a row in [All]; its loss in package
// finetune; its report in package evaluate; its answers in package export; and its columns in
// package datasets.
package task

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Task is one kind of thing that is learnt about pictures. Logits are [N, K] row-major, for N
// pictures and K classes, labels or values.
type Task interface {
	// Name is how data sets and files call it.
	Name() datasets.Task
	// Metric is what a model is judged by.
	Metric() metrics.Metric
	// Heads are the kinds of head that can learn it, the default first.
	Heads() []head.Kind
	// Figure is the name of the figure that its report draws: "confusion", "labels", "values".
	Figure() string

	// Samples are features x, [N, C] row-major, with what is known about the picture of each
	// row. x may be nil, where only the truth is wanted; outputs is K.
	Samples(items []datasets.Item, x []float32, outputs int) head.Samples
	// Groups counts the pictures of the smallest group that every fold of a head's training
	// pictures needs some of, and names that group: "class", "label"; "" where there is none
	// and the count is that of all pictures.
	Groups(s head.Samples) (smallest int, group string)
	// Rarest is the largest number of folds in which every part still has something to learn:
	// no more than there are pictures of the rarest class or label, or off the commonest value.
	Rarest(s head.Samples) int

	// Measure is the score of logits. Its interval is unknown where only resampling could give
	// one; see package evaluate.
	Measure(s head.Samples, logits []float32) (metrics.Score, error)
	// Compare is the score of the logits after minus that of those before, on the same pictures.
	Compare(s head.Samples, before, after []float32) (metrics.Gain, error)

	// Reading is what turns logits into answers, fitted on training pictures. outOfFold has for
	// each row of s the logits of a model that did not see it; nil where there are none.
	Reading(s head.Samples, outOfFold []float32) (Reading, error)

	// Renumber rewrites classes and targets of items of a data set, in place, as a head numbers
	// them whose outputs have these names. A picture of something the head does not know, or a
	// value that the set lacks, is an error that names it.
	Renumber(names []string, set *datasets.Dataset, items []datasets.Item) error
}

// Reading is what a head file keeps beside the weights to turn logits into answers.
type Reading struct {
	// Thresholds are the probabilities from which on each of several labels is given; nil of
	// other tasks.
	Thresholds []float64
	// Scales say where real values lay in the training pictures; nil of other tasks.
	Scales []Scale
}

// Scale is where a real value lay in the training pictures, in its own units. Outputs far outside
// are guesses.
type Scale struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

// All are the tasks there are.
func All() []Task { return []Task{Classes{}, Labels{}, Values{}} }

// Named is the task of that name; "" stands for one label a picture, as in files written before
// there were others.
func Named(name datasets.Task) (Task, error) {
	if name == "" {
		return Classes{}, nil
	}
	var known []string
	for _, t := range All() {
		if t.Name() == name {
			return t, nil
		}
		known = append(known, string(t.Name()))
	}
	return nil, fmt.Errorf("task: %q is not a task that this tlkit knows, which are %s; use the tlkit that wrote it", name, strings.Join(known, ", "))
}

// HeadKind is the kind of head that learns t: the one asked for, or the default where kind is "".
func HeadKind(t Task, kind head.Kind) (head.Kind, error) {
	if kind == "" {
		return t.Heads()[0], nil
	}
	for _, k := range t.Heads() {
		if k == kind {
			return k, nil
		}
	}
	return "", fmt.Errorf("task: a %s head cannot learn %s; leave --head out", kind, t.Name())
}

// matrix shapes logits for package metrics.
func matrix(s head.Samples, logits []float32) metrics.Matrix {
	return metrics.Matrix{Rows: s.Len(), Cols: s.Classes, Data: logits}
}

// unscored is a score without an interval.
func unscored(m metrics.Metric, value float64, s head.Samples) metrics.Score {
	return metrics.NewScore(m, value, metrics.Unknown(), s.Len())
}

// targets are samples of tasks with a target for each output.
func targets(items []datasets.Item, x []float32, outputs int) head.Samples {
	s := head.Samples{X: x, Classes: outputs, Targets: make([]float64, 0, len(items)*outputs)}
	for _, it := range items {
		s.Targets = append(s.Targets, it.Targets...)
	}
	if len(items) > 0 {
		s.Features = len(x) / len(items)
	}
	return s
}

// numbers are the head's numbers of some names.
func numbers(names []string) map[string]int {
	out := make(map[string]int, len(names))
	for i, n := range names {
		out[n] = i
	}
	return out
}
