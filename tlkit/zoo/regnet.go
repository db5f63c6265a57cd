package zoo

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// RegNetY, https://arxiv.org/abs/2003.13678, by torchvision and by timm: bottlenecks whose inside is as
// wide as their ends, convolved in groups of equal width, with squeeze and excitation. Its widths and
// depths follow a formula; here they are as it comes out. torchvision and timm round it differently
// for two of the sizes.
var regNetRows = []Row{
	regNetTorch("regnet_y_400mf", Row{Tag: "tv_in1k", file: torchvision("regnet_y_400mf-c65dace8.pth"), Params: 4344144, Top1: 74.046, Top5: 91.716}),
	regNetTorch("regnet_y_400mf", Row{Tag: "tv2_in1k", file: torchvision("regnet_y_400mf-e6988f5f.pth"), Params: 4344144, Top1: 75.804, Top5: 92.742}),
	regNetTorch("regnet_y_800mf", Row{Tag: "tv_in1k", file: torchvision("regnet_y_800mf-1b27b58c.pth"), Params: 6432512, Top1: 76.42, Top5: 93.136}),
	regNetTorch("regnet_y_800mf", Row{Tag: "tv2_in1k", file: torchvision("regnet_y_800mf-58fc7688.pth"), Params: 6432512, Top1: 78.828, Top5: 94.502}),
	regNetTorch("regnet_y_1_6gf", Row{Tag: "tv_in1k", file: torchvision("regnet_y_1_6gf-b11a554e.pth"), Params: 11202430, Top1: 77.95, Top5: 93.966}),
	regNetTorch("regnet_y_1_6gf", Row{Tag: "tv2_in1k", file: torchvision("regnet_y_1_6gf-0d7bc02a.pth"), Params: 11202430, Top1: 80.876, Top5: 95.444}),
	regNetTorch("regnet_y_3_2gf", Row{Tag: "tv_in1k", file: torchvision("regnet_y_3_2gf-b5a9779c.pth"), Params: 19436338, Top1: 78.948, Top5: 94.576}),
	regNetTorch("regnet_y_3_2gf", Row{Tag: "tv2_in1k", file: torchvision("regnet_y_3_2gf-9180c971.pth"), Params: 19436338, Top1: 81.982, Top5: 95.972}),
	regNetTorch("regnet_y_8gf", Row{Tag: "tv_in1k", file: torchvision("regnet_y_8gf-d0d0e4a8.pth"), Params: 39381472, Top1: 80.032, Top5: 95.048}),
	regNetTorch("regnet_y_8gf", Row{Tag: "tv2_in1k", file: torchvision("regnet_y_8gf-dc2b1b54.pth"), Params: 39381472, Top1: 82.828, Top5: 96.33}),
	regNetTorch("regnet_y_16gf", Row{Tag: "tv_in1k", file: torchvision("regnet_y_16gf-9e6ed7dd.pth"), Params: 83590140, Top1: 80.424, Top5: 95.24}),
	regNetTorch("regnet_y_16gf", Row{Tag: "tv2_in1k", file: torchvision("regnet_y_16gf-3e4a00f9.pth"), Params: 83590140, Top1: 82.886, Top5: 96.328}),
	// Weakly supervised on 3.6 billion pictures with hashtags, https://arxiv.org/abs/2201.08371, then
	// trained on ImageNet whole or, "lc", in its classifier only.
	regNetTorch("regnet_y_16gf", Row{
		Tag: "swag_e2e_in1k", file: torchvision("regnet_y_16gf_swag-43afe44d.pth"), Params: 83590140, Top1: 86.012, Top5: 98.054,
		Licence: "CC-BY-NC-4.0", NonCommercial: true, Preset: short("", 384, 384, transforms.Bicubic),
	}),
	regNetTorch("regnet_y_16gf", Row{
		Tag: "swag_lc_in1k", file: torchvision("regnet_y_16gf_lc_swag-f3ec0043.pth"), Params: 83590140, Top1: 83.976, Top5: 97.244,
		Licence: "CC-BY-NC-4.0", NonCommercial: true, Preset: short("", 224, 224, transforms.Bicubic),
	}),
	regNetRow("regnety_002.pycls_in1k", Row{Licence: "MIT", Params: 3162996, Preset: square(224, 0.875, "imagenet")}),
	regNetRow("regnety_004.tv2_in1k", Row{Licence: "BSD-3-Clause", Params: 4344144, Top1: 75.594, Preset: square(224, 0.965, "imagenet")}),
	regNetRow("regnety_008.pycls_in1k", Row{Licence: "MIT", Params: 6263168, Top1: 76.334, Preset: square(224, 0.875, "imagenet")}),
	regNetRow("regnety_016.tv2_in1k", Row{Licence: "BSD-3-Clause", Params: 11202430, Top1: 80.668, Preset: square(224, 0.965, "imagenet")}),
	regNetRow("regnety_032.ra_in1k", Row{Params: 19436338, Top1: 81.948, Preset: square(224, 0.95, "imagenet")}),
	regNetRow("regnety_040.ra3_in1k", Row{Params: 20646656, Preset: square(224, 0.95, "imagenet")}),
	regNetRow("regnety_080.ra3_in1k", Row{Params: 39180068, Preset: square(224, 0.95, "imagenet")}),
	regNetRow("regnety_160.sw_in12k_ft_in1k", Row{Params: 83590140, Preset: square(224, 0.95, "imagenet")}),
	regNetRow("regnety_160.swag_ft_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 83590140, Top1: 86.02, Preset: square(384, 1, "imagenet")}),
}

var regNets = map[string]regNet{
	"regnet_y_400mf": {depths: [4]int{1, 3, 6, 6}, widths: [4]int{48, 104, 208, 440}, group: 8},
	"regnet_y_800mf": {depths: [4]int{1, 3, 8, 2}, widths: [4]int{64, 144, 320, 784}, group: 16},
	"regnet_y_1_6gf": {depths: [4]int{2, 6, 17, 2}, widths: [4]int{48, 120, 336, 888}, group: 24},
	"regnet_y_3_2gf": {depths: [4]int{2, 5, 13, 1}, widths: [4]int{72, 216, 576, 1512}, group: 24},
	"regnet_y_8gf":   {depths: [4]int{2, 4, 10, 1}, widths: [4]int{224, 448, 896, 2016}, group: 56},
	"regnet_y_16gf":  {depths: [4]int{2, 4, 11, 1}, widths: [4]int{224, 448, 1232, 3024}, group: 112},
	"regnety_002":    {depths: [4]int{1, 1, 4, 7}, widths: [4]int{24, 56, 152, 368}, group: 8},
	"regnety_004":    {depths: [4]int{1, 3, 6, 6}, widths: [4]int{48, 104, 208, 440}, group: 8},
	"regnety_008":    {depths: [4]int{1, 3, 8, 2}, widths: [4]int{64, 128, 320, 768}, group: 16},
	"regnety_016":    {depths: [4]int{2, 6, 17, 2}, widths: [4]int{48, 120, 336, 888}, group: 24},
	"regnety_032":    {depths: [4]int{2, 5, 13, 1}, widths: [4]int{72, 216, 576, 1512}, group: 24},
	"regnety_040":    {depths: [4]int{2, 6, 12, 2}, widths: [4]int{128, 192, 512, 1088}, group: 64},
	"regnety_080":    {depths: [4]int{2, 4, 10, 1}, widths: [4]int{168, 448, 896, 2016}, group: 56},
	"regnety_160":    {depths: [4]int{2, 4, 11, 1}, widths: [4]int{224, 448, 1232, 3024}, group: 112},
}

// regNetTorch completes a row of torchvision's. The first checkpoint of a size is the one that the
// bare name means.
func regNetTorch(plain string, r Row) Row {
	r.Name, r.Origin = plain+"."+r.Tag, torchvisionOrigin
	switch r.Tag {
	case "tv_in1k":
		r.Name, r.Aliases = plain, []string{plain + ".imagenet1k_v1"}
		r.Preset = short(r.Name, 256, 224, transforms.Bilinear)
	case "tv2_in1k":
		r.Aliases = []string{plain + ".imagenet1k_v2"}
		r.Preset = short(r.Name, 232, 224, transforms.Bilinear)
	case "swag_e2e_in1k":
		r.Aliases = []string{plain + ".imagenet1k_swag_e2e_v1"}
	case "swag_lc_in1k":
		r.Aliases = []string{plain + ".imagenet1k_swag_linear_v1"}
	}
	r.Preset.Name = r.Name
	if r.Licence == "" {
		r.Licence = torchvisionLicence
	}
	n := regNets[plain]
	n.torchvision = true
	r.golden = plain
	return r.regNet(n)
}

func regNetRow(name string, r Row) Row {
	r = timmRow(name, r)
	if r.Licence == "" {
		r.Licence = "Apache-2.0"
	}
	r.golden, _, _ = strings.Cut(name, ".")
	return r.regNet(regNets[r.golden])
}

// regNet fills in what all rows share.
func (r Row) regNet(n regNet) Row {
	if n.group == 0 {
		panic("zoo: no RegNet is called " + r.golden)
	}
	n.classes = 1000
	r.Family, r.Classes, r.Features, r.arch = "RegNet", "imagenet1k", n.widths[3], n
	return r
}

type regNet struct {
	depths, widths [4]int
	group          int  // channels of a group
	classes        int  // 0 = without a classifier
	torchvision    bool // torchvision's names instead of timm's
}

func (n regNet) trunk() backbone.Arch {
	n.classes = 0
	return n
}

func (n regNet) otherNames() []otherNames {
	other := n
	other.torchvision = !n.torchvision
	if n.torchvision {
		return []otherNames{{"timm", other}}
	}
	return []otherNames{{"torchvision", other}}
}

// regNetNames are the layers of a network and of a block. Places for numbers are filled in by Build.
type regNetNames struct {
	stem, stage, block                 string
	first, look, weigh, last, shortcut string
	conv, norm, classifier             string
}

func (n regNet) names() regNetNames {
	if n.torchvision {
		return regNetNames{
			stem: "stem", stage: "trunk_output.block%d", block: "block%d-%d", first: "f.a", look: "f.b", weigh: "f.se", last: "f.c",
			shortcut: "proj", conv: "0", norm: "1", classifier: "fc",
		}
	}
	return regNetNames{
		stem: "stem", stage: "s%d", block: "b%[2]d", first: "conv1", look: "conv2", weigh: "se", last: "conv3",
		shortcut: "downsample", conv: "conv", norm: "bn", classifier: "head.fc",
	}
}

func (n regNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	names := n.names()
	x = names.layer(b.In(names.stem), x, backbone.Conv{Out: 32, Kernel: 3, Stride: 2, Pad: 1})
	x = b.Stage(names.stem, backbone.ReLU(x)) // [N,H/2,W/2,32]
	for i, depth := range n.depths {
		stage := fmt.Sprintf(names.stage, i+1)
		for j := range depth {
			number := j // torchvision counts from 0, timm from 1
			if !n.torchvision {
				number++
			}
			stride := 1
			if j == 0 {
				stride = 2
			}
			x = n.block(b.In(stage, fmt.Sprintf(names.block, i+1, number)), x, n.widths[i], stride)
		}
		x = b.Stage(stage, x)
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		out.Logits = b.Linear(names.classifier, out.Features, n.classes)
	}
	return out
}

func (n regNet) block(b *backbone.Builder, x *Node, width, stride int) *Node {
	names, in := n.names(), x.Shape().Dim(-1)
	y := backbone.ReLU(names.layer(b.In(names.first), x, backbone.Conv{Out: width}))
	y = backbone.ReLU(names.layer(b.In(names.look), y, backbone.Conv{Out: width, Kernel: 3, Stride: stride, Pad: 1, Groups: width / n.group}))
	y = squeezeExcite(b.In(names.weigh), y, (in+2)/4) // a quarter of the block's input, rounded
	y = names.layer(b.In(names.last), y, backbone.Conv{Out: width})
	if stride > 1 || in != width {
		x = names.layer(b.In(names.shortcut), x, backbone.Conv{Out: width, Stride: stride})
	}
	return backbone.ReLU(Add(y, x))
}

// layer is a convolution and its norm.
func (names regNetNames) layer(b *backbone.Builder, x *Node, c backbone.Conv) *Node {
	return b.BatchNorm(names.norm, b.Conv(names.conv, x, c), torchEps)
}
