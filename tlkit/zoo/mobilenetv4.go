package zoo

import "strings"

// MobileNetV4, https://arxiv.org/abs/2404.10518, the networks without attention, by timm.
var mobileNetV4Rows = []Row{
	mobileNetV4Row("mobilenetv4_conv_small.e2400_r224_in1k", Row{Params: 3774024, Top1: 73.756, Preset: square(224, 0.875, "imagenet")}),
	mobileNetV4Row("mobilenetv4_conv_small.e3600_r256_in1k", Row{Params: 3774024, Preset: square(256, 0.95, "half")}),
	mobileNetV4Row("mobilenetv4_conv_small_050.e3000_r224_in1k", Row{Params: 2238952, Top1: 64.778, Preset: square(224, 0.875, "half")}),
	mobileNetV4Row("mobilenetv4_conv_medium.e500_r224_in1k", Row{Params: 9715512, Top1: 79.092, Preset: square(224, 0.95, "imagenet")}),
	mobileNetV4Row("mobilenetv4_conv_medium.e250_r384_in12k_ft_in1k", Row{Params: 9715512, Top1: 82.776, Preset: square(384, 0.95, "imagenet")}),
	mobileNetV4Row("mobilenetv4_conv_large.e600_r384_in1k", Row{Params: 32590864, Top1: 82.974, Preset: square(384, 0.95, "imagenet")}),
}

var mobileNetV4s = map[string]mobileNet{
	"mobilenetv4_conv_small":     mobileNetV4(32, mobileNetV4Small),
	"mobilenetv4_conv_small_050": mobileNetV4Half(),
	"mobilenetv4_conv_medium":    mobileNetV4(32, mobileNetV4Medium),
	"mobilenetv4_conv_large":     mobileNetV4(24, mobileNetV4Large),
}

func mobileNetV4Row(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	m, ok := mobileNetV4s[r.golden]
	if !ok {
		panic("zoo: no MobileNetV4 is called " + r.golden)
	}
	r.Family, r.Licence, r.Classes, r.Features, r.arch = "MobileNetV4", "Apache-2.0", "imagenet1k", m.head, m
	return r
}

func mobileNetV4(stem int, stages [][]mobileRun) mobileNet {
	return mobileNet{stem: stem, head: 1280, act: relu, eps: torchEps, fourth: true, classes: 1000, stages: stages}
}

// mobileNetV4Half has half of the channels, but in its first and its last convolution.
func mobileNetV4Half() mobileNet {
	m := mobileNetV4(32, mobileNetV4Small).scaled(0.5, 1, scaledWidth)
	m.stem, m.head = 32, 1280
	return m
}

// Tables of the paper's appendix.
var mobileNetV4Small = [][]mobileRun{
	{
		{kind: single, repeat: 1, kernel: 3, stride: 2, width: 32},
		{kind: single, repeat: 1, kernel: 1, stride: 1, width: 32},
	},
	{
		{kind: single, repeat: 1, kernel: 3, stride: 2, width: 96},
		{kind: single, repeat: 1, kernel: 1, stride: 1, width: 64},
	},
	{
		{kind: universal, start: 5, kernel: 5, repeat: 1, stride: 2, width: 96, expand: 3},
		{kind: universal, start: 0, kernel: 3, repeat: 4, stride: 1, width: 96, expand: 2},
		{kind: universal, start: 3, kernel: 0, repeat: 1, stride: 1, width: 96, expand: 4},
	},
	{
		{kind: universal, start: 3, kernel: 3, repeat: 1, stride: 2, width: 128, expand: 6},
		{kind: universal, start: 5, kernel: 5, repeat: 1, stride: 1, width: 128, expand: 4},
		{kind: universal, start: 0, kernel: 5, repeat: 1, stride: 1, width: 128, expand: 4},
		{kind: universal, start: 0, kernel: 5, repeat: 1, stride: 1, width: 128, expand: 3},
		{kind: universal, start: 0, kernel: 3, repeat: 2, stride: 1, width: 128, expand: 4},
	},
	{
		{kind: single, repeat: 1, kernel: 1, stride: 1, width: 960},
	},
}

