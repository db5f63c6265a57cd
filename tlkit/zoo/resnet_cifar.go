package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The small residual networks for pictures of 32x32, He et al. 2015, section 4.2, with 6n+2 layers
// and 16, 32, 64 channels. Trained on CIFAR-10 by Y. Idelbayev,
// https://github.com/akamaster/pytorch_resnet_cifar10, whose README names files and errors. His
// pictures were normalised with the statistics of ImageNet, not of CIFAR.
var resNetCIFARRows = []Row{
	resNetCIFARRow(20, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", Row{Params: 269722, Top1: 91.73, file: fetch.File{Bytes: 1099231}}),
	resNetCIFARRow(32, "d509ac18", Row{Params: 464154, Top1: 92.63}),
	resNetCIFARRow(44, "014dd654", Row{Params: 658586, Top1: 93.10}),
	resNetCIFARRow(56, "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367", Row{Params: 853018, Top1: 93.39, file: fetch.File{Bytes: 3471733}}),
	resNetCIFARRow(110, "1d1ed7c2", Row{Params: 1727962, Top1: 93.68}),
}

// resNetCIFARRow completes a row. Of some files only the beginning of the sha256 is published, in
// their names.
func resNetCIFARRow(depth int, sha256 string, r Row) Row {
	r.Name = fmt.Sprintf("resnet%d_cifar10", depth)
	r.Tag, r.Family = "akamaster", "ResNet (CIFAR)"
	r.Aliases = []string{fmt.Sprintf("cifar10_resnet%d", depth)}
	r.file.Name = fmt.Sprintf("resnet%d-%s.th", depth, sha256[:8])
	r.file.SHA256 = sha256
	r.file.Sources = []fetch.Source{
		{URL: "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/" + r.file.Name},
	}
	r.Licence, r.Origin = "BSD-2-Clause", "https://github.com/akamaster/pytorch_resnet_cifar10"
	r.Preset = short(r.Name, 32, 32, transforms.Bilinear)
	r.Classes, r.Features = "cifar10", 64
	r.arch, r.golden = resNetCIFAR{n: (depth - 2) / 6, classes: 10}, r.Name
	return r
}

type resNetCIFAR struct {
	n       int // blocks of a stage
	classes int // 0 = without a classifier
}

func (r resNetCIFAR) trunk() backbone.Arch { return resNetCIFAR{n: r.n} }

func (r resNetCIFAR) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Conv("conv1", x, backbone.Conv{Out: 16, Kernel: 3, Pad: 1})
	x = b.Stage("stem", backbone.ReLU(b.BatchNorm("bn1", x, torchEps))) // [N,H,W,16]
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
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if r.classes > 0 {
		out.Logits = b.Linear("linear", out.Features, r.classes)
	}
	return out
}

// cifarBlock is the basic block with a shortcut that has no weights (option A of the paper).
func cifarBlock(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := b.Conv("conv1", x, backbone.Conv{Out: width, Kernel: 3, Stride: stride, Pad: 1})
	y = backbone.ReLU(b.BatchNorm("bn1", y, torchEps))
	y = b.Conv("conv2", y, backbone.Conv{Out: width, Kernel: 3, Pad: 1})
	y = b.BatchNorm("bn2", y, torchEps)
	return backbone.ReLU(Add(backbone.Shortcut(x, width, stride), y))
}
