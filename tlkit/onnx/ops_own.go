package onnx

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// The operations are built here and not by onnx-gomlx, which runs them as [N,C,H,W], a tenth slower
// on the CPU; has wrong or exploding gradients of even and depthwise kernels; works out shapes and
// constants by compiling programs; and reports errors in terms of its own code.

// operation builds a node. The survey has already checked its inputs and attributes.
type operation func(e *walk, n weights.ONNXNode, in []value) []value

// single makes an operation with one result.
func single(f func(e *walk, n weights.ONNXNode, in []value) value) operation {
	return func(e *walk, n weights.ONNXNode, in []value) []value { return []value{f(e, n, in)} }
}

var ops map[string]operation

func init() { // not in the declaration, because some of them refer to it
	ops = map[string]operation{
		"Conv": single(conv), "BatchNormalization": single(batchNorm),
		"MaxPool": single(pool), "AveragePool": single(pool),
		"GlobalAveragePool": globalPool(ReduceMean), "GlobalMaxPool": globalPool(ReduceMax),
		"ReduceMean": single(reduceMean), "Concat": single(concat), "Pad": single(pad), "Transpose": single(transpose),
		"Flatten": single(reshape), "Reshape": single(reshape), "Squeeze": single(reshape), "Unsqueeze": single(reshape),
		"Clip": single(clip), "Cast": single(cast), "Dropout": single(first), "PRelu": single(prelu), "Identity": single(first),
		"Softmax": softmax(Softmax), "LogSoftmax": softmax(LogSoftmax), "MatMul": single(matMul),
		"Add": broadcast(Add), "Sub": broadcast(Sub), "Mul": broadcast(Mul), "Div": broadcast(Div),
		"Max": broadcast(Max), "Min": broadcast(Min), "Sum": broadcast(Add),
		"Relu": unary(backbone.ReLU), "Sigmoid": unary(Sigmoid), "Tanh": unary(Tanh), "Softplus": unary(Softplus),
		"Exp": unary(Exp), "Log": unary(Log), "Sqrt": unary(Sqrt), "Erf": unary(Erf), "Abs": unary(Abs), "Neg": unary(Neg),
		"Reciprocal": unary(Inverse), "HardSwish": unary(func(x *Node) *Node { return Mul(x, hardSigmoid(x, 1.0/6, 0.5)) }),
		"Mish": unary(func(x *Node) *Node { return Mul(x, Tanh(Softplus(x))) }),
		"Gelu": single(gelu),
		"LeakyRelu": withAlpha(0.01, func(x *Node, a float64) *Node {
			return Where(GreaterThan(x, ScalarZero(x.Graph(), x.DType())), x, MulScalar(x, a))
		}),
		"Elu":         withAlpha(1, elu),
		"HardSigmoid": single(hardSigmoidOp),
		"Floor":       unary(Floor), "Ceil": unary(Ceil), "Round": unary(Round), "Sin": unary(Sin), "Cos": unary(Cos), "Sign": unary(Sign),
		"Not": unary(LogicalNot), "IsNaN": unary(IsNaN),

		"And": plainly(LogicalAnd), "Or": plainly(LogicalOr), "Xor": plainly(LogicalXor),
		"Equal": plainly(Equal), "Less": plainly(LessThan), "LessOrEqual": plainly(LessOrEqual),
		"Greater": plainly(GreaterThan), "GreaterOrEqual": plainly(GreaterOrEqual),
		"Pow": single(pow), "Where": single(where),
		"InstanceNormalization": single(instanceNorm),
		"LayerNormalization":    single(layerNorm), "Gemm": single(gemm), "Einsum": single(einsum),
		"Slice": single(slice), "Split": split, "Gather": single(gather), "GatherElements": single(gatherElements), "GatherND": single(gatherND),
		"Expand": single(expand), "Tile": single(tile), "Trilu": single(trilu),
		"ReduceSum": reduce(ReduceSum), "ReduceMax": reduce(ReduceMax), "ReduceMin": reduce(ReduceMin), "ReduceProd": reduce(ReduceMultiply),
		"ReduceL2": single(reduceL2), "ArgMax": single(argMax), "ArgMin": single(argMax), "TopK": topK,
		"Resize": single(resize), "QuantizeLinear": single(quantize), "DequantizeLinear": single(dequantize),
	}
}

