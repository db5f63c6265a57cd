package zoo

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Big Transfer (BiT), https://arxiv.org/abs/1912.11370, by timm from Google's files: residual networks
// whose norms come before the convolutions, https://arxiv.org/abs/1603.05027. They have group norms
// and standardised kernels, so nothing in them depends on the batch. Those of goog_in21k come without
// their classifier of 21,843 classes.
var resNetV2Rows = []Row{
	resNetV2Row("resnetv2_50x1_bit.goog_in21k", Row{Params: 23500352, Preset: timmPreset(224, 0.875, transforms.Bilinear, "half")}),
	resNetV2Row("resnetv2_50x1_bit.goog_in21k_ft_in1k", Row{Params: 25549352, Preset: timmPreset(448, 1, transforms.Bilinear, "half")}),
	resNetV2Row("resnetv2_50x1_bit.goog_distilled_in1k", Row{Params: 25549352, Top1: 82.82, Preset: square(224, 0.875, "half")}),
	resNetV2Row("resnetv2_101x1_bit.goog_in21k", Row{Params: 42492480, Preset: timmPreset(224, 0.875, transforms.Bilinear, "half")}),
	resNetV2Row("resnetv2_101x1_bit.goog_in21k_ft_in1k", Row{Params: 44541480, Preset: timmPreset(448, 1, transforms.Bilinear, "half")}),
}

var resNetV2s = map[string]resNetV2{
	"resnetv2_50x1_bit":  {blocks: [4]int{3, 4, 6, 3}, classes: 1000},
	"resnetv2_101x1_bit": {blocks: [4]int{3, 4, 23, 3}, classes: 1000},
}

func resNetV2Row(name string, r Row) Row {
	r = timmRow(name, r)
	plain, _, _ := strings.Cut(name, ".")
	n, ok := resNetV2s[plain]
	if !ok {
		panic("zoo: no ResNetV2 is called " + plain)
	}
	r.Family, r.Licence, r.Features, r.Classes = "BiT", "Apache-2.0", 2048, "imagenet1k"
	r.arch, r.golden = n, "resnetv2_bit"
	r.small = resNetV2{blocks: [4]int{2, 2, 2, 2}, classes: 1000}
	if r.Tag == "goog_in21k" {
		r.Classes, r.arch, r.ignore = "", n.trunk(), []string{"head.fc."}
	}
	return r
}

type resNetV2 struct {
	blocks  [4]int
	classes int // 0 = without a classifier
}

func (n resNetV2) trunk() backbone.Arch {
	n.classes = 0
	return n
}

const (
	bitGroups    = 32
	bitKernelEps = 1e-8
)

func (n resNetV2) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = bitConv(b, "stem.conv", x, backbone.Conv{Out: 64, Kernel: 7, Stride: 2}) // [N,H/2,W/2,64]
	// The added pixels are zeros and win against negative ones, unlike those of other networks.
	edge := compute.PadAxis{Start: 1, End: 1}
	x = Pad(x, ScalarZero(x.Graph(), x.DType()), compute.PadAxis{}, edge, edge, compute.PadAxis{})
	x = b.Stage("stem", backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2})) // [N,H/4,W/4,64]
	for i, blocks := range n.blocks {
		name, width := fmt.Sprintf("stages.%d", i), 256<<i
		for j := range blocks {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			x = n.block(b.In(name, "blocks", j), x, width, stride)
		}
		x = b.Stage(name, x)
	}
	x = b.Stage("norm", backbone.ReLU(b.GroupNorm("norm", x, bitGroups, torchEps)))
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		rows := out.Features.Shape().Dim(0)
		y := b.Conv("head.fc", Reshape(out.Features, rows, 1, 1, -1), backbone.Conv{Out: n.classes, Bias: true})
		out.Logits = Reshape(y, rows, n.classes)
	}
	return out
}

// block is a bottleneck whose norms come before its convolutions.
func (n resNetV2) block(b *backbone.Builder, x *Node, width, stride int) *Node {
	normed := func(name string, x *Node) *Node { return backbone.ReLU(b.GroupNorm(name, x, bitGroups, torchEps)) }
	y := normed("norm1", x)
	shortcut := x
	if stride > 1 || x.Shape().Dim(-1) != width {
		shortcut = bitConv(b, "downsample.conv", y, backbone.Conv{Out: width, Stride: stride})
	}
	y = bitConv(b, "conv1", y, backbone.Conv{Out: width / 4})
	y = bitConv(b, "conv2", normed("norm2", y), backbone.Conv{Out: width / 4, Kernel: 3, Stride: stride})
	y = bitConv(b, "conv3", normed("norm3", y), backbone.Conv{Out: width})
	return Add(y, shortcut)
}

// bitConv is a convolution with a standardised kernel.
func bitConv(b *backbone.Builder, name string, x *Node, c backbone.Conv) *Node {
	c.Pad, c.Standardise = backbone.Padding(c.Kernel/2), bitKernelEps
	return b.Conv(name, x, c)
}
