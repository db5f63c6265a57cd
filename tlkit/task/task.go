// Package task defines the tasks: what a model predicts about a picture. That is one label
// ([Classes]), any number of labels ([Labels]) or real values ([Values]). A task turns pictures and
// features into samples, and scores a model's logits.
//
//	t, err := task.Named(set.Task)
//	samples := t.Samples(set.In("train"), features, len(set.Labels))
//	score, err := t.Measure(samples, logits)   // accuracy, mAP or R²
//
// Each task is one file. To add one, write a file here and list it in [All]; then add its loss to
// package finetune, its report to package evaluate, its predictions to package export and its
// columns to package datasets.
package task

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Task is a kind of prediction about pictures. Logits are [N, K] row-major, for N pictures and K
// classes, labels or values.
type Task interface {
	// Name returns the task's name in data sets and files.
	Name() datasets.Task
	// Metric returns the metric that models are scored by.
	Metric() metrics.Metric
	// Heads returns the kinds of head that suit the task, the default first.
	Heads() []head.Kind
	// Figure returns the name of the figure that the task's report draws: "confusion", "labels" or
	// "values".
	Figure() string

	// Samples returns features x, [N, C] row-major, with the labels or values of the picture of
	// each row. x may be nil if features are not needed. outputs is K.
	Samples(items []datasets.Item, x []float32, outputs int) head.Samples
	// Groups returns the size of the smallest group of pictures that every fold of a head's
	// training pictures must contain, and what it is called: "class" or "label". If any picture can
	// be held out, it returns the number of all pictures and "". Samples with Clusters are counted by
	// cluster, here and in Rarest.
	Groups(s head.Samples) (smallest int, group string)
	// Rarest returns the largest number of folds for which every training part still has something
	// to learn: the number of pictures of the rarest class or label, or of those that do not have
	// the most common value.
	Rarest(s head.Samples) int

	// Measure returns the score of logits. Its interval is unknown if it needs resampling; package
	// evaluate computes that one.
	Measure(s head.Samples, logits []float32) (metrics.Score, error)
	// Compare returns the score of the logits after minus that of the logits before, on the same
	// pictures.
	Compare(s head.Samples, before, after []float32) (metrics.Gain, error)

	// Reading returns what turns logits into predictions, fitted on training samples. outOfFold has
	// the logits of each row of s from a model that did not see it, [N, K]; nil if there are none.
	Reading(s head.Samples, outOfFold []float32) (Reading, error)

	// Renumber rewrites the classes or targets of a data set's items, in place, in the order of a
	// head whose outputs have these names. It is an error if a picture has a label that the head
	// does not have, or if the set lacks a value; the error names it.
	Renumber(names []string, set *datasets.Dataset, items []datasets.Item) error
}

// Reading is what a head file stores to turn logits into predictions.
type Reading struct {
	// Thresholds are the probabilities from which a picture gets each of several labels; nil for
	// other tasks.
	Thresholds []float64
	// Scales are the distributions of real values in the training pictures; nil for other tasks.
	Scales []Scale
}

// Scale is the distribution of a real value in the training pictures, in its own units. Predictions
// far outside it are guesses.
type Scale struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

// All returns all tasks.
func All() []Task { return []Task{Classes{}, Labels{}, Values{}} }

// Named returns the task of that name. "" stands for [Classes], as in files written before there
// were other tasks.
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
	return nil, advice.New(fmt.Errorf("task: unknown task %q, want one of %s", name, strings.Join(known, ", ")), "use the version of tlkit that wrote it")
}

// HeadKind returns kind, or the task's default if kind is "". It is an error if that kind of head
// does not suit the task.
func HeadKind(t Task, kind head.Kind) (head.Kind, error) {
	if kind == "" {
		return t.Heads()[0], nil
	}
	for _, k := range t.Heads() {
		if k == kind {
			return k, nil
		}
	}
	return "", advice.New(fmt.Errorf("task: a %s head cannot predict %s", kind, t.Name()), "leave --head out")
}

// matrix returns logits as a Matrix of package metrics.
func matrix(s head.Samples, logits []float32) metrics.Matrix {
	return metrics.Matrix{Rows: s.Len(), Cols: s.Classes, Data: logits}
}

// unscored returns a score without an interval.
func unscored(m metrics.Metric, value float64, s head.Samples) metrics.Score {
	return metrics.NewScore(m, value, metrics.Unknown(), s.Len())
}

// targets returns samples for tasks with a target for each output.
func targets(items []datasets.Item, x []float32, outputs int) head.Samples {
	s := head.Samples{X: x, Classes: outputs, Targets: make([]float64, 0, len(items)*outputs), Clusters: clusters(items)}
	for _, it := range items {
		s.Targets = append(s.Targets, it.Targets...)
	}
	if len(items) > 0 {
		s.Features = len(x) / len(items)
	}
	return s
}

// clusters numbers the groups of pictures; nil if none are declared.
func clusters(items []datasets.Item) metrics.Clusters {
	if (&datasets.Dataset{Items: items}).Groups() == 0 {
		return nil
	}
	number, out := map[string]int{}, make(metrics.Clusters, len(items))
	for i, it := range items {
		k, known := number[it.Group]
		if !known {
			k = len(number)
			number[it.Group] = k
		}
		out[i] = k
	}
	return out
}

// size is the number of samples that can be held out by themselves.
func size(s head.Samples) int {
	if s.Clusters != nil {
		return s.Clusters.Count()
	}
	return s.Len()
}

// tally counts samples by class or label, those of a cluster once.
type tally struct {
	n        map[int]int
	clusters metrics.Clusters
	counted  map[[2]int]bool
}

func newTally(s head.Samples) tally {
	return tally{n: map[int]int{}, clusters: s.Clusters, counted: map[[2]int]bool{}}
}

// add counts a sample.
func (t tally) add(class, sample int) {
	if t.clusters != nil {
		key := [2]int{class, t.clusters[sample]}
		if t.counted[key] {
			return
		}
		t.counted[key] = true
	}
	t.n[class]++
}

// numbers returns the index of each name.
func numbers(names []string) map[string]int {
	out := make(map[string]int, len(names))
	for i, n := range names {
		out[n] = i
	}
	return out
}
