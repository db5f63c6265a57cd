package metrics

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// mostLeftOut is the largest number of units that are left out one by one. More of them are put
// together into so many blocks: an interval by 1,000 blocks is as good, and the time stays in bounds.
const mostLeftOut = 1000

// blocks returns what is left out at a time: the units, or blocks of many units.
func blocks(units [][]int) [][]int {
	if len(units) <= mostLeftOut {
		return units
	}
	out := make([][]int, mostLeftOut)
	for k, u := range rand.New(rand.NewPCG(0x746c6b6974, uint64(len(units)))).Perm(len(units)) {
		out[k%mostLeftOut] = append(out[k%mostLeftOut], units[u]...)
	}
	return out
}

// A column is a statistic of one label or value, when picture i counts weight[i] times (nil: once). A statistic
// that is not defined then counts as 0, as if nothing had been found.
type column func(weight []int) (float64, bool)

// leaveOut returns each column's statistic without each of the units in turn.
func leaveOut(units [][]int, columns []column) [][]float64 {
	n := 0
	for _, unit := range units {
		n += len(unit)
	}
	weight := make([]int, n)
	for i := range weight {
		weight[i] = 1
	}
	out := make([][]float64, len(columns))
	for _, unit := range units {
		for _, i := range unit {
			weight[i] = 0
		}
		for c, of := range columns {
			v := 0.0
			if of != nil {
				v, _ = of(weight)
			}
			out[c] = append(out[c], v)
		}
		for _, i := range unit {
			weight[i] = 1
		}
	}
	return out
}

// estimate is a value with what it is without each unit.
type estimate struct {
	value   float64
	without []float64
	// The number of units that it rests on, less one: those with a picture that has the label.
	freedom float64
	// clustered says that the units are clusters, of which a few may hold most of what goes wrong.
	clustered bool
}

// meanOf is the mean of some estimates. Its freedom is Satterthwaite's: that of the columns, each by
// its part in the variance.
func meanOf(all []estimate) estimate {
	out := estimate{freedom: math.Inf(1)}
	var variance, parts float64
	for _, e := range all {
		if out.without == nil {
			out.without = make([]float64, len(e.without))
		}
		out.value += e.value / float64(len(all))
		for u, v := range e.without {
			out.without[u] += v / float64(len(all))
		}
		v := jackknife(e.without)
		variance += v * v
		parts += v * v * v * v / max(e.freedom, 1)
		out.clustered = e.clustered
	}
	if parts > 0 {
		out.freedom = variance * variance / parts
	}
	out.freedom = min(out.freedom, float64(len(out.without)-1))
	return out
}

// scale is the scale on which a statistic is nearly normal.
type scale struct{ to, from func(float64) float64 }

// asIs is the scale of differences.
var asIs = scale{func(v float64) float64 { return v }, func(v float64) float64 { return v }}

// unexplained is the scale of R²: the logarithm of the share of the variance that is not explained.
var unexplained = scale{
	func(v float64) float64 { return -math.Log(max(1-v, 1e-12)) },
	func(z float64) float64 { return 1 - math.Exp(-z) },
}

// logOdds is the scale of a mean precision on so many pictures or clusters with the label. Half a
// picture on either side keeps the ends of the scale finite.
func logOdds(support float64) scale {
	return scale{
		func(v float64) float64 { return math.Log((v*support + 0.5) / ((1-v)*support + 0.5)) },
		func(z float64) float64 { return min(max((Sigmoid(z)*(support+1)-0.5)/support, 0), 1) },
	}
}

// interval is Student's t interval of an estimate on a scale, with the jackknife's standard error. It is
// unknown for an estimate that rests on one unit.
func (e estimate) interval(s scale) Interval {
	if len(e.without) < 2 || e.freedom <= 0 {
		return unknown
	}
	middle, scaled, most := s.to(e.value), make([]float64, len(e.without)), 0.0
	for u, v := range e.without {
		scaled[u] = s.to(v)
		most = max(most, math.Abs(scaled[u]-middle))
	}
	t, deviation := t95(e.freedom), jackknife(scaled)
	down := deviation
	if e.clustered {
		// A few clusters hold most of what goes wrong, and a set that lacks them looks too good: the
		// one that matters most counts once more.
		down = math.Hypot(deviation, most)
	}
	return Interval{s.from(middle - t*down), s.from(middle + t*deviation)}
}

// jackknife is the standard error of a value, from what it is without each of the units in turn.
func jackknife(without []float64) float64 {
	n, mean, squares := float64(len(without)), 0.0, 0.0
	for _, v := range without {
		mean += v / n
	}
	for _, v := range without {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares * (n - 1) / n)
}

// t95 is the 97.5 % point of Student's t distribution.
func t95(freedom float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile(0.975)
}
