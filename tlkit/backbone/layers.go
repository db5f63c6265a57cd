package backbone

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
)

// Linear is x [...,in] times a matrix plus a bias, [...,out]. Its tensors are NAME.weight, [out,in] in
// the file, and NAME.bias [out]; in Keras' form NAME.kernel, [in,out], and NAME.bias.
func (b *Builder) Linear(name string, x *graph.Node, out int) *graph.Node {
	y := b.Matrix(name, x, out)
	return graph.Add(y, alongLast(y, b.vector(x, name+".bias", out)))
}

// Matrix is Linear without bias.
func (b *Builder) Matrix(name string, x *graph.Node, out int) *graph.Node {
	want, k := b.form.matrixWant(name+b.form.kernel, x.Shape().Dim(-1), out), linearMatrix
	if b.attention {
		k = attentionMatrix
	}
	return b.adapt(matrixProduct(x, b.weight(x, want, k)), x, b.key(want.Name))
}

// matrixProduct is x [...,in] times matrix [in,out], as one product of two matrices, which is the fastest
// form on every engine.
func matrixProduct(x, matrix *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	if len(d) == 2 {
		return graph.MatMul(x, matrix)
	}
	last := len(d) - 1
	y := graph.MatMul(graph.Reshape(x, -1, d[last]), matrix)
	return graph.Reshape(y, append(slices.Clone(d[:last]), matrix.Shape().Dim(-1))...)
}

// alongLast is v [C] as [1,...,1,C] with the rank of x.
func alongLast(x, v *graph.Node) *graph.Node {
	d := slices.Repeat([]int{1}, x.Rank())
	d[len(d)-1] = v.Shape().Size()
	return graph.Reshape(v, d...)
}

// Pool sets up pooling with a square window.
type Pool struct {
	Size   int     // side of the window in pixels
	Stride int     // 0 = Size: windows side by side
	Pad    Padding // the zero value adds no pixels
}

// MaxPool takes the largest value of each window and channel of x [N,H,W,C]. Pixels added by
// padding never win, even if all values are negative, as in PyTorch and Keras. Keras' "same" is
// Same, its "valid" is 0: what does not fill a window at the bottom and the right is left out.
func MaxPool(x *graph.Node, p Pool) *graph.Node {
	if p.Stride == 0 {
		p.Stride = p.Size
	}
	return square("MaxPool", x, p.Size, p.Stride, p.Pad).maxPool(x)
}

// Shortcut carries x [N,H,W,C] past a block without weights (option A of He et al. 2015): every
// stride-th pixel, and zeros for the new channels, half of them in front,
// [N,ceil(H/stride),ceil(W/stride),out].
func Shortcut(x *graph.Node, out, stride int) *graph.Node {
	extra := out - x.Shape().Dim(-1)
	if extra < 0 {
		panic(fmt.Errorf("backbone: Shortcut to %d channels from %s", out, x.Shape()))
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

// AdaptiveAverage is the mean over size x size windows that cover x [N,H,W,C] evenly,
// [N,size,size,C], as PyTorch's AdaptiveAvgPool2d: window i begins at i*H/size, rounded down, and
// ends at (i+1)*H/size, rounded up. Windows overlap if H is not a multiple of size, and repeat
// pixels if size is larger than H. A map of size x size pixels stays as it is.
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
