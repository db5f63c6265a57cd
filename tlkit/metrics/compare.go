package metrics

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Comparison compares the classes that two models predict for the same pictures. Only the pictures
// on which they differ show which is better.
type Comparison struct {
	Both    int `json:"both"`    // right in both
	OnlyA   int `json:"only_a"`  // right in A alone
	OnlyB   int `json:"only_b"`  // right in B alone
	Neither int `json:"neither"` // wrong in both

	Difference float64  `json:"difference"` // accuracy of B minus accuracy of A
	Interval   Interval `json:"interval"`   // 95 % of the difference
	P          float64  `json:"p"`          // exact two-sided McNemar test; by clusters, a t test
}

// Compare compares two lists of predicted classes for the same pictures. The interval is Bonett and
// Price's: Wald, with one picture added to each kind of disagreement. Its coverage is close to 95 %
// on small sets too; its middle lies a little nearer to 0 than Difference.
func Compare(truth, a, b []int) (Comparison, error) { return Clusters(nil).Compare(truth, a, b) }

// Compare is the function [Compare]; with clusters, interval and P are by Student's t with the standard
// error from cluster to cluster, by the jackknife, where that is larger. With one cluster the interval is
// unknown, and P is 1.
func (c Clusters) Compare(truth, a, b []int) (Comparison, error) {
	n := len(truth)
	if n == 0 {
		return Comparison{}, fmt.Errorf("metrics: a comparison of no pictures: want at least one truth and its two predictions")
	}
	if len(a) != n || len(b) != n {
		return Comparison{}, fmt.Errorf("metrics: %d truths, %d predictions of A, %d of B: want the same pictures in the same order", n, len(a), len(b))
	}
	if err := c.check(n); err != nil {
		return Comparison{}, err
	}
	var r Comparison
	for i, t := range truth {
		if t < 0 {
			return Comparison{}, fmt.Errorf("metrics: truth of picture %d is %d: want a class number", i, t)
		}
		switch right := [2]bool{a[i] == t, b[i] == t}; right {
		case [2]bool{true, true}:
			r.Both++
		case [2]bool{true, false}:
			r.OnlyA++
		case [2]bool{false, true}:
			r.OnlyB++
		default:
			r.Neither++
		}
	}
	r.Difference = float64(r.OnlyB-r.OnlyA) / float64(n)
	m := float64(n + 2)
	pa, pb := float64(r.OnlyA+1)/m, float64(r.OnlyB+1)/m
	deviation := math.Sqrt((pa + pb - (pb-pa)*(pb-pa)) / m)
	half := z95 * deviation
	r.P = binomialHalf(min(r.OnlyA, r.OnlyB), r.OnlyA+r.OnlyB)
	if c != nil {
		half, r.P = c.paired(truth, a, b, deviation)
	}
	r.Interval = Interval{math.Max(-1, pb-pa-half), math.Min(1, pb-pa+half)}
	return r, nil
}

// paired returns half the width of the interval of a difference in accuracy by clusters, and the P of no
// difference. least is the standard error without clusters, below which that by clusters is luck: of a
// few pictures on which the models differ, none may be in the same cluster.
func (c Clusters) paired(truth, a, b []int, least float64) (half, p float64) {
	units, n := c.units(len(truth)), len(truth)
	if len(units) < 2 {
		return math.NaN(), 1
	}
	differences, all := make([]int, len(units)), 0
	for u, unit := range units {
		for _, i := range unit {
			differences[u] += count(b[i] == truth[i]) - count(a[i] == truth[i])
		}
		all += differences[u]
	}
	without := make([]float64, len(units))
	for u, unit := range units {
		without[u] = float64(all-differences[u]) / float64(n-len(unit))
	}
	deviation, freedom := max(jackknife(without), least), float64(len(units)-1)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}
	return t95(freedom) * deviation, 2 * t.Survival(math.Abs(float64(all))/float64(n)/deviation)
}

// Gain is the score of B minus that of A on the same pictures.
type Gain struct {
	Value    float64  `json:"value"`
	Interval Interval `json:"interval"` // 95 %
}

