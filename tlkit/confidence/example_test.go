package confidence_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/confidence"
)

// Nine predictions of heads that did not see their picture: how probable was the true label?
func Example() {
	probability := []float64{.99, .97, .95, .9, .85, .8, .7, .6, .35}
	var scores []float64
	for _, p := range probability {
		scores = append(scores, 1-p)
	}
	limit, err := confidence.Quantile(scores, 0.9)
	if err != nil {
		fmt.Println(err)
		return
	}
	sets := confidence.Sets{Coverage: 0.9, Least: 1 - limit, Pictures: len(scores)}
	fmt.Println(sets.Of([]float64{.9, .08, .02}), sets.Of([]float64{.5, .4, .1}))
	// Output: [0] [0 1]
}