var mobileNetV4Medium = [][]mobileRun{
	{
		{kind: fused, repeat: 1, kernel: 3, stride: 2, width: 48, expand: 4},
	},
	{
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 2, width: 80, expand: 4},
		{kind: universal, start: 3, kernel: 3, repeat: 1, stride: 1, width: 80, expand: 2},
	},
	{
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 2, width: 160, expand: 6},
		{kind: universal, start: 3, kernel: 3, repeat: 2, stride: 1, width: 160, expand: 4},
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 1, width: 160, expand: 4},
		{kind: universal, start: 3, kernel: 3, repeat: 1, stride: 1, width: 160, expand: 4},
		{kind: universal, start: 3, kernel: 0, repeat: 1, stride: 1, width: 160, expand: 4},
		{kind: universal, start: 0, kernel: 0, repeat: 1, stride: 1, width: 160, expand: 2},
		{kind: universal, start: 3, kernel: 0, repeat: 1, stride: 1, width: 160, expand: 4},
	},
	{
		{kind: universal, start: 5, kernel: 5, repeat: 1, stride: 2, width: 256, expand: 6},
		{kind: universal, start: 5, kernel: 5, repeat: 1, stride: 1, width: 256, expand: 4},
		{kind: universal, start: 3, kernel: 5, repeat: 2, stride: 1, width: 256, expand: 4},
		{kind: universal, start: 0, kernel: 0, repeat: 1, stride: 1, width: 256, expand: 4},
		{kind: universal, start: 3, kernel: 0, repeat: 1, stride: 1, width: 256, expand: 4},
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 1, width: 256, expand: 2},
		{kind: universal, start: 5, kernel: 5, repeat: 1, stride: 1, width: 256, expand: 4},
		{kind: universal, start: 0, kernel: 0, repeat: 2, stride: 1, width: 256, expand: 4},
		{kind: universal, start: 5, kernel: 0, repeat: 1, stride: 1, width: 256, expand: 2},
	},
	{
		{kind: single, repeat: 1, kernel: 1, stride: 1, width: 960},
	},
}

var mobileNetV4Large = [][]mobileRun{
	{
		{kind: fused, repeat: 1, kernel: 3, stride: 2, width: 48, expand: 4},
	},
	{
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 2, width: 96, expand: 4},
		{kind: universal, start: 3, kernel: 3, repeat: 1, stride: 1, width: 96, expand: 4},
	},
	{
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 2, width: 192, expand: 4},
		{kind: universal, start: 3, kernel: 3, repeat: 3, stride: 1, width: 192, expand: 4},
		{kind: universal, start: 3, kernel: 5, repeat: 1, stride: 1, width: 192, expand: 4},
		{kind: universal, start: 5, kernel: 3, repeat: 5, stride: 1, width: 192, expand: 4},
		{kind: universal, start: 3, kernel: 0, repeat: 1, stride: 1, width: 192, expand: 4},
	},
	{
		{kind: universal, start: 5, kernel: 5, repeat: 4, stride: 2, width: 512, expand: 4},
		{kind: universal, start: 5, kernel: 0, repeat: 1, stride: 1, width: 512, expand: 4},
		{kind: universal, start: 5, kernel: 3, repeat: 1, stride: 1, width: 512, expand: 4},
		{kind: universal, start: 5, kernel: 0, repeat: 2, stride: 1, width: 512, expand: 4},
		{kind: universal, start: 5, kernel: 3, repeat: 1, stride: 1, width: 512, expand: 4},
		{kind: universal, start: 5, kernel: 5, repeat: 1, stride: 1, width: 512, expand: 4},
		{kind: universal, start: 5, kernel: 0, repeat: 3, stride: 1, width: 512, expand: 4},
	},
	{
		{kind: single, repeat: 1, kernel: 1, stride: 1, width: 960},
	},
}
