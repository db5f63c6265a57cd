package backbone

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Padding says how a window treats the edge: a number of pixels added to each of the four sides, as PyTorch counts, or Same.
type Padding int

// Same is TensorFlow's rule: the output has ceil(size/stride) pixels, and where an odd number must be added, the
// bottom and the right get the extra one. At stride 2 on an even side this differs from every symmetric padding.
const Same Padding = -1

// at gives the pixels added before and after an axis of that size.
func (p Padding) at(size, kernel, stride int) [2]int {
	if p != Same {
		return [2]int{int(p), int(p)}
	}
	total := max((ceilDiv(size, stride)-1)*stride+kernel-size, 0)
	return [2]int{total / 2, total - total/2}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// spatial gives the padding of both picture axes of x, or panics when the window does not fit even so.
func (p Padding) spatial(what string, x *graph.Node, kernel, stride int) [][2]int {
	d := x.Shape().Dimensions
	if len(d) != 4 {
		panic(fmt.Errorf("backbone: %s got %s, wanted [N,H,W,C]", what, x.Shape()))
	}
	if kernel < 1 || stride < 1 || p < Same {
		panic(fmt.Errorf("backbone: %s with kernel %d, stride %d, padding %d", what, kernel, stride, p))
	}
	pads := make([][2]int, 2)
	for i := range pads {
		pads[i] = p.at(d[1+i], kernel, stride)
		if d[1+i]+pads[i][0]+pads[i][1] < kernel {
			panic(fmt.Errorf("backbone: %s: a map of %dx%d pixels is too small for a window of %d; give the network larger pictures", what, d[1], d[2], kernel))
		}
	}
	return pads
}

// Conv is a convolution without bias, x [N,H,W,in] to [N,h,w,width]. Its weight is NAME.weight, [width,in,kernel,kernel]
// in the file; in Keras' form NAME.kernel, [kernel,kernel,in,width].
func (b *Builder) Conv(name string, x *graph.Node, width, kernel, stride int, pad Padding) *graph.Node {
	return b.conv(name, b.form().kernel, x, width, kernel, stride, pad)
}

// ConvBias is Conv plus NAME.bias [width].
func (b *Builder) ConvBias(name string, x *graph.Node, width, kernel, stride int, pad Padding) *graph.Node {
	y := b.Conv(name, x, width, kernel, stride, pad)
	bias := b.weight(x, name+".bias", weights.Same, true, width)
	biased := graph.Add(y, perChannel(bias))
	if p, ok := b.walk.products[y]; ok {
		p.bias = bias
		b.walk.products[biased] = p
	}
	return biased
}

// Separable is Keras' SeparableConv2D without bias: each channel for itself, then a pointwise convolution, with nothing
// between them, x [N,H,W,in] to [N,h,w,width]. Its weights are NAME.depthwise_kernel and NAME.pointwise_kernel in Keras'
// form; in timm's, which has it as two modules, NAME.conv1.weight and NAME.pointwise.weight.
func (b *Builder) Separable(name string, x *graph.Node, width, kernel, stride int, pad Padding) *graph.Node {
	f := b.form()
	x = b.depthwise(name, f.separable[0], x, kernel, stride, pad)
	return b.conv(name, f.separable[1], x, width, 1, 1, 0)
}

func (b *Builder) conv(name, leaf string, x *graph.Node, width, kernel, stride int, pad Padding) *graph.Node {
	pads := pad.spatial(b.key(name), x, kernel, stride)
	in := x.Shape().Dim(-1)
	var w *graph.Node // [kernel,kernel,in,width]
	if b.keras {
		w = b.weight(x, name+leaf, weights.Same, true, kernel, kernel, in, width)
	} else {
		w = b.weight(x, name+leaf, weights.OIHWtoHWIO, true, width, in, kernel, kernel)
	}
	if kernel%2 == 0 {
		// GoMLX's gradient for x is wrong where a kernel is even: a row and a column of zeros make it odd.
		w = graph.Pad(w, graph.ScalarZero(w.Graph(), w.DType()), compute.PadAxis{End: 1}, compute.PadAxis{End: 1}, compute.PadAxis{}, compute.PadAxis{})
		pads[0][1]++
		pads[1][1]++
	}
	return b.walk.remember(w, func(w *graph.Node) *graph.Node {
		if b.walk.training && kernel == 1 && pad == 0 {
			return pointwise(x, w, [2]int{stride, stride})
		}
		return graph.Convolve(x, w).Strides(stride).PaddingPerDim(pads).Done()
	})
}

// pointwise is a convolution with a kernel of one pixel, [1,1,in,out], as a matrix product. The sums are the same; the
// gradient runs half again as fast as that of a convolution, with a stride three times.
func pointwise(x, kernel *graph.Node, stride [2]int) *graph.Node {
	if stride != [2]int{1, 1} {
		x = graph.Slice(x, graph.AxisRange(), graph.AxisRange().Stride(stride[0]), graph.AxisRange().Stride(stride[1]), graph.AxisRange())
	}
	d, k := x.Shape().Dimensions, kernel.Shape().Dimensions
	y := graph.MatMul(graph.Reshape(x, -1, k[2]), graph.Reshape(kernel, k[2], k[3]))
	return graph.Reshape(y, d[0], d[1], d[2], k[3])
}

// Depthwise is a convolution without bias of each channel for itself, x [N,H,W,C] to [N,h,w,C]. Its weight is
// NAME.weight, [C,1,kernel,kernel] in the file; in Keras' form NAME.depthwise_kernel, [kernel,kernel,C,1].
//
// It is written as kernel x kernel shifted pictures, each times its weight, summed: on the CPU this is 2.5 times
// faster than XLA's own grouped convolution, whose gradient moreover becomes one convolution per channel.
func (b *Builder) Depthwise(name string, x *graph.Node, kernel, stride int, pad Padding) *graph.Node {
	return b.depthwise(name, b.form().depthwise, x, kernel, stride, pad)
}

func (b *Builder) depthwise(name, leaf string, x *graph.Node, kernel, stride int, pad Padding) *graph.Node {
	pads := pad.spatial(b.key(name), x, kernel, stride)
	d := x.Shape().Dimensions
	var w *graph.Node // [kernel,kernel,1,C]
	if b.keras {
		w = b.weight(x, name+leaf, weights.Same, true, kernel, kernel, d[3], 1)
		w = graph.Reshape(w, kernel, kernel, 1, d[3])
	} else {
		w = b.weight(x, name+leaf, weights.OIHWtoHWIO, true, d[3], 1, kernel, kernel)
	}

	return b.shifted(x, w, Window{Size: [2]int{kernel, kernel}, Stride: [2]int{stride, stride}, Pads: [2][2]int{pads[0], pads[1]}})
}

// shiftedSum adds up the shifted pictures of padded x, each times its weights.
func shiftedSum(x, w *graph.Node, kernel [2]int, stride, height, width int) *graph.Node {
	var sum *graph.Node
	for i := range kernel[0] {
		for j := range kernel[1] {
			shifted := shift(x, i, j, [2]int{stride, stride}, height, width)
			tap := graph.Slice(w, graph.AxisRange(i, i+1), graph.AxisRange(j, j+1), graph.AxisRange(), graph.AxisRange()) // [1,1,1,C]
			if term := graph.Mul(shifted, tap); sum == nil {
				sum = term
			} else {
				sum = graph.Add(sum, term)
			}
		}
	}
	return sum
}
