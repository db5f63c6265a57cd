package backbone

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

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

// Attention sets up self-attention. The fields beyond Heads are variants that some families have.
type Attention struct {
	Heads int
	// What makes queries, keys and values: one product qkv with a bias, if nothing is set.
	NoBias         bool // qkv has no bias
	QueryValueBias bool // qkv's bias is in two parts, q_bias and v_bias; keys have none
	Apart          bool // three products q_proj, k_proj and v_proj; keys have no bias
	ByHead         bool // qkv's outputs are head by head, not first all queries, then all keys
	// Scores [K,Heads,T,T] are added to the scores before the softmax; nil = nothing. Row i of the N
	// takes number i mod K: one for all, or one for each window of a picture.
	Scores *graph.Node
	Rotary Rotary
	// Cosine compares directions only: scores are cosines times exp(logit_scale [Heads,1,1]), at most
	// 100.
	Cosine bool
	Norm   float64 // eps of a LayerNorm called norm in front of proj; 0 = none
}

// Rotary is how queries and keys are turned by their place, so that scores depend on distances
// (RoPE). The zero value turns nothing.
type Rotary struct {
	Angles []float64 // [T,D/2]: by how much each pair of numbers of a head is turned, in radians
	Halves bool      // a pair is the numbers i and i+D/2; otherwise 2i and 2i+1
}

// Attention is self-attention over tokens x [N,T,C], with the result [N,T,C]. Its tensors are
// qkv.weight [3C,C], qkv.bias and proj.weight [C,C], proj.bias, as timm names them.
func (b *Builder) Attention(x *graph.Node, a Attention) *graph.Node {
	d := x.Shape().Dimensions
	n, t, c := d[0], d[1], d[2]
	b = b.attending()
	if c%a.Heads != 0 {
		panic(fmt.Errorf("backbone: %s: %d channels in %d heads", b.key("qkv"), c, a.Heads))
	}
	q, k, v := b.queriesKeysValues(x, a)
	q, k = a.Rotary.turn(q), a.Rotary.turn(k)
	if a.Cosine {
		scale := b.Weight(x, weights.Want{Name: "logit_scale", Shape: []int{a.Heads, 1, 1}}, true)
		scale = graph.Exp(graph.MinScalar(scale, math.Log(100)))
		q, k = graph.Mul(unitLength(q), graph.Reshape(scale, 1, a.Heads, 1, 1)), unitLength(k)
	} else {
		q = overRoot(q)
	}
	y := graph.Reshape(graph.TransposeAllAxes(attend(q, k, v, a.Scores), 0, 2, 1, 3), n, t, c)
	if a.Norm > 0 {
		y = b.LayerNorm("norm", y, a.Norm)
	}
	return b.Linear("proj", y, c)
}

// queriesKeysValues are [N,heads,T,D] each.
func (b *Builder) queriesKeysValues(x *graph.Node, a Attention) (q, k, v *graph.Node) {
	d := x.Shape().Dimensions
	n, t, c := d[0], d[1], d[2]
	if a.Apart {
		heads := func(y *graph.Node) *graph.Node {
			return graph.TransposeAllAxes(graph.Reshape(y, n, t, a.Heads, c/a.Heads), 0, 2, 1, 3)
		}
		return heads(b.Linear("q_proj", x, c)), heads(b.Matrix("k_proj", x, c)), heads(b.Linear("v_proj", x, c))
	}
	y := b.Matrix("qkv", x, 3*c)
	switch {
	case a.NoBias:
	case a.QueryValueBias:
		none := graph.Zeros(x.Graph(), shapes.Make(x.DType(), c))
		y = graph.Add(y, alongLast(y, graph.Concatenate([]*graph.Node{b.vector(x, "q_bias", c), none, b.vector(x, "v_bias", c)}, 0)))
	default:
		y = graph.Add(y, alongLast(y, b.vector(x, "qkv.bias", 3*c)))
	}
	if a.ByHead {
		y = graph.TransposeAllAxes(graph.Reshape(y, n, t, a.Heads, 3, c/a.Heads), 3, 0, 2, 1, 4)
	} else {
		y = graph.TransposeAllAxes(graph.Reshape(y, n, t, 3, a.Heads, c/a.Heads), 2, 0, 3, 1, 4)
	} // [3,N,heads,T,D]
	part := func(i int) *graph.Node { return graph.Squeeze(graph.Slice(y, graph.AxisRange(i, i+1)), 0) }
	return part(0), part(1), part(2)
}

