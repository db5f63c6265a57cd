package zoo

import (
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// MobileNetV3, https://arxiv.org/abs/1905.02244, by torchvision and by timm. Checkpoints of the same
// architecture want different statistics.
var mobileNetV3Rows = []Row{
	mobileNetV3Torch("small", Row{Tag: "tv_in1k", file: torchvision("mobilenet_v3_small-047dcff4.pth"), Params: 2542856, Top1: 67.668, Top5: 87.402}, 256),
	mobileNetV3Torch("large", Row{Tag: "tv_in1k", file: torchvision("mobilenet_v3_large-8738ca79.pth"), Params: 5483032, Top1: 74.042, Top5: 91.34}, 256),
	mobileNetV3Torch("large", Row{Tag: "tv2_in1k", file: torchvision("mobilenet_v3_large-5c1a4163.pth"), Params: 5483032, Top1: 75.274, Top5: 92.566}, 232),
	mobileNetV3Row("mobilenetv3_small_100.lamb_in1k", Row{Params: 2542856, Top1: 67.636, Preset: square(224, 0.875, "imagenet")}),
	mobileNetV3Row("mobilenetv3_large_100.ra_in1k", Row{Params: 5483032, Top1: 75.784, Preset: square(224, 0.875, "imagenet")}),
	mobileNetV3Row("mobilenetv3_large_100.miil_in21k_ft_in1k", Row{Params: 5483032, Top1: 77.92, Preset: timmPreset(224, 0.875, transforms.Bilinear, "unit")}),
	mobileNetV3Row("mobilenetv3_large_100.ra4_e3600_r224_in1k", Row{Params: 5483032, Top1: 76.31, Preset: square(224, 0.95, "half")}),
	mobileNetV3Row("tf_mobilenetv3_large_100.in1k", Row{Params: 5483032, Top1: 75.51, Preset: timmPreset(224, 0.875, transforms.Bilinear, "half")}),
	mobileNetV3Row("tf_mobilenetv3_small_100.in1k", Row{Params: 2542856, Preset: timmPreset(224, 0.875, transforms.Bilinear, "half")}),
}

// Table 2 of the paper, without its last two lines.
var mobileNetV3Small = mobileNet{stem: 16, head: 1024, act: hardSwish, eps: torchEps, third: true, classes: 1000, stages: [][]mobileRun{
	{{kind: separated, repeat: 1, kernel: 3, stride: 2, width: 16, weighed: true, relu: true}},
	{{repeat: 1, kernel: 3, stride: 2, width: 24, expand: 4.5, relu: true}, {repeat: 1, kernel: 3, stride: 1, width: 24, expand: 3.67, relu: true}},
	{{repeat: 1, kernel: 5, stride: 2, width: 40, expand: 4, weighed: true}, {repeat: 2, kernel: 5, stride: 1, width: 40, expand: 6, weighed: true}},
	{{repeat: 2, kernel: 5, stride: 1, width: 48, expand: 3, weighed: true}},
	{{repeat: 3, kernel: 5, stride: 2, width: 96, expand: 6, weighed: true}},
	{{kind: single, repeat: 1, kernel: 1, stride: 1, width: 576}},
}}

// Table 1 of the paper, without its last two lines.
var mobileNetV3Large = mobileNet{stem: 16, head: 1280, act: hardSwish, eps: torchEps, third: true, classes: 1000, stages: [][]mobileRun{
	{{kind: separated, repeat: 1, kernel: 3, stride: 1, width: 16, relu: true}},
	{{repeat: 1, kernel: 3, stride: 2, width: 24, expand: 4, relu: true}, {repeat: 1, kernel: 3, stride: 1, width: 24, expand: 3, relu: true}},
	{{repeat: 3, kernel: 5, stride: 2, width: 40, expand: 3, weighed: true, relu: true}},
	{{repeat: 1, kernel: 3, stride: 2, width: 80, expand: 6}, {repeat: 1, kernel: 3, stride: 1, width: 80, expand: 2.5}, {repeat: 2, kernel: 3, stride: 1, width: 80, expand: 2.3}},
	{{repeat: 2, kernel: 3, stride: 1, width: 112, expand: 6, weighed: true}},
	{{repeat: 3, kernel: 5, stride: 2, width: 160, expand: 6, weighed: true}},
	{{kind: single, repeat: 1, kernel: 1, stride: 1, width: 960}},
}}

func mobileNetV3Torch(size string, r Row, resize int) Row {
	plain := "mobilenet_v3_" + size
	m := mobileNetV3Small
	if size == "large" {
		m = mobileNetV3Large
	}
	// torchvision's own numbers, not those of the paper.
	m.names, m.eps = mobileFlat, 1e-3
	r.Name, r.Aliases = plain, []string{plain + ".imagenet1k_v1"}
	if r.Tag == "tv2_in1k" {
		r.Name, r.Aliases = plain+"."+r.Tag, []string{plain + ".imagenet1k_v2"}
	}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, resize, 224, transforms.Bilinear)
	r.Family, r.Classes, r.Features = "MobileNetV3", "imagenet1k", m.head
	r.arch, r.golden = m, plain+".torchvision"
	return r
}

func mobileNetV3Row(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	plain, tensorflow := strings.CutPrefix(r.golden, "tf_")
	m := mobileNetV3Small
	if plain == "mobilenetv3_large_100" {
		m = mobileNetV3Large
	}
	if tensorflow {
		m.same, m.eps = true, tensorflowEps
	}
	if r.Licence == "" {
		r.Licence = "Apache-2.0"
	}
	r.Family, r.Classes, r.Features = "MobileNetV3", "imagenet1k", m.head
	r.arch = m
	return r
}
