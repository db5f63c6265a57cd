package write

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// lower turns the operations that the outputs need into those of ONNX.
func (l *lowering) lower(f *function, outputs []Output) error {
	input := f.nodes[0]
	l.model.batch = l.batch
	l.model.input = &wire{name: f.network.Input, dims: input.shape.Dimensions, dtype: input.shape.DType}
	l.values[input] = plain(l.model.input, input.shape.Dimensions)
	if f.network.Bytes && input.shape.Rank() == 4 {
		// A quarter of the floats to move, and engines are slow at operations by channel on [N,H,W,3].
		l.values[input] = l.in(l.values[input], []int{0, 3, 1, 2})
	}

	wanted := map[*node]bool{}
	var want func(n *node)
	want = func(n *node) {
		if wanted[n] {
			return
		}
		wanted[n] = true
		if n.flat == nil {
			for _, in := range n.in {
				want(in)
			}
		}
	}
	for _, n := range f.outputs {
		want(n)
	}
	for _, n := range f.nodes {
		if !wanted[n] || n == input {
			continue
		}
		if n.flat != nil {
			w := constant(n.flat, n.shape.DType, n.shape.Dimensions...)
			w.tensor.key = n.name
			l.values[n] = plain(w, n.shape.Dimensions)
			continue
		}
		v, err := l.operation(n)
		if err != nil {
			return err
		}
		l.values[n] = v
	}
	for i, n := range f.outputs {
		v := l.values[n]
		w := l.full(v, natural(len(v.shape)))
		if v.dtype != dtypes.Float32 {
			return fmt.Errorf("write: the output %s is %s, want 32-bit floats", outputs[i].Name, v.dtype)
		}
		if w.made == nil || slices.Contains(l.model.outputs, w) {
			w = l.model.add("Identity", nil, v.dtype, w.dims, w)
		}
		w.name = outputs[i].Name
		l.model.outputs = append(l.model.outputs, w)
	}
	return nil
}

// pointwise are the operations that treat each place alike and have a counterpart of the same
// meaning.
var pointwise = map[compute.OpType]string{
	compute.OpTypeAbs: "Abs", compute.OpTypeCeil: "Ceil", compute.OpTypeCos: "Cos", compute.OpTypeErf: "Erf", compute.OpTypeExp: "Exp",
	compute.OpTypeFloor: "Floor", compute.OpTypeIsNaN: "IsNaN", compute.OpTypeLog: "Log", compute.OpTypeLogistic: "Sigmoid",
	compute.OpTypeLogicalNot: "Not", compute.OpTypeNeg: "Neg", compute.OpTypeRound: "Round", compute.OpTypeSign: "Sign",
	compute.OpTypeSin: "Sin", compute.OpTypeSqrt: "Sqrt", compute.OpTypeTanh: "Tanh",
	compute.OpTypeAdd: "Add", compute.OpTypeSub: "Sub", compute.OpTypeMul: "Mul", compute.OpTypeDiv: "Div", compute.OpTypePow: "Pow",
	compute.OpTypeMax: "Max", compute.OpTypeMin: "Min", compute.OpTypeWhere: "Where",
	compute.OpTypeEqual: "Equal", compute.OpTypeGreaterThan: "Greater", compute.OpTypeGreaterOrEqual: "GreaterOrEqual",
	compute.OpTypeLessThan: "Less", compute.OpTypeLessOrEqual: "LessOrEqual",
	compute.OpTypeLogicalAnd: "And", compute.OpTypeLogicalOr: "Or", compute.OpTypeLogicalXor: "Xor",
}

var reductions = map[compute.OpType]string{
	compute.OpTypeReduceSum: "ReduceSum", compute.OpTypeReduceMax: "ReduceMax", compute.OpTypeReduceMin: "ReduceMin", compute.OpTypeReduceProduct: "ReduceProd",
}

