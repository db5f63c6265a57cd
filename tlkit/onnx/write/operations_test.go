package write

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
)

// made returns a weight that a formula fills.
func made(x *Node, name string, dims ...int) *Node {
	return Parameter(x.Graph(), name, shapes.Make(dtypes.Float32, dims...))
}

func kernel(x *Node, dims ...int) *Node { return made(x, "kernel", dims...) }

func channels(x *Node, name string) *Node {
	return Reshape(made(x, name, x.Shape().Dim(-1)), 1, 1, 1, -1)
}

// norm is a layer norm over some axes.
func norm(x *Node, axes ...int) *Node {
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, axes...))
	return Div(centred, Sqrt(AddScalar(ReduceAndKeep(Square(centred), ReduceMean, axes...), 1e-3)))
}

// operations are graphs of pictures [N,6,6,4]; all together they use every operation that can be
// written, in every order of axes.
var operations = map[string]func(x *Node) *Node{
	"nothing":   func(x *Node) *Node { return x },
	"abs":       Abs,
	"ceil":      func(x *Node) *Node { return Add(Ceil(x), Floor(MulScalar(x, 3))) },
	"waves":     func(x *Node) *Node { return Add(Sin(x), Cos(x)) },
	"erf":       Erf,
	"exp":       func(x *Node) *Node { return Add(Exp(x), Expm1(x)) },
	"log":       func(x *Node) *Node { return Add(Log(Abs(x)), Log1p(Square(x))) },
	"sigmoid":   Sigmoid,
	"tanh":      Tanh,
	"round":     func(x *Node) *Node { return Round(MulScalar(x, 4)) },
	"sign":      func(x *Node) *Node { return Sub(Sign(x), Neg(x)) },
	"roots":     func(x *Node) *Node { return Add(Sqrt(Abs(x)), Rsqrt(AddScalar(Square(x), 1))) },
	"power":     func(x *Node) *Node { return Pow(Abs(x), Scalar(x.Graph(), dtypes.Float32, 1.5)) },
	"remainder": func(x *Node) *Node { return Rem(MulScalar(x, 5), Scalar(x.Graph(), dtypes.Float32, 2)) },
	"not a number": func(x *Node) *Node {
		bad := Log(x)
		return Where(LogicalOr(IsNaN(bad), LogicalNot(IsFinite(Inverse(Round(x))))), Neg(x), x)
	},
	"comparisons": func(x *Node) *Node {
		r, zero := Round(x), ScalarZero(x.Graph(), dtypes.Float32)
		a := Where(GreaterThan(x, zero), x, MulScalar(x, 0.1))
		b := Where(LogicalXor(LessThan(x, r), Equal(r, zero)), x, zero)
		c := Where(LogicalAnd(GreaterOrEqual(r, zero), LessOrEqual(r, zero)), zero, a)
		return Add(Add(a, b), Where(NotEqual(r, zero), c, b))
	},
	"types":         func(x *Node) *Node { return ConvertDType(ConvertDType(MulScalar(x, 9), dtypes.Int32), dtypes.Float32) },
	"whole numbers": func(x *Node) *Node { return ConvertDType(ArgMax(x, 2), dtypes.Float32) },
	"smallest": func(x *Node) *Node {
		return ConvertDType(ArgMin(TransposeAllDims(x, 0, 3, 1, 2), 1, dtypes.Int64), dtypes.Float32)
	},

	"ReLU":             backbone.ReLU,
	"ReLU6":            func(x *Node) *Node { return backbone.ReLU6(MulScalar(x, 5)) },
	"clip":             func(x *Node) *Node { return ClipScalar(MaxScalar(x, -2), -0.5, 0.25) },
	"at most":          func(x *Node) *Node { return MinScalar(x, 0.1) },
	"clips used twice": func(x *Node) *Node { y := MaxScalar(x, 0); return Add(MinScalar(y, 0.5), y) },
	"hard sigmoid":     func(x *Node) *Node { return ClipScalar(AddScalar(MulScalar(x, 0.2), 0.5), 0, 1) },
	"hard swish":       func(x *Node) *Node { return Mul(x, ClipScalar(AddScalar(MulScalar(x, 1.0/6), 0.5), 0, 1)) },
	"SiLU":             func(x *Node) *Node { return Mul(x, Sigmoid(x)) },
	"GELU":             activation.Gelu,
	"GELU by tanh":     activation.GeluApproximate,
	"larger":           func(x *Node) *Node { return Max(x, channels(x, "a")) },
	"smaller of two":   func(x *Node) *Node { return Min(x, Neg(x)) },

	"sums":                 func(x *Node) *Node { return ReduceSum(x, 1) },
	"sums of all":          func(x *Node) *Node { return Reshape(ReduceSum(x, 1, 2, 3), -1, 1) },
	"means":                func(x *Node) *Node { return ReduceMean(x, 2, 3) },
	"means over maps":      func(x *Node) *Node { return backbone.GlobalAverage(mapOf(x)) },
	"gates":                func(x *Node) *Node { y := mapOf(x); return Mul(y, Sigmoid(ReduceAndKeep(y, ReduceMean, 1, 2))) },
	"largest":              func(x *Node) *Node { return Sub(ReduceMax(mapOf(x), 3), ReduceMin(x, -1)) },
	"largest of maps":      func(x *Node) *Node { return ReduceMax(mapOf(x), 1, 2) },
	"products":             func(x *Node) *Node { return ReduceMultiply(x, 3) },
	"a wrong mean":         func(x *Node) *Node { return MulScalar(ReduceSum(mapOf(x), 1, 2), 1.0/35) },
	"the map and its mean": func(x *Node) *Node { y := mapOf(x); return Sub(y, ReduceAndKeep(y, ReduceSum, 1, 2)) },

	"transpositions":         func(x *Node) *Node { return TransposeAllDims(Exp(TransposeAllDims(x, 0, 3, 1, 2)), 0, 2, 1, 3) },
	"a transposed sum":       func(x *Node) *Node { y := mapOf(x); return Add(y, TransposeAllDims(y, 0, 2, 1, 3)) },
	"the file's flattening":  func(x *Node) *Node { return Reshape(TransposeAllDims(mapOf(x), 0, 3, 1, 2), x.Shape().Dim(0), -1) },
	"the graph's flattening": func(x *Node) *Node { return Reshape(mapOf(x), x.Shape().Dim(0), -1) },
	"tokens":                 func(x *Node) *Node { return Reshape(mapOf(x), x.Shape().Dim(0), -1, 5) },
	"axes of one":            func(x *Node) *Node { return Exp(Reshape(mapOf(x), x.Shape().Dim(0), 6, 1, 6, 1, 5)) },
	"windows of a map": func(x *Node) *Node {
		n := x.Shape().Dim(0)
		y := TransposeAllDims(Reshape(mapOf(x), n, 2, 3, 2, 3, 5), 0, 1, 3, 2, 4, 5)
		y = Exp(Reshape(y, n*4, 9, 5))
		return Reshape(TransposeAllDims(Reshape(y, n, 2, 2, 3, 3, 5), 0, 1, 3, 2, 4, 5), n, 6, 6, 5)
	},
	"groups of channels": func(x *Node) *Node {
		n := x.Shape().Dim(0)
		return Reshape(TransposeAllDims(Reshape(mapOf(x), n, 6, 6, 1, 5), 0, 1, 2, 4, 3), n, 6, 6, 5)
	},
	"repeated for all": func(x *Node) *Node {
		n := x.Shape().Dim(0)
		token := BroadcastToDims(made(x, "token", 1, 1, 4), n, 1, 4)
		return Concatenate([]*Node{token, Reshape(x, n, 36, 4)}, 1)
	},
	"repeated twice": func(x *Node) *Node {
		n := x.Shape().Dim(0)
		return Reshape(Exp(Reshape(BroadcastToDims(ExpandAxes(ReduceMean(x, 1, 2), 1), n, 3, 4), n*3, 4)), n, 12)
	},
	"spread": func(x *Node) *Node { return Add(x, BroadcastToDims(channels(x, "a"), 1, 6, 6, 4)) },
	"spread and sliced": func(x *Node) *Node {
		y := BroadcastToDims(ReduceAndKeep(x, ReduceMean, 1, 2), x.Shape().Dim(0), 6, 6, 4)
		return Slice(y, AxisRange(), AxisRange(1, 4), AxisRange(), AxisRange(1, 3))
	},
	"spread with a new axis": func(x *Node) *Node {
		y := BroadcastToDims(ReduceAndKeep(x, ReduceMean, 1, 2), x.Shape().Dim(0), 6, 6, 4)
		return Reshape(Exp(ExpandAxes(y, 2)), x.Shape().Dim(0), 36, 4)
	},
	"spread and summed": func(x *Node) *Node {
		return ReduceSum(BroadcastToDims(ReduceAndKeep(x, ReduceMean, 1, 2), x.Shape().Dim(0), 6, 6, 4), 1)
	},
	"every second": func(x *Node) *Node {
		return Slice(mapOf(x), AxisRange(), AxisRange(1).Stride(2), AxisRange(0, 5), AxisRange(2, 4))
	},
	"joined": func(x *Node) *Node {
		y := mapOf(x)
		return Concatenate([]*Node{y, x, Slice(y, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, 2))}, 3)
	},
	"padded": func(x *Node) *Node {
		return padded(mapOf(x), 0.5, compute.PadAxis{Start: 1, End: 2}, compute.PadAxis{}, compute.PadAxis{End: 3})
	},
	"picked": func(x *Node) *Node {
		return TransposeAllDims(Gather(TransposeAllDims(x, 1, 0, 2, 3), Const(x.Graph(), [][]int32{{4}, {0}, {4}})), 1, 2, 0, 3)
	},
	"numbered": func(x *Node) *Node {
		return Mul(x, ConvertDType(Iota(x.Graph(), shapes.Make(dtypes.Int32, 1, 6, 6, 4), 2), dtypes.Float32))
	},

	"convolution": mapOf,
	"norm": func(x *Node) *Node {
		y := mapOf(x)
		return backbone.ReLU(Add(Mul(y, channels(y, "gain")), channels(y, "shift")))
	},
	"bias, norm": func(x *Node) *Node {
		y := mapOf(x)
		y = Add(Mul(Add(y, channels(y, "bias")), channels(y, "gain")), channels(y, "shift"))
		return AddScalar(MulScalar(y, 0.5), 0.25)
	},
	"the map and its norm": func(x *Node) *Node { y := mapOf(x); return Sub(Mul(y, channels(y, "gain")), y) },
	"a norm alone": func(x *Node) *Node {
		y := backbone.ReLU(mapOf(x))
		return Sub(Mul(y, channels(y, "gain")), channels(y, "shift"))
	},
	"a norm of pictures": func(x *Node) *Node {
		return Convolve(Div(Sub(x, channels(x, "mean")), channels(x, "std")), kernel(x, 3, 3, 4, 5)).PadSame().Done()
	},
	"a norm by places": func(x *Node) *Node { y := mapOf(x); return Mul(y, Reshape(made(x, "places", 6*6), 1, 6, 6, 1)) },
	"even kernel": func(x *Node) *Node {
		return Convolve(x, kernel(x, 2, 4, 4, 5)).StridePerAxis(2, 1).PaddingPerDim([][2]int{{0, 1}, {2, 1}}).Done()
	},
	"groups": func(x *Node) *Node { return Convolve(x, kernel(x, 3, 3, 2, 6)).ChannelGroupCount(2).PadSame().Done() },
	"depthwise": func(x *Node) *Node {
		return Convolve(x, kernel(x, 3, 3, 1, 4)).ChannelGroupCount(4).Strides(2).PadSame().Done()
	},
	"dilated": func(x *Node) *Node {
		return Convolve(x, kernel(x, 2, 2, 4, 3)).DilationPerAxis(2, 3).NoPadding().Done()
	},
	"padded before": func(x *Node) *Node {
		y := padded(x, 0, compute.PadAxis{Start: 1, End: 2}, compute.PadAxis{Start: 2}, compute.PadAxis{})
		return Convolve(y, kernel(x, 3, 3, 4, 5)).PadSame().Done()
	},
	"padded with ones before": func(x *Node) *Node {
		y := padded(x, 1, compute.PadAxis{Start: 1, End: 2}, compute.PadAxis{Start: 2}, compute.PadAxis{})
		return Convolve(y, kernel(x, 3, 3, 4, 5)).NoPadding().Done()
	},
	"kernels of the picture": func(x *Node) *Node {
		k := Reshape(ReduceMean(made(x, "more", 2, 3, 3, 4, 5), 0), 3, 3, 4, 5)
		return Convolve(x, Exp(k)).NoPadding().Done()
	},
	"shared kernel": func(x *Node) *Node {
		k := kernel(x, 3, 3, 4, 4)
		y := Convolve(x, k).PadSame().Done()
		return Convolve(MulScalar(Add(y, channels(y, "a")), 0.1), k).PadSame().Done()
	},

	"max pool": func(x *Node) *Node {
		return MaxPool(mapOf(x)).Window(3).Strides(2).PaddingPerDim([][2]int{{1, 0}, {0, 1}}).Done()
	},
	"max pool of columns": func(x *Node) *Node { return MaxPool(x).WindowPerAxis(1, 2).Strides(1).NoPadding().Done() },
	"padded max pool": func(x *Node) *Node {
		return MaxPool(padded(x, math.Inf(-1), compute.PadAxis{Start: 1}, compute.PadAxis{End: 1}, compute.PadAxis{})).Window(2).NoPadding().Done()
	},
	"much padded max pool": func(x *Node) *Node {
		return MaxScalar(MaxPool(padded(x, math.Inf(-1), compute.PadAxis{Start: 3}, compute.PadAxis{End: 4}, compute.PadAxis{})).Window(2).NoPadding().Done(), -9)
	},
	"max pool with zeros": func(x *Node) *Node {
		return MaxPool(padded(x, 0, compute.PadAxis{Start: 1}, compute.PadAxis{End: 1}, compute.PadAxis{})).Window(2).NoPadding().Done()
	},
	"mean pool":           func(x *Node) *Node { return window(3, 2, 1).MeanPool(mapOf(x), true) },
	"mean pool of pixels": func(x *Node) *Node { return window(3, 2, 1).MeanPool(mapOf(x), false) },
	"mean of all":         func(x *Node) *Node { return window(6, 1, 0).MeanPool(mapOf(x), false) },
	"sum pool":            func(x *Node) *Node { return SumPool(x).Window(2).Strides(1).NoPadding().Done() },
	"adaptive":            func(x *Node) *Node { return backbone.AdaptiveAverage(mapOf(x), 4) },
	"shortcut":            func(x *Node) *Node { return backbone.Shortcut(mapOf(x), 9, 2) },

	"matrix": func(x *Node) *Node { return MatMul(flat(x), made(x, "matrix", 4, 7)) },
	"linear": func(x *Node) *Node {
		return Add(MatMul(flat(x), made(x, "matrix", 4, 7)), Reshape(made(x, "bias", 7), 1, 7))
	},
	"linear twice": func(x *Node) *Node {
		y := MatMul(flat(x), made(x, "matrix", 4, 4))
		return Add(MatMul(y, made(x, "other", 4, 4)), y)
	},
	"a matrix turned":  func(x *Node) *Node { return Einsum("nc,oc->no", flat(x), made(x, "matrix", 7, 4)) },
	"matrices of maps": func(x *Node) *Node { return AddScalar(MatMul(mapOf(x), made(x, "matrix", 5, 7)), 1) },
	"columns":          func(x *Node) *Node { return Einsum("nhwc,hk->nkwc", mapOf(x), made(x, "matrix", 6, 3)) },
	"several axes":     func(x *Node) *Node { return Einsum("nhwc,whck->nk", mapOf(x), made(x, "tensor", 6, 6, 5, 2)) },
	"vectors":          func(x *Node) *Node { return Reshape(Einsum("nc,c->n", flat(x), made(x, "vector", 4)), -1, 1) },
	"attention": func(x *Node) *Node {
		n := x.Shape().Dim(0)
		t := Reshape(mapOf(x), n, 36, 5)
		q, k := MatMul(t, made(x, "q", 5, 6)), MatMul(t, made(x, "k", 5, 6))
		q, k = Reshape(q, n, 36, 2, 3), Reshape(k, n, 36, 2, 3)
		a := Softmax(MulScalar(Einsum("nthd,nshd->nhts", q, k), 0.05), -1)
		return Reshape(Einsum("nhts,nshd->nthd", a, q), n, 36, 6)
	},
	"softmax over maps": func(x *Node) *Node { return Softmax(mapOf(x), 2) },
	"softmax of two":    func(x *Node) *Node { return Softmax(x, 1, 2) },

	"layer norm":             func(x *Node) *Node { return norm(Reshape(x, x.Shape().Dim(0), 36, 4), -1) },
	"layer norm with gain":   func(x *Node) *Node { return Add(Mul(norm(x, -1), channels(x, "gain")), channels(x, "shift")) },
	"layer norm of maps":     func(x *Node) *Node { y := mapOf(x); return Mul(norm(y, -1), channels(y, "gain")) },
	"layer norm and shift":   func(x *Node) *Node { y := mapOf(x); return Add(norm(y, -1), channels(y, "shift")) },
	"norm of whole pictures": func(x *Node) *Node { return norm(mapOf(x), 1, 2, 3) },
	"instance norm": func(x *Node) *Node {
		y := mapOf(x)
		return Add(Mul(norm(y, 1, 2), channels(y, "gain")), channels(y, "shift"))
	},
	"norm of two uses": func(x *Node) *Node { y := norm(x, -1); return Add(Mul(y, channels(x, "gain")), y) },
}

