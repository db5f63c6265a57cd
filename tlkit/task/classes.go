package task

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Classes is the task of exactly one label a picture, scored by accuracy.
type Classes struct{}

// Name returns datasets.Classes.
func (Classes) Name() datasets.Task { return datasets.Classes }

// Metric returns metrics.Accuracy.
func (Classes) Metric() metrics.Metric { return metrics.Accuracy }

// Heads returns logistic regression, the other families of package heads, the choice among them, and
// the SGD head of PyTorch's tutorial.
func (Classes) Heads() []head.Kind {
	return append(heads.Kinds(), heads.AutoKind, head.SGDKind)
}

// Figure returns "confusion", the confusion matrix.
func (Classes) Figure() string { return "confusion" }

// Samples returns samples with the class of each picture.
func (Classes) Samples(items []datasets.Item, x []float32, outputs int) head.Samples {
	s := head.Samples{X: x, Classes: outputs, Clusters: clusters(items)}
	for _, it := range items {
		s.Y = append(s.Y, it.Class)
	}
	if len(items) > 0 {
		s.Features = len(x) / len(items)
	}
	return s
}

// Groups returns the size of the smallest class that has pictures.
func (Classes) Groups(s head.Samples) (smallest int, group string) {
	count := newTally(s)
	for i, c := range s.Y {
		count.add(c, i)
	}
	smallest = s.Len()
	for _, n := range count.n {
		smallest = min(smallest, n)
	}
	return smallest, "class"
}

// Rarest returns the number of pictures of the rarest class.
func (t Classes) Rarest(s head.Samples) int {
	n, _ := t.Groups(s)
	return n
}

// Measure returns the accuracy, with its interval.
func (Classes) Measure(s head.Samples, logits []float32) (metrics.Score, error) {
	return s.Clusters.Accuracy(s.Y, head.Classes(logits, s.Classes))
}

// Compare returns the difference in accuracy, from the pictures on which the two differ.
func (Classes) Compare(s head.Samples, before, after []float32) (metrics.Gain, error) {
	c, err := s.Clusters.Compare(s.Y, head.Classes(before, s.Classes), head.Classes(after, s.Classes))
	return metrics.Gain{Value: c.Difference, Interval: c.Interval}, err
}

// Reading returns an empty Reading: the answer is the class with the largest logit.
func (Classes) Reading(head.Samples, []float32) (Reading, error) { return Reading{}, nil }

// Renumber sets the class of each picture to the head's number for its label.
func (Classes) Renumber(names []string, set *datasets.Dataset, items []datasets.Item) error {
	number := numbers(names)
	for i, item := range items {
		c, ok := -1, false
		if item.Class >= 0 {
			c, ok = number[set.Labels[item.Class]]
		}
		if !ok {
			return unknownLabel(item, set.Truth(item), names)
		}
		items[i].Class = c
	}
	return nil
}

func unknownLabel(item datasets.Item, label string, names []string) error {
	return advice.New(fmt.Errorf("task: %s is labelled %q, want a label of the head", item.Rel, label), "its labels are %s", words.Some(names))
}
