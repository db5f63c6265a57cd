package task

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Labels is the task of any number of labels a picture, judged by mean average precision.
type Labels struct{}

// Name is datasets.Labels.
func (Labels) Name() datasets.Task { return datasets.Labels }

// Metric is mean average precision.
func (Labels) Metric() metrics.Metric { return metrics.MAP }

// Heads are logistic regression alone.
func (Labels) Heads() []head.Kind { return []head.Kind{head.LogisticKind} }

// Figure is the average precision of each label.
func (Labels) Figure() string { return "labels" }

// Samples have a target of 0 or 1 for each label.
func (Labels) Samples(items []datasets.Item, x []float32, outputs int) head.Samples {
	return targets(items, x, outputs)
}

// Groups are the pictures with and without each label.
func (Labels) Groups(s head.Samples) (smallest int, group string) {
	with := make([]int, s.Classes)
	for i, v := range s.Targets {
		if v != 0 {
			with[i%s.Classes]++
		}
	}
	smallest = s.Len()
	for _, n := range with {
		smallest = min(smallest, n, s.Len()-n)
	}
	return smallest, "label"
}

// Rarest counts the pictures with, or without, the rarest label.
func (t Labels) Rarest(s head.Samples) int {
	n, _ := t.Groups(s)
	return n
}

// Measure is the mean average precision, without an interval.
func (Labels) Measure(s head.Samples, logits []float32) (metrics.Score, error) {
	v, _, err := metrics.MeanAveragePrecision(matrix(s, logits), s.Positive())
	return unscored(metrics.MAP, v, s), err
}

// Compare is the difference in mean average precision.
func (Labels) Compare(s head.Samples, before, after []float32) (metrics.Gain, error) {
	return metrics.CompareMAP(s.Positive(), matrix(s, before), matrix(s, after))
}

// Reading has a threshold for each label, where F1 is highest out of fold; 0.5 where there are no
// folds.
func (Labels) Reading(s head.Samples, outOfFold []float32) (Reading, error) {
	k := s.Classes
	r := Reading{Thresholds: make([]float64, k)}
	for c := range k {
		r.Thresholds[c] = 0.5
		if outOfFold == nil {
			continue
		}
		column, truth := make([]float32, s.Len()), make([]bool, s.Len())
		for i := range column {
			column[i], truth[i] = outOfFold[i*k+c], s.Targets[i*k+c] == 1
		}
		var err error
		if r.Thresholds[c], _, err = metrics.BestThreshold(column, truth); err != nil {
			return Reading{}, fmt.Errorf("task: the threshold of label %d: %w", c, err)
		}
	}
	return r, nil
}

// Renumber reorders the targets. A label that the set does not have is on none of its pictures.
func (Labels) Renumber(names []string, set *datasets.Dataset, items []datasets.Item) error {
	number := numbers(names)
	for i, item := range items {
		targets := make([]float64, len(names))
		for k, v := range item.Targets {
			if c, ok := number[set.Labels[k]]; ok {
				targets[c] = v
			} else if v != 0 {
				return unknownLabel(item, set.Labels[k], names)
			}
		}
		items[i].Targets = targets
	}
	return nil
}
