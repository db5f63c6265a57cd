package zoo

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The same residual networks, trained by others and kept by timm on Hugging Face's hub, under torchvision's names of
// tensors. timm's sizes and crops: the short side becomes size/share, then a square of size is cut out.
//
// Their repositories publish no hash that is known here: the sha256 which the hub keeps of each large file counts at the
// first use, and ours of it ever after.
var resNetTimmRows = []Row{
	// "ResNet strikes back", recipe A1, https://arxiv.org/abs/2110.00476. timm's figures are for 288 pixels: none here.
	resNetTimmRow(18, "a1_in1k", "Apache-2.0", short("", 235, 224, "bicubic"), 0, 0),
	resNetTimmRow(34, "a1_in1k", "Apache-2.0", short("", 235, 224, "bicubic"), 0, 0),
	resNetTimmRow(50, "a1_in1k", "Apache-2.0", short("", 235, 224, "bicubic"), 0, 0),
	// Weakly supervised on a billion hashtags, https://arxiv.org/abs/1905.00546.
	resNetTimmRow(18, "fb_swsl_ig1b_ft_in1k", "CC-BY-NC-4.0", short("", 256, 224, "bilinear"), 73.282, 91.732),
}

func resNetTimmRow(depth int, tag, licence string, preset transforms.Preset, top1, top5 float64) Row {
	arch := resNets[depth]
	plain := fmt.Sprintf("resnet%d", depth)
	preset.Name = plain + "." + tag
	features, params := 512, map[int]int{18: 11689512, 34: 21797672, 50: 25557032}[depth]
	if arch.bottleneck {
		features = 2048
	}
	return Row{
		Name: preset.Name, Tag: tag, Family: "ResNet",
		File: fetch.File{Name: preset.Name + ".safetensors", Sources: []fetch.Source{
			{HF: &fetch.HF{Repo: "timm/" + preset.Name, File: "model.safetensors"}},
		}},
		Licence: licence, NonCommercial: licence == "CC-BY-NC-4.0", Origin: "https://huggingface.co/timm/" + preset.Name,
		Preset: preset,
		Params: params, Top1: top1, Top5: top5,
		Classes: "imagenet1k", Features: features,
		arch:   arch,
		golden: plain,
	}
}
