package task

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Labels is the task of any number of labels a picture, scored by mean average precision.
type Labels struct{}

// Name returns datasets.Labels.
func (Labels) Name() datasets.Task { return datasets.Labels }

// Metric returns metrics.MAP.
func (Labels) Metric() metrics.Metric { return metrics.MAP }

// Heads returns logistic regression, the only kind for this task.
func (Labels) Heads() []head.Kind { return []head.Kind{head.LogisticKind} }

// Figure returns "labels", the average precision of each label.
func (Labels) Figure() string { return "labels" }

// Samples returns samples with a target of 0 or 1 for each label.
func (Labels) Samples(items []datasets.Item, x []float32, outputs int) head.Samples {
	return targets(items, x, outputs)
}

// Groups returns the smallest number of pictures with, or without, any label.
func (Labels) Groups(s head.Samples) (smallest int, group string) {
	with, without := newTally(s), newTally(s)
	for i, v := range s.Targets {
		if v != 0 {
			with.add(i%s.Classes, i/s.Classes)
		} else {
			without.add(i%s.Classes, i/s.Classes)
		}
	}
	smallest = s.Len()
	for k := range s.Classes {
		smallest = min(smallest, with.n[k], without.n[k])
	}
	return smallest, "label"
}

// Rarest returns the smallest number of pictures with, or without, any label.
func (t Labels) Rarest(s head.Samples) int {
	n, _ := t.Groups(s)
	return n
}

// Measure returns the mean average precision, without an interval.
func (Labels) Measure(s head.Samples, logits []float32) (metrics.Score, error) {
	v, _, err := metrics.MeanAveragePrecision(matrix(s, logits), s.Positive())
	return unscored(metrics.MAP, v, s), err
}

// Compare returns the difference in mean average precision.
func (Labels) Compare(s head.Samples, before, after []float32) (metrics.Gain, error) {
	return s.Clusters.CompareMAP(s.Positive(), matrix(s, before), matrix(s, after))
}

// Reading returns a threshold for each label: the one with the highest F1 out of fold, or 0.5
// without folds.
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
		r.Thresholds[c], _, err = metrics.BestThreshold(column, truth)
		if err != nil {
			return Reading{}, fmt.Errorf("task: the threshold of label %d: %w", c, err)
		}
	}
	return r, nil
}

// Renumber puts the targets into the head's order. A label of the head that the set lacks is taken
// as absent from all its pictures.
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
