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
	r.Name, r.Preset.Name = name, name
	r.Origin = "https://huggingface.co/timm/" + name
	r.file = fetch.File{Name: name + ".safetensors", Sources: []fetch.Source{
		{HF: &fetch.HF{Repo: "timm/" + name, File: "model.safetensors"}},
	}}
	return r
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