// operation lowers one operation whose operands are lowered.
func (l *lowering) operation(n *node) (value, error) {
	in := make([]value, len(n.in))
	for i, x := range n.in {
		in[i] = l.values[x]
	}
	shape := n.shape.Dimensions
	if op, ok := pointwise[n.op]; ok {
		return l.places(op, n.shape.DType, shape, in...), nil
	}
	if op, ok := reductions[n.op]; ok {
		return l.reduce(n, op, in[0])
	}
	if v, ok := l.composed(n, in); ok {
		return v, nil
	}
	switch n.op {
	case compute.OpTypeReshape:
		return l.reshape(in[0], shape), nil
	case compute.OpTypeTranspose:
		return transpose(in[0], n.detail.(permutation).axes), nil
	case compute.OpTypeBroadcastInDim:
		return l.broadcast(in[0], shape, n.detail.(broadcasting).axes), nil
	case compute.OpTypeSlice:
		return l.slice(n, in[0])
	case compute.OpTypePad:
		return l.pad(n, in)
	case compute.OpTypeConcatenate:
		return l.concatenate(n, in)
	case compute.OpTypeConvGeneral:
		return l.convolve(n, in[0], in[1])
	case compute.OpTypeReduceWindow:
		return l.window(n, in[0])
	case compute.OpTypeDotGeneral:
		return l.contract(n, in[0], in[1])
	case compute.OpTypeFusedSoftmax:
		return l.softmax(n, in[0])
	case compute.OpTypeFusedLayerNorm:
		return l.layerNorm(n, in), nil
	case compute.OpTypeFusedGelu:
		return l.gelu(n, in[0]), nil
	case compute.OpTypeGather:
		return l.gather(n, in[0], in[1])
	case compute.OpTypeArgMinMax:
		return l.argMinMax(n, in[0])
	}
	return value{}, n.refuse("")
}

// composed lowers operations that are made of pointwise ones; ok is false for others.
func (l *lowering) composed(n *node, in []value) (v value, ok bool) {
	shape, dtype := n.shape.Dimensions, n.shape.DType
	one := plain(scalar(1), nil)
	switch n.op {
	case compute.OpTypeIdentity:
		return in[0], true
	case compute.OpTypeNotEqual:
		return l.places("Not", dtype, shape, l.places("Equal", dtype, shape, in...)), true
	case compute.OpTypeIsFinite:
		return l.places("LessOrEqual", dtype, shape, l.places("Abs", dtypes.Float32, shape, in[0]), plain(scalar(math.MaxFloat32), nil)), true
	case compute.OpTypeRsqrt:
		return l.places("Reciprocal", dtype, shape, l.places("Sqrt", dtype, shape, in[0])), true
	case compute.OpTypeLog1p:
		return l.places("Log", dtype, shape, l.places("Add", dtype, shape, in[0], one)), true
	case compute.OpTypeExpm1:
		return l.places("Sub", dtype, shape, l.places("Exp", dtype, shape, in[0]), one), true
	case compute.OpTypeClamp:
		return l.places("Min", dtype, shape, l.places("Max", dtype, shape, in[1], in[0]), in[2]), true
	case compute.OpTypeRem:
		v := l.places("Mod", dtype, shape, in...)
		v.wire.made.attrs = map[string]any{"fmod": 1}
		return v, true
	case compute.OpTypeConvertDType:
		v := l.places("Cast", dtype, shape, in[0])
		v.wire.made.attrs = map[string]any{"to": int(onnxType(dtype))}
		return v, true
	}
	return value{}, false
}

func (n *node) refuse(reason string, args ...any) error {
	return &UnsupportedError{Op: n.op.String(), Reason: fmt.Sprintf(reason, args...)}
}

// transpose only changes what is remembered: the file keeps its order.
func transpose(v value, axes []int) value {
	out := v
	out.shape, out.perm, out.thin = permuted(v.shape, axes), make([]int, len(axes)), make([]bool, len(axes))
	for to, from := range axes {
		out.perm[v.place(from)] = to
		out.thin[to] = v.thin[from]
	}
	return out
}

// broadcast repeats v along axes, which is done by whoever needs it.
func (l *lowering) broadcast(v value, shape, axes []int) value {
	one := slices.Repeat([]int{1}, len(shape))
	for from, to := range axes {
		one[to] = v.shape[from]
	}
	v = l.reshape(v, one)
	v.shape, v.thin = shape, slices.Clone(v.thin)
	for axis := range shape {
		v.thin[axis] = v.thin[axis] || shape[axis] != one[axis]
	}
	return v
}

// loose returns v with no axis in that list stored as one place that stands for all.
func (l *lowering) loose(v value, axes ...int) value {
	if slices.ContainsFunc(axes, func(axis int) bool { return v.thin[axis] }) {
		v.wire = l.full(v, v.perm)
		v.thin = make([]bool, len(v.shape))
	}
	return v
}

