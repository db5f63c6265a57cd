package zoo_test

import (
	"context"
	"fmt"
	"io"
	"log"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/data/insects"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// The packages alone, in a GoMLX training loop written by hand: zoo supplies the backbone as a
// graph function with its variables, transforms makes the tensors, curves keeps the numbers, and
// plots draws them. Package learner is not used.
func Example_trainingLoop() {
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Options{Install: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	net, err := zoo.Load(ctx, "mobilenetv2", zoo.Options{})
	if err != nil {
		log.Fatal(err)
	}

	// Eight pictures, prepared as these weights want: ants are even, bees are odd.
	const batch, classes = 8, 2
	size, pipeline := net.Preset.Size, net.Preset.Eval()
	pixels := make([]float32, batch*size*size*3)
	oneHot := make([]float32, batch*classes)
	for i := range batch {
		drawn, err := insects.Draw("easy", "train", i%classes, i)
		if err != nil {
			log.Fatal(err)
		}
		picture, err := transforms.FromImage(drawn)
		if err != nil {
			log.Fatal(err)
		}
		each := size * size * 3
		if _, err := pipeline.ApplyTo(pixels[i*each:(i+1)*each], picture, transforms.Rand{}); err != nil {
			log.Fatal(err)
		}
		oneHot[i*classes+i%classes] = 1
	}

	// One step: frozen backbone, a dense head, plain gradient descent.
	step, err := model.NewExec(e.Backend, model.NewStore(), func(scope *model.Scope, images, labels *Node) *Node {
		features := StopGradient(net.Graph(scope.In("backbone"), images).Features) // [N, 1280]
		head := scope.In("head").VariableWithValue("weight", make2D(net.Row.Features, classes))
		w := head.NodeValue(images)
		loss := Neg(ReduceAllMean(ReduceSum(Mul(labels, LogSoftmax(MatMul(features, w))), -1)))
		head.SetNodeValue(Sub(w, MulScalar(Gradient(loss, w)[0], 0.02)))
		return loss
	})
	if err != nil {
		log.Fatal(err)
	}
	run := curves.Run{Name: "by hand", Axis: curves.Iterations}
	for i := range 12 {
		loss, err := step.Call1(
			tensors.FromFlatDataAndDimensions(pixels, batch, size, size, 3),
			tensors.FromFlatDataAndDimensions(oneHot, batch, classes))
		if err != nil {
			log.Fatal(err)
		}
		run.Points = append(run.Points, curves.Point{Step: i + 1, Phase: curves.Head, Split: curves.Train, Metric: curves.Loss, Value: float64(tensors.ToScalar[float32](loss))})
	}
	if err := plots.Curves(run).PNG(io.Discard); err != nil {
		log.Fatal(err)
	}
	first, last := run.Points[0].Value, run.Points[len(run.Points)-1].Value
	fmt.Printf("loss began at %.3f, the loss of a coin; it fell by more than half: %v\n", first, last < first/2)
	// Output:
	// loss began at 0.693, the loss of a coin; it fell by more than half: true
}

func make2D(rows, columns int) [][]float32 {
	m := make([][]float32, rows)
	for i := range m {
		m[i] = make([]float32, columns)
	}
	return m
}
