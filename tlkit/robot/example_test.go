package robot_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

func ExampleOpen() {
	lab, err := robot.Open(context.Background(), robot.Spec{Task: "bench/sort", Model: "mobilenetv2"}, run.Place{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer lab.Close()
	fmt.Println(lab.Robot.Goal)
	fmt.Println(lab.Spec.Demos, "demonstrations, seen with the map behind", lab.Spec.Stage)
	// Output:
	// put the bee onto the blossom, and leave the ant
	// 50 demonstrations, seen with the map behind features.13
}
