package metrics

import (
	"fmt"
	"math"
)

// Comparison sets two models side by side on the same pictures. Only the
// pictures on which they differ say which is better.
type Comparison struct {
	Both    int `json:"both"`    // right in both
	OnlyA   int `json:"only_a"`  // right in A alone
	OnlyB   int `json:"only_b"`  // right in B alone
	Neither int `json:"neither"` // wrong in both

	Difference float64  `json:"difference"` // accuracy of B minus accuracy of A
	Interval   Interval `json:"interval"`   // 95 % of the difference
	P          float64  `json:"p"`          // exact two-sided McNemar test
}

// Compare judges two lists of predictions on the same pictures. The interval is
// Bonett and Price's (Wald with one picture added to each kind of
// disagreement), which holds its 95 % for small sets too; its middle lies a
// little nearer to 0 than Difference.
func Compare(truth, a, b []int) (Comparison, error) {
	n := len(truth)
	if n == 0 {
		return Comparison{}, fmt.Errorf("metrics: comparison on no pictures")
	}
	if len(a) != n || len(b) != n {
		return Comparison{}, fmt.Errorf("metrics: %d truths, %d predictions of A, %d of B: want the same pictures in the same order", n, len(a), len(b))
	}
	var c Comparison
	for i, t := range truth {
		if t < 0 {
			return Comparison{}, fmt.Errorf("metrics: truth of picture %d is %d: want a class number", i, t)
		}
		switch right := [2]bool{a[i] == t, b[i] == t}; right {
		case [2]bool{true, true}:
			c.Both++
		case [2]bool{true, false}:
			c.OnlyA++
		case [2]bool{false, true}:
			c.OnlyB++
		default:
			c.Neither++
		}
	}
	c.Difference = float64(c.OnlyB-c.OnlyA) / float64(n)
	m := float64(n + 2)
	pa, pb := float64(c.OnlyA+1)/m, float64(c.OnlyB+1)/m
	half := z95 * math.Sqrt((pa+pb-(pb-pa)*(pb-pa))/m)
	c.Interval = Interval{math.Max(-1, pb-pa-half), math.Min(1, pb-pa+half)}
	c.P = binomialHalf(min(c.OnlyA, c.OnlyB), c.OnlyA+c.OnlyB)
	return c, nil
}

// binomialHalf is the two-sided p value of k of n at probability 1/2, for the
// smaller count k. Summed in logarithms: 2^n overflows long before n does.
func binomialHalf(k, n int) float64 {
	if 2*k >= n {
		return 1
	}
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	sum := 0.0
	for i := 0; i <= k; i++ {
		sum += math.Exp(lg(n) - lg(i) - lg(n-i) - float64(n)*math.Ln2)
	}
	return math.Min(1, 2*sum)
}
