package metrics_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

func Example() {
	logits := metrics.Matrix{Rows: 4, Cols: 2, Data: []float32{
		2, -1, // an ant, called ant
		0.5, 0.1, // a bee, called ant
		-2, 3, // a bee
		-1, 1, // a bee
	}}
	truth := []int{0, 1, 1, 1}

	top1, err := metrics.TopK(logits, truth, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(top1)

	predicted, _ := logits.Argmax()
	c, _ := metrics.NewConfusion([]string{"ants", "bees"}, truth, predicted)
	for _, class := range c.PerClass() {
		fmt.Printf("%s: recall %.2f, precision %.2f\n", class.Label, class.Recall, class.Precision)
	}
	// Output:
	// 75.0 % (3 of 4, 95 % 30.1-95.4)
	// ants: recall 1.00, precision 0.50
	// bees: recall 0.67, precision 1.00
}

func ExampleMeanOf() {
	m, _ := metrics.MeanOf([]float64{0.948, 0.961, 0.954, 0.941, 0.967})
	fmt.Printf("%.3f (95 %% %.3f-%.3f over %d seeds)\n", m.Value, m.Interval.Low, m.Interval.High, m.N)
	// Output: 0.954 (95 % 0.941-0.967 over 5 seeds)
}

func ExampleCompare() {
	truth := []int{0, 0, 0, 1, 1, 1, 1, 1}
	frozen := []int{0, 0, 1, 1, 1, 0, 0, 1}
	tuned := []int{0, 0, 0, 1, 1, 1, 0, 1}
	c, _ := metrics.Compare(truth, frozen, tuned)
	fmt.Printf("tuned is better on %d pictures, worse on %d: %+.2f (95 %% %+.2f to %+.2f), p = %.2f\n",
		c.OnlyB, c.OnlyA, c.Difference, c.Interval.Low, c.Interval.High, c.P)
	// Output: tuned is better on 2 pictures, worse on 0: +0.25 (95 % -0.17 to +0.57), p = 0.50
}
