//go:build !race

// The plain Go backend does pointer arithmetic that the race detector's checks refuse.

package curves_test

import (
	"fmt"
	"log"
	"time"

	_ "github.com/gomlx/compute/gobackend"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// record makes a GoMLX training loop write its loss into a recorder: the whole bridge
// between the two, to be copied.
func record(loop *train.Loop, recorder *curves.Recorder) {
	loop.OnStep("curves", 100, func(loop *train.Loop, metrics []*tensors.Tensor) error {
		return recorder.Add(curves.Point{
			Step: loop.LoopStep + 1, Phase: curves.Head, Split: curves.Train, Metric: curves.Loss,
			Value: float64(tensors.ToScalar[float32](metrics[0])), // the loss of this batch
		})
	})
}

// GoMLX's own Trainer and Loop, with its curve drawn by us.
func ExampleRecorder_gomlxLoop() {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Finalize()

	// Sixteen pictures' features, two numbers each; the first one tells the classes apart.
	var features [][]float32
	var labels [][]int32
	for i := range 16 {
		class := i % 2
		features = append(features, []float32{float32(2*class-1) + 0.1*float32(i%5), float32(i%3) - 1})
		labels = append(labels, []int32{int32(class)})
	}
	data, err := dataset.InMemoryFromData(backend, "features", []any{features}, []any{labels})
	if err != nil {
		log.Fatal(err)
	}

	recorder := curves.NewRecorder(curves.Run{Name: "GoMLX", Axis: curves.Iterations}, nil, time.Second, nil)
	trainer := train.NewTrainer(backend, model.NewStore(), func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.Dense(scope.In("head"), x, true, 2) // logits [N,2]
	}, loss.SparseCategoricalCrossEntropyLogits, optimizer.Adam().LearningRate(0.1).Done(), nil, nil)
	loop := train.NewLoop(trainer)
	record(loop, recorder)
	if _, err := loop.RunSteps(data.BatchSize(16, true).Infinite(true), 40); err != nil {
		log.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		log.Fatal(err)
	}
	points := recorder.Run().Series(curves.Train, curves.Loss)
	fmt.Println(len(points), "losses; the last below 0.1:", points[len(points)-1].Value < 0.1)
	_ = plots.Curves(recorder.Run()) // a figure: PNG, SVG, words
	// Output: 40 losses; the last below 0.1: true
}
