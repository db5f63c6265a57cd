package backbone

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Window is how a kernel or a pool moves over the two axes of a picture, height first. It is the
// general form of what Conv and Pool describe; every field counts, there are no defaults.
type Window struct {
	Size, Stride, Dilation [2]int
	Pads                   [2][2]int // pixels added before and after each axis
}

// extent is the number of pixels that the window covers along an axis.
func (w Window) extent(axis int) int { return (w.Size[axis]-1)*w.Dilation[axis] + 1 }

// Check returns an error if the window does not fit x [N,H,W,C].
func (w Window) Check(x *graph.Node) error {
	d := x.Shape().Dimensions
	if len(d) != 4 {
		return fmt.Errorf("backbone: a window over %s, want [N,H,W,C]", x.Shape())
	}
	const largest = 4096
	for i := range 2 {
		for _, v := range []int{w.Size[i], w.Stride[i], w.Dilation[i], w.Pads[i][0] + 1, w.Pads[i][1] + 1} {
			if v < 1 || v > largest {
				return advice.New(fmt.Errorf("backbone: a window of size %v, stride %v, dilation %v, padding %v", w.Size, w.Stride, w.Dilation, w.Pads), "want numbers from 1 to %d, padding from 0", largest)
			}
		}
		if d[1+i]+w.Pads[i][0]+w.Pads[i][1] < w.extent(i) {
			return advice.New(fmt.Errorf("backbone: a map of %dx%d pixels is too small for a window of %dx%d", d[1], d[2], w.extent(0), w.extent(1)), "give the network larger pictures")
		}
	}
	return nil
}

// Convolution is the general form of Conv and Depthwise: x [N,H,W,in] with kernel
// [kh,kw,in/groups,out] gives [N,h,w,out]. The size of w is that of the kernel. As in Depthwise,
// one group for each channel is computed by shifted pictures.
func (b *Builder) Convolution(x, kernel *graph.Node, groups int, w Window) *graph.Node {
	k := kernel.Shape().Dimensions
	if len(k) != 4 {
		panic(fmt.Errorf("backbone: a kernel of %s, want [h,w,in,out]", kernel.Shape()))
	}
	w.Size = [2]int{k[0], k[1]}
	if err := w.Check(x); err != nil {
		panic(err)
	}
	channels := x.Shape().Dim(-1)
	if groups < 1 || channels != groups*k[2] || k[3]%groups != 0 {
		panic(fmt.Errorf("backbone: a kernel of %v in %d groups for %d channels", k, groups, channels))
	}
	plain := w.Dilation == [2]int{1, 1}
	if groups > 1 && groups == channels && k[3] == channels && plain && w.Stride[0] == w.Stride[1] {
		return b.shifted(x, kernel, w)
	}
	if !plain && w.Stride != [2]int{1, 1} {
		panic(fmt.Errorf("backbone: stride %v together with dilation %v, which GoMLX does not do", w.Stride, w.Dilation))
	}
	asProduct := k[0] == 1 && k[1] == 1 && groups == 1 && w.Pads == [2][2]int{}
	if !native(x) {
		kernel, w = oddKernel(kernel, w)
	}
	return b.walk.remember(kernel, func(kernel *graph.Node) *graph.Node {
		if b.walk.training && asProduct {
			return pointwise(x, kernel, w.Stride)
		}
		return inGroups(x, kernel, groups, func(x, kernel *graph.Node) *graph.ConvolutionBuilder {
			c := graph.Convolve(x, kernel).StridePerAxis(w.Stride[0], w.Stride[1]).PaddingPerDim(w.Pads[:])
			if !plain {
				c = c.DilationPerAxis(w.Dilation[0], w.Dilation[1])
			}
			return c
		})
	})
}

// native reports whether the graph of x is for a backend that wants convolutions and pools as they
// are. Elsewhere some are built of simpler operations, which are faster or have right gradients.
func native(x *graph.Node) bool {
	_, ok := x.Graph().Backend().(interface{ NativeWindows() })
	return ok
}

// oddKernel adds a row or a column of zeros where the kernel is even, because GoMLX's gradient for
// x is wrong there.
func oddKernel(kernel *graph.Node, w Window) (*graph.Node, Window) {
	var extra [2]compute.PadAxis
	for i := range 2 {
		if w.Size[i]%2 == 0 {
			extra[i].End = 1
			w.Pads[i][1] += w.Dilation[i]
		}
	}
	if extra == [2]compute.PadAxis{} {
		return kernel, w
	}
	return graph.Pad(kernel, graph.ScalarZero(kernel.Graph(), kernel.DType()), extra[0], extra[1], compute.PadAxis{}, compute.PadAxis{}), w
}

