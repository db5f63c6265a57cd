package zoo

import (
	"fmt"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Vision transformers that know places by distance: those of BEiT, and what timm builds with the same
// code, EVA-02 and DINOv3.
var evaRows = []Row{
	// By filling in hidden patches, with visual words: https://arxiv.org/abs/2106.08254,
	// https://arxiv.org/abs/2208.06366.
	evaRow("beit_base_patch16_224.in22k_ft_in22k_in1k", Row{Family: "BEiT", Params: 86530984, Top1: 85.238, Preset: square(224, 0.9, "half")}),
	evaRow("beitv2_base_patch16_224.in1k_ft_in22k_in1k", Row{Family: "BEiT", Params: 86530984, Top1: 86.494, Preset: square(224, 0.9, "imagenet")}),
	evaRow("beitv2_base_patch16_224.in1k_ft_in1k", Row{Family: "BEiT", Params: 86530984, Top1: 85.596, Preset: square(224, 0.9, "imagenet")}),
	evaRow("beitv2_large_patch16_224.in1k_ft_in22k_in1k", Row{Family: "BEiT", Params: 304430568, Top1: 88.406, Preset: square(224, 0.95, "imagenet")}),
	// By filling in what CLIP sees there: https://arxiv.org/abs/2303.11331. The two of CLIP are image
	// towers, up to the features in front of the projection: https://arxiv.org/abs/2303.15389.
	evaRow("eva02_tiny_patch14_336.mim_in22k_ft_in1k", Row{Family: "EVA-02", Params: 5756584, Top1: 80.648, Preset: square(336, 1, "clip")}),
	evaRow("eva02_small_patch14_336.mim_in22k_ft_in1k", Row{Family: "EVA-02", Params: 22129000, Top1: 85.77, Preset: square(336, 1, "clip")}),
	evaRow("eva02_base_patch14_448.mim_in22k_ft_in22k_in1k", Row{Family: "EVA-02", Params: 87117544, Top1: 88.678, Preset: squash(448, transforms.Bicubic, "clip")}),
	evaRow("eva02_large_patch14_448.mim_m38m_ft_in22k_in1k", Row{Family: "EVA-02", Params: 305080232, Top1: 90.056, Preset: squash(448, transforms.Bicubic, "clip")}),
	evaRow("eva02_base_patch16_clip_224.merged2b", Row{Family: "EVA-02", Params: 85869312, Preset: square(224, 0.9, "clip")}),
	evaRow("eva02_large_patch14_clip_224.merged2b", Row{Family: "EVA-02", Params: 303317952, Preset: square(224, 0.9, "clip")}),
	// Without labels, on 1.7 billion pictures: https://arxiv.org/abs/2508.10104.
	evaRow("vit_small_patch16_dinov3.lvd1689m", Row{Family: "DINOv3", Params: 21586944, Preset: square(256, 1, "imagenet")}),
	evaRow("vit_small_plus_patch16_dinov3.lvd1689m", Row{Family: "DINOv3", Params: 28683264, Preset: square(256, 1, "imagenet")}),
	evaRow("vit_base_patch16_dinov3.lvd1689m", Row{Family: "DINOv3", Params: 85641216, Preset: square(256, 1, "imagenet")}),
	evaRow("vit_large_patch16_dinov3.lvd1689m", Row{Family: "DINOv3", Params: 303079424, Preset: square(256, 1, "imagenet")}),
	// The same recipe under a free licence: https://arxiv.org/abs/2607.05247.
	by("belfner", evaRow("vit_small_patch16_lingbot.robbyant", Row{Family: "LingBot-Vision", Params: 21596160, Preset: squash(512, transforms.Bilinear, "imagenet")})),
	by("belfner", evaRow("vit_base_patch16_lingbot.robbyant", Row{Family: "LingBot-Vision", Params: 85659648, Preset: squash(512, transforms.Bilinear, "imagenet")})),
	by("belfner", evaRow("vit_large_patch16_lingbot.robbyant", Row{Family: "LingBot-Vision", Params: 303128576, Preset: squash(512, transforms.Bilinear, "imagenet")})),
}

// dinov3Licence is Meta's own. It allows commercial use, and asks that copies keep it and name it.
const dinov3Licence = "DINOv3 License"

// evaLicences are those of the families' own files, as timm states them.
var evaLicences = map[string]string{"BEiT": "Apache-2.0", "EVA-02": "MIT", "DINOv3": dinov3Licence, "LingBot-Vision": "Apache-2.0"}

// evaRow completes a row with the architecture that its name begins with.
func evaRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	v, ok := evas[r.golden]
	if !ok {
		panic("zoo: no transformer of EVA's kind is called " + r.golden)
	}
	r.Licence, r.Features = evaLicences[r.Family], v.width
	if v.classes > 0 {
		r.Classes = "imagenet1k"
	} else {
		r.ignore = []string{"head."}
	}
	r.arch, r.small = v, v.shallow()
	return r
}

