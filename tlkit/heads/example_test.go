package heads_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
)

// Nearest neighbours look at the direction of features only.
func ExampleFit() {
	pictures := head.Samples{
		X:        []float32{0, 1, 1, 8, 1, 9, 7, 1, 9, 0, 8, 2},
		Features: 2,
		Y:        []int{0, 0, 0, 1, 1, 1},
		Classes:  2,
	}
	fit, err := heads.Fit(context.Background(), heads.KNNKind, pictures, heads.Options{Folds: [][]int{{0, 3}, {1, 4}, {2, 5}}})
	if err != nil {
		log.Fatal(err)
	}
	logits := fit.Model.Logits([]float32{1, 20, 3, 1}) // two new pictures
	fmt.Println("classes", head.Classes(logits, 2))
	fmt.Println(fit.Families[0].Name(), fit.Families[0].Right, "of", fit.Families[0].Total)
	// Output:
	// classes [0 1]
	// knn 6 of 6
}
