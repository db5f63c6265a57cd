package backbone

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Linear is x [N,in] times a matrix plus a bias, [N,width]. Its tensors are NAME.weight, [width,in] in the file, and
// NAME.bias [width].
func (b *Builder) Linear(name string, x *graph.Node, width int) *graph.Node {
	w := b.weight(x, name+".weight", weights.OItoIO, true, width, x.Shape().Dim(-1))
	bias := b.weight(x, name+".bias", weights.Same, true, width)
	return graph.Add(graph.MatMul(x, w), graph.Reshape(bias, 1, width))
}

// ReLU is max(x, 0).
func ReLU(x *graph.Node) *graph.Node { return graph.MaxScalar(x, 0) }

// ReLU6 is x clipped to [0, 6].
func ReLU6(x *graph.Node) *graph.Node { return graph.ClipScalar(x, 0, 6) }

// MaxPool takes the largest value of each window and channel of x [N,H,W,C]. Pixels added by pad never win, as in
// PyTorch, also where all values are negative.
func MaxPool(x *graph.Node, window, stride int, pad Padding) *graph.Node {
	pads := pad.spatial("MaxPool", x, window, stride)
	return graph.MaxPool(x).Window(window).Strides(stride).PaddingPerDim(pads).Done()
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

// GlobalAverage is the mean over the picture, [N,h,w,C] to [N,C].
func GlobalAverage(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) }