// by is a row whose file another account of the hub keeps.
func by(account string, r Row) Row {
	repository := account + "/" + r.Name
	r.Origin = "https://huggingface.co/" + repository
	r.file.Sources[0].HF.Repo = repository
	return r
}

// evas are the architectures, under timm's names.
var evas = map[string]eva{
	"beit_base_patch16_224":    {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, classes: 1000, places: learntDistances, bias: queryValueBias, layerScale: true, eps: 1e-6},
	"beitv2_base_patch16_224":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, classes: 1000, places: learntDistances, bias: queryValueBias, layerScale: true, eps: 1e-6},
	"beitv2_large_patch16_224": {patch: 16, width: 1024, depth: 24, heads: 16, grid: 14, classes: 1000, places: learntDistances, bias: queryValueBias, layerScale: true, eps: 1e-6},

	"eva02_tiny_patch14_336":       {patch: 14, width: 192, depth: 12, heads: 3, grid: 24, classes: 1000, mlp: packedSwiGLU, bias: queryValueBias, eps: 1e-6},
	"eva02_small_patch14_336":      {patch: 14, width: 384, depth: 12, heads: 6, grid: 24, classes: 1000, mlp: packedSwiGLU, bias: queryValueBias, eps: 1e-6},
	"eva02_base_patch14_448":       {patch: 14, width: 768, depth: 12, heads: 12, grid: 32, classes: 1000, mlp: normedSwiGLU, bias: threeProducts, eps: 1e-6},
	"eva02_large_patch14_448":      {patch: 14, width: 1024, depth: 24, heads: 16, grid: 32, classes: 1000, mlp: normedSwiGLU, bias: threeProducts, eps: 1e-6},
	"eva02_base_patch16_clip_224":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, mlp: normedSwiGLU, bias: threeProducts, normed: true, onClassToken: true, eps: 1e-6},
	"eva02_large_patch14_clip_224": {patch: 14, width: 1024, depth: 24, heads: 16, grid: 16, mlp: normedSwiGLU, bias: threeProducts, normed: true, onClassToken: true, eps: 1e-6},

	"vit_small_patch16_dinov3":      {patch: 16, width: 384, depth: 12, heads: 6, registers: 4, places: centredRotary, bias: noBias, layerScale: true, onClassToken: true, eps: 1e-5},
	"vit_small_plus_patch16_dinov3": {patch: 16, width: 384, depth: 12, heads: 6, registers: 4, places: centredRotary, bias: noBias, mlp: swiGLU, layerScale: true, onClassToken: true, eps: 1e-5},
	"vit_base_patch16_dinov3":       {patch: 16, width: 768, depth: 12, heads: 12, registers: 4, places: centredRotary, bias: noBias, layerScale: true, onClassToken: true, eps: 1e-5},
	"vit_large_patch16_dinov3":      {patch: 16, width: 1024, depth: 24, heads: 16, registers: 4, places: centredRotary, bias: noBias, layerScale: true, onClassToken: true, eps: 1e-5},

	"vit_small_patch16_lingbot": {patch: 16, width: 384, depth: 12, heads: 6, registers: 4, places: centredRotary, bias: queryValueBias, layerScale: true, onClassToken: true, eps: 1e-5},
	"vit_base_patch16_lingbot":  {patch: 16, width: 768, depth: 12, heads: 12, registers: 4, places: centredRotary, bias: queryValueBias, layerScale: true, onClassToken: true, eps: 1e-5},
	"vit_large_patch16_lingbot": {patch: 16, width: 1024, depth: 24, heads: 16, registers: 4, places: centredRotary, bias: queryValueBias, layerScale: true, onClassToken: true, eps: 1e-5},
}

