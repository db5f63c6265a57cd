package compare_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// The first of a ranking is not a winner over a backbone that is within noise of it and faster.
func ExampleComparison_Sentence() {
	score := func(correct int) metrics.Score { return metrics.Fraction{Correct: correct, Total: 153}.Score() }
	c := compare.Comparison{Ranked: []compare.Ranked{
		{Model: "efficientnet_lite1", Score: score(148), Seconds: 0.021},
		{Model: "mobilenetv2", Score: score(146), Seconds: 0.013, Gap: &compare.Gap{Difference: -0.013, Interval: metrics.Interval{Low: -0.053, High: 0.027}}},
		{Model: "nsfwjs", Score: score(117), Seconds: 0.012, Gap: &compare.Gap{Difference: -0.203, Interval: metrics.Interval{Low: -0.27, High: -0.13}, Clear: true}},
	}}
	fmt.Println(c.Sentence())
	// Output: take mobilenetv2: within noise of the best (efficientnet_lite1: -1.3 (-5.3 to +2.7) points on the same 153 pictures), and 1.6 times as fast
}
