package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// resamples is how many times the pictures are drawn anew for an interval. With 2,000 an
// end moves by about a twentieth of the interval's width from one seed to another.
const resamples = 2000

// bootstrap calls each with resamples of n pictures: how often each picture was drawn. The
// draws are the same in every process, so a figure comes with the same interval each time.
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

// percentiles are the 2.5 and 97.5 % points of what a bootstrap gave; unknown when it gave
// fewer than half of the resamples a value.
func percentiles(values []float64) Interval {
	if len(values) < resamples/2 {
		return unknown
	}
	slices.Sort(values)
	at := func(q float64) float64 {
		x := q * float64(len(values)-1)
		i := int(math.Floor(x))
		j := min(i+1, len(values)-1)
		return values[i] + (x-float64(i))*(values[j]-values[i])
	}
	return Interval{at(0.025), at(0.975)}
}
