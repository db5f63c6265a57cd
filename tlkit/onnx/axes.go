package onnx

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// channelsBehind says where the axes of a map [N,C,H,W] are in [N,H,W,C].
var channelsBehind = []int{0, 3, 1, 2}

func reduceMean(e *walk, _ weights.ONNXNode, in []value) value {
	v, axes, keep := in[0], slices.Sorted(slices.Values(e.params.axes)), e.params.keep
	if len(axes) == 0 {
		return v
	}
	if v.last && slices.Equal(axes, []int{2, 3}) {
		if keep {
			return v.same(ReduceAndKeep(v.node, ReduceMean, 1, 2))
		}
		return value{node: ReduceMean(v.node, 1, 2)}
	}
	x := v.plain(e)
	if keep {
		return value{node: ReduceAndKeep(x, ReduceMean, axes...)}
	}
	return value{node: ReduceMean(x, axes...)}
}

func reduce(f func(x *Node, axes ...int) *Node) operation {
	return single(func(e *walk, _ weights.ONNXNode, in []value) value {
		x := in[0].plain(e)
		switch {
		case len(e.params.axes) == 0:
			return in[0]
		case e.params.keep:
			return value{node: ReduceAndKeep(x, f, e.params.axes...)}
		}
		return value{node: f(x, e.params.axes...)}
	})
}

func reduceL2(e *walk, n weights.ONNXNode, in []value) value {
	x := value{node: Square(in[0].plain(e))}
	return value{node: Sqrt(reduce(ReduceSum)(e, n, []value{x})[0].node)}
}

// argMax builds ArgMax and ArgMin. Of equal numbers the first one wins.
func argMax(e *walk, n weights.ONNXNode, in []value) value {
	x, axis := in[0].plain(e), e.params.axes[0]
	find := TopK
	if n.Op == "ArgMin" {
		find = BottomK
	}
	_, at := find(x, 1, axis)
	if at.DType() != dtypes.Int64 {
		at = ConvertDType(at, dtypes.Int64)
	}
	return value{node: Reshape(at, e.dims(e.survey.facts[n.Outputs[0]])...)}
}

func topK(e *walk, _ weights.ONNXNode, in []value) []value {
	find := BottomK
	if e.params.keep {
		find = TopK
	}
	values, at := find(in[0].plain(e), e.params.sizes[0], e.params.axes[0])
	if at.DType() != dtypes.Int64 {
		at = ConvertDType(at, dtypes.Int64)
	}
	return []value{{node: values}, {node: at}}
}

func concat(e *walk, n weights.ONNXNode, in []value) value {
	last := slices.ContainsFunc(in, func(v value) bool { return v.last })
	out, axis := e.survey.facts[n.Outputs[0]], e.params.axes[0]
	var nodes []*Node
	for k, v := range in {
		x := v.plain(e)
		// What is the same for all pictures is repeated for each.
		if f := e.survey.fact(n.Inputs[k]); out.batch >= 0 && f.batch < 0 {
			d := e.dims(out)
			d[axis] = f.shape[axis]
			x = BroadcastToDims(x, d...)
			v = value{node: x}
		}
		if last {
			x = e.toLast(v)
		}
		nodes = append(nodes, x)
	}
	if last {
		axis = channelsBehind[axis]
	}
	return value{node: Concatenate(nodes, axis), last: last}
}

func split(e *walk, _ weights.ONNXNode, in []value) (out []value) {
	x, start := in[0].plain(e), 0
	for _, size := range e.params.sizes {
		out = append(out, value{node: SliceAxis(x, e.params.axes[0], AxisRange(start, start+size))})
		start += size
	}
	return out
}

// slice takes a part of each axis. Negative steps reverse the axis first.
func slice(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	x, batch := v.node, e.survey.fact(n.Inputs[0]).batch
	specs := slices.Repeat([]SliceAxisSpec{AxisRange()}, x.Rank())
	for i, r := range e.params.ranges {
		axis := i
		if v.last {
			axis = channelsBehind[i]
		}
		d := x.Shape().Dim(axis)
		switch {
		case i == batch || r == [3]int{0, d, 1}:
			continue
		case r[2] < 0:
			x = Reverse(x, axis)
			r = [3]int{d - 1 - r[0], d - 1 - r[1], -r[2]}
		}
		spec := AxisRange(r[0], r[1])
		if r[2] != 1 {
			spec = spec.Stride(r[2])
		}
		specs[axis] = spec
	}
	return v.same(Slice(x, specs...))
}

func pad(e *walk, n weights.ONNXNode, in []value) value {
	v := e.elementwise(in[0])
	with := floatAttr(n, "value", 0)
	if len(in) > 2 && in[2].there() {
		with = float64(in[2].known.floats[0])
	}
	all := make([]compute.PadAxis, len(e.params.ranges))
	for i, r := range e.params.ranges {
		axis := i
		if v.last {
			axis = channelsBehind[i]
		}
		if r[0] < 0 || r[1] < 0 { // negative padding crops
			v.node = SliceAxis(v.node, axis, AxisRange(max(0, -r[0]), v.node.Shape().Dim(axis)+min(0, r[1])))
		}
		all[axis] = compute.PadAxis{Start: max(0, r[0]), End: max(0, r[1])}
	}
	return v.same(Pad(v.node, Scalar(v.node.Graph(), v.node.DType(), with), all...))
}

