package zoo

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The same residual networks, trained by others and kept by timm on Hugging Face's hub, under
// torchvision's names of tensors. Sizes and crops are timm's: the short side becomes size/share,
// then a square of size is cut out.
//
// No hash of these files is known here. At the first download the sha256 that the hub keeps of each
// large file is checked; it is stored, and checked ever after.
var resNetTimmRows = []Row{
	// "ResNet strikes back", recipe A1, https://arxiv.org/abs/2110.00476. timm's accuracies are for
	// 288 pixels, so there are none here.
	resNetTimmRow(18, Row{Tag: "a1_in1k", Licence: "Apache-2.0", Params: 11689512, Preset: a1Preset}),
	resNetTimmRow(34, Row{Tag: "a1_in1k", Licence: "Apache-2.0", Params: 21797672, Preset: a1Preset}),
	resNetTimmRow(50, Row{Tag: "a1_in1k", Licence: "Apache-2.0", Params: 25557032, Preset: a1Preset}),
	// Weakly supervised on a billion hashtags, https://arxiv.org/abs/1905.00546.
	resNetTimmRow(18, Row{
		Tag: "fb_swsl_ig1b_ft_in1k", Licence: "CC-BY-NC-4.0", NonCommercial: true,
		Params: 11689512, Top1: 73.282, Top5: 91.732, Preset: short("", 256, 224, transforms.Bilinear),
	}),
}

var a1Preset = short("", 235, 224, transforms.Bicubic)

func resNetTimmRow(depth int, r Row) Row {
	plain := fmt.Sprintf("resnet%d", depth)
	r.Name = plain + "." + r.Tag
	r.Preset.Name = r.Name
	r.Origin = "https://huggingface.co/timm/" + r.Name
	r.file = fetch.File{Name: r.Name + ".safetensors", Sources: []fetch.Source{
		{HF: &fetch.HF{Repo: "timm/" + r.Name, File: "model.safetensors"}},
	}}
	return resNets[depth].complete(r, plain)
}
