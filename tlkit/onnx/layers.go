package onnx

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// conv builds a convolution.
func conv(e *walk, n weights.ONNXNode, in []value) value {
	kernel := in[1].node
	if !in[1].kernel {
		kernel = TransposeAllDims(in[1].plain(e), 2, 3, 1, 0)
	}
	x := e.toLast(in[0])
	y := e.b.Convolution(x, kernel, e.params.sizes[0], e.params.window)
	if len(in) > 2 && in[2].there() {
		y = Add(y, Reshape(in[2].plain(e), 1, 1, 1, kernel.Shape().Dim(3)))
	}
	return value{node: y, last: true}
}

func batchNorm(e *walk, n weights.ONNXNode, in []value) value {
	v := in[0]
	rank := len(v.dims())
	channel := 1
	if rank == 4 {
		v = value{node: e.toLast(v), last: true}
		channel = 3
	}
	x := v.plain(e)
	if v.last {
		x = v.node
	}
	shape := slices.Repeat([]int{1}, rank)
	shape[channel] = -1
	vector := func(k int) *Node { return Reshape(in[k].plain(e), shape...) }
	scale := Div(vector(1), Sqrt(AddScalar(vector(4), normEps(n))))
	return v.same(Add(Mul(x, scale), Sub(vector(2), Mul(vector(3), scale))))
}

// ownNorm reports whether a node is a batch norm with PyTorch's names, and returns their prefix:
// "layer1.bn" for a norm of layer1.bn.weight, .bias, .running_mean and .running_var. Such a norm is
// built by package backbone, so that it can follow its batches in training.
func (e *walk) ownNorm(n weights.ONNXNode) (prefix string, ok bool) {
	if n.Op != "BatchNormalization" || len(n.Inputs) != 5 || !evaluates(n) || len(n.Outputs) == 0 || n.Outputs[0] == "" {
		return "", false
	}
	prefix, ok = strings.CutSuffix(n.Inputs[1], ".weight")
	if !ok {
		return "", false
	}
	var channels []int
	for i, leaf := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		name := n.Inputs[1+i]
		w, known := e.weights[name]
		if !known || name != prefix+leaf || len(w.shape) != 1 || e.uses[name] != 1 || w.fixed != (i >= 2) {
			return "", false
		}
		channels = append(channels, w.shape[0])
	}
	x := e.get(n.Inputs[0])
	if !x.there() || x.known != nil || len(x.dims()) != 4 {
		return "", false
	}
	return prefix, slices.Equal(channels, slices.Repeat([]int{x.dims()[1]}, 4))
}

// norm builds an own norm.
func (e *walk) norm(prefix string, n weights.ONNXNode) value {
	x := e.toLast(e.get(n.Inputs[0]))
	return value{node: e.b.BatchNorm(graphKey(prefix), x, normEps(n)), last: true}
}

// evaluates reports whether a batch norm uses its statistics, one for each channel.
func evaluates(n weights.ONNXNode) bool {
	return intAttr(n, "training_mode", 0) == 0 && intAttr(n, "spatial", 1) == 1
}

func normEps(n weights.ONNXNode) float64 { return floatAttr(n, "epsilon", 1e-5) }

func pool(e *walk, n weights.ONNXNode, in []value) value {
	x := e.toLast(in[0])
	if n.Op == "AveragePool" {
		return value{node: e.params.window.MeanPool(x, e.params.keep), last: true}
	}
	return value{node: e.params.window.MaxPool(x), last: true}
}

func globalPool(reduce func(x *Node, axes ...int) *Node) operation {
	return single(func(e *walk, _ weights.ONNXNode, in []value) value {
		return value{node: ReduceAndKeep(e.toLast(in[0]), reduce, 1, 2), last: true}
	})
}

// instanceNorm normalises each channel of each picture.
func instanceNorm(e *walk, n weights.ONNXNode, in []value) value {
	x := in[0].plain(e)
	axes, shape := []int{}, slices.Repeat([]int{1}, x.Rank())
	shape[1] = x.Shape().Dim(1)
	for i := 2; i < x.Rank(); i++ {
		axes = append(axes, i)
	}
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, axes...))
	variance := ReduceAndKeep(Square(centred), ReduceMean, axes...)
	y := Div(centred, Sqrt(AddScalar(variance, normEps(n))))
	return value{node: Add(Mul(y, Reshape(in[1].plain(e), shape...)), Reshape(in[2].plain(e), shape...))}
}

// layerNorm normalises everything from an axis on.
func layerNorm(e *walk, n weights.ONNXNode, in []value) value {
	x := in[0].plain(e)
	var axes, shape []int
	for i, d := range x.Shape().Dimensions {
		if i >= e.params.axes[0] {
			axes = append(axes, i)
		} else {
			d = 1
		}
		shape = append(shape, d)
	}
	mean := ReduceAndKeep(x, ReduceMean, axes...)
	centred := Sub(x, mean)
	variance := ReduceAndKeep(Square(centred), ReduceMean, axes...)
	y := Div(centred, Sqrt(AddScalar(variance, normEps(n))))
	y = Mul(y, Reshape(in[1].plain(e), shape...))
	if len(in) > 2 && in[2].there() {
		y = Add(y, Reshape(in[2].plain(e), shape...))
	}
	return value{node: y}
}

