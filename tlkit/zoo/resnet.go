package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// Residual networks after He et al. 2015, https://arxiv.org/abs/1512.03385, Table 1, as torchvision builds them: in a
// bottleneck the stride stands on the 3x3 convolution, not on the first 1x1 as in the paper.
//
// torchvision published two sets of weights. The first ("tv_in1k", V1) is what most tutorials mean by "ResNet-18"; the
// second ("tv2_in1k", V2) was trained longer and wants a slightly larger picture before the crop.
var resNetRows = []Row{
	resNetRow(18, "tv_in1k", "resnet18-f37072fd.pth", 256, 11689512, 69.758, 89.078),
	resNetRow(34, "tv_in1k", "resnet34-b627a593.pth", 256, 21797672, 73.314, 91.420),
	resNetRow(50, "tv_in1k", "resnet50-0676ba61.pth", 256, 25557032, 76.130, 92.862),
	resNetRow(50, "tv2_in1k", "resnet50-11ad3fa6.pth", 232, 25557032, 80.858, 95.434),
	resNetRow(101, "tv_in1k", "resnet101-63fe2227.pth", 256, 44549160, 77.374, 93.546),
	resNetRow(101, "tv2_in1k", "resnet101-cd907fc2.pth", 232, 44549160, 81.886, 95.780),
	resNetRow(152, "tv_in1k", "resnet152-394f9c45.pth", 256, 60192808, 78.312, 94.046),
	resNetRow(152, "tv2_in1k", "resnet152-f82ba261.pth", 232, 60192808, 82.284, 96.002),
}

// The first checkpoint of a depth is the one that the bare name means.
func resNetRow(depth int, tag, file string, resize, params int, top1, top5 float64) Row {
	arch := resNets[depth]
	plain := fmt.Sprintf("resnet%d", depth)
	name, aliases := plain+"."+tag, []string{plain + ".imagenet1k_v2"}
	if tag == "tv_in1k" {
		name, aliases = plain, []string{plain + ".imagenet1k_v1"}
	}
	features := 512
	if arch.bottleneck {
		features = 2048
	}
	return Row{
		Name: name, Tag: tag, Family: "ResNet", Aliases: aliases,
		File:    torchvision(file),
		Licence: torchvisionLicence, Origin: torchvisionOrigin,
		Preset: short(name, resize, 224, "bilinear"),
		Params: params, Top1: top1, Top5: top5,
		Classes: "imagenet1k", Features: features,
		arch:   arch,
		golden: plain,
	}
}

var resNets = map[int]resNet{
	18:  {blocks: [4]int{2, 2, 2, 2}},
	34:  {blocks: [4]int{3, 4, 6, 3}},
	50:  {blocks: [4]int{3, 4, 6, 3}, bottleneck: true},
	101: {blocks: [4]int{3, 4, 23, 3}, bottleneck: true},
	152: {blocks: [4]int{3, 8, 36, 3}, bottleneck: true},
}

type resNet struct {
	blocks     [4]int
	bottleneck bool
}

func (r resNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, 64, 7, 2, 3), torchEps)) // [N,H/2,W/2,64]
	x = b.Stage("stem", backbone.MaxPool(x, 3, 2, 1))                                // [N,H/4,W/4,64]
	for i, blocks := range r.blocks {
		layer, width := fmt.Sprintf("layer%d", i+1), 64<<i
		for j := range blocks {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			if block := b.In(layer, j); r.bottleneck {
				x = bottleneck(block, x, width, stride)
			} else {
				x = basicBlock(block, x, width, stride)
			}
		}
		x = b.Stage(layer, x)
	}
	features := backbone.GlobalAverage(x)
	return backbone.Output{Map: x, Features: features, Logits: b.Linear("fc", features, 1000)}
}

// basicBlock is two 3x3 convolutions and a shortcut (Figure 2, left).
func basicBlock(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, width, 3, stride, 1), torchEps))
	y = b.BatchNorm("bn2", b.Conv("conv2", y, width, 3, 1, 1), torchEps)
	return backbone.ReLU(Add(y, projection(b.In("downsample"), x, width, stride)))
}

// bottleneck is 1x1, 3x3, 1x1 with four times the width at its end (Figure 5, right).
func bottleneck(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, width, 1, 1, 0), torchEps))
	y = backbone.ReLU(b.BatchNorm("bn2", b.Conv("conv2", y, width, 3, stride, 1), torchEps))
	y = b.BatchNorm("bn3", b.Conv("conv3", y, 4*width, 1, 1, 0), torchEps)
	return backbone.ReLU(Add(y, projection(b.In("downsample"), x, 4*width, stride)))
}

// projection is the shortcut: x itself, or through a 1x1 convolution where the shape changes (option B of the paper).
func projection(b *backbone.Builder, x *Node, width, stride int) *Node {
	if stride == 1 && x.Shape().Dim(-1) == width {
		return x
	}
	return b.BatchNorm("1", b.Conv("0", x, width, 1, stride, 0), torchEps)
}
