package write_test

import (
	"fmt"

	"github.com/gomlx/compute-onnx/support/protos"
	. "github.com/gomlx/gomlx/core/graph"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
)

// layer is a convolution, its norm and a ReLU.
type layer struct{}

func (layer) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Conv("conv", x, backbone.Conv{Out: 2, Kernel: 3, Pad: 1})
	x = b.Stage("layer", backbone.ReLU(b.BatchNorm("bn", x, 1e-5)))
	return backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
}

// What is sixteen operations in the graph becomes five in the file.
func Example() {
	weights := map[string][]float32{
		"conv.weight": make([]float32, 3*3*3*2),
		"bn.weight":   {1, 1}, "bn.bias": {0, 0}, "bn.running_mean": {0, 0}, "bn.running_var": {1, 1},
	}
	file, err := write.Bytes(write.Network{
		Picture: []int{32, 32, 3},
		Build: func(pictures *Node) []write.Output {
			return []write.Output{{Name: "features", Node: backbone.Unloaded(layer{}, pictures).Features}}
		},
		Weight: func(name string) ([]float32, bool) { v, ok := weights[name]; return v, ok },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var model protos.ModelProto
	if err := proto.Unmarshal(file, &model); err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range model.Graph.Node {
		fmt.Println(n.OpType, n.Input, n.Output)
	}
	// Output:
	// Transpose [pictures] [Transpose]
	// Conv [Transpose conv.weight.scaled conv.shift] [conv]
	// Relu [conv] [Relu]
	// GlobalAveragePool [Relu] [GlobalAveragePool]
	// Flatten [GlobalAveragePool] [features]
}
