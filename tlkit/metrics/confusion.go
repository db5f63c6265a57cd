package metrics

import (
	"cmp"
	"fmt"
	"slices"
)

// Confusion counts truth against prediction: Counts[t][p] is the number of pictures of class t that
// were predicted as p.
type Confusion struct {
	Labels []string `json:"labels"`
	Counts [][]int  `json:"counts"`
}

// NewConfusion counts pairs of true and predicted class numbers, each in 0..K-1. labels has the K
// class names.
func NewConfusion(labels []string, truth, predicted []int) (Confusion, error) {
	k := len(labels)
	if k == 0 {
		return Confusion{}, fmt.Errorf("metrics: confusion of no classes: want at least one label")
	}
	if len(truth) != len(predicted) {
		return Confusion{}, fmt.Errorf("metrics: %d truths and %d predictions: want one of each for every picture", len(truth), len(predicted))
	}
	c := Confusion{Labels: slices.Clone(labels), Counts: make([][]int, k)}
	for i := range c.Counts {
		c.Counts[i] = make([]int, k)
	}
	for i, t := range truth {
		p := predicted[i]
		if t < 0 || t >= k || p < 0 || p >= k {
			return Confusion{}, fmt.Errorf("metrics: picture %d: truth %d, prediction %d: want 0..%d for %d classes", i, t, p, k-1, k)
		}
		c.Counts[t][p]++
	}
	return c, nil
}

// Check reports a matrix that is empty, ragged or holds a negative count. The other methods need a
// valid matrix; those of [NewConfusion] are.
func (c Confusion) Check() error {
	k := len(c.Labels)
	if k == 0 {
		return fmt.Errorf("metrics: confusion of no classes: want at least one label")
	}
	if len(c.Counts) != k {
		return fmt.Errorf("metrics: confusion has %d rows for %d labels", len(c.Counts), k)
	}
	for i, row := range c.Counts {
		if len(row) != k {
			return fmt.Errorf("metrics: confusion row %d has %d counts for %d labels", i, len(row), k)
		}
		for j, n := range row {
			if n < 0 {
				return fmt.Errorf("metrics: confusion count [%d, %d] is %d: want 0 or more", i, j, n)
			}
		}
	}
	return nil
}

// Accuracy is the share of pictures on the diagonal.
func (c Confusion) Accuracy() Fraction {
	var a Fraction
	for i, row := range c.Counts {
		for j, n := range row {
			a.Total += n
			if i == j {
				a.Correct += n
			}
		}
	}
	return a
}

// Class is the score of one class. A fraction of 0 out of 0 is 0, with the interval 0..1; Support
// and Predicted tell it from a real 0.
type Class struct {
	Label     string `json:"label"`
	Support   int    `json:"support"`   // pictures of this class
	Predicted int    `json:"predicted"` // pictures predicted as this class
	Correct   int    `json:"correct"`   // both

	Precision float64 `json:"precision"` // Correct/Predicted
	Recall    float64 `json:"recall"`    // Correct/Support
	F1        float64 `json:"f1"`        // harmonic mean of the two

	// 95 % intervals: Wilson's for precision and recall. F1 is an increasing function of
	// Correct/(Support+Predicted-Correct), so its interval is Wilson's interval of that share,
	// mapped through the function: approximate, and inside 0..1.
	PrecisionInterval Interval `json:"precision_interval"`
	RecallInterval    Interval `json:"recall_interval"`
	F1Interval        Interval `json:"f1_interval"`
}

// PerClass returns the scores of each class, in the order of Labels.
func (c Confusion) PerClass() []Class {
	out := make([]Class, len(c.Labels))
	for i := range out {
		r := &out[i]
		r.Label = c.Labels[i]
		for j := range c.Counts {
			r.Support += c.Counts[i][j]
			r.Predicted += c.Counts[j][i]
		}
		r.Correct = c.Counts[i][i]
		r.Precision, r.Recall = ratio(r.Correct, r.Predicted), ratio(r.Correct, r.Support)
		r.F1 = ratio(2*r.Correct, r.Support+r.Predicted)
		r.PrecisionInterval, r.RecallInterval = Wilson(r.Correct, r.Predicted), Wilson(r.Correct, r.Support)
		share := Wilson(r.Correct, r.Support+r.Predicted-r.Correct)
		r.F1Interval = Interval{2 * share.Low / (1 + share.Low), 2 * share.High / (1 + share.High)}
	}
	return out
}

// Balanced is balanced accuracy, the mean recall over the classes that have pictures: the accuracy
// if every class were equally frequent. It is 0 without pictures.
func (c Confusion) Balanced() float64 {
	sum, n := 0.0, 0
	for _, r := range c.PerClass() {
		if r.Support > 0 {
			sum += r.Recall
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// MacroF1 is the plain mean of F1 over the classes that have pictures or
// predictions.
func (c Confusion) MacroF1() float64 {
	sum, n := 0.0, 0
	for _, r := range c.PerClass() {
		if r.Support+r.Predicted > 0 {
			sum += r.F1
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// Mistake is one cell off the diagonal.
type Mistake struct {
	Truth, Predicted int // class numbers
	Count, Support   int // Count of the Support pictures of class Truth
}

// MostConfused returns up to n mistakes, most frequent first; of equal counts, the larger share of
// the true class comes first, then the lower class numbers.
func (c Confusion) MostConfused(n int) []Mistake {
	var all []Mistake
	for i, row := range c.Counts {
		support := 0
		for _, v := range row {
			support += v
		}
		for j, v := range row {
			if i != j && v > 0 {
				all = append(all, Mistake{i, j, v, support})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Support, b.Support))
	})
	return all[:max(0, min(n, len(all)))]
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
