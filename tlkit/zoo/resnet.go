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

// The same blocks make the other families of this file. ResNeXt, https://arxiv.org/abs/1611.05431,
// convolves groups of channels; Wide ResNet, https://arxiv.org/abs/1605.07146, has more channels
// inside its blocks; SE-ResNet, https://arxiv.org/abs/1709.01507, weighs the channels at their end;
// ResNet-D, https://arxiv.org/abs/1812.01187, begins with three small convolutions and halves the
// shortcut by pooling.

// torchvision published two sets of weights. The first ("tv_in1k", V1) is what most tutorials mean
// by "ResNet-18". The second ("tv2_in1k", V2) was trained longer and wants a slightly larger
// picture before the crop.
var resNetRows = []Row{
	resNetRow("resnet18", Row{Tag: "tv_in1k", file: torchvision("resnet18-f37072fd.pth"), Params: 11689512, Top1: 69.758, Top5: 89.078}),
	resNetRow("resnet34", Row{Tag: "tv_in1k", file: torchvision("resnet34-b627a593.pth"), Params: 21797672, Top1: 73.314, Top5: 91.420}),
	resNetRow("resnet50", Row{Tag: "tv_in1k", file: torchvision("resnet50-0676ba61.pth"), Params: 25557032, Top1: 76.130, Top5: 92.862}),
	resNetRow("resnet50", Row{Tag: "tv2_in1k", file: torchvision("resnet50-11ad3fa6.pth"), Params: 25557032, Top1: 80.858, Top5: 95.434}),
	resNetRow("resnet101", Row{Tag: "tv_in1k", file: torchvision("resnet101-63fe2227.pth"), Params: 44549160, Top1: 77.374, Top5: 93.546}),
	resNetRow("resnet101", Row{Tag: "tv2_in1k", file: torchvision("resnet101-cd907fc2.pth"), Params: 44549160, Top1: 81.886, Top5: 95.780}),
	resNetRow("resnet152", Row{Tag: "tv_in1k", file: torchvision("resnet152-394f9c45.pth"), Params: 60192808, Top1: 78.312, Top5: 94.046}),
	resNetRow("resnet152", Row{Tag: "tv2_in1k", file: torchvision("resnet152-f82ba261.pth"), Params: 60192808, Top1: 82.284, Top5: 96.002}),
	resNetRow("resnext50_32x4d", Row{Tag: "tv_in1k", file: torchvision("resnext50_32x4d-7cdf4587.pth"), Params: 25028904, Top1: 77.618, Top5: 93.698}),
	resNetRow("resnext50_32x4d", Row{Tag: "tv2_in1k", file: torchvision("resnext50_32x4d-1a0047aa.pth"), Params: 25028904, Top1: 81.198, Top5: 95.340}),
	resNetRow("resnext101_32x8d", Row{Tag: "tv_in1k", file: torchvision("resnext101_32x8d-8ba56ff5.pth"), Params: 88791336, Top1: 79.312, Top5: 94.526}),
	resNetRow("resnext101_32x8d", Row{Tag: "tv2_in1k", file: torchvision("resnext101_32x8d-110c445d.pth"), Params: 88791336, Top1: 82.834, Top5: 96.228}),
	resNetRow("resnext101_64x4d", Row{Tag: "tv_in1k", file: torchvision("resnext101_64x4d-173b62eb.pth"), Params: 83455272, Top1: 83.246, Top5: 96.454}),
	resNetRow("wide_resnet50_2", Row{Tag: "tv_in1k", file: torchvision("wide_resnet50_2-95faca4d.pth"), Params: 68883240, Top1: 78.468, Top5: 94.086}),
	resNetRow("wide_resnet50_2", Row{Tag: "tv2_in1k", file: torchvision("wide_resnet50_2-9ba9bcbe.pth"), Params: 68883240, Top1: 81.602, Top5: 95.758}),
	resNetRow("wide_resnet101_2", Row{Tag: "tv_in1k", file: torchvision("wide_resnet101_2-32ee1156.pth"), Params: 126886696, Top1: 78.848, Top5: 94.284}),
	resNetRow("wide_resnet101_2", Row{Tag: "tv2_in1k", file: torchvision("wide_resnet101_2-d733dc28.pth"), Params: 126886696, Top1: 82.510, Top5: 96.020}),
}

