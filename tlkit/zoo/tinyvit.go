package zoo

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// TinyViT, https://arxiv.org/abs/2207.10666: small networks that learnt from a large one on
// ImageNet-21k (dist_in22k).
var tinyViTRows = []Row{
	tinyViTRow("tiny_vit_5m_224.dist_in22k_ft_in1k", Row{Params: 5392764, Top1: 80.874, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	tinyViTRow("tiny_vit_11m_224.dist_in22k_ft_in1k", Row{Params: 10996972, Top1: 83.232, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	tinyViTRow("tiny_vit_21m_224.dist_in22k_ft_in1k", Row{Params: 21198568, Top1: 85.088, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	tinyViTRow("tiny_vit_21m_384.dist_in22k_ft_in1k", Row{Params: 21230488, Top1: 86.088, Preset: square(384, 1, "imagenet"), Classes: "imagenet1k"}),
	tinyViTRow("tiny_vit_21m_512.dist_in22k_ft_in1k", Row{Params: 21268120, Preset: squash(512, transforms.Bicubic, "imagenet"), Classes: "imagenet1k"}),
	tinyViTRow("tiny_vit_5m_224.in1k", Row{Params: 5392764, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	tinyViTRow("tiny_vit_5m_224.dist_in22k", Row{Params: 5071764, Preset: square(224, 0.95, "imagenet")}),
	tinyViTRow("tiny_vit_21m_224.dist_in22k", Row{Params: 20621568, Preset: square(224, 0.95, "imagenet")}),
}

var tinyViTs = map[string]tinyViT{
	"tiny_vit_5m_224":  {widths: [4]int{64, 128, 160, 320}, heads: [4]int{2, 4, 5, 10}, windows: [4]int{7, 7, 14, 7}},
	"tiny_vit_11m_224": {widths: [4]int{64, 128, 256, 448}, heads: [4]int{2, 4, 8, 14}, windows: [4]int{7, 7, 14, 7}},
	"tiny_vit_21m_224": {widths: [4]int{96, 192, 384, 576}, heads: [4]int{3, 6, 12, 18}, windows: [4]int{7, 7, 14, 7}},
	"tiny_vit_21m_384": {widths: [4]int{96, 192, 384, 576}, heads: [4]int{3, 6, 12, 18}, windows: [4]int{12, 12, 24, 12}},
	"tiny_vit_21m_512": {widths: [4]int{96, 192, 384, 576}, heads: [4]int{3, 6, 12, 18}, windows: [4]int{16, 16, 32, 16}},
}

func tinyViTRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	t, ok := tinyViTs[r.golden]
	if !ok {
		panic("zoo: no TinyViT is called " + r.golden)
	}
	r.Family, r.Licence, r.Features = "TinyViT", "Apache-2.0", t.widths[3]
	full := t
	full.classes = 1000
	r.small = full
	if r.Classes != "" {
		t = full
	} else {
		r.ignore = []string{"head.fc."}
	}
	r.arch = t
	return r
}

// tinyViT is one stage of convolutions, and three of transformers over windows of the map, with a
// depthwise convolution in each block.
type tinyViT struct {
	widths  [4]int // channels of the stages
	heads   [4]int
	windows [4]int // sides
	classes int    // 0 = without a classifier
}

func (t tinyViT) trunk() backbone.Arch {
	t.classes = 0
	return t
}

func (t tinyViT) Build(b *backbone.Builder, x *Node) backbone.Output {
	patches := b.In("patch_embed")
	x = convNorm(patches, "conv1", x, backbone.Conv{Out: t.widths[0] / 2, Kernel: 3, Stride: 2, Pad: 1})
	x = convNorm(patches, "conv2", backbone.GELU(x), backbone.Conv{Out: t.widths[0], Kernel: 3, Stride: 2, Pad: 1})
	x = b.Stage("patch_embed", x) // [N,H/4,W/4,C]
	for i, depth := range [4]int{2, 2, 6, 2} {
		name := fmt.Sprintf("stages.%d", i)
		stage := b.In(name)
		if i > 0 {
			x = t.bottleneck(stage.In("downsample"), x, backbone.Conv{Out: t.widths[i], Stride: 2}, t.widths[i])
		}
		for j := range depth {
			b := stage.In("blocks", j)
			if i == 0 {
				y := t.bottleneck(b, x, backbone.Conv{Out: t.widths[0], Stride: 1}, 4*t.widths[0])
				x = backbone.GELU(Add(y, x))
				continue
			}
			x = t.block(b, x, i)
		}
		x = b.Stage(name, x)
	}
	features := b.Stage("head.norm", b.LayerNorm("head.norm", backbone.GlobalAverage(x), 1e-5))
	out := backbone.Output{Map: x, Features: features}
	if t.classes > 0 {
		out.Logits = b.Linear("head.fc", features, t.classes)
	}
	return out
}

// convNorm is a convolution, or without channels of its own a depthwise one, and its batch norm.
func convNorm(b *backbone.Builder, name string, x *Node, c backbone.Conv) *Node {
	if c.Out == 0 {
		x = b.Depthwise(name+".conv", x, c)
	} else {
		x = b.Conv(name+".conv", x, c)
	}
	return b.BatchNorm(name+".bn", x, torchEps)
}

// bottleneck is a depthwise convolution between two pointwise ones, with inside channels.
func (t tinyViT) bottleneck(b *backbone.Builder, x *Node, c backbone.Conv, inside int) *Node {
	x = backbone.GELU(convNorm(b, "conv1", x, backbone.Conv{Out: inside}))
	x = backbone.GELU(convNorm(b, "conv2", x, backbone.Conv{Kernel: 3, Stride: c.Stride, Pad: 1}))
	return convNorm(b, "conv3", x, backbone.Conv{Out: c.Out})
}

func (t tinyViT) block(b *backbone.Builder, x *Node, stage int) *Node {
	width, heads, side := t.widths[stage], t.heads[stage], t.windows[stage]
	y := windowsOf(x, side, false).each(x, func(y *Node) *Node {
		b := b.In("attn")
		return b.Attention(b.LayerNorm("norm", y, 1e-5), backbone.Attention{Heads: heads, ByHead: true, Scores: t.distances(b, y, heads, side)})
	})
	x = convNorm(b, "local_conv", Add(x, y), backbone.Conv{Kernel: 3, Pad: 1})
	y = b.LayerNorm("mlp.norm", x, 1e-5)
	y = b.Linear("mlp.fc2", backbone.GELU(b.Linear("mlp.fc1", y, 4*width)), width)
	return Add(x, y)
}

// distances are a learnt number for how far two pixels of a window lie apart, whatever the direction,
// [1,heads,T,T].
func (t tinyViT) distances(b *backbone.Builder, x *Node, heads, side int) *Node {
	pixels := side * side
	table := b.Weight(x, weights.Want{Name: "attention_biases", Shape: []int{heads, pixels}}, true)
	index := func() []int32 {
		index := make([]int32, pixels*pixels)
		for p := range pixels {
			for q := range pixels {
				dy, dx := p/side-q/side, p%side-q%side
				index[p*pixels+q] = int32(max(dy, -dy)*side + max(dx, -dx))
			}
		}
		return index
	}
	rows := Gather(TransposeAllAxes(table, 1, 0), backbone.Constant(x.Graph(), index, pixels*pixels, 1)) // [T*T,heads]
	return Reshape(TransposeAllAxes(Reshape(rows, pixels, pixels, heads), 2, 0, 1), 1, heads, pixels, pixels)
}
