package plots_test

import (
	"bytes"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

func ExampleCurves() {
	run := curves.Run{Name: "ants-and-bees"}
	for epoch, right := range []int{121, 138, 144, 143} {
		run.Points = append(run.Points, curves.Point{Epoch: float64(epoch + 1), Phase: curves.Head,
			Split: curves.Valid, Metric: curves.Accuracy, Value: float64(right) / 153, N: 153})
	}
	figure := plots.Curves(run)

	var picture bytes.Buffer // or a file
	if err := figure.PNG(&picture); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(figure.Text())
	// Output: Valid accuracy rises from 79.1 % to 94.1 % (144 of 153, 95 % 89.2-96.9) at epoch 3 of 4, then falls to 93.5 %. Best: epoch 3 (best valid accuracy).
}

func ExampleConfusion() {
	c, err := metrics.NewConfusion([]string{"ants", "bees"}, []int{0, 0, 0, 1, 1, 1, 1}, []int{0, 0, 1, 1, 1, 1, 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	figure := plots.Confusion(c)
	fmt.Println(figure.Text())

	_, interactive := figure.(plots.Hover)
	fmt.Println("hovering:", interactive)
	// Output:
	// Confusion matrix of 2 classes: accuracy 85.7 % (6 of 7, 95 % 48.7-97.4). Lowest recall: ants, 66.7 % (2 of 3). Most confused: ants taken for bees: 1 of 3.
	// hovering: true
}

func ExampleStatistics() {
	// Pixels scaled to 0..1, for weights that expect mean 0 and deviation 1.
	red := plots.Channel{Name: "red", Low: 0, High: 1, Counts: []int{2, 10, 30, 12, 3}, Mean: 0.49, SD: 0.19, WantMean: 0, WantSD: 1}
	fmt.Println(plots.Statistics("", false, red).Text())
	// Output: Input statistics against what the weights expect. Not what these weights expect: red varies 5.3 times too little. Red mean 0.49 (expected 0), sd 0.19 (expected 1).
}