func (l *lowering) reduce(n *node, op string, v value) (value, error) {
	axes := n.detail.([]int)
	for _, axis := range axes {
		if l.isBatch(v.shape[axis]) {
			return value{}, n.refuse("over the axis of the pictures")
		}
	}
	v = l.loose(v, axes...)
	out := value{dtype: n.shape.DType, shape: n.shape.Dimensions}
	var places []int
	rank := func(axis int) int { // of a remaining axis among those that remain
		k := axis
		for _, a := range axes {
			if a < axis {
				k--
			}
		}
		return k
	}
	out.thin = make([]bool, len(out.shape))
	for i, axis := range v.perm {
		if slices.Contains(axes, axis) {
			places = append(places, i)
			continue
		}
		out.perm = append(out.perm, rank(axis))
		out.thin[rank(axis)] = v.thin[axis]
	}
	attrs, in := map[string]any{"keepdims": 0}, []*wire{v.wire}
	if op == "ReduceSum" {
		in = append(in, integers(places...))
	} else {
		attrs["axes"] = places
	}
	out.wire = l.model.add(op, attrs, out.dtype, out.storedDims(), in...)
	return out, nil
}

func (l *lowering) slice(n *node, v value) (value, error) {
	c := n.detail.(cutting)
	out := v
	out.shape, out.thin = n.shape.Dimensions, slices.Clone(v.thin)
	var starts, limits, places, steps []int
	for axis, d := range v.shape {
		step := 1
		if len(c.strides) > 0 {
			step = c.strides[axis]
		}
		switch {
		case c.starts[axis] == 0 && c.limits[axis] == d && step == 1:
		case l.isBatch(d):
			return value{}, n.refuse("along the axis of the pictures")
		case v.thin[axis]:
			out.thin[axis] = out.shape[axis] > 1
		default:
			starts, limits = append(starts, c.starts[axis]), append(limits, c.limits[axis])
			places, steps = append(places, v.place(axis)), append(steps, step)
		}
	}
	if len(places) > 0 {
		out.wire = l.model.add("Slice", nil, v.dtype, out.storedDims(), v.wire, integers(starts...), integers(limits...), integers(places...), integers(steps...))
	}
	return out, nil
}

func (l *lowering) pad(n *node, in []value) (value, error) {
	v, fill := in[0], in[1]
	if fill.wire.tensor == nil {
		return value{}, n.refuse("with a fill that is computed")
	}
	axes := n.detail.(padding).axes
	rank := len(v.shape)
	pads := make([]int, 2*rank)
	var padded []int
	for axis, a := range axes {
		switch {
		case a == (compute.PadAxis{}):
			continue
		case a.Interior != 0:
			return value{}, n.refuse("between the places of an axis")
		case a.Start < 0 || a.End < 0:
			return value{}, n.refuse("by less than nothing")
		case l.isBatch(v.shape[axis]):
			return value{}, n.refuse("along the axis of the pictures")
		}
		padded = append(padded, axis)
		pads[v.place(axis)], pads[rank+v.place(axis)] = a.Start, a.End
	}
	v = l.loose(v, padded...)
	out := v
	out.shape = n.shape.Dimensions
	out.wire = l.model.add("Pad", map[string]any{"mode": "constant"}, v.dtype, out.storedDims(), v.wire, integers(pads...), fill.wire)
	return out, nil
}

func (l *lowering) concatenate(n *node, in []value) (value, error) {
	axis := n.detail.(joining).axis
	perm, most := in[0].perm, -1
	for _, v := range in {
		if l.isBatch(v.shape[axis]) {
			return value{}, n.refuse("along the axis of the pictures")
		}
		if s := size(v.wire.dims); v.wire.tensor == nil && s > most {
			perm, most = v.perm, s
		}
	}
	var wires []*wire
	for _, v := range in {
		wires = append(wires, l.full(v, perm))
	}
	out := plain(nil, n.shape.Dimensions)
	out.perm, out.dtype = perm, n.shape.DType
	out.wire = l.model.add("Concat", map[string]any{"axis": out.place(axis)}, out.dtype, out.storedDims(), wires...)
	return out, nil
}

// spread returns the pads of spatial axes as ONNX has them: all starts, then all ends.
func spread(pads [][2]int, axes int) []int {
	out := make([]int, 2*axes)
	for i, p := range pads {
		out[i], out[axes+i] = p[0], p[1]
	}
	return out
}

// ones returns the list, or as many ones where it is empty.
func ones(list []int, n int) []int {
	if len(list) == 0 {
		return slices.Repeat([]int{1}, n)
	}
	return list
}

