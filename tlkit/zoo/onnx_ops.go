package zoo

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// The operations that pictures flow through are built here and not by onnx-gomlx: it runs them as [N,C,H,W] (a tenth
// slower on the CPU), its gradients of even and depthwise kernels are wrong or explode, it refuses pools with dilations
// of 1, which PyTorch always writes, and SAME padding, and it passes over the bounds of a Clip before version 11.
// Everything else is left to it, see runLibrary.

type onnxOp func(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue

var ownOps map[string]onnxOp

func init() { // not in the declaration: some of them lead back to it
	ownOps = map[string]onnxOp{
		"Conv": onnxConv, "BatchNormalization": onnxBatchNorm,
		"MaxPool": onnxPool, "AveragePool": onnxPool,
		"GlobalAveragePool": onnxGlobal(ReduceMean), "GlobalMaxPool": onnxGlobal(ReduceMax),
		"ReduceMean": onnxReduceMean, "Concat": onnxConcat, "Pad": onnxPad,
		"Transpose": onnxTranspose, "Flatten": onnxFlatten, "Reshape": onnxReshape,
		"Clip": onnxClip, "Cast": onnxCast, "Dropout": onnxDropout, "PRelu": onnxPRelu,
		"Softmax": onnxSoftmax(Softmax), "LogSoftmax": onnxSoftmax(LogSoftmax), "MatMul": onnxMatMul,
		"Add": onnxBinary(Add), "Sub": onnxBinary(Sub), "Mul": onnxBinary(Mul), "Div": onnxBinary(Div), "Max": onnxBinary(Max), "Min": onnxBinary(Min), "Sum": onnxBinary(Add),
		"Identity": func(_ *onnxWalk, _ weights.ONNXNode, in []onnxValue) onnxValue { return in[0] },
		"Relu":     onnxUnary(backbone.ReLU), "Sigmoid": onnxUnary(Sigmoid), "Tanh": onnxUnary(Tanh), "Softplus": onnxUnary(Softplus),
		"Exp": onnxUnary(Exp), "Log": onnxUnary(Log), "Sqrt": onnxUnary(Sqrt), "Erf": onnxUnary(Erf), "Abs": onnxUnary(Abs), "Neg": onnxUnary(Neg),
		"Reciprocal": onnxUnary(Inverse), "HardSwish": onnxUnary(func(x *Node) *Node { return Mul(x, hardSigmoid(x, 1.0/6, 0.5)) }),
		"Mish": onnxUnary(func(x *Node) *Node { return Mul(x, Tanh(Softplus(x))) }),
		"Gelu": onnxGelu,
		"LeakyRelu": onnxAlpha(0.01, func(x *Node, a float64) *Node {
			return Where(GreaterThan(x, ScalarZero(x.Graph(), x.DType())), x, MulScalar(x, a))
		}),
		"Elu":         onnxAlpha(1, elu),
		"HardSigmoid": onnxHardSigmoid,
	}
}

// same is a value in the axes of another.
func (v onnxValue) same(node *Node) onnxValue { return onnxValue{node: node, last: v.last} }

// any is a value for operations that treat every number alike.
func (e *onnxWalk) any(v onnxValue) onnxValue {
	if v.last {
		return v
	}
	return onnxValue{node: v.plain(e)}
}

func onnxUnary(f func(*Node) *Node) onnxOp {
	return func(e *onnxWalk, _ weights.ONNXNode, in []onnxValue) onnxValue {
		v := e.any(in[0])
		return v.same(f(v.node))
	}
}

func onnxAlpha(otherwise float64, f func(x *Node, alpha float64) *Node) onnxOp {
	return func(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
		v := e.any(in[0])
		return v.same(f(v.node, onnxFloat(n, "alpha", otherwise)))
	}
}

// elu keeps the exponential away from large numbers, whose gradient would be lost. GoMLX's Expm1 has none at all.
func elu(x *Node, alpha float64) *Node {
	zero := ScalarZero(x.Graph(), x.DType())
	return Where(GreaterThan(x, zero), x, MulScalar(AddScalar(Exp(Min(x, zero)), -1), alpha))
}

func hardSigmoid(x *Node, alpha, beta float64) *Node {
	return ClipScalar(AddScalar(MulScalar(x, alpha), beta), 0, 1)
}

func onnxHardSigmoid(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	v := e.any(in[0])
	return v.same(hardSigmoid(v.node, onnxFloat(n, "alpha", 0.2), onnxFloat(n, "beta", 0.5)))
}

func onnxGelu(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	v := e.any(in[0])
	if onnxText(n, "approximate", "none") == "tanh" {
		return v.same(activation.GeluApproximate(v.node))
	}
	return v.same(activation.Gelu(v.node))
}

// align brings values to one layout and rank, as ONNX broadcasts: axes that are missing are in front.
func (e *onnxWalk) align(in []onnxValue) (nodes []*Node, last bool) {
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

// toLast moves the channels of [N,C,H,W] behind; a bias [1,C,1,1] is only looked at differently.
func toLast(x *Node) *Node {
	if d := x.Shape().Dimensions; d[1] == 1 || d[2]*d[3] == 1 {
		return Reshape(x, d[0], d[2], d[3], d[1])
	}
	return TransposeAllDims(x, 0, 2, 3, 1)
}

func onnxBinary(f func(a, b *Node) *Node) onnxOp {
	return func(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
		if _, old := n.Attrs["axis"]; old || len(in) == 0 {
			panic(errors.New("it has the broadcasting of version 6"))
		}
		nodes, last := e.align(in)
		out := nodes[0]
		for _, x := range nodes[1:] {
			// GoMLX wants both in one shape where neither is a scalar.
			out = f(out, x)
		}
		return onnxValue{node: out, last: last}
	}
}

func onnxMatMul(e *onnxWalk, _ weights.ONNXNode, in []onnxValue) onnxValue {
	if len(in) != 2 || !in[1].there() {
		panic(errors.New("it wants two inputs"))
	}
	return onnxValue{node: MatMul(in[0].plain(e), in[1].plain(e))}
}

// onnxWindow reads the settings that convolutions and pools share. size is that of the kernel.
func onnxWindow(e *onnxWalk, n weights.ONNXNode, x *Node, size [2]int) backbone.Window {
	w := backbone.Window{Size: size, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}}
	pair := func(name string, to *[2]int) {
		v := n.Attrs[name].Ints
		if v == nil {
			return
		}
		if len(v) != 2 {
			panic(fmt.Errorf("%s is %v; only operations on pictures are supported", name, v))
		}
		for i := range to {
			if v[i] < 1 || v[i] > 4096 {
				panic(fmt.Errorf("%s is %v", name, v))
			}
			to[i] = int(v[i])
		}
	}
	pair("kernel_shape", &w.Size)
	pair("strides", &w.Stride)
	pair("dilations", &w.Dilation)
	if size != [2]int{} && w.Size != size {
		panic(fmt.Errorf("kernel_shape is %v, the kernel %v", w.Size, size))
	}
	switch pad := onnxText(n, "auto_pad", "NOTSET"); pad {
	case "NOTSET", "":
		if v := n.Attrs["pads"].Ints; v != nil {
			if len(v) != 4 {
				panic(fmt.Errorf("pads are %v", v))
			}
			for i, p := range v {
				if p < 0 || p > 4095 {
					panic(fmt.Errorf("pads are %v", v))
				}
				w.Pads[i%2][i/2] = int(p)
			}
		}
	case "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		for i := range 2 {
			d := x.Shape().Dimensions[1+i]
			total := max(((d+w.Stride[i]-1)/w.Stride[i]-1)*w.Stride[i]+(w.Size[i]-1)*w.Dilation[i]+1-d, 0)
			w.Pads[i] = [2]int{total / 2, total - total/2}
			if pad == "SAME_LOWER" {
				w.Pads[i] = [2]int{total - total/2, total / 2}
			}
		}
	default:
		panic(fmt.Errorf("auto_pad %.20q", pad))
	}
	return w
}

