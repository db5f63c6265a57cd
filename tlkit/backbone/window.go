package backbone

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Weight is one tensor of the checkpoint as a node in the graph of x, in the number type of x, for architectures that
// are read from a file. shape is its shape in the file, and it arrives in the layout: for kernels that is
// [H,W,in/groups,out]. training = false keeps it from being trained, as statistics are.
func (b *Builder) Weight(x *graph.Node, name string, layout weights.Layout, training bool, shape ...int) *graph.Node {
	return b.weight(x, name, layout, training, shape...)
}

// Window is how a kernel or pool goes over the two axes of a picture.
type Window struct {
	Size, Stride, Dilation [2]int
	Pads                   [2][2]int // pixels before and after each axis
}

// extent is the pixels that the window covers along an axis.
func (w Window) extent(axis int) int { return (w.Size[axis]-1)*w.Dilation[axis] + 1 }

// Check says what is wrong with the window for x [N,H,W,C].
func (w Window) Check(x *graph.Node) error {
	d := x.Shape().Dimensions
	if len(d) != 4 {
		return fmt.Errorf("backbone: a window over %s, wanted [N,H,W,C]", x.Shape())
	}
	const largest = 4096
	for i := range 2 {
		for _, v := range []int{w.Size[i], w.Stride[i], w.Dilation[i], w.Pads[i][0] + 1, w.Pads[i][1] + 1} {
			if v < 1 || v > largest {
				return fmt.Errorf("backbone: a window of size %v, stride %v, dilation %v, padding %v", w.Size, w.Stride, w.Dilation, w.Pads)
			}
		}
		if d[1+i]+w.Pads[i][0]+w.Pads[i][1] < w.extent(i) {
			return fmt.Errorf("backbone: a map of %dx%d pixels is too small for a window of %dx%d; give the network larger pictures", d[1], d[2], w.extent(0), w.extent(1))
		}
	}
	return nil
}

// Convolution is the general form of Conv and Depthwise: x [N,H,W,in] with kernel [kh,kw,in/groups,out] gives
// [N,h,w,out]. w.Size is that of the kernel. As in Depthwise, one group for each channel is summed by shifted pictures.
func (b *Builder) Convolution(x, kernel *graph.Node, groups int, w Window) *graph.Node {
	k := kernel.Shape().Dimensions
	if len(k) != 4 {
		panic(fmt.Errorf("backbone: a kernel of %s, wanted [h,w,in,out]", kernel.Shape()))
	}
	w.Size = [2]int{k[0], k[1]}
	if err := w.Check(x); err != nil {
		panic(err)
	}
	d := x.Shape().Dimensions
	if groups < 1 || d[3] != groups*k[2] || k[3]%groups != 0 {
		panic(fmt.Errorf("backbone: a kernel of %v in %d groups for %d channels", k, groups, d[3]))
	}
	plain := w.Dilation == [2]int{1, 1}
	if groups > 1 && groups == d[3] && k[3] == d[3] && plain && w.Stride[0] == w.Stride[1] {
		return b.shifted(x, kernel, w)
	}
	if !plain && w.Stride != [2]int{1, 1} {
		panic(fmt.Errorf("backbone: stride %v together with dilation %v, which GoMLX does not do", w.Stride, w.Dilation))
	}
	var odd [2]compute.PadAxis
	for i := range 2 {
		if w.Size[i]%2 == 0 { // see Conv
			odd[i].End = 1
			w.Pads[i][1] += w.Dilation[i]
		}
	}
	if odd != [2]compute.PadAxis{} {
		kernel = graph.Pad(kernel, graph.ScalarZero(kernel.Graph(), kernel.DType()), odd[0], odd[1], compute.PadAxis{}, compute.PadAxis{})
	}
	asProduct := k[0] == 1 && k[1] == 1 && groups == 1 && w.Pads == [2][2]int{}
	return b.walk.remember(kernel, func(kernel *graph.Node) *graph.Node {
		if b.walk.training && asProduct {
			return pointwise(x, kernel, w.Stride)
		}
		c := graph.Convolve(x, kernel).StridePerAxis(w.Stride[0], w.Stride[1]).PaddingPerDim(w.Pads[:])
		if !plain {
			c = c.DilationPerAxis(w.Dilation[0], w.Dilation[1])
		}
		if groups > 1 {
			c = c.ChannelGroupCount(groups)
		}
		return c.Done()
	})
}