// mapOf is a convolution [N,6,6,5], whose result is stored as [N,C,H,W].
func mapOf(x *Node) *Node { return Convolve(x, kernel(x, 3, 3, 4, 5)).PadSame().Done() }

func flat(x *Node) *Node { return ReduceMean(x, 1, 2) }

func padded(x *Node, fill float64, height, width, channels compute.PadAxis) *Node {
	return Pad(x, Scalar(x.Graph(), dtypes.Float32, fill), compute.PadAxis{}, height, width, channels)
}

func window(side, stride, pad int) backbone.Window {
	return backbone.Window{Size: [2]int{side, side}, Stride: [2]int{stride, stride}, Dilation: [2]int{1, 1}, Pads: [2][2]int{{pad, pad}, {pad, pad}}}
}

// numbers are random, the same for the same name.
func numbers(name string, n int) []float32 {
	r := rand.New(rand.NewPCG(uint64(len(name)), uint64(name[0])))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// direct computes what a graph computes on the pure Go backend, and returns the parameters that it
// asked for.
func direct(t *testing.T, f func(x *Node) *Node, pictures []float32, batch int) (values []float32, weights map[string][]float32) {
	t.Helper()
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	g := NewGraph(backend, "direct")
	defer g.Finalize()
	x := Parameter(g, "pictures", shapes.Make(dtypes.Float32, batch, 6, 6, 4))
	y := f(x)
	if err := g.Compile(y); err != nil {
		t.Fatal(err)
	}
	inputs := ParamsMap{x: tensors.FromFlatDataAndDimensions(pictures, batch, 6, 6, 4)}
	weights = map[string][]float32{}
	for i := range g.NumParameters() {
		if p := g.GetParameterByHandle(ParameterHandle(i)); p != x {
			name := p.GetParameterName()
			weights[name] = numbers(name, p.Shape().Size())
			inputs[p] = tensors.FromFlatDataAndDimensions(weights[name], p.Shape().Dimensions...)
		}
	}
	return tensors.MustCopyFlatData[float32](g.RunWithMap(inputs)[0]), weights
}

// Every operation computes in ONNX Runtime what it computes here, for one, three and eight pictures.
func TestOperations(t *testing.T) {
	rt := testruntime.Open(t)
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		t.Run(name, func(t *testing.T) {
			var s *onnxruntime.Session
			for _, batch := range []int{1, 3, 8} {
				pictures := numbers("pictures", batch*6*6*4)
				want, weights := direct(t, operations[name], pictures, batch)
				if s == nil {
					file, err := Bytes(Network{
						Picture: []int{6, 6, 4},
						Build:   func(x *Node) []Output { return []Output{{"y", operations[name](x)}} },
						Weight:  func(name string) ([]float32, bool) { v, ok := weights[name]; return v, ok },
					})
					if err != nil {
						t.Fatal(err)
					}
					s, err = rt.Session(file, onnxruntime.SessionOptions{Threads: 1})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
				}
				out, err := s.Run(onnxruntime.Tensor{Shape: []int{batch, 6, 6, 4}, Float32: pictures})
				if err != nil {
					t.Fatal(err)
				}
				if d := difference(out[0].Float32, want); !(d < 5e-6) {
					t.Errorf("%d pictures: relative difference %.2g", batch, d)
				}
			}
		})
	}
}