// resNetRow completes a row of torchvision's. The first checkpoint of an architecture is the one that
// the bare name means.
func resNetRow(plain string, r Row) Row {
	resize := 232
	r.Name, r.Aliases = plain+"."+r.Tag, []string{plain + ".imagenet1k_v2"}
	if r.Tag == "tv_in1k" {
		resize = 256
		r.Name, r.Aliases = plain, []string{plain + ".imagenet1k_v1"}
	}
	if plain == "resnext101_64x4d" { // it came with the second recipe
		resize = 232
	}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, resize, 224, transforms.Bilinear)
	return r.resNet(plain)
}

var resNets = map[string]resNet{
	"resnet18":         {blocks: [4]int{2, 2, 2, 2}, classes: 1000},
	"resnet34":         {blocks: [4]int{3, 4, 6, 3}, classes: 1000},
	"resnet50":         {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, classes: 1000},
	"resnet101":        {blocks: [4]int{3, 4, 23, 3}, bottleneck: true, classes: 1000},
	"resnet152":        {blocks: [4]int{3, 8, 36, 3}, bottleneck: true, classes: 1000},
	"resnext50_32x4d":  {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, groups: 32, inner: 128, classes: 1000},
	"resnext101_32x8d": {blocks: [4]int{3, 4, 23, 3}, bottleneck: true, groups: 32, inner: 256, classes: 1000},
	"resnext101_64x4d": {blocks: [4]int{3, 4, 23, 3}, bottleneck: true, groups: 64, inner: 256, classes: 1000},
	"wide_resnet50_2":  {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, inner: 128, classes: 1000},
	"wide_resnet101_2": {blocks: [4]int{3, 4, 23, 3}, bottleneck: true, inner: 128, classes: 1000},
	"seresnet50":       {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, weighed: true, classes: 1000},
	"seresnext50_32x4d": {
		blocks: [4]int{3, 4, 6, 3}, bottleneck: true, groups: 32, inner: 128, weighed: true, classes: 1000,
	},
	"resnet18d":  {blocks: [4]int{2, 2, 2, 2}, deep: true, classes: 1000},
	"resnet34d":  {blocks: [4]int{3, 4, 6, 3}, deep: true, classes: 1000},
	"resnet26d":  {blocks: [4]int{2, 2, 2, 2}, bottleneck: true, deep: true, classes: 1000},
	"resnet50d":  {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, deep: true, classes: 1000},
	"resnet101d": {blocks: [4]int{3, 4, 23, 3}, bottleneck: true, deep: true, classes: 1000},
}

type resNet struct {
	blocks     [4]int
	bottleneck bool
	groups     int  // of channels in the 3x3 convolution of a bottleneck; 0 = 1
	inner      int  // channels of that convolution in the first stage; 0 = 64
	weighed    bool // with squeeze and excitation
	deep       bool // ResNet-D
	classes    int  // 0 = without a classifier
}

func (n resNet) trunk() backbone.Arch {
	n.classes = 0
	return n
}

// resNet fills in what all rows of these families share.
func (r Row) resNet(plain string) Row {
	n, ok := resNets[plain]
	if !ok {
		panic("zoo: no ResNet is called " + plain)
	}
	r.Classes, r.Features = "imagenet1k", 512
	if n.bottleneck {
		r.Features = 2048
	}
	switch {
	case n.weighed:
		r.Family = "SE-ResNet"
	case n.deep:
		r.Family = "ResNet-D"
	case n.groups > 1:
		r.Family = "ResNeXt"
	case n.inner > 64:
		r.Family = "Wide ResNet"
	default:
		r.Family = "ResNet"
	}
	r.arch, r.golden = n, plain
	return r
}