// The settings of a node, which the survey has checked.

func intAttr(n weights.ONNXNode, name string, otherwise int64) int64 {
	if v := n.Attrs[name].Ints; len(v) == 1 {
		return v[0]
	}
	return otherwise
}

func floatAttr(n weights.ONNXNode, name string, otherwise float64) float64 {
	if v := n.Attrs[name].Floats; len(v) == 1 {
		return float64(v[0])
	}
	return otherwise
}

func textAttr(n weights.ONNXNode, name, otherwise string) string {
	if v := n.Attrs[name].Strings; len(v) == 1 {
		return v[0]
	}
	return otherwise
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
	return single(func(e *walk, _ weights.ONNXNode, in []value) value {
		v := e.elementwise(in[0])
		return v.same(f(v.node))
	})
}

func withAlpha(otherwise float64, f func(x *Node, alpha float64) *Node) operation {
	return single(func(e *walk, n weights.ONNXNode, in []value) value {
		v := e.elementwise(in[0])
		return v.same(f(v.node, floatAttr(n, "alpha", otherwise)))
	})
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
	return single(func(e *walk, _ weights.ONNXNode, in []value) value {
		nodes, last := e.align(in)
		out := nodes[0]
		for _, x := range nodes[1:] {
			out = f(out, x)
		}
		return value{node: out, last: last}
	})
}

// plainly is broadcast with the axes of the file.
func plainly(f func(a, b *Node) *Node) operation {
	return single(func(e *walk, _ weights.ONNXNode, in []value) value {
		nodes := e.plain(in)
		return value{node: f(nodes[0], nodes[1])}
	})
}

// plain returns values with the axes of the file, and as many for each: missing ones are in front.
func (e *walk) plain(in []value) (nodes []*Node) {
	rank := 0
	for _, v := range in {
		rank = max(rank, len(v.dims()))
	}
	for _, v := range in {
		x := v.plain(e)
		if x.Rank() < rank && !x.IsScalar() {
			x = ExpandLeftToRank(x, rank)
		}
		nodes = append(nodes, x)
	}
	return nodes
}

func first(_ *walk, _ weights.ONNXNode, in []value) value { return in[0] }

func matMul(e *walk, _ weights.ONNXNode, in []value) value {
	return value{node: MatMul(in[0].plain(e), in[1].plain(e))}
}

func clip(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	bound := func(k int, name string, otherwise float64) float64 {
		if len(in) > k && in[k].there() {
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
// Bytes are floats here, too.
func cast(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	to := kinds[int(intAttr(n, "to", 0))]
	dtype := dtypes.Float32
	switch to {
	case "I32":
		dtype = dtypes.Int32
	case "I64":
		dtype = dtypes.Int64
	case "BOOL":
		dtype = dtypes.Bool
	}
	if v.node.DType() == dtype {
		return v
	}
	if dtype == dtypes.Bool {
		return v.same(NotEqual(v.node, ScalarZero(v.node.Graph(), v.node.DType())))
	}
	return v.same(ConvertDType(v.node, dtype))
}

func prelu(e *walk, _ weights.ONNXNode, in []value) value {
	nodes, last := e.align(in)
	x := nodes[0]
	zero := ScalarZero(x.Graph(), x.DType())
	return value{node: Add(Max(x, zero), Mul(nodes[1], Min(x, zero))), last: last}
}

func softmax(f func(logits *Node, axes ...int) *Node) operation {
	return single(func(e *walk, _ weights.ONNXNode, in []value) value {
		return value{node: f(in[0].plain(e), e.params.axes...)}
	})
}