// eva is a vision transformer with a class token, whose attention depends on the distance of two
// patches. Its names are timm's.
type eva struct {
	patch, width, depth, heads int
	grid                       int // side of the places in the file, in patches; 0 = there are none
	classes                    int // 0 = without a classifier
	registers                  int // tokens that belong to no patch, besides the class token
	places                     places
	bias                       attentionBias
	mlp                        gatedMLP
	layerScale                 bool    // each branch of a block ends with a factor for each channel
	normed                     bool    // attention and its last product have a norm between them
	onClassToken               bool    // features are the class token behind a norm; otherwise the mean of the patches, then a norm
	eps                        float64 // of the norms
}

// places says how attention knows where patches are.
type places int

const (
	rotary          places = iota // turned by row and column, as on 16 x 16 patches, and learnt positions (EVA-02)
	centredRotary                 // turned by row and column, from -1 to 1 (DINOv3)
	learntDistances               // a learnt number for each distance and head (BEiT)
)

// attentionBias is the form of the product that makes queries, keys and values.
type attentionBias int

const (
	noBias attentionBias = iota
	queryValueBias
	threeProducts // three products; keys have no bias
)

// gatedMLP is the form of a block's MLP.
type gatedMLP int

const (
	plainMLP     gatedMLP = iota // four times as wide inside, GELU
	packedSwiGLU                 // one part of fc1 gates the other
	swiGLU                       // fc1_g gates fc1_x
	normedSwiGLU                 // the same with a norm behind
)

func (v eva) trunk() backbone.Arch {
	v.classes = 0
	return v
}

// shallow returns v as its golden values were computed, see visionTransformer.shallow.
func (v eva) shallow() backbone.Arch {
	if v.width > 384 {
		v.depth = 2
	}
	return v
}

func (v eva) Build(b *backbone.Builder, x *Node) backbone.Output {
	n := x.Shape().Dim(0)
	x = b.Patches("patch_embed.proj", x, backbone.Conv{Out: v.width, Kernel: v.patch, Bias: true}) // [N,h,w,C]
	h, w := x.Shape().Dim(1), x.Shape().Dim(2)
	x = b.Stage("patch_embed", v.tokens(b, Reshape(x, n, h*w, v.width), h, w)) // [N,1+registers+h*w,C]
	for i := range v.depth {
		name := fmt.Sprintf("blocks.%d", i)
		x = b.Stage(name, v.block(b.In(name), x, h, w))
	}
	if v.onClassToken {
		x = b.Stage("norm", b.LayerNorm("norm", x, v.eps))
	}
	patches := Slice(x, AxisRange(), AxisRange(1+v.registers), AxisRange())
	// Not n: a part of the network begins with pictures of its own.
	out := backbone.Output{Map: Reshape(patches, x.Shape().Dim(0), h, w, v.width)}
	if v.onClassToken {
		out.Features = Squeeze(Slice(x, AxisRange(), AxisRange(0, 1), AxisRange()), 1)
	} else {
		out.Features = b.Stage("fc_norm", b.LayerNorm("fc_norm", ReduceMean(patches, 1), v.eps))
	}
	if v.classes > 0 {
		out.Logits = b.Linear("head", out.Features, v.classes)
	}
	return out
}

// tokens puts class token and registers in front of the patches [N,h*w,C], and adds learnt positions.
func (v eva) tokens(b *backbone.Builder, patches *Node, h, w int) *Node {
	front := visionTransformer{width: v.width, registers: v.registers, grid: v.grid}
	if v.places == rotary {
		return front.tokens(b, patches, h, w)
	}
	return Concatenate(append(front.prefixTokens(b, patches), patches), 1)
}

