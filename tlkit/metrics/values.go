package metrics

import (
	"fmt"
	"math"
)

// ValueScore is how well one real value is predicted, in the value's own units.
type ValueScore struct {
	Name string `json:"name"`
	// Share of the variance explained: 1 is perfect, 0 is as good as the mean; may be negative.
	R2 float64 `json:"r2"`
	// 95 % of R2, see [ScoreValues]. Unknown if the truth is the same for every picture: R2 is then
	// 0 and has no meaning.
	Interval Interval `json:"interval"`
	MAE      float64  `json:"mae"`  // mean absolute error
	RMSE     float64  `json:"rmse"` // root of the mean squared error
	// Standard deviation of the truth, which is the RMSE of predicting its mean.
	SD float64 `json:"sd"`
}

// ValueScores is how well several values are predicted.
type ValueScores struct {
	R2       float64      `json:"r2"`       // mean over the values that vary
	Interval Interval     `json:"interval"` // 95 % of R2
	Counted  int          `json:"counted"`  // values in the mean
	Values   []ValueScore `json:"values"`
}

// ScoreValues scores predictions [N, K] of real values against truth: N*K numbers in the order of
// predicted.Data. names has the K names.
//
// The intervals are Student's t of log(1 - R²), with the standard error by the jackknife, which leaves out
// one picture at a time.
func ScoreValues(names []string, predicted Matrix, truth []float64) (ValueScores, error) {
	return Clusters(nil).ScoreValues(names, predicted, truth)
}

// ScoreValues is the function [ScoreValues], with intervals by clusters.
func (g Clusters) ScoreValues(names []string, predicted Matrix, truth []float64) (ValueScores, error) {
	if err := predicted.check(); err != nil {
		return ValueScores{}, err
	}
	n, k := predicted.Rows, predicted.Cols
	if len(truth) != n*k || len(names) != k {
		return ValueScores{}, fmt.Errorf("metrics: %d truths and %d names for %d x %d predictions", len(truth), len(names), n, k)
	}
	if err := g.check(n); err != nil {
		return ValueScores{}, err
	}
	for i, v := range truth {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ValueScores{}, fmt.Errorf("metrics: truth [%d, %d] is %v: want finite numbers", i/k, i%k, v)
		}
	}
	out := ValueScores{Values: make([]ValueScore, k)}
	// Centring keeps a large mean from swamping the sums of squares.
	centre := make([]float64, k)
	for i, v := range truth {
		centre[i%k] += v / float64(n)
	}
	for c := range k {
		s := &out.Values[c]
		*s = ValueScore{Name: names[c], Interval: unknown}
		squares := 0.0
		for i := range n {
			e := float64(predicted.Data[i*k+c]) - truth[i*k+c]
			s.MAE += math.Abs(e) / float64(n)
			squares += e * e / float64(n)
			d := truth[i*k+c] - centre[c]
			s.SD += d * d / float64(n)
		}
		s.RMSE, s.SD = math.Sqrt(squares), math.Sqrt(s.SD)
		r2, ok := rSquared(predicted, truth, c, centre[c], nil)
		if !ok {
			continue
		}
		s.R2 = r2
		out.R2 += r2
		out.Counted++
	}
	if out.Counted == 0 {
		return ValueScores{}, fmt.Errorf("metrics: every value is the same in all %d pictures, so R² is not defined: measure on pictures whose values differ", n)
	}
	out.R2 /= float64(out.Counted)
	out.intervals(blocks(g.units(n)), func(c int) column {
		return func(weight []int) (float64, bool) { return rSquared(predicted, truth, c, centre[c], weight) }
	})
	return out, nil
}

// intervals sets the intervals of R², from leaving out the units in turn.
func (s *ValueScores) intervals(units [][]int, explained func(c int) column) {
	var counted []estimate
	for c := range s.Values {
		of := explained(c)
		if _, ok := of(nil); !ok {
			continue
		}
		e := estimate{value: s.Values[c].R2, without: leaveOut(units, []column{of})[0], freedom: float64(len(units) - 1)}
		s.Values[c].Interval = e.interval(unexplained)
		counted = append(counted, e)
	}
	s.Interval = meanOf(counted).interval(unexplained)
}

// MeanR2 is the mean R² of predictions [N, K] over the values that vary, see [ScoreValues], without
// an interval. counted is the number of values in the mean; if it is 0, so is the mean.
func MeanR2(predicted Matrix, truth []float64) (mean float64, counted int, err error) {
	if err := predicted.check(); err != nil {
		return 0, 0, err
	}
	if len(truth) != len(predicted.Data) {
		return 0, 0, fmt.Errorf("metrics: %d truths for %d x %d predictions", len(truth), predicted.Rows, predicted.Cols)
	}
	for c := range predicted.Cols {
		centre := 0.0
		for i := range predicted.Rows {
			centre += truth[i*predicted.Cols+c] / float64(predicted.Rows)
		}
		if r2, ok := rSquared(predicted, truth, c, centre, nil); ok {
			mean += r2
			counted++
		}
	}
	if counted > 0 {
		mean /= float64(counted)
	}
	return mean, counted, nil
}

// rSquared is 1 - (squared errors)/(squares around the mean) of one column when picture i counts
// weight[i] times (nil: once). ok is false if all counted truths are equal.
func rSquared(predicted Matrix, truth []float64, column int, centre float64, weight []int) (r2 float64, ok bool) {
	n, k := predicted.Rows, predicted.Cols
	var total, sum, squares, errors float64
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range n {
		w := 1.0
		if weight != nil {
			if weight[i] == 0 {
				continue
			}
			w = float64(weight[i])
		}
		y := truth[i*k+column]
		lo, hi = min(lo, y), max(hi, y)
		d, e := y-centre, float64(predicted.Data[i*k+column])-y
		total += w
		sum += w * d
		squares += w * d * d
		errors += w * e * e
	}
	if !(lo < hi) {
		return 0, false
	}
	return 1 - errors/(squares-sum*sum/total), true
}
