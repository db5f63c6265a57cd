package dice

import (
	"math"
	"testing"
)

// The numbers are frozen: drawn worlds and noise depend on them.
func TestFrozen(t *testing.T) {
	d := New(1, 2)
	got := [3]uint64{d.Next(), d.Next(), d.Next()}
	if want := [3]uint64{0x80fd2aa985589d4f, 0xe35e4aa98dc3de59, 0x1a2768757f04c50a}; got != want {
		t.Errorf("New(1, 2) gives %#x, want %#x", got, want)
	}
	if a, b := New(2, 1).Next(), New(1, 2).Next(); a == b {
		t.Error("the order of the seeds does not matter")
	}
}

func TestDistributions(t *testing.T) {
	d, n := New(3), 100_000
	var sum, squares, inside, heads float64
	counts := make([]int, 5)
	for range n {
		b := d.Bell()
		sum, squares = sum+b, squares+b*b
		if u := d.In(-2, 4); u < -2 || u >= 4 {
			t.Fatalf("In(-2, 4) = %v", u)
		} else {
			inside += u
		}
		counts[d.Below(5)]++
		if d.Chance(0.25) {
			heads++
		}
	}
	near := func(what string, got, want, within float64) {
		if math.Abs(got-want) > within {
			t.Errorf("%s is %v, want about %v", what, got, want)
		}
	}
	near("mean of Bell", sum/float64(n), 0, 0.02)
	near("deviation of Bell", math.Sqrt(squares/float64(n)), 1, 0.02)
	near("mean of In(-2, 4)", inside/float64(n), 1, 0.03)
	near("share of Chance(0.25)", heads/float64(n), 0.25, 0.01)
	for _, c := range counts {
		near("Below(5)", float64(c)/float64(n), 0.2, 0.01)

	}
	if d.Below(0) != 0 || d.Below(-3) != 0 {
		t.Error("Below of nothing is not 0")
	}
}
