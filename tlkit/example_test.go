package tlkit_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Declaring a learner opens nothing, so it can stand at the top of a notebook.
func Example() {
	bees := tlkit.Learner{Name: "ants-and-bees", Backbone: "mobilenetv2", Data: "hymenoptera|insects"}

	bees.FitHead() // backbone frozen: one pass through it, cached
	// trains the backbone too, if folds of the training pictures show that it pays
	bees.FineTune(5)
	bees.ShowCurves() // loss and accuracy of every step
	bees.Evaluate()   // scores by label, confusion matrix, worst mistakes
	bees.Export("ants-and-bees.head.safetensors")

	tlkit.Open("ants-and-bees.head.safetensors").Classify("a.jpg", "b.jpg")
}

// Must returns the value of a call that may fail, to mix these verbs with the packages below.
func ExampleMust() {
	statistics := tlkit.Must(transforms.Statistics("imagenet"))
	fmt.Println(statistics.Mean)
	// Output: [0.485 0.456 0.406]
}
