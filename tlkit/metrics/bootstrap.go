package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// resamples is the number of bootstrap resamples behind an interval. With 2,000, an end moves by
// about a twentieth of the interval's width from one seed to another.
const resamples = 2000

// bootstrap calls each once per resample of n pictures, with the number of times each picture was
// drawn. The seed is fixed, so the same pictures always give the same interval.
func bootstrap(n int, each func(weight []int)) {
	r := rand.New(rand.NewPCG(0x746c6b6974, uint64(n)))
	weight := make([]int, n)
	for range resamples {
		clear(weight)
		for range n {
			weight[r.IntN(n)]++
		}
		each(weight)
	}
}

// percentiles returns the 2.5 % and 97.5 % points of the bootstrap values. The interval is unknown
// if fewer than half of the resamples gave a value.
func percentiles(values []float64) Interval {
	if len(values) < resamples/2 {
		return unknown
	}
	slices.Sort(values)
	quantile := func(q float64) float64 {
		x := q * float64(len(values)-1)
		i := int(math.Floor(x))
		j := min(i+1, len(values)-1)
		return values[i] + (x-float64(i))*(values[j]-values[i])
	}
	return Interval{quantile(0.025), quantile(0.975)}
}