func gemm(e *walk, n weights.ONNXNode, in []value) value {
	a, b := "ij", "jk"
	if intAttr(n, "transA", 0) != 0 {
		a = "ji"
	}
	if intAttr(n, "transB", 0) != 0 {
		b = "kj"
	}
	y := Einsum(a+","+b+"->ik", in[0].plain(e), in[1].plain(e))
	if alpha := floatAttr(n, "alpha", 1); alpha != 1 {
		y = MulScalar(y, alpha)
	}
	if len(in) > 2 && in[2].there() {
		c := in[2].plain(e)
		if beta := floatAttr(n, "beta", 1); beta != 1 {
			c = MulScalar(c, beta)
		}
		if c.Rank() == 1 {
			c = ExpandLeftToRank(c, 2)
		}
		y = Add(y, c)
	}
	return value{node: y}
}

func einsum(e *walk, n weights.ONNXNode, in []value) value {
	return value{node: Einsum(strings.ReplaceAll(textAttr(n, "equation", ""), " ", ""), in[0].plain(e), in[1].plain(e))}
}

// pow avoids the general power, which is slow and has no gradient at 0, for common exponents.
func pow(e *walk, _ weights.ONNXNode, in []value) value {
	if k := in[1].known; k != nil && k.len() == 1 && len(k.shape) == 0 {
		v := e.elementwise(in[0])
		exponent := 0.0
		if k.floats != nil {
			exponent = float64(k.floats[0])
		} else {
			exponent = float64(k.ints[0])
		}
		switch exponent {
		case 2:
			return v.same(Square(v.node))
		case 1:
			return v
		case 0.5:
			return v.same(Sqrt(v.node))
		case -0.5:
			return v.same(Reciprocal(Sqrt(v.node)))
		case -1:
			return v.same(Reciprocal(v.node))
		case -2:
			return v.same(Reciprocal(Square(v.node)))
		}
	}
	nodes := e.plain(in)
	if nodes[1].DType() != nodes[0].DType() {
		nodes[1] = ConvertDType(nodes[1], nodes[0].DType())
	}
	return value{node: Pow(nodes[0], nodes[1])}
}

// resize multiplies each axis by its matrix.
func resize(e *walk, _ weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	x := v.node
	for _, r := range e.params.resizes {
		axis := r.axis
		if v.last {
			axis = channelsBehind[axis]
		}
		m := constOf(x.Graph(), r.matrix, []int{r.old, r.new})
		// The new axis comes last: move it back.
		rank := x.Rank()
		y := EinsumAxes(x, m, [][2]int{{axis, 0}}, nil)
		perm := make([]int, 0, rank)
		for i := range rank {
			switch {
			case i < axis:
				perm = append(perm, i)
			case i == axis:
				perm = append(perm, rank-1)
			default:
				perm = append(perm, i-1)
			}
		}
		x = TransposeAllDims(y, perm...)
	}
	return v.same(x)
}

// spread reshapes the scale or zero point of a quantisation to the axes of x.
func (e *walk) spread(v value, rank int) *Node {
	x := v.plain(e)
	if x.DType() != dtypes.Float32 {
		x = ConvertDType(x, dtypes.Float32)
	}
	shape := slices.Repeat([]int{1}, rank)
	if e.params.axes != nil {
		shape[e.params.axes[0]] = x.Shape().Size()
	}
	return Reshape(x, shape...)
}

// bounds are the smallest and largest number of a type.
var bounds = map[string][2]float64{"U8": {0, 255}, "I8": {-128, 127}, "U16": {0, 65535}, "I16": {-32768, 32767}}

// quantize rounds to whole numbers, half to even, and keeps them in floats. The gradient passes
// through the rounding unchanged.
func quantize(e *walk, n weights.ONNXNode, in []value) value {
	x := in[0].plain(e)
	q := Div(x, e.spread(in[1], x.Rank()))
	q = Add(q, StopGradient(Sub(Round(q), q)))
	if len(in) > 2 && in[2].there() {
		q = Add(q, e.spread(in[2], x.Rank()))
	}
	b := bounds[e.survey.facts[n.Outputs[0]].kind]
	return value{node: ClipScalar(q, b[0], b[1])}
}

func dequantize(e *walk, _ weights.ONNXNode, in []value) value {
	x := in[0].plain(e)
	if x.DType() != dtypes.Float32 {
		x = ConvertDType(x, dtypes.Float32)
	}
	if len(in) > 2 && in[2].there() {
		x = Sub(x, e.spread(in[2], x.Rank()))
	}
	return value{node: Mul(x, e.spread(in[1], x.Rank()))}
}
