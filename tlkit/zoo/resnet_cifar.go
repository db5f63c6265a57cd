package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The small residual networks for pictures of 32x32, He et al. 2015, section 4.2, with 6n+2 layers and 16, 32, 64
// channels. Trained on CIFAR-10 by Y. Idelbayev, https://github.com/akamaster/pytorch_resnet_cifar10, whose README
// names files and errors. His pictures were normalised with the statistics of ImageNet, not of CIFAR.
var resNetCIFARRows = []Row{
	resNetCIFARRow(20, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", 1099231, 269722, 91.73),
	resNetCIFARRow(32, "d509ac18", 0, 464154, 92.63),
	resNetCIFARRow(44, "014dd654", 0, 658586, 93.10),
	resNetCIFARRow(56, "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367", 3471733, 853018, 93.39),
	resNetCIFARRow(110, "1d1ed7c2", 0, 1727962, 93.68),
}

func resNetCIFARRow(depth int, sha256 string, bytes int64, params int, top1 float64) Row {
	name := fmt.Sprintf("resnet%d_cifar10", depth)
	file := fmt.Sprintf("resnet%d-%s.th", depth, sha256[:8])
	return Row{
		Name: name, Tag: "akamaster", Family: "ResNet (CIFAR)",
		Aliases: []string{fmt.Sprintf("cifar10_resnet%d", depth)},
		File: fetch.File{Name: file, SHA256: sha256, Bytes: bytes, Sources: []fetch.Source{
			{URL: "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/" + file},
		}},
		Licence: "BSD-2-Clause", Origin: "https://github.com/akamaster/pytorch_resnet_cifar10",
		Preset: transforms.Preset{
			Name: name, Size: 32, Resize: 32, Geometry: "short", Interpolation: "bilinear",
			Range: [2]float32{0, 1}, Mean: imagenetMean, Std: imagenetStd, Channels: "RGB",
		},
		Params: params, Top1: top1,
		Classes: "cifar10", Features: 64,
		arch:   resNetCIFAR{n: (depth - 2) / 6},
		golden: name,
	}
}

type resNetCIFAR struct{ n int }

func (r resNetCIFAR) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Stage("stem", backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, 16, 3, 1, 1), torchEps))) // [N,H,W,16]
	for i := range 3 {
		layer, width := fmt.Sprintf("layer%d", i+1), 16<<i
		for j := range r.n {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			x = cifarBlock(b.In(layer, j), x, width, stride)
		}
		x = b.Stage(layer, x)
	}
	features := backbone.GlobalAverage(x)
	return backbone.Output{Map: x, Features: features, Logits: b.Linear("linear", features, 10)}
}

// cifarBlock is the basic block with a shortcut that has no weights (option A of the paper).
func cifarBlock(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, width, 3, stride, 1), torchEps))
	y = b.BatchNorm("bn2", b.Conv("conv2", y, width, 3, 1, 1), torchEps)
	return backbone.ReLU(Add(backbone.Shortcut(x, width, stride), y))
}