// transpose only renames the axes of a map where that is enough.
func transpose(e *walk, _ weights.ONNXNode, in []value) value {
	v, perm := in[0], e.params.axes
	if v.last && slices.Equal(perm, []int{0, 2, 3, 1}) {
		return value{node: v.node}
	}
	if v.known == nil && !v.last && !v.kernel && slices.Equal(perm, []int{0, 3, 1, 2}) {
		return value{node: v.node, last: true}
	}
	return value{node: TransposeAllDims(v.plain(e), perm...)}
}

// reshape builds every operation that keeps the numbers and their order. A map of one pixel has the
// same order in either layout.
func reshape(e *walk, n weights.ONNXNode, in []value) value {
	v, dims := in[0], e.dims(e.survey.facts[n.Outputs[0]])
	if d := v.dims(); v.last && d[2]*d[3] == 1 {
		return value{node: Reshape(v.node, dims...)}
	}
	return value{node: Reshape(v.plain(e), dims...)}
}

func where(e *walk, n weights.ONNXNode, in []value) value {
	nodes, dims := e.plain(in), e.dims(e.survey.facts[n.Outputs[0]])
	for i, x := range nodes {
		if !x.IsScalar() && !slices.Equal(x.Shape().Dimensions, dims) {
			nodes[i] = BroadcastToDims(x, dims...)
		}
	}
	if nodes[0].IsScalar() && len(dims) > 0 {
		nodes[0] = BroadcastToDims(nodes[0], dims...)
	}
	return value{node: Where(nodes[0], nodes[1], nodes[2])}
}

func expand(e *walk, n weights.ONNXNode, in []value) value {
	x, dims := in[0].plain(e), e.dims(e.survey.facts[n.Outputs[0]])
	if !x.IsScalar() && x.Rank() < len(dims) {
		x = ExpandLeftToRank(x, len(dims))
	}
	return value{node: BroadcastToDims(x, dims...)}
}

func tile(e *walk, n weights.ONNXNode, in []value) value {
	x := in[0].plain(e)
	var apart, repeated []int
	for i, d := range x.Shape().Dimensions {
		apart, repeated = append(apart, 1, d), append(repeated, e.params.sizes[i], d)
	}
	x = BroadcastToDims(Reshape(x, apart...), repeated...)
	return value{node: Reshape(x, e.dims(e.survey.facts[n.Outputs[0]])...)}
}

func trilu(e *walk, _ weights.ONNXNode, in []value) value {
	if e.params.keep {
		return value{node: TakeUpperTriangular(in[0].plain(e), e.params.sizes[0])}
	}
	return value{node: TakeLowerTriangular(in[0].plain(e), e.params.sizes[0])}
}

// fromFront replaces negative indices, which count from the end, by indices from 0.
func fromFront(at *Node, size int) *Node {
	zero := ScalarZero(at.Graph(), at.DType())
	return Where(LessThan(at, zero), Add(at, Scalar(at.Graph(), at.DType(), size)), at)
}

func gather(e *walk, n weights.ONNXNode, in []value) value {
	x, axis := in[0].plain(e), e.params.axes[0]
	dims := e.dims(e.survey.facts[n.Outputs[0]])
	if k := in[1].known; k != nil && k.len() == 1 { // one element is a slice, whose gradient is fast
		i := int(k.ints[0])
		if i < 0 {
			i += x.Shape().Dim(axis)
		}
		return value{node: Reshape(SliceAxis(x, axis, AxisRange(i, i+1)), dims...)}
	}
	at := fromFront(in[1].plain(e), x.Shape().Dim(axis))
	if axis == 0 {
		return value{node: Gather(x, ExpandAxes(at, -1))}
	}
	// Gather works along the first axis.
	perm := []int{axis}
	for i := range x.Rank() {
		if i != axis {
			perm = append(perm, i)
		}
	}
	y := Gather(TransposeAllDims(x, perm...), ExpandAxes(at, -1))
	perm = perm[:0]
	for i := range y.Rank() {
		switch {
		case i < axis:
			perm = append(perm, at.Rank()+i)
		case i < axis+at.Rank():
			perm = append(perm, i-axis)
		default:
			perm = append(perm, i)
		}
	}
	return value{node: TransposeAllDims(y, perm...)}
}

func gatherElements(e *walk, _ weights.ONNXNode, in []value) value {
	x, at, axis := in[0].plain(e), in[1].plain(e), e.params.axes[0]
	size, dims := at.Shape().Size(), at.Shape().Dimensions
	var parts []*Node
	for i := range x.Rank() {
		part := fromFront(at, x.Shape().Dim(axis))
		if i != axis {
			part = Iota(x.Graph(), at.Shape(), i)
		}
		parts = append(parts, Reshape(part, size, 1))
	}
	return value{node: Reshape(Gather(x, Concatenate(parts, -1)), dims...)}
}

func gatherND(e *walk, _ weights.ONNXNode, in []value) value {
	return value{node: Gather(in[0].plain(e), in[1].plain(e))}
}