// shifted is Depthwise for any window with one stride; kernel [kh,kw,1,C].
func (b *Builder) shifted(x, kernel *graph.Node, w Window) *graph.Node {
	d := x.Shape().Dimensions
	stride := w.Stride[0]
	height := (d[1]+w.Pads[0][0]+w.Pads[0][1]-w.Size[0])/stride + 1
	width := (d[2]+w.Pads[1][0]+w.Pads[1][1]-w.Size[1])/stride + 1
	x = padPicture(x, graph.ScalarZero(x.Graph(), x.DType()), w.Pads)
	return b.walk.remember(kernel, func(kernel *graph.Node) *graph.Node {
		return shiftedSum(x, kernel, w.Size, stride, height, width)
	})
}

// padPicture adds pixels of that value around the pictures x [N,H,W,C].
func padPicture(x, value *graph.Node, pads [2][2]int) *graph.Node {
	if pads == [2][2]int{} {
		return x
	}
	// All four axes are named: the gradient of GoMLX's Pad is wrong when trailing ones are left out.
	return graph.Pad(x, value, compute.PadAxis{}, compute.PadAxis{Start: pads[0][0], End: pads[0][1]},
		compute.PadAxis{Start: pads[1][0], End: pads[1][1]}, compute.PadAxis{})
}

// MaxPoolWindow is MaxPool over any window.
func MaxPoolWindow(x *graph.Node, w Window) *graph.Node {
	if err := w.Check(x); err != nil {
		panic(err)
	}
	if w.Dilation != [2]int{1, 1} {
		panic(fmt.Errorf("backbone: a pool with dilation %v", w.Dilation))
	}
	return maxPool(x, w)
}

// maxPool takes the larger of shifted pictures, one for each place in the window: XLA's gradient of a pool goes from
// window to window on one core and takes four times as long, a tenth of a step of ResNet-18. Of equal values the first
// one, row by row, gets the gradient, as in PyTorch. Large windows have too many places for that.
func maxPool(x *graph.Node, w Window) *graph.Node {
	if w.Size[0]*w.Size[1] > 9 {
		return graph.MaxPool(x).WindowPerAxis(w.Size[0], w.Size[1]).StridePerAxis(w.Stride[0], w.Stride[1]).PaddingPerDim(w.Pads[:]).Done()
	}
	x = padPicture(x, graph.Infinity(x.Graph(), x.DType(), -1), w.Pads)
	d := x.Shape().Dimensions
	height, width := (d[1]-w.Size[0])/w.Stride[0]+1, (d[2]-w.Size[1])/w.Stride[1]+1
	var largest *graph.Node
	for i := range w.Size[0] {
		for j := range w.Size[1] {
			shifted := shift(x, i, j, w.Stride, height, width)
			if largest == nil {
				largest = shifted
			} else {
				largest = graph.Max(largest, shifted)
			}
		}
	}
	return largest
}

// shift is the picture that one place of a window sees, [N,h,w,C].
func shift(x *graph.Node, i, j int, stride [2]int, height, width int) *graph.Node {
	return graph.Slice(x, graph.AxisRange(),
		graph.AxisRange(i, i+(height-1)*stride[0]+1).Stride(stride[0]),
		graph.AxisRange(j, j+(width-1)*stride[1]+1).Stride(stride[1]), graph.AxisRange())
}

// MeanPoolWindow is the mean of each window and channel of x [N,H,W,C]. Pixels added by padding count as zeros where
// padded is true, and not at all otherwise.
func MeanPoolWindow(x *graph.Node, w Window, padded bool) *graph.Node {
	if err := w.Check(x); err != nil {
		panic(err)
	}
	if w.Dilation != [2]int{1, 1} {
		panic(fmt.Errorf("backbone: a pool with dilation %v", w.Dilation))
	}
	d := x.Shape().Dimensions
	if w.Size == [2]int{d[1], d[2]} && w.Pads == [2][2]int{} {
		return graph.ReduceAndKeep(x, graph.ReduceMean, 1, 2)
	}
	sum := func(x *graph.Node) *graph.Node {
		return graph.SumPool(padPicture(x, graph.ScalarZero(x.Graph(), x.DType()), w.Pads)).
			WindowPerAxis(w.Size[0], w.Size[1]).StridePerAxis(w.Stride[0], w.Stride[1]).NoPadding().Done()
	}
	if padded || w.Pads == [2][2]int{} {
		return graph.MulScalar(sum(x), 1/float64(w.Size[0]*w.Size[1]))
	}
	// How many pixels of the picture lie in each window.
	count := sum(graph.Ones(x.Graph(), shapes.Make(x.DType(), 1, d[1], d[2], 1)))
	return graph.Div(sum(x), count)
}