func (n resNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = backbone.ReLU(b.BatchNorm("bn1", n.stem(b, x), torchEps))                       // [N,H/2,W/2,64]
	x = b.Stage("stem", backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2, Pad: 1})) // [N,H/4,W/4,64]
	for i, blocks := range n.blocks {
		layer, width := fmt.Sprintf("layer%d", i+1), 64<<i
		for j := range blocks {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			if block := b.In(layer, j); n.bottleneck {
				x = n.bottleneckBlock(block, x, width, stride)
			} else {
				x = n.basicBlock(block, x, width, stride)
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

// stem is the first convolution, or ResNet-D's three.
func (n resNet) stem(b *backbone.Builder, x *Node) *Node {
	if !n.deep {
		return b.Conv("conv1", x, backbone.Conv{Out: 64, Kernel: 7, Stride: 2, Pad: 3})
	}
	b = b.In("conv1")
	x = backbone.ReLU(b.BatchNorm("1", b.Conv("0", x, backbone.Conv{Out: 32, Kernel: 3, Stride: 2, Pad: 1}), torchEps))
	x = backbone.ReLU(b.BatchNorm("4", b.Conv("3", x, backbone.Conv{Out: 32, Kernel: 3, Pad: 1}), torchEps))
	return b.Conv("6", x, backbone.Conv{Out: 64, Kernel: 3, Pad: 1})
}

// basicBlock is two 3x3 convolutions and a shortcut (Figure 2, left).
func (n resNet) basicBlock(b *backbone.Builder, x *Node, width, stride int) *Node {
	y := b.Conv("conv1", x, backbone.Conv{Out: width, Kernel: 3, Stride: stride, Pad: 1})
	y = backbone.ReLU(b.BatchNorm("bn1", y, torchEps))
	y = b.Conv("conv2", y, backbone.Conv{Out: width, Kernel: 3, Pad: 1})
	y = b.BatchNorm("bn2", y, torchEps)
	return backbone.ReLU(Add(y, n.projection(b.In("downsample"), x, width, stride)))
}

// bottleneckBlock is 1x1, 3x3, 1x1 with four times the width at its end (Figure 5, right).
func (n resNet) bottleneckBlock(b *backbone.Builder, x *Node, width, stride int) *Node {
	inner := width
	if n.inner > 0 {
		inner = width * n.inner / 64
	}
	y := backbone.ReLU(b.BatchNorm("bn1", b.Conv("conv1", x, backbone.Conv{Out: inner}), torchEps))
	y = b.Conv("conv2", y, backbone.Conv{Out: inner, Kernel: 3, Stride: stride, Pad: 1, Groups: n.groups})
	y = backbone.ReLU(b.BatchNorm("bn2", y, torchEps))
	y = b.BatchNorm("bn3", b.Conv("conv3", y, backbone.Conv{Out: 4 * width}), torchEps)
	if n.weighed {
		y = squeezeExcite(b.In("se"), y, width/4)
	}
	return backbone.ReLU(Add(y, n.projection(b.In("downsample"), x, 4*width, stride)))
}

// projection is the shortcut: x itself, or x through a 1x1 convolution where the shape changes
// (option B of the paper). ResNet-D averages four pixels instead of taking one of them.
func (n resNet) projection(b *backbone.Builder, x *Node, width, stride int) *Node {
	if stride == 1 && x.Shape().Dim(-1) == width {
		return x
	}
	if !n.deep {
		return b.BatchNorm("1", b.Conv("0", x, backbone.Conv{Out: width, Stride: stride}), torchEps)
	}
	if stride > 1 {
		d := x.Shape().Dimensions
		x = backbone.Window{
			Size: [2]int{2, 2}, Stride: [2]int{2, 2}, Dilation: [2]int{1, 1},
			Pads: [2][2]int{{0, d[1] % 2}, {0, d[2] % 2}}, // a last odd row or column is averaged alone
		}.MeanPool(x, false)
	}
	return b.BatchNorm("2", b.Conv("1", x, backbone.Conv{Out: width}), torchEps)
}

// squeezeExcite multiplies each channel of x by a number from 0 to 1 that depends on the means of all
// channels, through a layer of the width squeezed.
func squeezeExcite(b *backbone.Builder, x *Node, squeezed int) *Node {
	n, c := x.Shape().Dim(0), x.Shape().Dim(-1)
	y := Reshape(backbone.GlobalAverage(x), n, 1, 1, c)
	y = backbone.ReLU(b.Conv("fc1", y, backbone.Conv{Out: squeezed, Bias: true}))
	return Mul(x, Sigmoid(b.Conv("fc2", y, backbone.Conv{Out: c, Bias: true})))
}
