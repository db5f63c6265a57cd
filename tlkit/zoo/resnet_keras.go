package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

var resNetKerasRows = []Row{{
	Name: "resnet50.keras_in1k", Tag: "keras_in1k", Family: "ResNet",
	file:    kerasFile("resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5", "2cb95161c43110f7111970584f804107"),
	Licence: "MIT", Origin: "https://github.com/KaimingHe/deep-residual-networks",
	Preset: kerasPreset("resnet50.keras_in1k", 224, "caffe"),
	Params: 25583592, Top1: 74.9, Top5: 92.1,
	Classes: "imagenet1k", Features: 2048,
	arch:   resNetKeras{blocks: [4]int{3, 4, 6, 3}, classes: 1000},
	golden: "resnet50.keras",
}}

// resNetKeras is the bottleneck network of He et al. 2015 as Keras builds it from the authors' own
// Caffe files. It differs from PyTorch's: the stride is on the first 1x1 convolution, as in the
// paper; each convolution has a bias although a norm follows; eps is another; pixels are Caffe's.
type resNetKeras struct {
	blocks  [4]int
	classes int // 0 = without a classifier
}

func (r resNetKeras) trunk() backbone.Arch { return resNetKeras{blocks: r.blocks} }

const caffeEps = 1.001e-5

func (r resNetKeras) Build(b *backbone.Builder, x *Node) backbone.Output {
	b = b.Keras()
	conv := func(name string, x *Node, c backbone.Conv) *Node {
		c.Bias = true
		return b.BatchNorm(name+"_bn", b.Conv(name+"_conv", x, c), caffeEps)
	}
	x = conv("conv1", x, backbone.Conv{Out: 64, Kernel: 7, Stride: 2, Pad: 3}) // [N,H/2,W/2,64]
	x = backbone.MaxPool(backbone.ReLU(x), backbone.Pool{Size: 3, Stride: 2, Pad: 1})
	x = b.Stage("conv1", x) // [N,H/4,W/4,64]
	for i, blocks := range r.blocks {
		stage, width := fmt.Sprintf("conv%d", i+2), 64<<i
		for j := range blocks {
			stride, name := 1, fmt.Sprintf("%s_block%d", stage, j+1)
			if i > 0 && j == 0 {
				stride = 2
			}
			shortcut := x
			if j == 0 {
				shortcut = conv(name+"_0", x, backbone.Conv{Out: 4 * width, Stride: stride})
			}
			y := backbone.ReLU(conv(name+"_1", x, backbone.Conv{Out: width, Stride: stride}))
			y = backbone.ReLU(conv(name+"_2", y, backbone.Conv{Out: width, Kernel: 3, Pad: 1}))
			y = conv(name+"_3", y, backbone.Conv{Out: 4 * width})
			x = backbone.ReLU(Add(shortcut, y))
		}
		x = b.Stage(stage, x)
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if r.classes > 0 {
		out.Logits = b.Linear("predictions", out.Features, r.classes)
	}
	return out
}
