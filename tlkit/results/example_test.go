package results_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/results"
)

// A prediction says itself in one line.
func ExamplePrediction_Words() {
	for _, p := range []results.Prediction{
		{Label: "ants", Probability: 0.971},
		{Labels: []string{"ant", "wings"}, Probabilities: map[string]float64{"ant": 0.99, "wings": 0.713, "sting": 0.1}},
		{Values: map[string]float64{"y": 80.1, "x": 31.25}, Order: []string{"x", "y"}},
	} {
		fmt.Println(p.Words())
	}
	// Output:
	// ants 97.1 %
	// ant 99.0 %, wings 71.3 %
	// x 31.25, y 80.1
}
