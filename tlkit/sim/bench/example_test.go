package bench_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/sim/bench"
)

// The teacher knows where everything is. A policy has only the picture and what the arm feels.
func Example() {
	w, err := bench.New(bench.Sort, bench.Options{Ants: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Spec().Goal)
	_ = w.Reset(7)
	picture, err := w.Draw("top", 160)
	fmt.Println(picture.Bounds().Dx(), "x", picture.Bounds().Dy(), err)
	for !w.Done().Over {
		if err := w.Step(w.Teach()); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(w.Done().Why)
	// Output:
	// put the bee onto the blossom, and leave the ants
	// 160 x 160 <nil>
	// the bee is on the blossom
}
