package backbone_test

import (
	"fmt"
	"log"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// tiny is a network of two stages and a classifier for ten classes.
type tiny struct{}

func (tiny) Build(b *backbone.Builder, x *graph.Node) backbone.Output {
	x = b.Conv("conv1", x, backbone.Conv{Out: 4, Kernel: 3, Stride: 2, Pad: 1})
	x = b.Stage("stem", backbone.ReLU(b.BatchNorm("bn1", x, 1e-5))) // [N,H/2,W/2,4]

	block := b.In("layer1")
	x = block.Depthwise("0", x, backbone.Conv{Kernel: 3, Pad: 1})
	x = block.Conv("1", x, backbone.Conv{Out: 6})
	x = b.Stage("layer1", backbone.MaxPool(x, backbone.Pool{Size: 2})) // [N,H/4,W/4,6]

	features := backbone.GlobalAverage(x)
	return backbone.Output{Map: x, Features: features, Logits: b.Linear("fc", features, 10)}
}

// What an architecture wants from its checkpoint, and where it can be frozen, before any weights are
// there.
func ExampleDeclare() {
	d, err := backbone.Declare(tiny{}, 32)
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range d.Weights {
		fmt.Println(w.Name, w.Shape, w.Stage)
	}
	for _, s := range d.Stages {
		fmt.Println("stage", s.Name, s.Shape)
	}
	fmt.Println(d.Params(), "parameters,", d.Features, "features,", d.Classes, "classes")
	// Output:
	// conv1.weight [4 3 3 3] stem
	// bn1.weight [4] stem
	// bn1.bias [4] stem
	// bn1.running_mean [4] stem
	// bn1.running_var [4] stem
	// layer1.0.weight [4 1 3 3] layer1
	// layer1.1.weight [6 4 1 1] layer1
	// fc.weight [10 6] classifier
	// fc.bias [10] classifier
	// stage stem [16 16 4]
	// stage layer1 [8 8 6]
	// 246 parameters, 6 features, 10 classes
}
