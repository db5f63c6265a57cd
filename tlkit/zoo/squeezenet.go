package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// SqueezeNet, https://arxiv.org/abs/1602.07360, by torchvision: 1.2 million parameters. Its classifier
// is a convolution whose maps are averaged; features are the means of the map in front of it, 512
// numbers.
var squeezeNetRows = []Row{
	squeezeNetRow("squeezenet1_0", Row{file: torchvision("squeezenet1_0-b66bff10.pth"), Params: 1248424, Top1: 58.092, Top5: 80.42}),
	squeezeNetRow("squeezenet1_1", Row{file: torchvision("squeezenet1_1-b8a52dc0.pth"), Params: 1235496, Top1: 58.178, Top5: 80.624}),
}

func squeezeNetRow(name string, r Row) Row {
	r.Name, r.Tag, r.Family = name, "tv_in1k", "SqueezeNet"
	r.Aliases = []string{name + ".imagenet1k_v1"}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(name, 256, 224, transforms.Bilinear)
	r.Classes, r.Features, r.golden = "imagenet1k", 512, name
	r.arch = squeezeNet{second: name == "squeezenet1_1", classes: 1000}
	return r
}

type squeezeNet struct {
	second  bool // version 1.1: a smaller first convolution, and earlier poolings
	classes int  // 0 = without a classifier
}

func (n squeezeNet) trunk() backbone.Arch {
	n.classes = 0
	return n
}

func (n squeezeNet) Build(b *backbone.Builder, x *Node) backbone.Output {
	first, pools := backbone.Conv{Out: 96, Kernel: 7, Stride: 2, Bias: true}, map[int]bool{2: true, 6: true, 11: true}
	if n.second {
		first, pools = backbone.Conv{Out: 64, Kernel: 3, Stride: 2, Bias: true}, map[int]bool{2: true, 5: true, 8: true}
	}
	x = b.Stage("features.0", backbone.ReLU(b.Conv("features.0", x, first)))
	squeezed := []int{16, 16, 32, 32, 48, 48, 64, 64}
	for module := 2; len(squeezed) > 0; module++ { // torchvision counts poolings too
		if pools[module] {
			x = halvedUp(x)
			continue
		}
		name := fmt.Sprintf("features.%d", module)
		x = b.Stage(name, fire(b.In(name), x, squeezed[0]))
		squeezed = squeezed[1:]
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)} // [N,512]
	if n.classes > 0 {
		y := b.Conv("classifier.1", x, backbone.Conv{Out: n.classes, Bias: true})
		out.Logits = backbone.GlobalAverage(backbone.ReLU(y))
	}
	return out
}

// fire narrows the map to squeezed channels, then widens it by 1x1 and 3x3 pixels.
func fire(b *backbone.Builder, x *Node, squeezed int) *Node {
	x = backbone.ReLU(b.Conv("squeeze", x, backbone.Conv{Out: squeezed, Bias: true}))
	return Concatenate([]*Node{
		backbone.ReLU(b.Conv("expand1x1", x, backbone.Conv{Out: 4 * squeezed, Bias: true})),
		backbone.ReLU(b.Conv("expand3x3", x, backbone.Conv{Out: 4 * squeezed, Kernel: 3, Pad: 1, Bias: true})),
	}, -1)
}

// halvedUp halves a map by 3x3 pixels; where it does not come out even, the last window looks beyond
// the edge.
func halvedUp(x *Node) *Node {
	w := backbone.Window{Size: [2]int{3, 3}, Stride: [2]int{2, 2}, Dilation: [2]int{1, 1}}
	for i := range w.Pads {
		w.Pads[i][1] = (x.Shape().Dim(1+i) + 1) % 2
	}
	return w.MaxPool(x)
}
