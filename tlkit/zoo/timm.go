package zoo

import (
	"math"
	"strings"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// timmRow completes the row of a file that timm keeps on Hugging Face's hub, under the name that timm
// gives it: architecture.tag. No hash of these files is known here: at the first download the sha256
// that the hub keeps of each large file is checked; it is stored, and checked ever after.
func timmRow(name string, r Row) Row {
	_, r.Tag, _ = strings.Cut(name, ".")
	r.Name, r.Preset.Name, r.TestSize = name, name, testSizes[name]
	r.Origin = "https://huggingface.co/timm/" + name
	r.file = fetch.File{Name: name + ".safetensors", Sources: []fetch.Source{
		{HF: &fetch.HF{Repo: "timm/" + name, File: "model.safetensors"}},
	}}
	return r
}

// testSizes are those at which timm tests checkpoints that were trained on smaller pictures.
var testSizes = map[string]int{
	"convnext_atto.d2_in1k":                     288,
	"convnext_base.fb_in22k_ft_in1k":            288,
	"convnext_femto.d1_in1k":                    288,
	"convnext_nano.in12k_ft_in1k":               288,
	"convnext_pico.d1_in1k":                     288,
	"convnext_small.fb_in22k_ft_in1k":           288,
	"convnext_small.in12k_ft_in1k":              288,
	"convnext_tiny.in12k_ft_in1k":               288,
	"convnextv2_atto.fcmae_ft_in1k":             288,
	"convnextv2_base.fcmae_ft_in22k_in1k":       288,
	"convnextv2_nano.fcmae_ft_in22k_in1k":       288,
	"convnextv2_tiny.fcmae_ft_in22k_in1k":       288,
	"efficientnet_b0.ra4_e3600_r224_in1k":       256,
	"efficientnet_b1.ra4_e3600_r240_in1k":       288,
	"efficientnet_b2.ra_in1k":                   288,
	"efficientnet_b3.ra2_in1k":                  320,
	"efficientnet_b4.ra2_in1k":                  384,
	"mobilenetv3_large_100.ra4_e3600_r224_in1k": 256,
	"resnet18.a1_in1k":                          288,
	"resnet50.a1_in1k":                          288,
	"tf_efficientnetv2_b0.in1k":                 224,
	"tf_efficientnetv2_b1.in1k":                 240,
	"tf_efficientnetv2_b2.in1k":                 260,
	"tf_efficientnetv2_b3.in21k_ft_in1k":        300,
	"tf_efficientnetv2_s.in1k":                  384,
	"tf_efficientnetv2_s.in21k_ft_in1k":         384,
}

// timmPreset is timm's evaluation: the short side to size/crop, rounded down, then the square of size
// in the middle.
func timmPreset(size int, crop float64, filter transforms.Interpolation, stats string) transforms.Preset {
	p := transforms.Preset{Size: size, Resize: int(math.Floor(float64(size) / crop)), Geometry: transforms.GeometryShort, Interpolation: filter}
	return p.WithStatistics(statistics(stats))
}

// squash is timm's evaluation of networks that see the whole picture: both sides to size.
func squash(size int, filter transforms.Interpolation, stats string) transforms.Preset {
	p := transforms.Preset{Size: size, Geometry: transforms.GeometrySquash, Interpolation: filter}
	return p.WithStatistics(statistics(stats))
}