// grid is the pixels at which a window stops.
type grid struct{ size, stride [2]int }

// padded returns x [N,H,W,C] with added pixels of that value, and the grid of the window.
func (w Window) padded(x, value *graph.Node) (*graph.Node, grid) {
	g := grid{stride: w.Stride}
	for i := range g.size {
		g.size[i] = (x.Shape().Dim(1+i)+w.Pads[i][0]+w.Pads[i][1]-w.Size[i])/w.Stride[i] + 1
	}
	return padPicture(x, value, w.Pads), g
}

// shift is what one place of a window sees at all stops, [N,h,w,C].
func (g grid) shift(x *graph.Node, row, column int) *graph.Node {
	return graph.Slice(x, graph.AxisRange(),
		graph.AxisRange(row, row+(g.size[0]-1)*g.stride[0]+1).Stride(g.stride[0]),
		graph.AxisRange(column, column+(g.size[1]-1)*g.stride[1]+1).Stride(g.stride[1]), graph.AxisRange())
}

// padPicture adds pixels of that value around the pictures x [N,H,W,C].
func padPicture(x, value *graph.Node, pads [2][2]int) *graph.Node {
	if pads == [2][2]int{} {
		return x
	}
	// All four axes are named: the gradient of GoMLX's Pad is wrong when trailing ones are left
	// out.
	return graph.Pad(x, value, compute.PadAxis{}, compute.PadAxis{Start: pads[0][0], End: pads[0][1]},
		compute.PadAxis{Start: pads[1][0], End: pads[1][1]}, compute.PadAxis{})
}

// checkPool panics where a pool with this window cannot be built.
func (w Window) checkPool(x *graph.Node) {
	if err := w.Check(x); err != nil {
		panic(err)
	}
	if w.Dilation != [2]int{1, 1} {
		panic(fmt.Errorf("backbone: a pool with dilation %v, want 1", w.Dilation))
	}
}

// MaxPool takes the largest value of each window and channel of x [N,H,W,C]. Added pixels never
// win.
func (w Window) MaxPool(x *graph.Node) *graph.Node {
	w.checkPool(x)
	return w.maxPool(x)
}

// maxPool takes the largest of shifted pictures, one for each place in the window. XLA's gradient
// of a pool goes from window to window on one core and takes four times as long, a tenth of a step
// of ResNet-18. Of equal values the first one, row by row, gets the gradient, as in PyTorch. Large
// windows have too many places for that.
func (w Window) maxPool(x *graph.Node) *graph.Node {
	if w.Size[0]*w.Size[1] > 9 || native(x) {
		return graph.MaxPool(x).WindowPerAxis(w.Size[0], w.Size[1]).StridePerAxis(w.Stride[0], w.Stride[1]).PaddingPerDim(w.Pads[:]).Done()
	}
	x, g := w.padded(x, graph.Infinity(x.Graph(), x.DType(), -1))
	var largest *graph.Node
	for i := range w.Size[0] {
		for j := range w.Size[1] {
			shifted := g.shift(x, i, j)
			if largest == nil {
				largest = shifted
			} else {
				largest = graph.Max(largest, shifted)
			}
		}
	}
	return largest
}

// MeanPool is the mean of each window and channel of x [N,H,W,C]. Added pixels count as zeros if
// countPadding is set, and not at all otherwise.
func (w Window) MeanPool(x *graph.Node, countPadding bool) *graph.Node {
	w.checkPool(x)
	d := x.Shape().Dimensions
	if w.Size == [2]int{d[1], d[2]} && w.Pads == [2][2]int{} {
		return graph.ReduceAndKeep(x, graph.ReduceMean, 1, 2)
	}
	sum := func(x *graph.Node) *graph.Node {
		return graph.SumPool(padPicture(x, graph.ScalarZero(x.Graph(), x.DType()), w.Pads)).
			WindowPerAxis(w.Size[0], w.Size[1]).StridePerAxis(w.Stride[0], w.Stride[1]).NoPadding().Done()
	}
	if countPadding || w.Pads == [2][2]int{} {
		return graph.MulScalar(sum(x), 1/float64(w.Size[0]*w.Size[1]))
	}
	// How many pixels of the picture lie in each window.
	count := sum(graph.Ones(x.Graph(), shapes.Make(x.DType(), 1, d[1], d[2], 1)))
	return graph.Div(sum(x), count)
}