func onnxConv(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	if len(in) < 2 || !in[1].there() || in[1].known != nil || len(in[1].dims()) != 4 {
		panic(errors.New("its kernel is no [O,I,H,W]; only convolutions of pictures are supported"))
	}
	kernel := in[1].node
	if !in[1].kernel {
		kernel = TransposeAllDims(in[1].plain(e), 2, 3, 1, 0)
	}
	x := e.toLast(in[0])
	d := kernel.Shape().Dimensions
	groups := onnxInt(n, "group", 1)
	if groups < 1 || groups > 1<<20 {
		panic(fmt.Errorf("%d groups", groups))
	}
	y := e.b.Convolution(x, kernel, int(groups), onnxWindow(e, n, x, [2]int{d[0], d[1]}))
	if len(in) > 2 && in[2].there() {
		y = Add(y, Reshape(in[2].plain(e), 1, 1, 1, d[3]))
	}
	return onnxValue{node: y, last: true}
}

func onnxBatchNorm(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	if len(in) != 5 || onnxInt(n, "training_mode", 0) != 0 || onnxInt(n, "spatial", 1) != 1 {
		panic(errors.New("it is in training mode: export the network in evaluation mode"))
	}
	eps := onnxFloat(n, "epsilon", 1e-5)
	v := in[0]
	rank := len(v.dims())
	channel := 1
	if rank == 4 {
		v = onnxValue{node: e.toLast(v), last: true}
		channel = 3
	}
	x := v.plain(e)
	if v.last {
		x = v.node
	}
	// Where the names are PyTorch's the norm is one of ours, and may follow its batches in training.
	if prefix, ok := normNames(n); ok && rank == 4 && e.normWeights(prefix, x.Shape().Dim(3)) {
		return v.same(e.b.BatchNorm(graphKey(prefix), x, eps))
	}
	shape := slices.Repeat([]int{1}, rank)
	shape[channel] = -1
	per := func(k int) *Node { return Reshape(in[k].plain(e), shape...) }
	scale := Div(per(1), Sqrt(AddScalar(per(4), eps)))
	return v.same(Add(Mul(x, scale), Sub(per(2), Mul(per(3), scale))))
}

