package task

import (
	"fmt"
	"math"
	"slices"
)

// Difference says how far two ways of computing the same predictions are from each other.
type Difference struct {
	On      string   `json:"on"` // the pictures, in words: "val of insects"
	Of      Quantity `json:"of"`
	Samples int      `json:"samples"` // pictures
	Changed int      `json:"changed"` // pictures that get other labels
	// The largest difference of all, and the median over the pictures of the largest of each.
	Largest float64 `json:"largest"`
	Typical float64 `json:"typical"`
}

// Quantity is what a [Difference] is one of.
type Quantity string

// The quantities.
const (
	Probabilities Quantity = "probabilities"
	Deviations    Quantity = "values, in standard deviations,"
)

// Differ compares two sets of predictions, each a row of numbers for each picture. It is an error if
// the two do not have as many numbers.
func Differ(a, b [][]float64) (Difference, error) {
	d := Difference{Samples: len(a)}
	if len(a) != len(b) || len(a) == 0 {
		return d, fmt.Errorf("task: %d and %d predictions to compare, want as many, and one at least", len(a), len(b))
	}
	var each []float64
	for i, row := range a {
		if len(row) != len(b[i]) {
			return d, fmt.Errorf("task: %d and %d numbers of prediction %d to compare, want as many", len(row), len(b[i]), i)
		}
		most := 0.0
		for k, v := range row {
			off := math.Abs(v - b[i][k])
			if math.IsNaN(off) { // also of two infinities
				off = math.Inf(1)
			}
			most = max(most, off)
		}
		each = append(each, most)
	}
	slices.Sort(each)
	n := len(each)
	d.Largest, d.Typical = each[n-1], (each[(n-1)/2]+each[n/2])/2
	return d, nil
}

// String says it in words: "labels change on 1 of 153, probabilities differ by 0.0021 typically and by
// 0.034 at most".
func (d Difference) String() string {
	far := fmt.Sprintf("%s differ by %.2g typically and by %.2g at most", d.Of, d.Typical, d.Largest)
	if d.Of == Deviations {
		return far
	}
	return fmt.Sprintf("labels change on %d of %d, %s", d.Changed, d.Samples, far)
}
