package backbone

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Linear is x [N,in] times a matrix plus a bias, [N,width]. Its tensors are NAME.weight, [width,in] in the file, and
// NAME.bias [width]; in Keras' form NAME.kernel, [in,width], and NAME.bias.
func (b *Builder) Linear(name string, x *graph.Node, width int) *graph.Node {
	y := b.Matrix(name, x, width)
	return graph.Add(y, graph.Reshape(b.weight(x, name+".bias", weights.Same, true, width), 1, width))
}

// Matrix is Linear without bias.
func (b *Builder) Matrix(name string, x *graph.Node, width int) *graph.Node {
	in := x.Shape().Dim(-1)
	if b.keras {
		return graph.MatMul(x, b.weight(x, name+b.form().kernel, weights.Same, true, in, width))
	}
	return graph.MatMul(x, b.weight(x, name+b.form().kernel, weights.OItoIO, true, width, in))
}

// ReLU is max(x, 0).
func ReLU(x *graph.Node) *graph.Node { return graph.MaxScalar(x, 0) }

// ReLU6 is x clipped to [0, 6].
func ReLU6(x *graph.Node) *graph.Node { return graph.ClipScalar(x, 0, 6) }

// MaxPool takes the largest value of each window and channel of x [N,H,W,C]. Pixels added by pad never win, as in
// PyTorch and Keras, also where all values are negative. Keras' "same" is Same, its "valid" is 0: what does not fill a
// window at the bottom and the right is left out.
func MaxPool(x *graph.Node, window, stride int, pad Padding) *graph.Node {
	pads := pad.spatial("MaxPool", x, window, stride)
	return maxPool(x, Window{Size: [2]int{window, window}, Stride: [2]int{stride, stride}, Pads: [2][2]int{pads[0], pads[1]}})
}

// Shortcut carries x [N,H,W,C] past a block without weights (option A of He et al. 2015): every stride-th pixel, and
// zeros for the channels that are new, half of them in front, [N,ceil(H/stride),ceil(W/stride),width].
func Shortcut(x *graph.Node, width, stride int) *graph.Node {
	extra := width - x.Shape().Dim(-1)
	if extra < 0 {
		panic(fmt.Errorf("backbone: Shortcut to %d channels from %s", width, x.Shape()))
	}
	if stride > 1 {
		x = graph.Slice(x, graph.AxisRange(), graph.AxisRange().Stride(stride), graph.AxisRange().Stride(stride), graph.AxisRange())
	}
	if extra > 0 {
		x = graph.Pad(x, graph.ScalarZero(x.Graph(), x.DType()), compute.PadAxis{}, compute.PadAxis{}, compute.PadAxis{},
			compute.PadAxis{Start: extra / 2, End: extra - extra/2})
	}
	return x
}

// AdaptiveAverage is the mean over size x size windows of x [N,H,W,C] that cover it evenly, [N,size,size,C], as PyTorch's
// AdaptiveAvgPool2d: window i begins at i*H/size, rounded down, and ends at (i+1)*H/size, rounded up, so that windows
// overlap where they must, and repeat pixels where size is larger than H. A map that has size pixels stays as it is.
func AdaptiveAverage(x *graph.Node, size int) *graph.Node {
	if size < 1 {
		panic(fmt.Errorf("backbone: AdaptiveAverage of %s to %d pixels", x.Shape(), size))
	}
	for axis := 1; axis <= 2; axis++ {
		n := x.Shape().Dim(axis)
		if n == size {
			continue
		}
		parts := make([]*graph.Node, size)
		for i := range parts {
			specs := make([]graph.SliceAxisSpec, 4)
			for k := range specs {
				specs[k] = graph.AxisRange()
			}
			specs[axis] = graph.AxisRange(i*n/size, ceilDiv((i+1)*n, size))
			parts[i] = graph.ReduceAndKeep(graph.Slice(x, specs...), graph.ReduceMean, axis)
		}
		x = graph.Concatenate(parts, axis)
	}
	return x
}

// GlobalAverage is the mean over the picture, [N,h,w,C] to [N,C].
func GlobalAverage(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) }