func (l *lowering) convolve(n *node, x, kernel value) (value, error) {
	c := n.detail.(convolving)
	spatial := len(c.axes.InputSpatial)
	strides, dilation := ones(c.strides, spatial), ones(c.dilation, spatial)
	switch {
	case slices.ContainsFunc(c.inDilation, func(d int) bool { return d != 1 }):
		return value{}, n.refuse("with a dilated input")
	case c.batchedGroups > 1:
		return value{}, n.refuse("in groups of pictures")
	case !l.isBatch(x.shape[c.axes.InputBatch]) && slices.ContainsFunc(x.shape, l.isBatch):
		return value{}, n.refuse("along the axis of the pictures")
	}
	order := func(first, second int, rest []int) []int { return append([]int{first, second}, rest...) }
	a := c.axes
	in := []*wire{
		l.full(x, order(a.InputBatch, a.InputChannels, a.InputSpatial)),
		l.full(kernel, order(a.KernelOutputChannels, a.KernelInputChannels, a.KernelSpatial)),
	}
	attrs := map[string]any{
		"kernel_shape": in[1].dims[2:], "strides": strides, "dilations": dilation,
		"pads": spread(c.pads, spatial), "group": max(c.groups, 1),
	}
	out := plain(nil, n.shape.Dimensions)
	out.perm, out.dtype = order(a.OutputBatch, a.OutputChannels, a.OutputSpatial), n.shape.DType
	out.wire = l.model.add("Conv", attrs, out.dtype, out.storedDims(), in...)
	return out, nil
}

// window lowers pools.
func (l *lowering) window(n *node, x value) (value, error) {
	w := n.detail.(windowing)
	rank := len(x.shape)
	strides, pads := w.strides, w.pads
	if len(strides) == 0 {
		strides = w.size // GoMLX: windows side by side
	}
	if len(pads) == 0 {
		pads = make([][2]int, rank)
	}
	for _, d := range slices.Concat(w.inDilation, w.dilation) {
		if d != 1 {
			return value{}, n.refuse("with a dilation")
		}
	}
	var still, moving []int
	for axis := range rank {
		if w.size[axis] == 1 && strides[axis] == 1 && pads[axis] == [2]int{} {
			still = append(still, axis)
		} else {
			moving = append(moving, axis)
		}
	}
	// The two axes of ONNX in front stay still. Axes are kept where they are stored, if possible.
	if rank < 3 || len(still) < 2 {
		return value{}, n.refuse("of %v over %d axes", w.size, rank)
	}
	perm := x.perm
	if slices.ContainsFunc(perm[:2], func(axis int) bool { return slices.Contains(moving, axis) }) {
		perm = slices.Concat([]int{still[0], still[len(still)-1]}, still[1:len(still)-1], moving)
	}
	if slices.ContainsFunc(perm[2:], func(axis int) bool { return l.isBatch(x.shape[axis]) }) {
		return value{}, n.refuse("along the axis of the pictures")
	}
	size, stride, pad := permuted(w.size, perm)[2:], permuted(strides, perm)[2:], make([][2]int, 0, rank)
	area := 1
	for i, axis := range perm[2:] {
		pad = append(pad, pads[axis])
		area *= size[i]
	}
	attrs := map[string]any{"kernel_shape": size, "strides": stride, "pads": spread(pad, rank-2)}
	out := plain(nil, n.shape.Dimensions)
	out.perm, out.dtype = perm, n.shape.DType
	wire := l.full(x, perm)
	switch w.kind {
	case compute.ReduceOpMax:
		out.wire = l.model.add("MaxPool", attrs, out.dtype, out.storedDims(), wire)
	case compute.ReduceOpSum:
		attrs["count_include_pad"] = 1
		out.wire = l.model.add("AveragePool", attrs, out.dtype, out.storedDims(), wire)
		return l.places("Mul", out.dtype, out.shape, out, plain(scalar(float32(area)), nil)), nil
	default:
		return value{}, n.refuse("%s", w.kind)
	}
	return out, nil
}

// contract lowers a product of matrices. Result axes are the batch axes, those of lhs alone, those
// of rhs alone.
func (l *lowering) contract(n *node, lhs, rhs value) (value, error) {
	c := n.detail.(contracting)
	for _, axis := range c.lhs {
		if l.isBatch(lhs.shape[axis]) {
			return value{}, n.refuse("over the axis of the pictures")
		}
	}
	free := func(v value, taken ...[]int) (axes []int) {
		for axis := range v.shape {
			if !slices.ContainsFunc(taken, func(t []int) bool { return slices.Contains(t, axis) }) {
				axes = append(axes, axis)
			}
		}
		return axes
	}
	left, right := free(lhs, c.lhs, c.lhsBatch), free(rhs, c.rhs, c.rhsBatch)
	dims := func(v value, axes []int) []int { return permuted(v.shape, axes) }
	inner := size(dims(lhs, c.lhs))
	a, b := l.full(lhs, slices.Concat(c.lhsBatch, left, c.lhs)), l.full(rhs, slices.Concat(c.rhsBatch, c.rhs, right))

	batch, rows, columns := dims(lhs, c.lhsBatch), dims(lhs, left), dims(rhs, right)
	// A vector or several axes become one. Rows of a plain matrix product may be any number of axes.
	if len(batch) > 0 || len(rows) == 0 {
		rows = []int{size(rows)}
	}
	a = l.reshaped(a, slices.Concat(batch, rows, []int{inner}))
	b = l.reshaped(b, slices.Concat(batch, []int{inner, size(columns)}))
	product := l.model.add("MatMul", nil, n.shape.DType, slices.Concat(batch, rows, []int{size(columns)}), a, b)
	return plain(l.reshaped(product, n.shape.Dimensions), n.shape.Dimensions), nil
}

