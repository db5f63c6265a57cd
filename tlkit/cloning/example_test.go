package cloning_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/cloning"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// A tool on a rail goes to where it is told: the features are one number, which is not a map.
func ExampleFit() {
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	d := policy.Demonstrations{Spec: sim.Spec{
		Robot: "rail", Rate: 10, Steps: 10, Cameras: []sim.Camera{{Name: "top", Side: 64}},
		State:  []sim.Dimension{{Name: "joint", Max: 1}},
		Action: []sim.Dimension{{Name: "joint", Min: -1, Max: 1}},
	}}
	for i := range 60 { // it moves by half of what is asked
		asked := float32(i%15)/7 - 1
		d.Frames = append(d.Frames, policy.Frame{Episode: i, State: []float32{float32(i%4) / 4}, Seen: []float32{asked}, Action: []float32{asked / 2}})
	}
	p, err := cloning.Fit(ctx, e, d, cloning.Options{Ahead: 1, Used: 1, Steps: []int{400}})
	if err != nil {
		log.Fatal(err)
	}
	actor, err := p.Start(0)
	if err != nil {
		log.Fatal(err)
	}
	decision, err := actor.Act([]float32{0.6}, []float32{0.5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", decision.Actions[0][0])
	// Output:
	// 0.3
}