// Describe formats the gain for a reader: "gain +5.4 points (95 % +3.4 to +7.3)".
func (g Gain) Describe(m Metric) string {
	u := m.unit()
	return fmt.Sprintf("gain %s%s (95 %% %s to %s)", u.signed(g.Value), u.points, u.signed(g.Interval.Low), u.signed(g.Interval.High))
}

// Brief formats the gain without unit and words: "+5.4 (+3.4 to +7.3)".
func (g Gain) Brief(m Metric) string {
	u := m.unit()
	return fmt.Sprintf("%s (%s to %s)", u.signed(g.Value), u.signed(g.Interval.Low), u.signed(g.Interval.High))
}

func (u unit) signed(v float64) string { return fmt.Sprintf("%+.*f", u.digits, u.times*v) }

// CompareMAP compares two models by mean average precision over the labels, see [ScoreLabels]. a
// and b are logits [N, K]; truth has N*K entries in the same order. The interval is that of the
// difference on the same pictures, so what makes a picture hard cancels out: Student's t with the
// jackknife's standard error, by whole clusters where there are any.
func (c Clusters) CompareMAP(truth []bool, a, b Matrix) (Gain, error) {
	if err := c.checkPair(a, b); err != nil {
		return Gain{}, err
	}
	before, _, err := MeanAveragePrecision(a, truth)
	if err != nil {
		return Gain{}, err
	}
	after, _, err := MeanAveragePrecision(b, truth)
	if err != nil {
		return Gain{}, err
	}
	units := blocks(c.units(a.Rows))
	var both []estimate
	for k := range a.Cols {
		x, y := rank(a, truth, k), rank(b, truth, k)
		if support := x.support(units); support > 0 {
			both = append(both, c.difference(units, x.precision, y.precision, support))
		}
	}
	i := meanOf(both).interval(asIs)
	return Gain{Value: after - before, Interval: Interval{max(-1, i.Low), min(1, i.High)}}, nil
}

// CompareR2 compares two models by mean R² of real values, see [ScoreValues]. a and b are
// predictions [N, K]; truth has N*K values in the same order. The interval is as that of
// [Clusters.CompareMAP].
func (c Clusters) CompareR2(truth []float64, a, b Matrix) (Gain, error) {
	if err := c.checkPair(a, b); err != nil {
		return Gain{}, err
	}
	before, _, err := MeanR2(a, truth)
	if err != nil {
		return Gain{}, err
	}
	after, _, err := MeanR2(b, truth)
	if err != nil {
		return Gain{}, err
	}
	units := blocks(c.units(a.Rows))
	var both []estimate
	for k := range a.Cols {
		explained := func(m Matrix) column {
			return func(weight []int) (float64, bool) { return rSquared(m, truth, k, truth[k], weight) }
		}
		if _, ok := explained(a)(nil); ok {
			both = append(both, c.difference(units, explained(a), explained(b), len(units)))
		}
	}
	return Gain{Value: after - before, Interval: meanOf(both).interval(asIs)}, nil
}

// checkPair reports outputs of two models that are not about the same pictures.
func (c Clusters) checkPair(a, b Matrix) error {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		return fmt.Errorf("metrics: %d x %d scores of A, %d x %d of B: want the same pictures in the same order", a.Rows, a.Cols, b.Rows, b.Cols)
	}
	return c.check(a.Rows)
}

// difference is an estimate of what one column has more than another.
func (c Clusters) difference(units [][]int, a, b column, support int) estimate {
	x, _ := a(nil)
	y, _ := b(nil)
	parts := leaveOut(units, []column{a, b})
	out := estimate{value: y - x, without: parts[1], freedom: float64(support - 1)}
	for u, v := range parts[0] {
		out.without[u] -= v
	}
	return out
}

// binomialHalf is the two-sided p value of k successes in n trials at probability 1/2, for the
// smaller count k. It sums in logarithms, because 2^n overflows long before n does.
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
