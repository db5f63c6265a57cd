package tlkit_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A learner opens nothing until it gets a verb to do, so it may stand at the top of a notebook.
func Example() {
	bees := tlkit.Learner{Name: "ants-and-bees", Backbone: "mobilenetv2", Data: "hymenoptera|insects"}

	bees.FitHead()    // frozen: one pass through the backbone, cached
	bees.FineTune(5)  // the backbone moves too, where folds of the training pictures say it pays
	bees.ShowCurves() // loss and accuracy of every step
	bees.Evaluate()   // per label, confusion, what it was most wrong about
	bees.Export("ants-and-bees.head.safetensors")

	tlkit.Open("ants-and-bees.head.safetensors").Classify("a.jpg", "b.jpg")
}

// Must takes the value of a call that may fail, so that these verbs mix with the packages below.
func ExampleMust() {
	statistics := tlkit.Must(transforms.Statistics("imagenet"))
	fmt.Println(statistics.Mean)
	// Output: [0.485 0.456 0.406]
}
