package compare_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/compare"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// The first of a ranking is not a winner over backbones that are not distinguishable from it.
func ExampleComparison_Sentence() {
	score := func(correct int) metrics.Score { return metrics.Fraction{Correct: correct, Total: 153}.Score() }
	c := compare.Comparison{Ranked: []compare.Ranked{
		{Model: "efficientnet_lite1", Score: score(148), Seconds: 0.021},
		{Model: "mobilenetv2", Score: score(146), Seconds: 0.013, Gap: &compare.Gap{Difference: -0.013}},
		{Model: "nsfwjs", Score: score(117), Seconds: 0.012, Gap: &compare.Gap{Difference: -0.203, Clear: true}},
	}}
	fmt.Println(c.Sentence())
	// Output: not distinguishable from efficientnet_lite1 on 153 pictures (paired differences, 95 %): mobilenetv2; the fastest of them is mobilenetv2
}