// A network that reads bytes computes the same as with the same numbers as floats.
func TestBytesAsInput(t *testing.T) {
	rt := testruntime.Open(t)
	pixels := make([]uint8, 3*6*6*4)
	pictures := make([]float32, len(pixels))
	for i := range pixels {
		pixels[i] = uint8(i*37 + 11)
		pictures[i] = float32(pixels[i])
	}
	network := func(x *Node) *Node { return backbone.GlobalAverage(mapOf(ConvertDType(x, dtypes.Float32))) }
	want, weights := direct(t, network, pictures, 3)
	n := Network{
		Name: "n", Input: "pictures", Picture: []int{6, 6, 4}, Bytes: true,
		Build:  func(x *Node) []Output { return []Output{{"y", network(x)}} },
		Weight: func(name string) ([]float32, bool) { v, ok := weights[name]; return v, ok },
	}
	m, err := n.lowered(batches[0])
	if err != nil {
		t.Fatal(err)
	}
	if m.nodes[0].op != "Transpose" || m.nodes[1].op != "Cast" { // bytes are moved, not floats
		t.Errorf("it begins with %s and %s, want Transpose and Cast", m.nodes[0].op, m.nodes[1].op)
	}
	file, err := Bytes(n)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.Session(file, onnxruntime.SessionOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if in := s.Inputs()[0].String(); in != "pictures uint8[?,6,6,4]" {
		t.Errorf("it reads %s", in)
	}
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{3, 6, 6, 4}, Uint8: pixels})
	if err != nil {
		t.Fatal(err)
	}
	if d := difference(out[0].Float32, want); !(d < 5e-6) {
		t.Errorf("relative difference %.2g", d)
	}
}

