package backbone

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Activation is a function of each number of a map.
type Activation func(x *graph.Node) *graph.Node

// ReLU is max(x, 0).
func ReLU(x *graph.Node) *graph.Node { return graph.MaxScalar(x, 0) }

// ReLU6 is x clipped to [0, 6].
func ReLU6(x *graph.Node) *graph.Node { return graph.ClipScalar(x, 0, 6) }

// SiLU is x times the logistic function of x, also called swish.
func SiLU(x *graph.Node) *graph.Node { return graph.Mul(x, graph.Sigmoid(x)) }

// HardSigmoid is x/6 + 1/2, clipped to [0, 1].
func HardSigmoid(x *graph.Node) *graph.Node {
	return graph.DivScalar(ReLU6(graph.AddScalar(x, 3)), 6)
}

// HardSwish is x times HardSigmoid.
func HardSwish(x *graph.Node) *graph.Node { return graph.Mul(x, HardSigmoid(x)) }

// GELU is x times the normal distribution function of x, PyTorch's default. GELUTanh and QuickGELU
// differ from it by up to 5e-4 and 2e-2; a checkpoint needs the one that it was trained with.
func GELU(x *graph.Node) *graph.Node {
	return graph.MulScalar(graph.Mul(x, graph.AddScalar(graph.Erf(graph.MulScalar(x, 1/math.Sqrt2)), 1)), 0.5)
}

// GELUTanh approximates GELU by a hyperbolic tangent, as JAX does by default.
func GELUTanh(x *graph.Node) *graph.Node {
	inner := graph.Add(x, graph.MulScalar(graph.Mul(x, graph.Mul(x, x)), 0.044715))
	return graph.MulScalar(graph.Mul(x, graph.AddScalar(graph.Tanh(graph.MulScalar(inner, math.Sqrt(2/math.Pi))), 1)), 0.5)
}

// QuickGELU approximates GELU by x times the logistic function of 1.702 x, as OpenAI's CLIP does.
func QuickGELU(x *graph.Node) *graph.Node {
	return graph.Mul(x, graph.Sigmoid(graph.MulScalar(x, 1.702)))
}
