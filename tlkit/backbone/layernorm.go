package backbone

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// LayerNorm normalises the last axis of x [...,C] by its own mean and variance, then scales and
// shifts each channel: y = gain (x - mean) / sqrt(variance + eps) + bias. Its tensors are
// NAME.weight and NAME.bias, each [C].
//
// There is no default for eps, because it belongs to the family: 1e-6 in most vision transformers
// and ConvNeXt, 1e-5 in Swin and CLIP.
func (b *Builder) LayerNorm(name string, x *graph.Node, eps float64) *graph.Node {
	c := x.Shape().Dim(-1)
	gain, bias := b.ofNorm(x, name+".weight", c), b.ofNorm(x, name+".bias", c)
	y := standardise(x, eps, b.walk.shifted[x])
	return graph.Add(graph.Mul(y, alongLast(y, gain)), alongLast(y, bias))
}

// standardise gives the last axis of x mean 0 and variance 1. With products, both are products with a
// column of 1/C. XLA fuses a reduction with what makes its input; behind a depthwise convolution,
// that computes all shifted terms again for each reduction and on one core. It cannot do so with a
// product, which makes the norm 3.5 times as fast there.
func standardise(x *graph.Node, eps float64, products bool) *graph.Node {
	if !products {
		centred := graph.Sub(x, graph.ReduceAndKeep(x, graph.ReduceMean, -1))
		variance := graph.ReduceAndKeep(graph.Mul(centred, centred), graph.ReduceMean, -1)
		return graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, eps)))
	}
	d := x.Shape().Dimensions
	c := d[len(d)-1]
	column := graph.BroadcastToDims(graph.Scalar(x.Graph(), x.DType(), 1/float64(c)), c, 1)
	rows := graph.Reshape(x, -1, c)
	centred := graph.Sub(rows, graph.MatMul(rows, column))
	variance := graph.MatMul(graph.Mul(centred, centred), column)
	return graph.Reshape(graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, eps))), d...)
}

// GroupNorm normalises each picture of x [N,H,W,C] by the mean and the variance of a group of
// neighbouring channels over all pixels, then scales and shifts each channel. Its tensors are
// NAME.weight and NAME.bias, each [C].
//
// Sums over the pixels come first, so that the large map is never laid out anew.
func (b *Builder) GroupNorm(name string, x *graph.Node, groups int, eps float64) *graph.Node {
	d := x.Shape().Dimensions
	n, c := d[0], d[len(d)-1]
	if len(d) != 4 || groups < 1 || c%groups != 0 {
		panic(fmt.Errorf("backbone: %s: a group norm of %s in %d groups, want [N,H,W,C]", b.key(name), x.Shape(), groups))
	}
	gain, bias := b.ofNorm(x, name+".weight", c), b.ofNorm(x, name+".bias", c)
	overGroups := func(v *graph.Node) *graph.Node { // the mean of v over pixels and group, [N,1,1,C]
		v = graph.Reshape(graph.ReduceMean(v, 1, 2), n, groups, c/groups)
		v = graph.ReduceAndKeep(v, graph.ReduceMean, -1)
		return graph.Reshape(graph.BroadcastToDims(v, n, groups, c/groups), n, 1, 1, c)
	}
	centred := graph.Sub(x, overGroups(x))
	deviation := graph.Sqrt(graph.AddScalar(overGroups(graph.Mul(centred, centred)), eps))
	return graph.Add(graph.Mul(centred, graph.Div(perChannel(gain), deviation)), perChannel(bias))
}

// Scale multiplies each channel of x [...,C] by a trainable factor NAME [C], as LayerScale does at
// the end of a block.
func (b *Builder) Scale(name string, x *graph.Node) *graph.Node {
	return graph.Mul(x, alongLast(x, b.vector(x, name, x.Shape().Dim(-1))))
}

// ResponseNorm is ConvNeXt V2's global response normalisation of x [N,H,W,C]: each channel is scaled
// by its norm over the picture, relative to the mean norm of all channels. Its tensors are
// NAME.weight and NAME.bias, each [C].
func (b *Builder) ResponseNorm(name string, x *graph.Node) *graph.Node {
	c := x.Shape().Dim(-1)
	norm := graph.Sqrt(graph.ReduceAndKeep(graph.Mul(x, x), graph.ReduceSum, 1, 2)) // [N,1,1,C]
	relative := graph.Div(norm, graph.AddScalar(graph.ReduceAndKeep(norm, graph.ReduceMean, -1), 1e-6))
	gain, bias := b.ofNorm(x, name+".weight", c), b.ofNorm(x, name+".bias", c)
	scaled := graph.Mul(graph.Mul(x, relative), alongLast(x, gain))
	return graph.Add(x, graph.Add(scaled, alongLast(x, bias)))
}