// normNames gives "layer1.bn" for a norm whose tensors are layer1.bn.weight, .bias, .running_mean and .running_var.
func normNames(n weights.ONNXNode) (prefix string, ok bool) {
	prefix, ok = strings.CutSuffix(n.Inputs[1], ".weight")
	for i, leaf := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		ok = ok && n.Inputs[1+i] == prefix+leaf
	}
	return prefix, ok
}

// normWeights says whether the four are weights of this norm alone, each for c channels.
func (e *onnxWalk) normWeights(prefix string, c int) bool {
	for _, leaf := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		w, ok := e.weights[prefix+leaf]
		if !ok || len(w.shape) != 1 || w.shape[0] != c || e.ask[prefix+leaf] != 1 || w.fixed != strings.HasPrefix(leaf, ".running") {
			return false
		}
	}
	return true
}

func onnxPool(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	x := e.toLast(in[0])
	if n.Attrs["kernel_shape"].Ints == nil || onnxInt(n, "storage_order", 0) != 0 || len(n.Outputs) > 1 && n.Outputs[1] != "" {
		panic(errors.New("a pool without kernel_shape, or one that gives indices"))
	}
	w := onnxWindow(e, n, x, [2]int{})
	mean := n.Op == "AveragePool"
	padded := onnxInt(n, "count_include_pad", 0) != 0
	if onnxInt(n, "ceil_mode", 0) != 0 {
		for i := range 2 {
			d := x.Shape().Dim(1 + i)
			over := (d + w.Pads[i][0] + w.Pads[i][1] - w.Size[i]) % w.Stride[i]
			// A last window that would begin in the padding behind the picture is left out.
			if extra := w.Stride[i] - over; over > 0 && d+w.Pads[i][0]+w.Pads[i][1]+extra-w.Size[i] < d+w.Pads[i][0] {
				if mean && padded {
					panic(errors.New("ceil_mode together with count_include_pad"))
				}
				w.Pads[i][1] += extra
			}
		}
	}
	if mean {
		return onnxValue{node: backbone.MeanPoolWindow(x, w, padded), last: true}
	}
	return onnxValue{node: backbone.MaxPoolWindow(x, w), last: true}
}

func onnxGlobal(reduce func(x *Node, axes ...int) *Node) onnxOp {
	return func(e *onnxWalk, _ weights.ONNXNode, in []onnxValue) onnxValue {
		return onnxValue{node: ReduceAndKeep(e.toLast(in[0]), reduce, 1, 2), last: true}
	}
}

