package arms_test

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/sim"
	_ "github.com/tlkit/transfer-learning/tlkit/sim/mujoco/arms"
)

// The teacher puts a block onto a target, with the arm of Fetch.
func Example() {
	ctx := context.Background()
	if err := sim.Install(ctx, "mujoco/fetch-pick", sim.Downloads{}); err != nil {
		fmt.Println(err)
		return
	}
	w, err := sim.Open("mujoco/fetch-pick")
	if err != nil {
		fmt.Println(err)
		return
	}
	for !w.Done().Over {
		if err := w.Step(w.(sim.Teacher).Teach()); err != nil {
			fmt.Println(err)
			return
		}
	}
	picture, err := w.Draw("front", 224)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Spec().Goal, picture.Bounds().Size())
	fmt.Println(w.Done().Why)
	// Output:
	// put the block onto the target (224,224)
	// the block is on the target
}
