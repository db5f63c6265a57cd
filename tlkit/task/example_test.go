package task_test

import (
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// The task of a data set decides how a model is scored.
func ExampleNamed() {
	t, err := task.Named(datasets.Labels)
	if err != nil {
		log.Fatal(err)
	}
	pictures := []datasets.Item{{Targets: []float64{1, 0}}, {Targets: []float64{0, 1}}, {Targets: []float64{1, 1}}}
	score, err := t.Measure(t.Samples(pictures, nil, 2), []float32{3, -1, -2, 2, 1, -3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(score)
	// Output: mAP 91.7 % (3 pictures)
}