// axesOf are the axes that a node names, from 0, sorted; nil = it names none.
func (e *onnxWalk) axesOf(n weights.ONNXNode, in []onnxValue, rank int) []int {
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

func onnxReduceMean(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	v := in[0]
	axes := e.axesOf(n, in, len(v.dims()))
	keep := onnxInt(n, "keepdims", 1) != 0
	if axes == nil {
		if onnxInt(n, "noop_with_empty_axes", 0) != 0 {
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
		return onnxValue{node: ReduceMean(v.node, 1, 2)}
	}
	x := v.plain(e)
	if keep {
		return onnxValue{node: ReduceAndKeep(x, ReduceMean, axes...)}
	}
	return onnxValue{node: ReduceMean(x, axes...)}
}

func onnxAxis(n weights.ONNXNode, otherwise int64, rank int) int {
	axis := onnxInt(n, "axis", otherwise)
	if axis < 0 {
		axis += int64(rank)
	}
	if axis < 0 || axis >= int64(rank) {
		panic(fmt.Errorf("axis %d of %d", axis, rank))
	}
	return int(axis)
}

func onnxConcat(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	last := false
	for _, v := range in {
		if !v.there() || len(v.dims()) != len(in[0].dims()) {
			panic(errors.New("its inputs have different numbers of axes"))
		}
		last = last || v.last
	}
	axis := onnxAxis(n, 0, len(in[0].dims()))
	var nodes []*Node
	for _, v := range in {
		if last {
			nodes = append(nodes, e.toLast(v))
		} else {
			nodes = append(nodes, v.plain(e))
		}
	}
	if last {
		axis = []int{0, 3, 1, 2}[axis]
	}
	return onnxValue{node: Concatenate(nodes, axis), last: last}
}

func onnxPad(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	if mode := onnxText(n, "mode", "constant"); mode != "constant" {
		panic(fmt.Errorf("padding by %.20q", mode))
	}
	v := e.any(in[0])
	rank := len(v.dims())
	pads, value := n.Attrs["pads"].Ints, onnxFloat(n, "value", 0)
	if len(in) > 1 && in[1].there() {
		if in[1].known == nil || len(in) > 3 && in[3].there() {
			panic(errors.New("its padding depends on the picture, or names axes"))
		}
		if pads = in[1].known.ints; len(in) > 2 && in[2].there() {
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
		at := i
		if v.last {
			at = []int{0, 3, 1, 2}[i]
		}
		all[at] = compute.PadAxis{Start: int(pads[i]), End: int(pads[i+rank])}
	}
	return v.same(Pad(v.node, Scalar(v.node.Graph(), v.node.DType(), value), all...))
}

// onnxTranspose turns maps around by calling them differently where that is all it takes.
func onnxTranspose(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
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
		return onnxValue{node: v.node}
	}
	if v.known == nil && !v.last && !v.kernel && slices.Equal(perm, []int{0, 3, 1, 2}) {
		return onnxValue{node: v.node, last: true}
	}
	return onnxValue{node: TransposeAllDims(v.plain(e), perm...)}
}

func onnxFlatten(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	d := in[0].dims()
	axis := onnxInt(n, "axis", 1)
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
	return onnxValue{node: reshaped(e, in[0], rows, -1)}
}

// reshaped looks at numbers in another shape. A map of one pixel has the same order in both layouts.
func reshaped(e *onnxWalk, v onnxValue, dims ...int) *Node {
	if d := v.dims(); v.last && d[2]*d[3] == 1 {
		return Reshape(v.node, dims...)
	}
	return Reshape(v.plain(e), dims...)
}

func onnxReshape(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
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
		case v == 0 && onnxInt(n, "allowzero", 0) == 0 && i < len(d):
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
	return onnxValue{node: reshaped(e, in[0], dims...)}
}

func onnxClip(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	v := e.any(in[0])
	bound := func(k int, name string, otherwise float64) float64 {
		if len(in) > k && in[k].there() {
			if in[k].known == nil || len(in[k].known.floats) != 1 {
				panic(errors.New("its bounds are no constants"))
			}
			return float64(in[k].known.floats[0])
		}
		return onnxFloat(n, name, otherwise)
	}
	x := v.node
	low, high := bound(1, "min", math.Inf(-1)), bound(2, "max", math.Inf(1))
	const most = math.MaxFloat32 // what writers put for «none»
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

// onnxCast keeps to 32-bit floats: a network that was exported in halves runs more exactly here.
func onnxCast(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
	v := e.any(in[0])
	to, ok := map[int64]dtypes.DType{1: dtypes.Float32, 10: dtypes.Float32, 11: dtypes.Float32, 16: dtypes.Float32, 6: dtypes.Int32, 7: dtypes.Int64, 9: dtypes.Bool}[onnxInt(n, "to", 0)]
	if !ok {
		panic(fmt.Errorf("to type %d", onnxInt(n, "to", 0)))
	}
	if v.node.DType() == to {
		return v
	}
	return v.same(ConvertDType(v.node, to))
}

func onnxDropout(_ *onnxWalk, _ weights.ONNXNode, in []onnxValue) onnxValue {
	if len(in) > 2 && in[2].there() && (in[2].known == nil || len(in[2].known.ints) != 1 || in[2].known.ints[0] != 0) {
		panic(errors.New("it is in training mode: export the network in evaluation mode"))
	}
	return in[0]
}

func onnxPRelu(e *onnxWalk, _ weights.ONNXNode, in []onnxValue) onnxValue {
	nodes, last := e.align(in)
	if len(nodes) != 2 {
		panic(errors.New("it wants two inputs"))
	}
	x := nodes[0]
	zero := ScalarZero(x.Graph(), x.DType())
	return onnxValue{node: Add(Max(x, zero), Mul(nodes[1], Min(x, zero))), last: last}
}

// onnxSoftmax: before version 13 everything from the axis on was one row.
func onnxSoftmax(f func(logits *Node, axes ...int) *Node) onnxOp {
	return func(e *onnxWalk, n weights.ONNXNode, in []onnxValue) onnxValue {
		x := in[0].plain(e)
		rank := x.Rank()
		if e.opset >= 13 {
			return onnxValue{node: f(x, onnxAxis(n, -1, rank))}
		}
		var axes []int
		for a := onnxAxis(n, 1, rank); a < rank; a++ {
			axes = append(axes, a)
		}
		return onnxValue{node: f(x, axes...)}
	}
}
