package zoo

import (
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// Swin transformers, second version, https://arxiv.org/abs/2111.09883, by timm.
var swinV2Rows = []Row{
	swinV2Row("swinv2_tiny_window8_256.ms_in1k", Row{Params: 28347154, Top1: 81.824, Preset: square(256, 0.9, "imagenet")}),
	swinV2Row("swinv2_tiny_window16_256.ms_in1k", Row{Params: 28347154, Preset: square(256, 0.9, "imagenet")}),
	swinV2Row("swinv2_small_window8_256.ms_in1k", Row{Params: 49728418, Preset: square(256, 0.9, "imagenet")}),
	swinV2Row("swinv2_small_window16_256.ms_in1k", Row{Params: 49728418, Preset: square(256, 0.9, "imagenet")}),
	swinV2Row("swinv2_base_window8_256.ms_in1k", Row{Params: 87918816, Top1: 84.246, Preset: square(256, 0.9, "imagenet")}),
	swinV2Row("swinv2_base_window12to16_192to256.ms_in22k_ft_in1k", Row{Params: 87918816, Preset: square(256, 0.9, "imagenet")}),
	swinV2Row("swinv2_base_window12to24_192to384.ms_in22k_ft_in1k", Row{Params: 87918816, Preset: square(384, 1, "imagenet")}),
	swinV2Row("swinv2_large_window12to16_192to256.ms_in22k_ft_in1k", Row{Params: 196739932, Preset: square(256, 0.9, "imagenet")}),
}

var swinV2s = map[string]swinV2{
	"swinv2_tiny_window8_256":            {width: 96, window: 8, depths: [4]int{2, 2, 6, 2}, heads: 3},
	"swinv2_tiny_window16_256":           {width: 96, window: 16, depths: [4]int{2, 2, 6, 2}, heads: 3},
	"swinv2_small_window8_256":           {width: 96, window: 8, depths: [4]int{2, 2, 18, 2}, heads: 3},
	"swinv2_small_window16_256":          {width: 96, window: 16, depths: [4]int{2, 2, 18, 2}, heads: 3},
	"swinv2_base_window8_256":            {width: 128, window: 8, depths: [4]int{2, 2, 18, 2}, heads: 4},
	"swinv2_base_window12to16_192to256":  {width: 128, window: 16, depths: [4]int{2, 2, 18, 2}, heads: 4, trained: [4]int{12, 12, 12, 6}},
	"swinv2_base_window12to24_192to384":  {width: 128, window: 24, depths: [4]int{2, 2, 18, 2}, heads: 4, trained: [4]int{12, 12, 12, 6}},
	"swinv2_large_window12to16_192to256": {width: 192, window: 16, depths: [4]int{2, 2, 18, 2}, heads: 6, trained: [4]int{12, 12, 12, 6}},
}

func swinV2Row(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	s, ok := swinV2s[r.golden]
	if !ok {
		panic("zoo: no Swin transformer V2 is called " + r.golden)
	}
	r.Family, r.Licence = "Swin V2", "MIT"
	s.classes = 1000
	r.Features, r.Classes = 8*s.width, "imagenet1k"
	r.arch, r.small = s, s.shallow()
	return r
}

// swinV2 is swin with norms behind attention and MLP instead of before them, scores that are cosines,
// and a small network that computes what a distance of two pixels adds to them.
type swinV2 struct {
	width, window int // channels of the first stage, each stage doubles them; side of a window
	depths        [4]int
	heads         int    // of the first stage; each stage doubles them
	trained       [4]int // side of the windows that each stage was trained with first; 0 = as they are
	classes       int    // 0 = without a classifier
}

func (s swinV2) trunk() backbone.Arch {
	s.classes = 0
	return s
}

// shallow returns s as its golden values were computed, see swin.shallow.
func (s swinV2) shallow() backbone.Arch {
	s.depths[2] = swin{width: s.width, depths: s.depths}.shallow().(swin).depths[2]
	return s
}

func (s swinV2) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Patches("patch_embed.proj", x, backbone.Conv{Out: s.width, Kernel: 4, Bias: true}) // [N,H/4,W/4,width]
	x = b.Stage("patch_embed", b.LayerNorm("patch_embed.norm", x, swinEps))
	for i, depth := range s.depths {
		name := fmt.Sprintf("layers.%d", i)
		if i > 0 {
			b := b.In(name, "downsample")
			x = sideBySide(x)
			x = b.LayerNorm("norm", b.Matrix("reduction", x, x.Shape().Dim(-1)/2), swinEps)
		}
		for j := range depth {
			x = s.block(b.In(name, "blocks", j), x, i, j%2 == 1)
		}
		x = b.Stage(name, x)
	}
	x = b.Stage("norm", b.LayerNorm("norm", x, swinEps))
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if s.classes > 0 {
		out.Logits = b.Linear("head.fc", out.Features, s.classes)
	}
	return out
}

func (s swinV2) block(b *backbone.Builder, x *Node, stage int, shifted bool) *Node {
	c, heads := x.Shape().Dim(-1), s.heads<<stage
	// A map that is smaller than a window is one.
	windows := windowsOf(x, min(s.window, x.Shape().Dim(1)), shifted)
	y := windows.each(x, func(y *Node) *Node {
		b := b.In("attn")
		scores := windows.mask(distanceNet(b.In("cpb_mlp"), y, distanceNetwork{windows.side, s.trained[stage], heads}))
		return b.Attention(y, backbone.Attention{Heads: heads, QueryValueBias: true, Cosine: true, Scores: scores})
	})
	x = Add(x, b.LayerNorm("norm1", y, swinEps))
	y = b.Linear("mlp.fc2", backbone.GELU(b.Linear("mlp.fc1", x, 4*c)), c)
	return Add(x, b.LayerNorm("norm2", y, swinEps))
}

// distanceNetwork computes what the distance of two pixels of a window adds to their scores.
type distanceNetwork struct {
	side    int // of the windows
	trained int // of those that it was trained with, 0 = side
	heads   int
}

// distanceNet is the network on all distances in a window, from 0 to 16, [1,heads,T,T]. It sees the
// logarithms of distances, as fractions of the window that it was trained with.
func distanceNet(b *backbone.Builder, x *Node, net distanceNetwork) *Node {
	if net.trained == 0 {
		net.trained = net.side
	}
	coordinate := func(distance int) float32 {
		d := 8 * float64(distance) / float64(max(net.trained-1, 1))
		return float32(math.Copysign(math.Log2(math.Abs(d)+1)/3, d))
	}
	var distances []float32
	for dy := 1 - net.side; dy < net.side; dy++ {
		for dx := 1 - net.side; dx < net.side; dx++ {
			distances = append(distances, coordinate(dy), coordinate(dx))
		}
	}
	d := ConvertDType(Const(x.Graph(), tensors.FromFlatDataAndDimensions(distances, len(distances)/2, 2)), x.DType())
	table := b.Matrix("2", backbone.ReLU(b.Linear("0", d, 512)), net.heads)
	return MulScalar(Sigmoid(byDistance(table, net.side)), 16)
}
