package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Residual networks after He et al. 2015, https://arxiv.org/abs/1512.03385, Table 1, as torchvision
// builds them: in a bottleneck the stride is on the 3x3 convolution, not on the first 1x1 as in the
// paper.

// torchvision published two sets of weights. The first ("tv_in1k", V1) is what most tutorials mean
// by "ResNet-18". The second ("tv2_in1k", V2) was trained longer and wants a slightly larger
// picture before the crop.
var resNetRows = []Row{
	resNetRow(18, Row{Tag: "tv_in1k", file: torchvision("resnet18-f37072fd.pth"), Params: 11689512, Top1: 69.758, Top5: 89.078}),
	resNetRow(34, Row{Tag: "tv_in1k", file: torchvision("resnet34-b627a593.pth"), Params: 21797672, Top1: 73.314, Top5: 91.420}),
	resNetRow(50, Row{Tag: "tv_in1k", file: torchvision("resnet50-0676ba61.pth"), Params: 25557032, Top1: 76.130, Top5: 92.862}),
	resNetRow(50, Row{Tag: "tv2_in1k", file: torchvision("resnet50-11ad3fa6.pth"), Params: 25557032, Top1: 80.858, Top5: 95.434}),
	resNetRow(101, Row{Tag: "tv_in1k", file: torchvision("resnet101-63fe2227.pth"), Params: 44549160, Top1: 77.374, Top5: 93.546}),
	resNetRow(101, Row{Tag: "tv2_in1k", file: torchvision("resnet101-cd907fc2.pth"), Params: 44549160, Top1: 81.886, Top5: 95.780}),
	resNetRow(152, Row{Tag: "tv_in1k", file: torchvision("resnet152-394f9c45.pth"), Params: 60192808, Top1: 78.312, Top5: 94.046}),
	resNetRow(152, Row{Tag: "tv2_in1k", file: torchvision("resnet152-f82ba261.pth"), Params: 60192808, Top1: 82.284, Top5: 96.002}),
}

// resNetRow completes a row of torchvision's. The first checkpoint of a depth is the one that the
// bare name means.
func resNetRow(depth int, r Row) Row {
	plain := fmt.Sprintf("resnet%d", depth)
	resize := 232
	r.Name, r.Aliases = plain+"."+r.Tag, []string{plain + ".imagenet1k_v2"}
	if r.Tag == "tv_in1k" {
		resize = 256
		r.Name, r.Aliases = plain, []string{plain + ".imagenet1k_v1"}
	}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, resize, 224, transforms.Bilinear)
	return resNets[depth].complete(r, plain)
}

var resNets = map[int]resNet{
	18:  {blocks: [4]int{2, 2, 2, 2}, classes: 1000},
	34:  {blocks: [4]int{3, 4, 6, 3}, classes: 1000},
	50:  {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, classes: 1000},
	101: {blocks: [4]int{3, 4, 23, 3}, bottleneck: true, classes: 1000},
	152: {blocks: [4]int{3, 8, 36, 3}, bottleneck: true, classes: 1000},
}

type resNet struct {
	blocks     [4]int
	bottleneck bool
	classes    int // 0 = without a classifier
}

func (n resNet) trunk() backbone.Arch {
	n.classes = 0
	return n
}

// complete fills in what all rows of the family share.
func (n resNet) complete(r Row, golden string) Row {
	r.Family, r.Classes, r.Features = "ResNet", "imagenet1k", 512
	if n.bottleneck {
		r.Features = 2048
	}
	r.arch, r.golden = n, golden
	return r
}

func (n resNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Conv("conv1", x, backbone.Conv{Out: 64, Kernel: 7, Stride: 2, Pad: 3}) // [N,H/2,W/2,64]
	x = backbone.ReLU(b.BatchNorm("bn1", x, torchEps))
	x = b.Stage("stem", backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2, Pad: 1})) // [N,H/4,W/4,64]
	for i, blocks := range n.blocks {
		layer, width := fmt.Sprintf("layer%d", i+1), 64<<i
		for j := range blocks {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			if block := b.In(layer, j); n.bottleneck {
				x = bottleneck(block, x, width, stride)
			} else {
				x = basicBlock(block, x, width, stride)
			}
		}
		x = b.Stage(layer, x)
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		out.Logits = b.Linear("fc", out.Features, n.classes)
	}
	return out
}

// basicBlock is two 3x3 convolutions and a shortcut (Figure 2, left).
func basicBlock(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := b.Conv("conv1", x, backbone.Conv{Out: width, Kernel: 3, Stride: stride, Pad: 1})
	y = backbone.ReLU(b.BatchNorm("bn1", y, torchEps))
	y = b.Conv("conv2", y, backbone.Conv{Out: width, Kernel: 3, Pad: 1})
	y = b.BatchNorm("bn2", y, torchEps)
	return backbone.ReLU(Add(y, projection(b.In("downsample"), x, width, stride)))
}

// bottleneck is 1x1, 3x3, 1x1 with four times the width at its end (Figure 5, right).
func bottleneck(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, backbone.Conv{Out: width}), torchEps))
	y = b.Conv("conv2", y, backbone.Conv{Out: width, Kernel: 3, Stride: stride, Pad: 1})
	y = backbone.ReLU(b.BatchNorm("bn2", y, torchEps))
	y = b.BatchNorm("bn3", b.Conv("conv3", y, backbone.Conv{Out: 4 * width}), torchEps)
	return backbone.ReLU(Add(y, projection(b.In("downsample"), x, 4*width, stride)))
}

// projection is the shortcut: x itself, or x through a 1x1 convolution where the shape changes
// (option B of the paper).
func projection(b *backbone.Builder, x *Node, width, stride int) *Node {
	if stride == 1 && x.Shape().Dim(-1) == width {
		return x
	}
	return b.BatchNorm("1", b.Conv("0", x, backbone.Conv{Out: width, Stride: stride}), torchEps)
}
