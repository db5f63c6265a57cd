package zoo

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Random returns the net as it would be before any training, as a control: what works as well with
// it is not owed to the weights. Kernels are drawn as timm draws those of MobileNets, from a normal
// distribution of variance 2/(fan out of the group); matrices from one of deviation 0.02; norms change nothing,
// and biases are zero. The same seed gives the same numbers.
func (n *Net) Random(seed uint64) (*Net, error) {
	var all []weights.Tensor
	for _, w := range n.declared.Weights {
		if w.AnyType { // tables and counters, which training does not make
			continue
		}
		all = append(all, weights.FromFloat32(w.Name, w.Shape, untrained(w, seed)))
	}
	out, err := n.With(all)
	if err != nil {
		return nil, fmt.Errorf("zoo: random weights: %w", err)
	}
	return out, nil
}

// untrained returns the first values of a tensor, in the order of its file.
func untrained(w backbone.Weight, seed uint64) []float32 {
	values := make([]float32, w.Size())
	deviation := 0.0
	switch w.Layout {
	case weights.OIHWtoHWIO: // in the graph [H,W,I,O]
		deviation = math.Sqrt(2 / fanOut(w.GraphShape[0]*w.GraphShape[1], w.GraphShape[2], w.GraphShape[3]))
	case weights.DepthwiseToHWC, weights.HWC1toHWC: // in the graph [H,W,C]
		deviation = math.Sqrt(2 / fanOut(w.GraphShape[0]*w.GraphShape[1], 1, w.GraphShape[2]))
	default:
		switch len(w.Shape) {
		case 4: // Keras: [H,W,I,O]
			deviation = math.Sqrt(2 / fanOut(w.Shape[0]*w.Shape[1], w.Shape[2], w.Shape[3]))
		case 1:
			if scales(w) {
				for i := range values {
					values[i] = 1
				}
			}
			return values
		default:
			deviation = 0.02
		}
	}
	name := fnv.New64a()
	name.Write([]byte(w.Name))
	r := rand.New(rand.NewPCG(seed, name.Sum64()))
	for i := range values {
		values[i] = float32(deviation * r.NormFloat64())
	}
	return values
}

// fanOut is how many numbers an input of a kernel goes into. A kernel with one input channel and
// several outputs is depthwise: each channel is a group, as timm counts.
func fanOut(area, in, out int) float64 {
	if in == 1 {
		return float64(area)
	}
	return float64(area * out)
}

// scales reports whether a vector multiplies or divides: the weight of a norm, or its variance.
func scales(w backbone.Weight) bool {
	leaf := strings.ToLower(w.Name[strings.LastIndexAny(w.Name, "./")+1:])
	if !w.Trainable {
		return strings.Contains(leaf, "var")
	}
	return leaf == "weight" || leaf == "gamma" || leaf == "scale"
}