func (l *lowering) softmax(n *node, v value) (value, error) {
	axis := n.detail.(softmaxing).axis
	if l.isBatch(v.shape[axis]) {
		return value{}, n.refuse("over the axis of the pictures")
	}
	v = l.loose(v, axis)
	return v.like(l.model.add("Softmax", map[string]any{"axis": v.place(axis)}, v.dtype, v.storedDims(), v.wire)), nil
}

// gelu is written as engines recognise it.
func (l *lowering) gelu(n *node, x value) value {
	c := func(v float64) value { return plain(scalar(float32(v)), nil) }
	do := func(op string, in ...value) value { return l.places(op, x.dtype, x.shape, in...) }
	if n.detail.(geluing).exact {
		return do("Mul", do("Mul", x, do("Add", do("Erf", do("Div", x, c(math.Sqrt2))), c(1))), c(0.5))
	}
	cube := do("Mul", do("Mul", do("Mul", x, x), x), c(0.044715))
	t := do("Tanh", do("Mul", do("Add", x, cube), c(math.Sqrt(2/math.Pi))))
	return do("Mul", do("Mul", x, c(0.5)), do("Add", t, c(1)))
}

// gather lowers the gather of whole places along one axis.
func (l *lowering) gather(n *node, x, indices value) (value, error) {
	g := n.detail.(gathering)
	if len(g.index) != 1 || len(g.collapsed) != 1 || g.index[0] != g.collapsed[0] || l.isBatch(x.shape[g.index[0]]) {
		return value{}, n.refuse("other than of places along one axis")
	}
	axis := g.index[0]
	for i, s := range g.sizes {
		if i != axis && s != x.shape[i] {
			return value{}, n.refuse("of parts")
		}
	}
	shape := slices.Clone(indices.shape)
	if g.vectorAxis < len(shape) {
		if shape[g.vectorAxis] != 1 {
			return value{}, n.refuse("by several indices")
		}
		shape = slices.Delete(shape, g.vectorAxis, g.vectorAxis+1)
	}
	index := l.full(l.reshape(indices, shape), natural(len(shape)))
	// ONNX puts the axes of the indices in the place of the axis, GoMLX where it likes.
	var free []int
	for i := range n.shape.Rank() {
		if !slices.Contains(g.offset, i) {
			free = append(free, i)
		}
	}
	order := slices.Concat(g.offset[:axis], free, g.offset[axis:])
	dims := permuted(n.shape.Dimensions, order)
	w := l.model.add("Gather", map[string]any{"axis": axis}, n.shape.DType, dims, l.full(x, natural(len(x.shape))), index)
	out := plain(w, n.shape.Dimensions)
	out.perm = order
	return out, nil
}

func (l *lowering) argMinMax(n *node, x value) (value, error) {
	a := n.detail.(arg)
	if l.isBatch(x.shape[a.axis]) {
		return value{}, n.refuse("over the axis of the pictures")
	}
	op := "ArgMax"
	if a.min {
		op = "ArgMin"
	}
	w := l.full(x, natural(len(x.shape)))
	w = l.model.add(op, map[string]any{"axis": a.axis, "keepdims": 0}, dtypes.Int64, n.shape.Dimensions, w)
	if n.shape.DType != dtypes.Int64 {
		w = l.model.add("Cast", map[string]any{"to": int(onnxType(n.shape.DType))}, n.shape.DType, w.dims, w)
	}
	return plain(w, n.shape.Dimensions), nil
}

// onnxType is ONNX's number for a type.
func onnxType(t dtypes.DType) int32 {
	switch t {
	case dtypes.Float32:
		return 1
	case dtypes.Uint8:
		return 2
	case dtypes.Int8:
		return 3
	case dtypes.Int32:
		return 6
	case dtypes.Int64:
		return 7
	case dtypes.Bool:
		return 9
	case dtypes.Float16:
		return 10
	case dtypes.Float64:
		return 11
	}
	panic(&UnsupportedError{"ConvertDType", fmt.Sprintf("numbers of type %s", t)})
}
