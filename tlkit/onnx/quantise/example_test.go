package quantise_test

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/onnx/quantise"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
)

// A matrix on the pixels of a picture.
func Example() {
	file, err := write.Bytes(write.Network{
		Picture: []int{8},
		Build: func(x *Node) []write.Output {
			return []write.Output{{Name: "y", Node: Einsum("nc,ck->nk", x, Parameter(x.Graph(), "w", shapes.Make(dtypes.Float32, 8, 2)))}}
		},
		Weight: func(string) ([]float32, bool) { return make([]float32, 16), true },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := quantise.Read(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	// n.Probe() runs on training pictures; this is what it gave for one.
	if err := n.Observe([][]float32{{0, 1, 2, 3, 4, 5, 6, 7}}); err != nil {
		fmt.Println(err)
		return
	}
	packed, err := n.Int8(quantise.Options{Method: quantise.Percentile})
	fmt.Println(n.Layers(), n.Observed(), len(packed) > 0, err)
	// Output: [{w MatMul 64 1}] [pictures] true <nil>
}
