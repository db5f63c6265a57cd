package metrics

import (
	"fmt"
	"math"
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
	P          float64  `json:"p"`          // exact two-sided McNemar test
}

// Compare compares two lists of predicted classes for the same pictures. The interval is Bonett and
// Price's: Wald, with one picture added to each kind of disagreement. Its coverage is close to 95 %
// on small sets too; its middle lies a little nearer to 0 than Difference.
func Compare(truth, a, b []int) (Comparison, error) {
	n := len(truth)
	if n == 0 {
		return Comparison{}, fmt.Errorf("metrics: a comparison of no pictures: want at least one truth and its two predictions")
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
// and b are logits [N, K]; truth has N*K entries in the same order. The interval is a percentile
// bootstrap over pictures; each resample scores both models on the same pictures, so what makes a
// picture hard cancels out.
func CompareMAP(truth []bool, a, b Matrix) (Gain, error) {
	before, _, err := MeanAveragePrecision(a, truth)
	if err != nil {
		return Gain{}, err
	}
	after, _, err := MeanAveragePrecision(b, truth)
	if err != nil {
		return Gain{}, err
	}
	ranked := func(m Matrix) func(int, []int) (float64, bool) {
		columns := make([]ranking, m.Cols)
		for c := range columns {
			columns[c] = rank(m, truth, c)
		}
		return func(c int, weight []int) (float64, bool) { return columns[c].precision(weight) }
	}
	return gain(after-before, scored{a, ranked(a)}, scored{b, ranked(b)})
}

// CompareR2 compares two models by mean R² of real values, see [ScoreValues]. a and b are
// predictions [N, K]; truth has N*K values in the same order. The interval is that of [CompareMAP].
func CompareR2(truth []float64, a, b Matrix) (Gain, error) {
	before, _, err := MeanR2(a, truth)
	if err != nil {
		return Gain{}, err
	}
	after, _, err := MeanR2(b, truth)
	if err != nil {
		return Gain{}, err
	}
	explained := func(m Matrix) func(int, []int) (float64, bool) {
		return func(c int, weight []int) (float64, bool) { return rSquared(m, truth, c, truth[c], weight) }
	}
	return gain(after-before, scored{a, explained(a)}, scored{b, explained(b)})
}

// scored is the output of a model, with the score of one column when picture i counts weight[i]
// times.
type scored struct {
	Matrix
	score func(column int, weight []int) (float64, bool)
}

// gain returns value with an interval from resampling the difference of the mean scores, over the
// columns that have a score in both.
func gain(value float64, a, b scored) (Gain, error) {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		return Gain{}, fmt.Errorf("metrics: %d x %d scores of A, %d x %d of B: want the same pictures in the same order", a.Rows, a.Cols, b.Rows, b.Cols)
	}
	var differences []float64
	bootstrap(a.Rows, func(weight []int) {
		sum, counted := 0.0, 0
		for c := range a.Cols {
			x, ok := a.score(c, weight)
			y, also := b.score(c, weight)
			if ok && also {
				sum += y - x
				counted++
			}
		}
		if counted > 0 {
			differences = append(differences, sum/float64(counted))
		}
	})
	return Gain{Value: value, Interval: percentiles(differences)}, nil
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
