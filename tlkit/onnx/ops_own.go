package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// The operations that pictures flow through are built here and not by onnx-gomlx. It runs them as
// [N,C,H,W], a tenth slower on the CPU; its gradients of even and depthwise kernels are wrong or
// explode; it refuses SAME padding, and pools with dilations of 1, which PyTorch always writes; and
// it ignores the bounds of a Clip before version 11. Everything else is left to it, see runLibrary.

// operation builds a node; in[0] is always there.
type operation func(e *walk, n weights.ONNXNode, in []value) value

var ownOps map[string]operation

func init() { // not in the declaration, because some of them refer to it
	ownOps = map[string]operation{
		"Conv": conv, "BatchNormalization": batchNorm,
		"MaxPool": pool, "AveragePool": pool,
		"GlobalAveragePool": globalPool(ReduceMean), "GlobalMaxPool": globalPool(ReduceMax),
		"ReduceMean": reduceMean, "Concat": concat, "Pad": pad,
		"Transpose": transpose, "Flatten": flatten, "Reshape": reshape,
		"Clip": clip, "Cast": cast, "Dropout": dropout, "PRelu": prelu,
		"Softmax": softmax(Softmax), "LogSoftmax": softmax(LogSoftmax), "MatMul": matMul,
		"Add": broadcast(Add), "Sub": broadcast(Sub), "Mul": broadcast(Mul), "Div": broadcast(Div), "Max": broadcast(Max), "Min": broadcast(Min), "Sum": broadcast(Add),
		"Identity": func(_ *walk, _ weights.ONNXNode, in []value) value { return in[0] },
		"Relu":     unary(backbone.ReLU), "Sigmoid": unary(Sigmoid), "Tanh": unary(Tanh), "Softplus": unary(Softplus),
		"Exp": unary(Exp), "Log": unary(Log), "Sqrt": unary(Sqrt), "Erf": unary(Erf), "Abs": unary(Abs), "Neg": unary(Neg),
		"Reciprocal": unary(Inverse), "HardSwish": unary(func(x *Node) *Node { return Mul(x, hardSigmoid(x, 1.0/6, 0.5)) }),
		"Mish": unary(func(x *Node) *Node { return Mul(x, Tanh(Softplus(x))) }),
		"Gelu": gelu,
		"LeakyRelu": withAlpha(0.01, func(x *Node, a float64) *Node {
			return Where(GreaterThan(x, ScalarZero(x.Graph(), x.DType())), x, MulScalar(x, a))
		}),
		"Elu":         withAlpha(1, elu),
		"HardSigmoid": hardSigmoidOp,
	}
}

// same is node with the axes of v.
func (v value) same(node *Node) value { return value{node: node, last: v.last} }

// elementwise is v for an operation that treats every number alike.
func (e *walk) elementwise(v value) value {
	if v.last {
		return v
	}
	return value{node: v.plain(e)}
}

func unary(f func(*Node) *Node) operation {
	return func(e *walk, _ weights.ONNXNode, in []value) value {
		v := e.elementwise(in[0])
		return v.same(f(v.node))
	}
}

func withAlpha(otherwise float64, f func(x *Node, alpha float64) *Node) operation {
	return func(e *walk, n weights.ONNXNode, in []value) value {
		v := e.elementwise(in[0])
		return v.same(f(v.node, floatAttr(n, "alpha", otherwise)))
	}
}

// elu keeps the exponential away from large numbers, which would spoil the gradient. GoMLX's Expm1
// has no gradient at all.
func elu(x *Node, alpha float64) *Node {
	zero := ScalarZero(x.Graph(), x.DType())
	return Where(GreaterThan(x, zero), x, MulScalar(AddScalar(Exp(Min(x, zero)), -1), alpha))
}

func hardSigmoid(x *Node, alpha, beta float64) *Node {
	return ClipScalar(AddScalar(MulScalar(x, alpha), beta), 0, 1)
}

func hardSigmoidOp(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	return v.same(hardSigmoid(v.node, floatAttr(n, "alpha", 0.2), floatAttr(n, "beta", 0.5)))
}

func gelu(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	if textAttr(n, "approximate", "none") == "tanh" {
		return v.same(activation.GeluApproximate(v.node))
	}
	return v.same(activation.Gelu(v.node))
}

