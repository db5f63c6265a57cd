package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// axesOf returns the axes that a node names, counted from 0 and sorted; nil if it names none.
func (e *walk) axesOf(n weights.ONNXNode, in []value, rank int) []int {
	given := n.Attrs["axes"].Ints
	if len(in) > 1 && in[1].there() {
		if in[1].known == nil {
			panic(errors.New("its axes depend on the picture"))
		}
		given = in[1].known.ints
	}
	var out []int
	for _, a := range given {
		if a < 0 {
			a += int64(rank)
		}
		if a < 0 || a >= int64(rank) || slices.Contains(out, int(a)) {
			panic(fmt.Errorf("axes %v of %d", given, rank))
		}
		out = append(out, int(a))
	}
	slices.Sort(out)
	return out
}

// channelsBehind says where the axes of a map [N,C,H,W] are in [N,H,W,C].
var channelsBehind = []int{0, 3, 1, 2}

func reduceMean(e *walk, n weights.ONNXNode, in []value) value {
	v := in[0]
	axes := e.axesOf(n, in, len(v.dims()))
	keep := intAttr(n, "keepdims", 1) != 0
	if axes == nil {
		if intAttr(n, "noop_with_empty_axes", 0) != 0 {
			return v
		}
		for i := range v.dims() {
			axes = append(axes, i)
		}
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

// axisOf returns the axis that a node names, counted from 0.
func axisOf(n weights.ONNXNode, otherwise int64, rank int) int {
	axis := intAttr(n, "axis", otherwise)
	if axis < 0 {
		axis += int64(rank)
	}
	if axis < 0 || axis >= int64(rank) {
		panic(fmt.Errorf("axis %d of %d", axis, rank))
	}
	return int(axis)
}

func concat(e *walk, n weights.ONNXNode, in []value) value {
	last := false
	for _, v := range in {
		if !v.there() || len(v.dims()) != len(in[0].dims()) {
			panic(errors.New("its inputs have different numbers of axes"))
		}
		last = last || v.last
	}
	axis := axisOf(n, 0, len(in[0].dims()))
	var nodes []*Node
	for _, v := range in {
		if last {
			nodes = append(nodes, e.toLast(v))
		} else {
			nodes = append(nodes, v.plain(e))
		}
	}
	if last {
		axis = channelsBehind[axis]
	}
	return value{node: Concatenate(nodes, axis), last: last}
}

func pad(e *walk, n weights.ONNXNode, in []value) value {
	if mode := textAttr(n, "mode", "constant"); mode != "constant" {
		panic(fmt.Errorf("padding by %.20q", mode))
	}
	v := e.elementwise(in[0])
	rank := len(v.dims())
	pads, value := n.Attrs["pads"].Ints, floatAttr(n, "value", 0)
	if len(in) > 1 && in[1].there() {
		if in[1].known == nil || len(in) > 3 && in[3].there() {
			panic(errors.New("its padding depends on the picture, or names axes"))
		}
		pads = in[1].known.ints
		if len(in) > 2 && in[2].there() {
			if in[2].known == nil || len(in[2].known.floats) != 1 {
				panic(errors.New("the value it pads with is no number"))
			}
			value = float64(in[2].known.floats[0])
		}
	}
	if len(pads) != 2*rank {
		panic(fmt.Errorf("pads %v for %d axes", pads, rank))
	}
	all := make([]compute.PadAxis, rank)
	for i := range rank {
		for _, p := range []int64{pads[i], pads[i+rank]} {
			if p < 0 || p > 4095 {
				panic(fmt.Errorf("pads %v", pads))
			}
		}
		axis := i
		if v.last {
			axis = channelsBehind[i]
		}
		all[axis] = compute.PadAxis{Start: int(pads[i]), End: int(pads[i+rank])}
	}
	return v.same(Pad(v.node, Scalar(v.node.Graph(), v.node.DType(), value), all...))
}

// transpose only renames the axes of a map where that is enough.
func transpose(e *walk, n weights.ONNXNode, in []value) value {
	v := in[0]
	rank := len(v.dims())
	perm := make([]int, 0, rank)
	for i := range rank {
		perm = append(perm, rank-1-i)
	}
	if p := n.Attrs["perm"].Ints; p != nil {
		perm = perm[:0]
		for _, a := range p {
			if a < 0 || a >= int64(rank) || slices.Contains(perm, int(a)) {
				panic(fmt.Errorf("perm %v of %d axes", p, rank))
			}
			perm = append(perm, int(a))
		}
	}
	if len(perm) != rank {
		panic(fmt.Errorf("perm %v of %d axes", perm, rank))
	}
	if v.last && slices.Equal(perm, []int{0, 2, 3, 1}) {
		return value{node: v.node}
	}
	if v.known == nil && !v.last && !v.kernel && slices.Equal(perm, []int{0, 3, 1, 2}) {
		return value{node: v.node, last: true}
	}
	return value{node: TransposeAllDims(v.plain(e), perm...)}
}

func flatten(e *walk, n weights.ONNXNode, in []value) value {
	d := in[0].dims()
	axis := intAttr(n, "axis", 1)
	if axis < 0 {
		axis += int64(len(d))
	}
	if axis < 0 || axis > int64(len(d)) {
		panic(fmt.Errorf("axis %d of %v", axis, d))
	}
	rows := 1
	for _, v := range d[:axis] {
		rows *= v
	}
	return value{node: reshaped(e, in[0], rows, -1)}
}

// reshaped is v in another shape. A map of one pixel has the same order in both layouts.
func reshaped(e *walk, v value, dims ...int) *Node {
	if d := v.dims(); v.last && d[2]*d[3] == 1 {
		return Reshape(v.node, dims...)
	}
	return Reshape(v.plain(e), dims...)
}

func reshape(e *walk, n weights.ONNXNode, in []value) value {
	want := n.Attrs["shape"].Ints
	if len(in) > 1 && in[1].there() {
		if in[1].known == nil {
			panic(errors.New("its shape depends on the picture"))
		}
		want = in[1].known.ints
	}
	d := in[0].dims()
	if len(want) > 8 {
		panic(fmt.Errorf("shape %v", want))
	}
	dims := make([]int, len(want))
	for i, v := range want {
		switch {
		case v == 0 && intAttr(n, "allowzero", 0) == 0 && i < len(d):
			dims[i] = d[i]
		case v < -1 || v == 0 || v > math.MaxInt32:
			panic(fmt.Errorf("shape %v for %v", want, d))
		default:
			dims[i] = int(v)
		}
	}
	if len(dims) > 0 && len(d) > 0 && e.single && dims[0] == 1 && d[0] == e.count {
		dims[0] = e.count // the file was written for one picture
	}
	return value{node: reshaped(e, in[0], dims...)}
}
