package policy_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	_ "github.com/tlkit/transfer-learning/tlkit/sim/bench"
)

// The map of this example is no network's: one channel, bright at the bee while the fingers are
// open, and at the blossom while they hold it. features.FromStage makes real ones.
func truthAsMap(truth []float32, holding bool) []float32 {
	m := make([]float32, 10*10)
	x, y := truth[0], truth[1]
	if holding {
		x, y = truth[2], truth[3]
	}
	m[int(y*10)*10+int(x*10)] = 1
	return m
}

func ExampleFitWaypoint() {
	ctx := context.Background()
	world, err := sim.Open("bench/sort")
	if err != nil {
		log.Fatal(err)
	}
	d := policy.Demonstrations{Spec: world.Spec(), Map: [3]int{10, 10, 1}}
	for scene := range uint64(12) {
		_, err := sim.Demonstrate(ctx, world.(sim.Teacher), scene, sim.Lesson{}, func(f sim.Frame) error {
			d.Frames = append(d.Frames, policy.Frame{Episode: int(scene), State: f.State, Action: f.Action, Seen: truthAsMap(f.Truth, f.State[2] > 0.5)})
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	p, err := policy.FitWaypoint(ctx, d, policy.WaypointOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := world.Reset(1_000_000); err != nil {
		log.Fatal(err)
	}
	actor, err := p.Start(1_000_000)
	if err != nil {
		log.Fatal(err)
	}
	for !world.Done().Over {
		decision, err := actor.Act(truthAsMap(world.Truth(), world.Feel()[2] > 0.5), world.Feel())
		if err != nil {
			log.Fatal(err)
		}
		for _, action := range decision.Actions {
			if world.Done().Over {
				break
			}
			if err := world.Step(action); err != nil {
				log.Fatal(err)
			}
		}
	}
	fmt.Println(world.Done().Why)
	// Output:
	// the bee is on the blossom
}
