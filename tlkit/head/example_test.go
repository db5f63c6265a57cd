package head_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Two features of six pictures; the strength of the L2 penalty is chosen on three folds.
func ExampleLogistic() {
	pictures := head.Samples{
		X:        []float32{0, 1, 2, 1, 1, 0, 8, 9, 9, 7, 7, 8},
		Features: 2,
		Y:        []int{0, 0, 0, 1, 1, 1},
		Classes:  2,
	}
	fit, err := head.Logistic(context.Background(), pictures, head.LogisticOptions{Folds: [][]int{{0, 3}, {1, 4}, {2, 5}}})
	if err != nil {
		log.Fatal(err)
	}
	logits := fit.Head.Logits([]float32{1, 2, 6, 6}) // two new pictures
	fmt.Println("classes", head.Classes(logits, 2))
	fmt.Println("strengths tried", len(fit.Choices))
	// Output:
	// classes [0 1]
	// strengths tried 10
}

// A head for real values predicts in their own units.
func ExampleRidge() {
	pictures := head.Samples{X: []float32{0, 1, 2, 3}, Features: 1, Targets: []float64{10, 12, 14, 16}, Classes: 1}
	fit, err := head.Ridge(context.Background(), pictures, head.RidgeOptions{Strengths: []float64{1e-6}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", fit.Head.Logits([]float32{10})[0])
	// Output: 30.00
}
