package zoo

import (
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The same residual networks, trained by others and kept by timm on Hugging Face's hub, under
// torchvision's names of tensors. Sizes and crops are timm's: the short side becomes size/share,
// then a square of size is cut out.
var resNetTimmRows = []Row{
	// "ResNet strikes back", recipe A1, https://arxiv.org/abs/2110.00476. timm's accuracies are for
	// 288 pixels, so there are none here.
	resNetTimmRow("resnet18.a1_in1k", Row{Params: 11689512, Preset: a1Preset}),
	resNetTimmRow("resnet34.a1_in1k", Row{Params: 21797672, Preset: a1Preset}),
	resNetTimmRow("resnet50.a1_in1k", Row{Params: 25557032, Preset: a1Preset}),
	// Weakly supervised on a billion hashtags, https://arxiv.org/abs/1905.00546.
	resNetTimmRow("resnet18.fb_swsl_ig1b_ft_in1k", Row{
		Licence: "CC-BY-NC-4.0", NonCommercial: true,
		Params: 11689512, Top1: 73.282, Top5: 91.732, Preset: short("", 256, 224, transforms.Bilinear),
	}),
	resNetTimmRow("resnet50.ram_in1k", Row{Params: 25557032, Top1: 79.034, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnet101.a1h_in1k", Row{Params: 44549160, Top1: 81.95, Preset: square(224, 0.95, "imagenet")}),
	resNetTimmRow("resnet152.a1h_in1k", Row{Params: 60192808, Top1: 82.818, Preset: square(224, 0.95, "imagenet")}),
	resNetTimmRow("resnext50_32x4d.a1h_in1k", Row{Params: 25028904, Top1: 81.14, Preset: square(224, 0.95, "imagenet")}),
	resNetTimmRow("resnext50_32x4d.ra_in1k", Row{Params: 25028904, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnext50_32x4d.fb_swsl_ig1b_ft_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 25028904, Preset: timmPreset(224, 0.875, transforms.Bilinear, "imagenet")}),
	resNetTimmRow("resnext101_32x8d.fb_wsl_ig1b_ft_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 88791336, Preset: timmPreset(224, 0.875, transforms.Bilinear, "imagenet")}),
	resNetTimmRow("resnext101_64x4d.c1_in1k", Row{Params: 83455272, Preset: square(224, 0.95, "imagenet")}),
	resNetTimmRow("wide_resnet50_2.racm_in1k", Row{Params: 68883240, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("seresnet50.ra2_in1k", Row{Params: 28088024, Top1: 80.26, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("seresnet50.a1_in1k", Row{Params: 28088024, Preset: square(224, 0.95, "imagenet")}),
	resNetTimmRow("seresnext50_32x4d.racm_in1k", Row{Params: 27559896, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnet18d.ra2_in1k", Row{Params: 11708744, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnet26d.bt_in1k", Row{Params: 16014408, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnet34d.ra2_in1k", Row{Params: 21816904, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnet50d.ra2_in1k", Row{Params: 25576264, Preset: square(224, 0.875, "imagenet")}),
	resNetTimmRow("resnet50d.ra4_e3600_r224_in1k", Row{Params: 25576264, Top1: 80.956, Preset: square(224, 0.95, "half")}),
	resNetTimmRow("resnet101d.ra2_in1k", Row{Params: 44568392, Preset: square(256, 0.95, "imagenet")}),
}

var a1Preset = short("", 235, 224, transforms.Bicubic)

func resNetTimmRow(name string, r Row) Row {
	r = timmRow(name, r)
	if r.Licence == "" {
		r.Licence = "Apache-2.0"
	}
	plain, _, _ := strings.Cut(name, ".")
	return r.resNet(plain)
}