// align brings values to one layout and rank, as ONNX broadcasts: missing axes are in front.
func (e *walk) align(in []value) (nodes []*Node, last bool) {
	rank := 0
	for _, v := range in {
		if !v.there() {
			panic(errors.New("an input is missing"))
		}
		last, rank = last || v.last, max(rank, len(v.dims()))
	}
	last = last && rank == 4
	for _, v := range in {
		if last && v.last {
			nodes = append(nodes, v.node)
			continue
		}
		x := v.plain(e)
		if d := x.Shape().Dimensions; len(d) < rank {
			x = Reshape(x, append(slices.Repeat([]int{1}, rank-len(d)), d...)...)
		}
		if last {
			x = toLast(x)
		}
		nodes = append(nodes, x)
	}
	return nodes, last
}

// toLast makes [N,H,W,C] of [N,C,H,W]. For a bias [1,C,1,1] a reshape is enough.
func toLast(x *Node) *Node {
	if d := x.Shape().Dimensions; d[1] == 1 || d[2]*d[3] == 1 {
		return Reshape(x, d[0], d[2], d[3], d[1])
	}
	return TransposeAllDims(x, 0, 2, 3, 1)
}

func broadcast(f func(a, b *Node) *Node) operation {
	return func(e *walk, n weights.ONNXNode, in []value) value {
		if _, old := n.Attrs["axis"]; old || len(in) == 0 {
			panic(errors.New("it has the broadcasting of version 6"))
		}
		nodes, last := e.align(in)
		out := nodes[0]
		for _, x := range nodes[1:] {
			out = f(out, x)
		}
		return value{node: out, last: last}
	}
}

func matMul(e *walk, _ weights.ONNXNode, in []value) value {
	if len(in) != 2 || !in[1].there() {
		panic(errors.New("it wants two inputs"))
	}
	return value{node: MatMul(in[0].plain(e), in[1].plain(e))}
}

func clip(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	bound := func(k int, name string, otherwise float64) float64 {
		if len(in) > k && in[k].there() {
			if in[k].known == nil || len(in[k].known.floats) != 1 {
				panic(errors.New("its bounds are no constants"))
			}
			return float64(in[k].known.floats[0])
		}
		return floatAttr(n, name, otherwise)
	}
	x := v.node
	low, high := bound(1, "min", math.Inf(-1)), bound(2, "max", math.Inf(1))
	const most = math.MaxFloat32 // stands for no bound
	switch {
	case low > -most && high < most:
		x = ClipScalar(x, low, high)
	case low > -most:
		x = MaxScalar(x, low)
	case high < most:
		x = MinScalar(x, high)
	}
	return v.same(x)
}

// cast keeps to 32-bit floats: a network exported in 16-bit floats is computed more exactly here.
func cast(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	dtype, ok := map[int64]dtypes.DType{1: dtypes.Float32, 10: dtypes.Float32, 11: dtypes.Float32, 16: dtypes.Float32, 6: dtypes.Int32, 7: dtypes.Int64, 9: dtypes.Bool}[intAttr(n, "to", 0)]
	if !ok {
		panic(fmt.Errorf("to type %d", intAttr(n, "to", 0)))
	}
	if v.node.DType() == dtype {
		return v
	}
	return v.same(ConvertDType(v.node, dtype))
}

func dropout(_ *walk, _ weights.ONNXNode, in []value) value {
	if len(in) > 2 && in[2].there() && (in[2].known == nil || len(in[2].known.ints) != 1 || in[2].known.ints[0] != 0) {
		panic(errors.New("it is in training mode: export the network in evaluation mode"))
	}
	return in[0]
}

func prelu(e *walk, _ weights.ONNXNode, in []value) value {
	nodes, last := e.align(in)
	if len(nodes) != 2 {
		panic(errors.New("it wants two inputs"))
	}
	x := nodes[0]
	zero := ScalarZero(x.Graph(), x.DType())
	return value{node: Add(Max(x, zero), Mul(nodes[1], Min(x, zero))), last: last}
}

// softmax builds Softmax and LogSoftmax. Before version 13 everything from the axis on was one row.
func softmax(f func(logits *Node, axes ...int) *Node) operation {
	return func(e *walk, n weights.ONNXNode, in []value) value {
		x := in[0].plain(e)
		rank := x.Rank()
		if e.opset >= 13 {
			return value{node: f(x, axisOf(n, -1, rank))}
		}
		var axes []int
		for a := axisOf(n, 1, rank); a < rank; a++ {
			axes = append(axes, a)
		}
		return value{node: f(x, axes...)}
	}
}
