package task

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Values is the task of real numbers, each in its own units, scored by R².
type Values struct{}

// Name returns datasets.Values.
func (Values) Name() datasets.Task { return datasets.Values }

// Metric returns metrics.R2, the share of the variance explained.
func (Values) Metric() metrics.Metric { return metrics.R2 }

// Heads returns ridge regression, the only kind for this task.
func (Values) Heads() []head.Kind { return []head.Kind{head.RidgeKind} }

// Figure returns "values", predicted against true values.
func (Values) Figure() string { return "values" }

// Samples returns samples with the values of each picture as targets.
func (Values) Samples(items []datasets.Item, x []float32, outputs int) head.Samples {
	return targets(items, x, outputs)
}

// Groups returns the number of samples and no group: any picture can be held out.
func (Values) Groups(s head.Samples) (smallest int, group string) { return size(s), "" }

// Rarest counts, for each value, the pictures that differ from its most common number, and returns
// the smallest of these counts.
func (Values) Rarest(s head.Samples) int {
	smallest := size(s)
	for c := range s.Classes {
		count, most := map[float64]int{}, 0
		for i := c; i < len(s.Targets); i += s.Classes {
			count[s.Targets[i]]++
			most = max(most, count[s.Targets[i]])
		}
		smallest = min(smallest, s.Len()-most)
	}
	return smallest
}

// Measure returns the mean R², without an interval.
func (Values) Measure(s head.Samples, logits []float32) (metrics.Score, error) {
	v, _, err := metrics.MeanR2(matrix(s, logits), s.Targets)
	return unscored(metrics.R2, v, s), err
}

// Compare returns the difference in mean R².
func (Values) Compare(s head.Samples, before, after []float32) (metrics.Gain, error) {
	return s.Clusters.CompareR2(s.Targets, matrix(s, before), matrix(s, after))
}

// Reading returns the scale of each value. Each view of a picture counts as a sample.
func (Values) Reading(s head.Samples, _ []float32) (Reading, error) {
	k, n := s.Classes, float64(s.Len())
	r := Reading{Scales: make([]Scale, k)}
	for c := range k {
		v := Scale{Min: math.Inf(1), Max: math.Inf(-1)}
		for i := c; i < len(s.Targets); i += k {
			t := s.Targets[i]
			v.Min, v.Max = min(v.Min, t), max(v.Max, t)
			v.Mean += t / n
		}
		for i := c; i < len(s.Targets); i += k {
			d := s.Targets[i] - v.Mean
			v.SD += d * d / n
		}
		v.SD, v.Mean = math.Sqrt(v.SD), min(max(v.Mean, v.Min), v.Max)
		r.Scales[c] = v
	}
	return r, nil
}

// Renumber puts the values into the head's order. The set must have every value that the head
// predicts.
func (Values) Renumber(names []string, set *datasets.Dataset, items []datasets.Item) error {
	for _, n := range names {
		if !slices.Contains(set.Labels, n) {
			return advice.New(fmt.Errorf("task: %s has no value %q, which the head predicts", set.Name, n), "it has %s", words.Some(set.Labels))
		}
	}
	number := numbers(names)
	for i, item := range items {
		targets := make([]float64, len(names))
		for k, v := range item.Targets {
			if c, ok := number[set.Labels[k]]; ok {
				targets[c] = v
			}
		}
		items[i].Targets = targets
	}
	return nil
}
