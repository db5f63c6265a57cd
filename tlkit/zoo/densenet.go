package zoo

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// DenseNet, https://arxiv.org/abs/1608.06993, Table 1, by torchvision and by timm: every layer reads
// the maps of all layers before it.
var denseNetRows = []Row{
	denseNetTorch("densenet121", Row{file: torchvision("densenet121-a639ec97.pth"), Params: 7978856, Top1: 74.434, Top5: 91.972}),
	denseNetTorch("densenet161", Row{file: torchvision("densenet161-8d451a50.pth"), Params: 28681000, Top1: 77.138, Top5: 93.56}),
	denseNetTorch("densenet169", Row{file: torchvision("densenet169-b2777c0a.pth"), Params: 14149480, Top1: 75.6, Top5: 92.806}),
	denseNetTorch("densenet201", Row{file: torchvision("densenet201-c1103571.pth"), Params: 20013928, Top1: 76.896, Top5: 93.37}),
	denseNetRow("densenet121.ra_in1k", Row{Params: 7978856, Top1: 75.574, Preset: square(224, 0.875, "imagenet")}),
}

var denseNets = map[string]denseNet{
	"densenet121": {blocks: [4]int{6, 12, 24, 16}, stem: 64, growth: 32},
	"densenet161": {blocks: [4]int{6, 12, 36, 24}, stem: 96, growth: 48},
	"densenet169": {blocks: [4]int{6, 12, 32, 32}, stem: 64, growth: 32},
	"densenet201": {blocks: [4]int{6, 12, 48, 32}, stem: 64, growth: 32},
}

// denseNetTorch completes a row of torchvision's, whose files are older than the names in its code.
func denseNetTorch(plain string, r Row) Row {
	r.Name, r.Tag, r.Aliases = plain, "tv_in1k", []string{plain + ".imagenet1k_v1"}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, 256, 224, transforms.Bilinear)
	n := denseNets[plain]
	n.dotted = true
	r.golden = plain + ".torchvision"
	return r.denseNet(n)
}

func denseNetRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.Licence = "Apache-2.0"
	r.golden, _, _ = strings.Cut(name, ".")
	return r.denseNet(denseNets[r.golden])
}

// denseNet fills in what all rows share.
func (r Row) denseNet(n denseNet) Row {
	n.classes = 1000
	r.Family, r.Classes, r.Features, r.arch = "DenseNet", "imagenet1k", n.features(), n
	return r
}

type denseNet struct {
	blocks  [4]int // layers of each block
	stem    int    // channels of the first convolution
	growth  int    // channels that a layer adds
	classes int    // 0 = without a classifier
	dotted  bool   // norm.1 for norm1, as torchvision's files have it
}

func (n denseNet) trunk() backbone.Arch {
	n.classes = 0
	return n
}

func (n denseNet) otherNames() []otherNames {
	other := n
	other.dotted = !n.dotted
	if n.dotted {
		return []otherNames{{"torchvision's code and timm", other}}
	}
	return []otherNames{{"torchvision's files", other}}
}

// features is the width of the last map.
func (n denseNet) features() int {
	width := n.stem
	for i, layers := range n.blocks {
		if i > 0 {
			width /= 2
		}
		width += layers * n.growth
	}
	return width
}

func (n denseNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	all := b
	b = b.In("features")
	x = b.Conv("conv0", x, backbone.Conv{Out: n.stem, Kernel: 7, Stride: 2, Pad: 3}) // [N,H/2,W/2,stem]
	x = normed(b, "norm0", x)
	x = b.Stage("stem", backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2, Pad: 1}))
	for i, layers := range n.blocks {
		name := fmt.Sprintf("denseblock%d", i+1)
		for j := range layers {
			x = n.layer(b.In(name, fmt.Sprintf("denselayer%d", j+1)), x)
		}
		if i == 3 {
			break
		}
		x = b.Stage("features."+name, x)
		name = fmt.Sprintf("transition%d", i+1)
		x = normed(b.In(name), "norm", x)
		x = b.In(name).Conv("conv", x, backbone.Conv{Out: x.Shape().Dim(-1) / 2})
		x = b.Stage("features."+name, halves.MeanPool(x, false))
	}
	x = b.Stage("features.denseblock4", normed(b, "norm5", x)) // [N,H/32,W/32,features]
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		out.Logits = all.Linear("classifier", out.Features, n.classes)
	}
	return out
}

// layer appends growth channels to x.
func (n denseNet) layer(b *backbone.Builder, x *Node) *Node {
	number := func(name string, i int) string {
		if n.dotted {
			name += "."
		}
		return name + fmt.Sprint(i)
	}
	y := normed(b, number("norm", 1), x)
	y = b.Conv(number("conv", 1), y, backbone.Conv{Out: 4 * n.growth})
	y = normed(b, number("norm", 2), y)
	y = b.Conv(number("conv", 2), y, backbone.Conv{Out: n.growth, Kernel: 3, Pad: 1})
	return Concatenate([]*Node{x, y}, -1)
}

// normed is a batch norm and a ReLU.
func normed(b *backbone.Builder, name string, x *Node) *Node {
	return backbone.ReLU(b.BatchNorm(name, x, torchEps))
}

// halves is a pool that halves a map; a last odd row or column is left out.
var halves = backbone.Window{Size: [2]int{2, 2}, Stride: [2]int{2, 2}, Dilation: [2]int{1, 1}}
