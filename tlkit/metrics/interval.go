package metrics

import (
	"encoding/json"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// z95 is the 97.5 % point of the normal distribution.
const z95 = 1.959963984540054

// Interval is a 95 % interval. An unknown interval, such as that of the mean of one run, has NaN at
// both ends. In JSON it is [low, high], or null when unknown.
type Interval struct{ Low, High float64 }

// Known reports whether both ends are finite numbers.
func (i Interval) Known() bool {
	return !math.IsNaN(i.Low) && !math.IsNaN(i.High) && !math.IsInf(i.Low, 0) && !math.IsInf(i.High, 0)
}

// Contains reports whether v lies in the interval, ends included.
func (i Interval) Contains(v float64) bool { return v >= i.Low && v <= i.High }

// MarshalJSON writes [low, high], or null when the interval is unknown.
func (i Interval) MarshalJSON() ([]byte, error) {
	if !i.Known() {
		return []byte("null"), nil
	}
	return json.Marshal([2]float64{i.Low, i.High})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (i *Interval) UnmarshalJSON(b []byte) error {
	var ends []float64
	if err := json.Unmarshal(b, &ends); err != nil {
		return fmt.Errorf("metrics: interval: %w", err)
	}
	switch len(ends) {
	case 0:
		*i = unknown
	case 2:
		*i = Interval{ends[0], ends[1]}
	default:
		return fmt.Errorf("metrics: an interval has 2 ends, got %d", len(ends))
	}
	return nil
}

// Unknown returns the unknown interval: both ends are NaN.
func Unknown() Interval { return unknown }

var unknown = Interval{math.NaN(), math.NaN()}

// Wilson is the 95 % score interval of correct out of total. It stays inside 0..1 and keeps a width
// at the ends: 0 of 10 gives 0 to 0.28. With total 0 it is 0..1. Impossible counts (negative, or
// correct above total) give the unknown interval.
func Wilson(correct, total int) Interval {
	if correct < 0 || total < 0 || correct > total {
		return unknown
	}
	if total == 0 {
		return Interval{0, 1}
	}
	n, p := float64(total), float64(correct)/float64(total)
	centre := p + z95*z95/(2*n)
	half := z95 * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	i := Interval{(centre - half) / (1 + z95*z95/n), (centre + half) / (1 + z95*z95/n)}
	// The ends are exact there; rounding would leave 1e-17 and 0.9999999.
	if correct == 0 {
		i.Low = 0
	}
	if correct == total {
		i.High = 1
	}
	return i
}

// Fraction is a share of pictures, as counts.
type Fraction struct {
	Correct int `json:"correct"`
	Total   int `json:"total"`
}

// Value is Correct/Total; NaN if Total is 0.
func (f Fraction) Value() float64 {
	if f.Total <= 0 {
		return math.NaN()
	}
	return float64(f.Correct) / float64(f.Total)
}

// Interval is the 95 % Wilson interval.
func (f Fraction) Interval() Interval { return Wilson(f.Correct, f.Total) }

// String formats percent, counts and interval: "94.8 % (145 of 153, 95 % 90.0-97.3)".
func (f Fraction) String() string {
	if f.Total <= 0 {
		return "no pictures"
	}
	i := f.Interval()
	return fmt.Sprintf("%.1f %% (%d of %d, 95 %% %.1f-%.1f)", 100*f.Value(), f.Correct, f.Total, 100*i.Low, 100*i.High)
}

// Mean is the mean over runs, seeds or folds.
type Mean struct {
	Value    float64  `json:"value"`
	SD       float64  `json:"sd"` // sample standard deviation; 0 for one run
	N        int      `json:"n"`
	Interval Interval `json:"interval"` // 95 % t interval; unknown for one run
}

// MeanOf is the mean of the results of a few runs, with Student's t interval. The interval is wide
// for few runs, as it should be: two runs that differ by a point say almost nothing. The runs are
// assumed to be independent; folds of one data set share pictures, so their interval is a little
// too narrow.
func MeanOf(values []float64) (Mean, error) {
	if len(values) == 0 {
		return Mean{}, fmt.Errorf("metrics: mean of no values: want at least one run")
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Mean{}, fmt.Errorf("metrics: value %d is %v: want finite numbers", i, v)
		}
	}
	m := Mean{Value: stat.Mean(values, nil), N: len(values), Interval: unknown}
	if m.N == 1 {
		return m, nil
	}
	m.SD = stat.StdDev(values, nil)
	n := float64(m.N)
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * m.SD / math.Sqrt(n)
	m.Interval = Interval{m.Value - half, m.Value + half}
	return m, nil
}