// turn turns each pair of numbers of x [N,heads,T,D] by its angle.
func (r Rotary) turn(x *graph.Node) *graph.Node {
	if r.Angles == nil {
		return x
	}
	d := x.Shape().Dimensions
	n, heads, t, half := d[0], d[1], d[2], d[3]/2
	if len(r.Angles) != t*half {
		panic(fmt.Errorf("backbone: %d angles for %d tokens of %d pairs", len(r.Angles), t, half))
	}
	// [N,heads,T,2,D/2] or [N,heads,T,D/2,2]: the axis of a pair, and the other one
	pair, shape := 4, []int{half, 2}
	if r.Halves {
		pair, shape = 3, []int{2, half}
	}
	x = graph.Reshape(x, n, heads, t, shape[0], shape[1])
	shape[pair-3] = 1
	factor := func(of func(float64) float64) *graph.Node {
		m := Constant(x.Graph(), func() []float32 {
			values := make([]float32, len(r.Angles))
			for i, angle := range r.Angles {
				values[i] = float32(of(angle))
			}
			return values
		}, 1, 1, t, shape[0], shape[1])
		return graph.ConvertDType(m, x.DType())
	}
	member := func(i int) *graph.Node {
		specs := []graph.SliceAxisSpec{graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange()}
		specs[pair] = graph.AxisRange(i, i+1)
		return graph.Slice(x, specs...)
	}
	first, second, cos, sin := member(0), member(1), factor(math.Cos), factor(math.Sin)
	return graph.Reshape(graph.Concatenate([]*graph.Node{
		graph.Sub(graph.Mul(first, cos), graph.Mul(second, sin)),
		graph.Add(graph.Mul(second, cos), graph.Mul(first, sin)),
	}, pair), d...)
}

// unitLength divides the last axis of x by its length, as PyTorch's normalize.
func unitLength(x *graph.Node) *graph.Node {
	squares := graph.ReduceAndKeep(graph.Mul(x, x), graph.ReduceSum, -1)
	return graph.Div(x, graph.Sqrt(graph.MaxScalar(squares, 1e-24))) // the root of 0 has no gradient
}

// overRoot divides queries [...,D] by the root of D.
func overRoot(q *graph.Node) *graph.Node {
	return graph.MulScalar(q, 1/math.Sqrt(float64(q.Shape().Dim(-1))))
}

// CrossAttention lets queries x [N,Q,C] attend to tokens [N,T,C], with the result [N,Q,C]. Its tensors
// are q [C,C], kv [2C,C] and proj [C,C], each with weight and bias, as timm names them.
func (b *Builder) CrossAttention(x, tokens *graph.Node, heads int) *graph.Node {
	d := x.Shape().Dimensions
	n, q, c := d[0], d[1], d[2]
	t := tokens.Shape().Dim(1)
	b = b.attending()
	queries := graph.TransposeAllAxes(graph.Reshape(b.Linear("q", x, c), n, q, heads, c/heads), 0, 2, 1, 3)
	y := graph.TransposeAllAxes(graph.Reshape(b.Linear("kv", tokens, 2*c), n, t, 2, heads, c/heads), 2, 0, 3, 1, 4) // [2,N,heads,T,D]
	part := func(i int) *graph.Node { return graph.Squeeze(graph.Slice(y, graph.AxisRange(i, i+1)), 0) }
	y = attend(overRoot(queries), part(0), part(1), nil)
	return b.Linear("proj", graph.Reshape(graph.TransposeAllAxes(y, 0, 2, 1, 3), n, q, c), c)
}

// attend weighs values by the softmax of how well their keys fit the queries; all [N,heads,·,D]. The
// queries are scaled already.
func attend(q, k, v, more *graph.Node) *graph.Node {
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
		m := Constant(grid.Graph(), func() []float32 { return bicubic(in, out, antialias) }, out, in)
		return graph.ConvertDType(m, grid.DType())
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