func (v eva) block(b *backbone.Builder, x *Node, h, w int) *Node {
	a := backbone.Attention{Heads: v.heads, NoBias: v.bias == noBias, QueryValueBias: v.bias == queryValueBias, Apart: v.bias == threeProducts}
	if v.normed {
		a.Norm = v.eps
	}
	if v.places == learntDistances {
		a.Scores = v.distances(b.In("attn"), x, h, w)
	} else {
		a.Rotary = v.rotary(h, w)
	}
	scaled := func(name string, y *Node) *Node {
		if v.layerScale {
			y = b.Scale(name, y)
		}
		return y
	}
	x = Add(x, scaled("gamma_1", b.In("attn").Attention(b.LayerNorm("norm1", x, v.eps), a)))
	return Add(x, scaled("gamma_2", v.feedForward(b.In("mlp"), b.LayerNorm("norm2", x, v.eps))))
}

func (v eva) feedForward(b *backbone.Builder, x *Node) *Node {
	hidden := 8 * v.width / 3 // as many weights as with a plain MLP
	switch v.mlp {
	case plainMLP:
		return b.Linear("fc2", backbone.GELU(b.Linear("fc1", x, 4*v.width)), v.width)
	case packedSwiGLU:
		x = b.Linear("fc1", x, 2*hidden)
		half := func(from, to int) *Node { return Slice(x, AxisRange(), AxisRange(), AxisRange(from, to)) }
		x = Mul(backbone.SiLU(half(0, hidden)), half(hidden, 2*hidden))
	case swiGLU:
		hidden = 4 * v.width
		x = Mul(backbone.SiLU(b.Linear("fc1_g", x, hidden)), b.Linear("fc1_x", x, hidden))
	case normedSwiGLU:
		x = Mul(backbone.SiLU(b.Linear("fc1_g", x, hidden)), b.Linear("fc1_x", x, hidden))
		x = b.LayerNorm("norm", x, v.eps)
	}
	return b.Linear("fc2", x, v.width)
}

// rotary are the angles of h x w patches, the first half of the pairs by row, the other by column. The
// tokens in front are not turned.
func (v eva) rotary(h, w int) backbone.Rotary {
	pairs := v.width / v.heads / 2
	axis := func(at, side, i int) float64 {
		step := float64(i) / float64(pairs/2)
		if v.places == centredRotary {
			return 2 * math.Pi * (2*(float64(at)+0.5)/float64(side) - 1) / math.Pow(100, step)
		}
		const trained = 16 // side in patches of the pictures that EVA-02 was trained on
		return float64(at) * trained / float64(side) / math.Pow(10000, step)
	}
	angles := make([]float64, (1+v.registers)*pairs, (1+v.registers+h*w)*pairs)
	for y := range h {
		for x := range w {
			for i := range pairs / 2 {
				angles = append(angles, axis(y, h, i))
			}
			for i := range pairs / 2 {
				angles = append(angles, axis(x, w, i))
			}
		}
	}
	return backbone.Rotary{Angles: angles, Halves: v.places == centredRotary}
}

// distances are what is added to the scores of attention, [1,heads,T,T]: a learnt number for each
// distance of two patches, and three for the class token: to it, from it, and itself.
func (v eva) distances(b *backbone.Builder, x *Node, h, w int) *Node {
	if h != v.grid || w != v.grid {
		panic(advice.New(fmt.Errorf("distances are learnt for %d x %d patches, got %d x %d", v.grid, v.grid, h, w), "give it pictures of %d pixels", v.grid*v.patch))
	}
	span, t := 2*v.grid-1, v.grid*v.grid
	table := b.Weight(x, weights.Want{Name: "relative_position_bias_table", Shape: []int{span*span + 3, v.heads}}, true)
	index := func() []int32 {
		index := slices.Repeat([]int32{int32(span*span + 1)}, (t+1)*(t+1)) // patches to the class token
		for j := range t + 1 {
			index[j] = int32(span * span) // the class token to patches
		}
		index[0] = int32(span*span + 2)
		for p := range t {
			for q := range t {
				dy, dx := p/v.grid-q/v.grid, p%v.grid-q%v.grid
				index[(p+1)*(t+1)+q+1] = int32((dy+v.grid-1)*span + dx + v.grid - 1)
			}
		}
		return index
	}
	rows := Gather(table, backbone.Constant(x.Graph(), index, (t+1)*(t+1), 1))
	return Reshape(TransposeAllAxes(Reshape(rows, t+1, t+1, v.heads), 2, 0, 1), 1, v.heads, t+1, t+1)
}
