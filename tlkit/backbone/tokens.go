package backbone

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Token is a trainable tensor NAME [1,n,C] of the checkpoint: class tokens, registers, positions.
func (b *Builder) Token(name string, x *graph.Node, n, width int) *graph.Node {
	return b.Weight(x, weights.Want{Name: name, Shape: []int{1, n, width}}, true)
}

// Patches is a convolution with bias whose stride is its kernel, x [N,H,W,in] to [N,H/k,W/k,c.Out],
// computed as one matrix product. Pixels that do not fill a patch at the bottom and the right are
// left out, as in PyTorch. Its tensors are NAME.weight [out,in,k,k] and, with c.Bias, NAME.bias.
func (b *Builder) Patches(name string, x *graph.Node, c Conv) *graph.Node {
	d, k := x.Shape().Dimensions, c.Kernel
	h, w := d[1]/k, d[2]/k
	if h == 0 || w == 0 {
		panic(fmt.Errorf("backbone: %s: a map of %dx%d pixels is smaller than a patch of %d", b.key(name), d[1], d[2], k))
	}
	kernel := b.Weight(x, b.form.kernelWant(name+b.form.kernel, k, d[3], c.Out), true)
	if h*k != d[1] || w*k != d[2] {
		x = graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, h*k), graph.AxisRange(0, w*k), graph.AxisRange())
	}
	var y *graph.Node
	if native(x) {
		y = graph.Convolve(x, kernel).Strides(k).NoPadding().Done()
	} else {
		x = graph.TransposeAllAxes(graph.Reshape(x, d[0], h, k, w, k, d[3]), 0, 1, 3, 2, 4, 5)
		y = graph.MatMul(graph.Reshape(x, -1, k*k*d[3]), graph.Reshape(kernel, k*k*d[3], c.Out))
		y = graph.Reshape(y, d[0], h, w, c.Out)
	}
	if c.Bias {
		y = graph.Add(y, perChannel(b.vector(x, name+".bias", c.Out)))
	}
	return y
}

// Attention has the options of [Builder.Attention].
type Attention struct {
	Heads  int
	NoBias bool // the product that makes queries, keys and values has no bias
	// Scores [K,Heads,T,T] are added to the scores before the softmax; nil = nothing. Row i of the N
	// takes number i mod K: one for all, or one for each window of a picture.
	Scores *graph.Node
}

// Attention is self-attention over tokens x [N,T,C], with the result [N,T,C]. Its tensors are
// qkv.weight [3C,C], qkv.bias and proj.weight [C,C], proj.bias, as timm names them.
func (b *Builder) Attention(x *graph.Node, a Attention) *graph.Node {
	d := x.Shape().Dimensions
	n, t, c := d[0], d[1], d[2]
	if c%a.Heads != 0 {
		panic(fmt.Errorf("backbone: %s: %d channels in %d heads", b.key("qkv"), c, a.Heads))
	}
	y := b.Matrix("qkv", x, 3*c)
	if !a.NoBias {
		y = graph.Add(y, alongLast(y, b.vector(x, "qkv.bias", 3*c)))
	}
	y = graph.TransposeAllAxes(graph.Reshape(y, n, t, 3, a.Heads, c/a.Heads), 2, 0, 3, 1, 4) // [3,N,heads,T,D]
	part := func(i int) *graph.Node { return graph.Squeeze(graph.Slice(y, graph.AxisRange(i, i+1)), 0) }
	y = attend(part(0), part(1), part(2), a.Scores)
	return b.Linear("proj", graph.Reshape(graph.TransposeAllAxes(y, 0, 2, 1, 3), n, t, c), c)
}

