package optim_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// A whole training loop: one variable, pulled towards 3 by the loss (w-3)², at a rate that falls
// along a cosine.
func Example() {
	backend, err := gobackend.New("ops_sequential") // package engine opens the fast ones
	if err != nil {
		log.Fatal(err)
	}
	store := model.NewStore()
	if _, err := store.RootScope().CreateVariable("w", tensors.FromValue(float32(0))); err != nil {
		log.Fatal(err)
	}
	rule := optim.Rule{Name: optim.SGD, Momentum: 0.5}
	params := []optim.Param{{Key: "w"}}
	if err := rule.Reset(store, params); err != nil {
		log.Fatal(err)
	}
	step, err := model.NewExec(backend, store, func(scope *model.Scope, now *graph.Node) *graph.Node {
		w := scope.GetVariable("w").NodeValue(now.Graph())
		loss := graph.Square(graph.AddScalar(w, -3))
		rule.Update(scope, params, loss, now)
		return loss
	})
	if err != nil {
		log.Fatal(err)
	}

	const steps = 20
	schedule := optim.Schedule{Kind: optim.Cosine}
	for i := range steps {
		rate := 0.2 * schedule.Factor(i, steps, steps)
		loss, err := step.Call1(rule.Now([]int{i}, []float64{rate}, rule.Momentum))
		if err != nil {
			log.Fatal(err)
		}
		if i%5 == 0 {
			fmt.Printf("step %2d: loss %.3f\n", i, tensors.ToScalar[float32](loss))
		}
	}
	w := store.RootScope().GetVariable("w").MustValue()
	fmt.Printf("w = %.3f\n", tensors.ToScalar[float32](w))
	// Output:
	// step  0: loss 9.000
	// step  5: loss 0.277
	// step 10: loss 0.006
	// step 15: loss 0.000
	// w = 2.986
}

// One cycle: the rate goes up and down again, the momentum the other way.
func ExampleSchedule() {
	s := optim.Schedule{Kind: optim.OneCycle, Warmup: 0.3, Momenta: [2]float64{0.95, 0.85}}
	const steps, perEpoch = 100, 10
	for _, i := range []int{0, 15, 29, 60, 99} {
		fmt.Printf("step %2d: rate × %.3f, momentum %.3f\n", i, s.Factor(i, steps, perEpoch), s.Momentum(i, steps, 0.9))
	}
	// Output:
	// step  0: rate × 0.040, momentum 0.950
	// step 15: rate × 0.546, momentum 0.897
	// step 29: rate × 1.000, momentum 0.850
	// step 60: rate × 0.589, momentum 0.891
	// step 99: rate × 0.000, momentum 0.950
}

// On a plateau the rate falls: here when the loss has not fallen for more than one epoch.
func ExampleWatch() {
	s := optim.Schedule{Kind: optim.Plateau, Drop: 0.1, Patience: 1}
	var w optim.Watch
	for _, loss := range []float64{1.0, 0.8, 0.8, 0.8, 0.7} {
		fmt.Printf("loss %.1f: rate × %.1f\n", loss, w.Hear(s, loss))
	}
	// Output:
	// loss 1.0: rate × 1.0
	// loss 0.8: rate × 1.0
	// loss 0.8: rate × 1.0
	// loss 0.8: rate × 0.1
	// loss 0.7: rate × 0.1
}
