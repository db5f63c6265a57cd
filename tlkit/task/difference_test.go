package task

import (
	"math"
	"testing"
)

// The largest and the typical difference, from rows worked out by hand.
func TestDiffer(t *testing.T) {
	a := [][]float64{{0.5, 0.5}, {0.25, 0.75}, {1, 0}, {0, 1}}
	b := [][]float64{{0.5, 0.5}, {0.375, 0.625}, {0.75, 0.25}, {0, 0}}
	d, err := Differ(a, b)
	if err != nil || d.Samples != 4 || d.Largest != 1 || d.Typical != 0.1875 {
		t.Errorf("%+v, %v", d, err)
	}
	d.Of, d.Changed = Probabilities, 1
	if got, want := d.String(), "labels change on 1 of 4, probabilities differ by 0.19 typically and by 1 at most"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	d.Of = Deviations
	if got, want := d.String(), "values, in standard deviations, differ by 0.19 typically and by 1 at most"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if d, err := Differ([][]float64{{math.NaN()}}, [][]float64{{0}}); err != nil || !math.IsInf(d.Largest, 1) {
		t.Errorf("no number: %+v, %v", d, err)
	}
	for _, c := range [][2][][]float64{{nil, nil}, {a, b[:3]}, {{{1}}, {{1, 2}}}} {
		if _, err := Differ(c[0], c[1]); err == nil {
			t.Errorf("%v beside %v is no error", c[0], c[1])
		}
	}
}