// difference is the largest one as a fraction of the largest number wanted.
func difference(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst, largest := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i] - w))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, largest = max(worst, d), max(largest, math.Abs(float64(w)))
	}
	return worst / largest
}

// Operations that engines do in one pass are written as one.
func TestForms(t *testing.T) {
	for name, want := range map[string]string{
		"nothing":                 "Identity",
		"ReLU":                    "Relu",
		"ReLU6":                   "Mul Clip",
		"clip":                    "Clip",
		"clips used twice":        "Relu Clip Add",
		"hard sigmoid":            "HardSigmoid",
		"hard swish":              "HardSwish",
		"means over maps":         "Transpose Conv GlobalAveragePool Flatten",
		"gates":                   "Transpose Conv GlobalAveragePool Sigmoid Mul Transpose",
		"the file's flattening":   "Transpose Conv Reshape",
		"transpositions":          "Exp Transpose",
		"convolution":             "Transpose Conv Transpose",
		"norm":                    "Transpose Conv Relu Transpose",
		"bias, norm":              "Transpose Conv Transpose",
		"a norm alone":            "Transpose Conv Relu BatchNormalization Transpose",
		"padded before":           "Transpose Conv Transpose",
		"padded with ones before": "Transpose Pad Conv Transpose",
		"padded max pool":         "Transpose MaxPool Transpose",
		"max pool with zeros":     "Transpose Pad MaxPool Transpose",
		"mean pool":               "Transpose Conv AveragePool Transpose",
		"linear":                  "ReduceMean Gemm",
		"matrices of maps":        "Transpose Conv Transpose MatMul Add",
		"layer norm":              "Reshape LayerNormalization",
		"layer norm with gain":    "LayerNormalization",
		"layer norm of maps":      "Transpose Conv Transpose LayerNormalization",
		"layer norm and shift":    "Transpose Conv Transpose LayerNormalization Add",
		"norm of two uses":        "LayerNormalization Mul Add",
	} {
		_, weights := direct(t, operations[name], numbers("pictures", 6*6*4), 1)
		n := Network{
			Name: "n", Input: "pictures", Picture: []int{6, 6, 4},
			Build:  func(x *Node) []Output { return []Output{{"y", operations[name](x)}} },
			Weight: func(name string) ([]float32, bool) { v, ok := weights[name]; return v, ok },
		}
		m, err := n.lowered(batches[0])
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range m.nodes {
			got = append(got, o.op)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is written as %v, want %s", name, got, want)
		}
	}
}