// CrossAttention lets queries x [N,Q,C] attend to tokens [N,T,C], with the result [N,Q,C]. Its tensors
// are q [C,C], kv [2C,C] and proj [C,C], each with weight and bias, as timm names them.
func (b *Builder) CrossAttention(x, tokens *graph.Node, heads int) *graph.Node {
	d := x.Shape().Dimensions
	n, q, c := d[0], d[1], d[2]
	t := tokens.Shape().Dim(1)
	queries := graph.TransposeAllAxes(graph.Reshape(b.Linear("q", x, c), n, q, heads, c/heads), 0, 2, 1, 3)
	y := graph.TransposeAllAxes(graph.Reshape(b.Linear("kv", tokens, 2*c), n, t, 2, heads, c/heads), 2, 0, 3, 1, 4) // [2,N,heads,T,D]
	part := func(i int) *graph.Node { return graph.Squeeze(graph.Slice(y, graph.AxisRange(i, i+1)), 0) }
	y = attend(queries, part(0), part(1), nil)
	return b.Linear("proj", graph.Reshape(graph.TransposeAllAxes(y, 0, 2, 1, 3), n, q, c), c)
}

// attend weighs values by the softmax of how well their keys fit the queries; all [N,heads,·,D].
func attend(q, k, v, more *graph.Node) *graph.Node {
	q = graph.MulScalar(q, 1/math.Sqrt(float64(q.Shape().Dim(-1))))
	scores := graph.DotGeneral(q, []int{3}, []int{0, 1}, k, []int{3}, []int{0, 1}) // [N,heads,T,T]
	if more != nil {
		d, k := scores.Shape().Dimensions, more.Shape().Dim(0)
		scores = graph.Reshape(scores, d[0]/k, k, d[1], d[2], d[3])
		scores = graph.Reshape(graph.Add(scores, graph.Reshape(more, 1, k, d[1], d[2], d[3])), d...)
	}
	return graph.DotGeneral(graph.Softmax(scores, -1), []int{3}, []int{0, 1}, v, []int{2}, []int{0, 1})
}

// ResampleGrid brings a grid of trainable positions [h,w,C] to another number of places, by PyTorch's
// bicubic interpolation. antialias averages over more places where the grid shrinks, as timm does;
// Hugging Face's transformers and the original code of DINOv2 without registers do not, and their
// features differ by about a percent.
func ResampleGrid(grid *graph.Node, height, width int, antialias bool) *graph.Node {
	d := grid.Shape().Dimensions
	matrix := func(in, out int) *graph.Node {
		m := tensors.FromFlatDataAndDimensions(bicubic(in, out, antialias), out, in)
		return graph.ConvertDType(graph.Const(grid.Graph(), m), grid.DType())
	}
	if d[0] != height {
		grid = graph.Einsum("hi,ijc->hjc", matrix(d[0], height), grid)
	}
	if d[1] != width {
		grid = graph.Einsum("wj,hjc->hwc", matrix(d[1], width), grid)
	}
	return grid
}

// bicubic is the matrix [out,in] of PyTorch's bicubic interpolation with align_corners=False. Its
// constant is -0.5 with antialiasing and -0.75 without.
func bicubic(in, out int, antialias bool) []float32 {
	scale := float64(in) / float64(out)
	m := make([]float32, out*in)
	for i := range out {
		row, centre := make([]float64, in), (float64(i)+0.5)*scale
		sum := 0.0
		if antialias {
			stretch := max(scale, 1)
			first, end := max(0, int(centre-2*stretch+0.5)), min(in, int(centre+2*stretch+0.5))
			for j := first; j < end; j++ {
				row[j] = cubic((float64(j)-centre+0.5)/stretch, -0.5)
				sum += row[j]
			}
		} else {
			at := math.Floor(centre - 0.5)
			for j := -1; j <= 2; j++ { // places beyond the edge are the edge's
				v := cubic(centre-0.5-at-float64(j), -0.75)
				row[min(max(int(at)+j, 0), in-1)] += v
				sum += v
			}
		}
		for j, v := range row {
			m[i*in+j] = float32(v / sum)
		}
	}
	return m
}

// cubic is Keys' convolution kernel with constant a.
func cubic(x, a float64) float64 {
	switch x = math.Abs(x); {
	case x < 1:
		return (a+2)*x*x*x - (a+3)*x*x + 1
	case x < 2:
		return a * (x*x*x - 5*x*x + 8*x - 4)
	}
	return 0
}
