package zoo

import (
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// EfficientNet, https://arxiv.org/abs/1905.11946, and EfficientNetV2, https://arxiv.org/abs/2104.00298.
// Those of timm whose names begin with tf_ were trained in TensorFlow and have its padding and eps.
var efficientNetRows = []Row{
	efficientNetTorch("efficientnet_b0", Row{Tag: "tv_in1k", file: torchvision("efficientnet_b0_rwightman-7f5810bc.pth"), Params: 5288548, Top1: 77.692, Top5: 93.532, Preset: short("", 256, 224, transforms.Bicubic)}),
	efficientNetTorch("efficientnet_b1", Row{Tag: "tv_in1k", file: torchvision("efficientnet_b1_rwightman-bac287d4.pth"), Params: 7794184, Top1: 78.642, Top5: 94.186, Preset: short("", 256, 240, transforms.Bicubic)}),
	efficientNetTorch("efficientnet_b1", Row{Tag: "tv2_in1k", file: torchvision("efficientnet_b1-c27df63c.pth"), Params: 7794184, Top1: 79.838, Top5: 94.934, Preset: short("", 255, 240, transforms.Bilinear)}),
	efficientNetTorch("efficientnet_b2", Row{Tag: "tv_in1k", file: torchvision("efficientnet_b2_rwightman-c35c1473.pth"), Params: 9109994, Top1: 80.608, Top5: 95.31, Preset: short("", 288, 288, transforms.Bicubic)}),
	efficientNetTorch("efficientnet_b3", Row{Tag: "tv_in1k", file: torchvision("efficientnet_b3_rwightman-b3899882.pth"), Params: 12233232, Top1: 82.008, Top5: 96.054, Preset: short("", 320, 300, transforms.Bicubic)}),
	efficientNetTorch("efficientnet_v2_s", Row{Tag: "tv_in1k", file: torchvision("efficientnet_v2_s-dd5fe13b.pth"), Params: 21458488, Top1: 84.228, Top5: 96.878, Preset: short("", 384, 384, transforms.Bilinear)}),
	efficientNetRow("efficientnet_b0.ra4_e3600_r224_in1k", Row{Params: 5288548, Top1: 78.568, Preset: square(224, 0.9, "half")}),
	efficientNetRow("efficientnet_b0.ra_in1k", Row{Params: 5288548, Top1: 77.698, Preset: square(224, 0.875, "imagenet")}),
	efficientNetRow("tf_efficientnet_b0.ns_jft_in1k", Row{Params: 5288548, Top1: 78.68, Preset: square(224, 0.875, "imagenet")}),
	efficientNetRow("tf_efficientnet_b0.in1k", Row{Params: 5288548, Preset: square(224, 0.875, "imagenet")}),
	efficientNetRow("efficientnet_b1.ra4_e3600_r240_in1k", Row{Params: 7794184, Top1: 80.404, Preset: square(240, 0.9, "half")}),
	efficientNetRow("efficientnet_b2.ra_in1k", Row{Params: 9109994, Top1: 79.324, Preset: square(256, 0.875, "imagenet")}),
	efficientNetRow("efficientnet_b3.ra2_in1k", Row{Params: 12233232, Top1: 81.472, Preset: square(288, 0.875, "imagenet")}),
	efficientNetRow("efficientnet_b4.ra2_in1k", Row{Params: 19341616, Top1: 82.658, Preset: square(320, 0.875, "imagenet")}),
	efficientNetRow("tf_efficientnet_b4.ns_jft_in1k", Row{Params: 19341616, Top1: 85.156, Preset: square(380, 0.922, "imagenet")}),
	efficientNetRow("tf_efficientnetv2_b0.in1k", Row{Params: 7139704, Top1: 76.876, Preset: square(192, 0.875, "imagenet")}),
	efficientNetRow("tf_efficientnetv2_b1.in1k", Row{Params: 8141052, Preset: square(192, 0.882, "imagenet")}),
	efficientNetRow("tf_efficientnetv2_b2.in1k", Row{Params: 10096086, Preset: square(208, 0.89, "imagenet")}),
	efficientNetRow("tf_efficientnetv2_b3.in21k_ft_in1k", Row{Params: 14358406, Top1: 81.078, Preset: square(240, 0.9, "half")}),
	efficientNetRow("tf_efficientnetv2_s.in21k_ft_in1k", Row{Params: 21458488, Top1: 83.348, Preset: square(300, 1, "half")}),
	efficientNetRow("tf_efficientnetv2_s.in1k", Row{Params: 21458488, Preset: square(300, 1, "half")}),
}

// efficientNetB0 is Table 1 of the first paper.
var efficientNetB0 = mobileNet{stem: 32, head: 1280, act: silu, eps: torchEps, classes: 1000, stages: [][]mobileRun{
	{{kind: separated, repeat: 1, kernel: 3, stride: 1, width: 16, weighed: true}},
	{{repeat: 2, kernel: 3, stride: 2, width: 24, expand: 6, weighed: true}},
	{{repeat: 2, kernel: 5, stride: 2, width: 40, expand: 6, weighed: true}},
	{{repeat: 3, kernel: 3, stride: 2, width: 80, expand: 6, weighed: true}},
	{{repeat: 3, kernel: 5, stride: 1, width: 112, expand: 6, weighed: true}},
	{{repeat: 4, kernel: 5, stride: 2, width: 192, expand: 6, weighed: true}},
	{{repeat: 1, kernel: 3, stride: 1, width: 320, expand: 6, weighed: true}},
}}

// efficientNetV2B0 is the base of the small ones of the second paper.
var efficientNetV2B0 = mobileNet{stem: 32, head: 1280, act: silu, eps: torchEps, classes: 1000, stages: [][]mobileRun{
	{{kind: single, repeat: 1, kernel: 3, stride: 1, width: 16}},
	{{kind: fused, repeat: 2, kernel: 3, stride: 2, width: 32, expand: 4}},
	{{kind: fused, repeat: 2, kernel: 3, stride: 2, width: 48, expand: 4}},
	{{repeat: 3, kernel: 3, stride: 2, width: 96, expand: 4, weighed: true}},
	{{repeat: 5, kernel: 3, stride: 1, width: 112, expand: 6, weighed: true}},
	{{repeat: 8, kernel: 3, stride: 2, width: 192, expand: 6, weighed: true}},
}}

// efficientNetV2S is Table 4 of the second paper.
var efficientNetV2S = mobileNet{stem: 24, head: 1280, act: silu, eps: tensorflowEps, classes: 1000, stages: [][]mobileRun{
	{{kind: single, repeat: 2, kernel: 3, stride: 1, width: 24}},
	{{kind: fused, repeat: 4, kernel: 3, stride: 2, width: 48, expand: 4}},
	{{kind: fused, repeat: 4, kernel: 3, stride: 2, width: 64, expand: 4}},
	{{repeat: 6, kernel: 3, stride: 2, width: 128, expand: 4, weighed: true}},
	{{repeat: 9, kernel: 3, stride: 1, width: 160, expand: 6, weighed: true}},
	{{repeat: 15, kernel: 3, stride: 2, width: 256, expand: 6, weighed: true}},
}}

var efficientNets = map[string]mobileNet{
	"efficientnet_b0":   efficientNetB0,
	"efficientnet_b1":   efficientNetB0.scaled(1, 1.1, scaledWidth),
	"efficientnet_b2":   efficientNetB0.scaled(1.1, 1.2, scaledWidth),
	"efficientnet_b3":   efficientNetB0.scaled(1.2, 1.4, scaledWidth),
	"efficientnet_b4":   efficientNetB0.scaled(1.4, 1.8, scaledWidth),
	"efficientnet_v2_s": efficientNetV2S,
	"efficientnetv2_b0": efficientNetV2B0,
	"efficientnetv2_b1": efficientNetV2B0.scaled(1, 1.1, nearestWidth),
	"efficientnetv2_b2": efficientNetV2B0.scaled(1.1, 1.2, nearestWidth),
	"efficientnetv2_b3": efficientNetV2B0.scaled(1.2, 1.4, nearestWidth),
	"efficientnetv2_s":  efficientNetV2S,
}

func efficientNetTorch(name string, r Row) Row {
	m := efficientNets[name]
	m.names = mobileTorchvision
	r.Name, r.Aliases = name, []string{name + ".imagenet1k_v1"}
	if r.Tag == "tv2_in1k" {
		r.Name, r.Aliases = name+"."+r.Tag, []string{name + ".imagenet1k_v2"}
	}
	r.Preset.Name = r.Name
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.golden = name + ".torchvision"
	return r.efficientNet(m)
}

func efficientNetRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	plain, tensorflow := strings.CutPrefix(r.golden, "tf_")
	m, ok := efficientNets[plain]
	if !ok {
		panic("zoo: no EfficientNet is called " + plain)
	}
	if tensorflow {
		m.same, m.eps = true, tensorflowEps
	}
	if r.Licence == "" {
		r.Licence = "Apache-2.0"
	}
	return r.efficientNet(m)
}

// efficientNet fills in what all rows of both families share.
func (r Row) efficientNet(m mobileNet) Row {
	r.Family, r.Classes, r.Features, r.arch = "EfficientNet", "imagenet1k", m.head, m
	if strings.Contains(r.Name, "v2") {
		r.Family = "EfficientNetV2"
	}
	return r
}
