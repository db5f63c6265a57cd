package learner_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// The plan is made from the labels of the training pictures, gives its reasons, and lets the folds
// choose the strength. plots.Curves draws the history.
func ExampleFitHead() {
	train := head.Samples{X: []float32{0, 1, 2, 1, 1, 0, 8, 9, 9, 7, 7, 8}, Features: 2, Y: []int{0, 0, 0, 1, 1, 1}, Classes: 2}
	plan, err := learner.NewPlan(task.Classes{}, train, learner.Options{Seed: 1, Head: head.LogisticKind})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan)
	history := curves.NewRecorder(curves.Run{Axis: plan.Axis()}, nil, 0, nil)
	result, err := learner.FitHead(context.Background(), learner.Data{Train: train, Folds: [][]int{{0, 3}, {1, 4}, {2, 5}}}, plan, history)
	if err != nil {
		log.Fatal(err)
	}
	best, _ := curves.Best(history.Run().Series(curves.Folds, curves.Accuracy))
	_, classes := result.Model.Size()
	fmt.Printf("out of fold %.0f %%, %d classes\n", 100*best.Value, classes)
	// Output:
	// logistic head: L2 strength from 10 candidates by 3 folds, seed 1
	//   · 3 folds: the smallest class has 3 pictures
	//   · strength by out-of-fold log loss over the training pictures; validation pictures take no part
	// out of fold 100 %, 2 classes
}
