package zoo

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Vision transformers as timm keeps them. What differs between their families is how they were
// trained, so that is what the table is divided by.
var vitRows = []Row{
	// Supervised, on ImageNet-21k or 12k first: https://arxiv.org/abs/2106.10270 (augreg), and timm's
	// own search for better small ones (sbb).
	vitRow("vit_tiny_patch16_224.augreg_in21k_ft_in1k", Row{Family: "ViT", Params: 5717416, Top1: 75.452, Preset: square(224, 0.9, "half"), Classes: "imagenet1k", Features: 192}),
	vitRow("vit_small_patch16_224.augreg_in21k_ft_in1k", Row{Family: "ViT", Params: 22050664, Top1: 81.402, Preset: square(224, 0.9, "half"), Classes: "imagenet1k", Features: 384}),
	vitRow("vit_base_patch16_224.augreg2_in21k_ft_in1k", Row{Family: "ViT", Params: 86567656, Top1: 85.108, Preset: square(224, 0.9, "half"), Classes: "imagenet1k", Features: 768}),
	vitRow("vit_base_patch16_224.augreg_in21k", Row{Family: "ViT", Params: 85798656, Preset: square(224, 0.9, "half"), Features: 768}),
	vitRow("vit_large_patch16_224.augreg_in21k_ft_in1k", Row{Family: "ViT", Params: 304326632, Top1: 85.856, Preset: square(224, 0.9, "half"), Classes: "imagenet1k", Features: 1024}),
	vitRow("vit_medium_patch16_reg4_gap_256.sbb_in12k_ft_in1k", Row{Family: "ViT", Params: 38881768, Top1: 84.956, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 512}),
	vitRow("vit_little_patch16_reg1_gap_256.sbb_in12k_ft_in1k", Row{Family: "ViT", Params: 22515048, Top1: 83.8, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 320}),
	vitRow("vit_mediumd_patch16_reg4_gap_256.sbb2_e200_in12k_ft_in1k", Row{Family: "ViT", Params: 64109032, Top1: 86.608, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 512}),
	vitRow("vit_wee_patch16_reg1_gap_256.sbb_in1k", Row{Family: "ViT", Params: 13422568, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 256}),
	vitRow("vit_little_patch16_reg4_gap_256.sbb_in1k", Row{Family: "ViT", Params: 22516008, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 320}),
	vitRow("vit_medium_patch16_reg1_gap_256.sbb_in1k", Row{Family: "ViT", Params: 38880232, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 512}),
	vitRow("vit_betwixt_patch16_reg1_gap_256.sbb_in1k", Row{Family: "ViT", Params: 60396520, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 640}),
	vitRow("vit_betwixt_patch16_reg4_gap_256.sbb2_e200_in12k_ft_in1k", Row{Family: "ViT", Params: 60398440, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 640}),
	vitRow("vit_mediumd_patch16_reg4_gap_256.sbb_in12k_ft_in1k", Row{Family: "ViT", Params: 64109032, Preset: square(256, 0.95, "half"), Classes: "imagenet1k", Features: 512}),
	// Trained on patches of many sizes: https://arxiv.org/abs/2212.08013.
	vitRow("flexivit_small.1200ep_in1k", Row{Family: "FlexiViT", Params: 22061416, Preset: square(240, 0.95, "half"), Classes: "imagenet1k", Features: 384}),
	vitRow("flexivit_base.1200ep_in1k", Row{Family: "FlexiViT", Params: 86589160, Preset: square(240, 0.95, "half"), Classes: "imagenet1k", Features: 768}),
	vitRow("flexivit_large.1200ep_in1k", Row{Family: "FlexiViT", Params: 304355304, Preset: square(240, 0.95, "half"), Classes: "imagenet1k", Features: 1024}),
	// Without labels, by filling in hidden patches: https://arxiv.org/abs/2111.06377.
	vitRow("vit_base_patch16_224.mae", Row{Family: "MAE", Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 85798656, Preset: square(224, 0.9, "imagenet"), Features: 768}),
	// Without labels, by agreeing with a slower copy of itself: https://arxiv.org/abs/2104.14294.
	vitRow("vit_small_patch16_224.dino", Row{Family: "DINO", Params: 21665664, Preset: square(224, 0.9, "imagenet"), Features: 384}),
	vitRow("vit_base_patch16_224.dino", Row{Family: "DINO", Params: 85798656, Preset: square(224, 0.9, "imagenet"), Features: 768}),
	// The same idea on 142 million chosen pictures: https://arxiv.org/abs/2304.07193. Registers (reg4)
	// make its maps cleaner: https://arxiv.org/abs/2309.16588.
	vitRow("vit_small_patch14_dinov2.lvd142m", Row{Family: "DINOv2", Params: 22056192, Preset: dinov2Preset, Features: 384}),
	vitRow("vit_small_patch14_reg4_dinov2.lvd142m", Row{Family: "DINOv2", Params: 22057344, Preset: dinov2Preset, Features: 384}),
	vitRow("vit_base_patch14_dinov2.lvd142m", Row{Family: "DINOv2", Params: 86579712, Preset: dinov2Preset, Features: 768}),
	vitRow("vit_base_patch14_reg4_dinov2.lvd142m", Row{Family: "DINOv2", Params: 86582016, Preset: dinov2Preset, Features: 768}),
	vitRow("vit_large_patch14_reg4_dinov2.lvd142m", Row{Family: "DINOv2", Params: 304370688, Preset: dinov2Preset, Features: 1024}),
	vitRow("vit_large_patch14_dinov2.lvd142m", Row{Family: "DINOv2", Params: 304367616, Preset: dinov2Preset, Features: 1024}),
	// Supervised, on ImageNet-1k alone: https://arxiv.org/abs/2012.12877.
	vitRow("deit_tiny_patch16_224.fb_in1k", Row{Family: "DeiT", Params: 5717416, Top1: 72.19, Preset: square(224, 0.9, "imagenet"), Classes: "imagenet1k", Features: 192}),
	vitRow("deit_small_patch16_224.fb_in1k", Row{Family: "DeiT", Params: 22050664, Top1: 79.856, Preset: square(224, 0.9, "imagenet"), Classes: "imagenet1k", Features: 384}),
	vitRow("deit_base_patch16_224.fb_in1k", Row{Family: "DeiT", Params: 86567656, Top1: 81.98, Preset: square(224, 0.9, "imagenet"), Classes: "imagenet1k", Features: 768}),
	// The same with a better recipe: https://arxiv.org/abs/2204.07118.
	vitRow("deit3_small_patch16_224.fb_in22k_ft_in1k", Row{Family: "DeiT III", Params: 22059496, Top1: 83.082, Preset: square(224, 1, "imagenet"), Classes: "imagenet1k", Features: 384}),
	vitRow("deit3_base_patch16_224.fb_in22k_ft_in1k", Row{Family: "DeiT III", Params: 86585320, Top1: 85.728, Preset: square(224, 1, "imagenet"), Classes: "imagenet1k", Features: 768}),
	vitRow("deit3_small_patch16_224.fb_in1k", Row{Family: "DeiT III", Params: 22059496, Preset: square(224, 0.9, "imagenet"), Classes: "imagenet1k", Features: 384}),
	// Trained to match pictures with their captions: https://arxiv.org/abs/2103.00020. These are the
	// image towers, up to the features in front of the projection. OpenAI's use QuickGELU.
	at("vit_base_patch32_clip_224.openai", vitRow("vit_base_patch32_clip_quickgelu_224.openai", Row{Family: "CLIP", Params: 87456000, Preset: square(224, 0.9, "clip"), Features: 768})),
	at("vit_base_patch16_clip_224.openai", vitRow("vit_base_patch16_clip_quickgelu_224.openai", Row{Family: "CLIP", Params: 85799424, Preset: square(224, 0.9, "clip"), Features: 768})),
	vitRow("vit_base_patch16_clip_224.laion2b", Row{Family: "CLIP", Params: 85799424, Preset: square(224, 1, "clip"), Features: 768}),
	vitRow("vit_base_patch16_clip_224.datacompxl", Row{Family: "CLIP", Params: 85799424, Preset: square(224, 1, "clip"), Features: 768}),
	at("vit_large_patch14_clip_224.openai", vitRow("vit_large_patch14_clip_quickgelu_224.openai", Row{Family: "CLIP", Params: 303179776, Preset: square(224, 1, "clip"), Features: 1024})),
	vitRow("vit_large_patch14_clip_224.laion2b", Row{Family: "CLIP", Params: 303179776, Preset: square(224, 1, "half"), Features: 1024}),
	vitRow("vit_base_patch16_clip_224.laion2b_ft_in12k_in1k", Row{Family: "CLIP", Params: 86568424, Top1: 86.204, Preset: square(224, 0.95, "clip"), Classes: "imagenet1k", Features: 768}),
	vitRow("vit_base_patch16_clip_224.openai_ft_in1k", Row{Family: "CLIP", Params: 86568424, Top1: 85.282, Preset: square(224, 0.9, "clip"), Classes: "imagenet1k", Features: 768}),
	// The same with a loss for each pair: https://arxiv.org/abs/2303.15343, https://arxiv.org/abs/2502.14786.
	vitRow("vit_base_patch32_siglip_256.v2_webli", Row{Family: "SigLIP", Params: 94552320, Preset: square(256, 0.9, "half"), Features: 768}),
	vitRow("vit_base_patch16_siglip_224.v2_webli", Row{Family: "SigLIP", Params: 92884224, Preset: square(224, 0.9, "half"), Features: 768}),
	vitRow("vit_base_patch16_siglip_256.v2_webli", Row{Family: "SigLIP", Params: 92930304, Preset: square(256, 0.9, "half"), Features: 768}),
	vitRow("vit_base_patch16_siglip_224.webli", Row{Family: "SigLIP", Params: 92884224, Preset: square(224, 0.9, "half"), Features: 768}),
	vitRow("vit_large_patch16_siglip_256.v2_webli", Row{Family: "SigLIP", Params: 315956224, Preset: square(256, 0.9, "half"), Features: 1024}),
}

// square is timm's evaluation with bicubic interpolation, see timmPreset.
func square(size int, crop float64, stats string) transforms.Preset {
	return timmPreset(size, crop, transforms.Bicubic, stats)
}

// dinov2Preset is that of the authors' own classifiers, 224 pixels. timm evaluates at 518, the size of
// the positions in the file, which takes seven times as long.
var dinov2Preset = short("", 256, 224, transforms.Bicubic)

// vitRow completes a row with the architecture that its name begins with.
func vitRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	if plain, ok := strings.CutPrefix(r.golden, "deit_"); ok {
		r.golden = "vit_" + plain // the same network
	}
	v, ok := visionTransformers[r.golden]
	if !ok {
		panic("zoo: no vision transformer is called " + r.golden)
	}
	if r.Licence == "" {
		r.Licence = "Apache-2.0"
	}
	r.small = v.shallow()
	if r.Classes == "" {
		v.classes = 0
		r.ignore = []string{"head.", "mask_token"}
	}
	r.arch = v
	return r
}

// at is a row whose file is kept under another name.
func at(repository string, r Row) Row {
	r.Origin = "https://huggingface.co/timm/" + repository
	r.file.Sources[0].HF.Repo = "timm/" + repository
	return r
}

// visionTransformers are the architectures, under timm's names, with the classifier of most rows.
var visionTransformers = map[string]visionTransformer{
	"vit_tiny_patch16_224":  {patch: 16, width: 192, depth: 12, heads: 3, grid: 14, classes: 1000},
	"vit_small_patch16_224": {patch: 16, width: 384, depth: 12, heads: 6, grid: 14, classes: 1000},
	"vit_base_patch16_224":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, classes: 1000},
	"vit_large_patch16_224": {patch: 16, width: 1024, depth: 24, heads: 16, grid: 14, classes: 1000},

	"vit_wee_patch16_reg1_gap_256":     {patch: 16, width: 256, depth: 14, heads: 4, hidden: 1280, registers: 1, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"vit_little_patch16_reg4_gap_256":  {patch: 16, width: 320, depth: 14, heads: 5, hidden: 1792, registers: 4, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"vit_medium_patch16_reg1_gap_256":  {patch: 16, width: 512, depth: 12, heads: 8, registers: 1, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"vit_betwixt_patch16_reg1_gap_256": {patch: 16, width: 640, depth: 12, heads: 10, registers: 1, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"vit_betwixt_patch16_reg4_gap_256": {patch: 16, width: 640, depth: 12, heads: 10, registers: 4, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"flexivit_small":                   {patch: 16, width: 384, depth: 12, heads: 6, grid: 15, classes: 1000, patchesOnly: true},
	"flexivit_base":                    {patch: 16, width: 768, depth: 12, heads: 12, grid: 15, classes: 1000, patchesOnly: true},
	"flexivit_large":                   {patch: 16, width: 1024, depth: 24, heads: 16, grid: 15, classes: 1000, patchesOnly: true},
	"vit_little_patch16_reg1_gap_256":  {patch: 16, width: 320, depth: 14, heads: 5, hidden: 1792, registers: 1, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"vit_medium_patch16_reg4_gap_256":  {patch: 16, width: 512, depth: 12, heads: 8, registers: 4, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},
	"vit_mediumd_patch16_reg4_gap_256": {patch: 16, width: 512, depth: 20, heads: 8, registers: 4, grid: 16, classes: 1000, pool: meanOfPatches, layerScale: true, patchesOnly: true},

	"vit_small_patch14_dinov2":      {patch: 14, width: 384, depth: 12, heads: 6, grid: 37, layerScale: true},
	"vit_base_patch14_dinov2":       {patch: 14, width: 768, depth: 12, heads: 12, grid: 37, layerScale: true},
	"vit_large_patch14_dinov2":      {patch: 14, width: 1024, depth: 24, heads: 16, grid: 37, layerScale: true},
	"vit_small_patch14_reg4_dinov2": {patch: 14, width: 384, depth: 12, heads: 6, registers: 4, grid: 37, layerScale: true, patchesOnly: true},
	"vit_base_patch14_reg4_dinov2":  {patch: 14, width: 768, depth: 12, heads: 12, registers: 4, grid: 37, layerScale: true, patchesOnly: true},
	"vit_large_patch14_reg4_dinov2": {patch: 14, width: 1024, depth: 24, heads: 16, registers: 4, grid: 37, layerScale: true, patchesOnly: true},

	"deit3_small_patch16_224": {patch: 16, width: 384, depth: 12, heads: 6, grid: 14, classes: 1000, layerScale: true, patchesOnly: true},
	"deit3_base_patch16_224":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, classes: 1000, layerScale: true, patchesOnly: true},

	"vit_base_patch16_clip_224":            {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, classes: 1000, clip: true, eps: 1e-5},
	"vit_large_patch14_clip_224":           {patch: 14, width: 1024, depth: 24, heads: 16, grid: 16, clip: true, eps: 1e-5},
	"vit_base_patch32_clip_quickgelu_224":  {patch: 32, width: 768, depth: 12, heads: 12, grid: 7, clip: true, eps: 1e-5, gelu: quickGELU},
	"vit_base_patch16_clip_quickgelu_224":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, clip: true, eps: 1e-5, gelu: quickGELU},
	"vit_large_patch14_clip_quickgelu_224": {patch: 14, width: 1024, depth: 24, heads: 16, grid: 16, clip: true, eps: 1e-5, gelu: quickGELU},

	"vit_base_patch32_siglip_256":  {patch: 32, width: 768, depth: 12, heads: 12, grid: 8, pool: attentionPool, gelu: tanhGELU},
	"vit_base_patch16_siglip_224":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 14, pool: attentionPool},
	"vit_base_patch16_siglip_256":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 16, pool: attentionPool},
	"vit_base_patch16_siglip_384":  {patch: 16, width: 768, depth: 12, heads: 12, grid: 24, pool: attentionPool},
	"vit_large_patch16_siglip_256": {patch: 16, width: 1024, depth: 24, heads: 16, grid: 16, pool: attentionPool},

	"vit_so400m_patch14_siglip_384": {patch: 14, width: 1152, depth: 27, heads: 16, hidden: 4304, grid: 27, pool: attentionPool},
}

// shallow returns v as its golden values were computed: those of more than 384 channels with two
// blocks, since twelve equal ones prove no more and cost gigabytes.
func (v visionTransformer) shallow() backbone.Arch {
	if v.width > 384 {
		v.depth = 2
	}
	return v
}

// visionTransformer is the network of Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929, with
// the variants that timm's checkpoints of it have. Its names are timm's.
type visionTransformer struct {
	patch, width, depth, heads int
	grid                       int // side of the positions in the file, in patches
	hidden                     int // width inside a block's MLP; 0 = four times width
	classes                    int // 0 = without a classifier
	pool                       tokenPool
	registers                  int     // tokens that belong to no patch, besides the class token (DINOv2)
	eps                        float64 // 0 = 1e-6
	gelu                       gelu
	clip                       bool // patches without bias, and a norm before the first block
	layerScale                 bool // each branch of a block ends with a factor for each channel
	patchesOnly                bool // class token and registers have no position
	aliased                    bool // positions are resampled without antialiasing, as transformers do
}

// tokenPool says how features are made of tokens.
type tokenPool int

const (
	classToken    tokenPool = iota // the class token, behind the last norm
	meanOfPatches                  // the mean of the patches, then a norm; there is no class token
	attentionPool                  // what a learnt query finds, and an MLP; there is no class token
)

// gelu is one of the three forms of GELU.
type gelu int

const (
	erfGELU gelu = iota // exact
	tanhGELU
	quickGELU
)

func (g gelu) of(x *Node) *Node {
	switch g {
	case tanhGELU:
		return backbone.GELUTanh(x)
	case quickGELU:
		return backbone.QuickGELU(x)
	}
	return backbone.GELU(x)
}

func (v visionTransformer) trunk() backbone.Arch {
	v.classes = 0
	return v
}

func (v visionTransformer) Build(b *backbone.Builder, x *Node) backbone.Output {
	n := x.Shape().Dim(0)
	x = b.Patches("patch_embed.proj", x, backbone.Conv{Out: v.width, Kernel: v.patch, Bias: !v.clip}) // [N,h,w,C]
	h, w := x.Shape().Dim(1), x.Shape().Dim(2)
	x = v.tokens(b, Reshape(x, n, h*w, v.width), h, w) // [N,prefix+h*w,C]
	if v.clip {
		x = b.LayerNorm("norm_pre", x, v.epsilon())
	}
	x = b.Stage("patch_embed", x)
	for i := range v.depth {
		name := fmt.Sprintf("blocks.%d", i)
		x = b.Stage(name, v.block(b.In(name), x))
	}
	if v.pool != meanOfPatches {
		x = b.Stage("norm", b.LayerNorm("norm", x, v.epsilon()))
	}
	patches := Slice(x, AxisRange(), AxisRange(v.prefix()), AxisRange())
	// Not n: a part of the network begins with pictures of its own.
	out := backbone.Output{Map: Reshape(patches, x.Shape().Dim(0), h, w, v.width)}
	switch v.pool {
	case classToken:
		out.Features = Squeeze(Slice(x, AxisRange(), AxisRange(0, 1), AxisRange()), 1)
	case meanOfPatches:
		out.Features = b.Stage("fc_norm", b.LayerNorm("fc_norm", ReduceMean(patches, 1), v.epsilon()))
	case attentionPool:
		out.Features = b.Stage("attn_pool", v.attentionPool(b.In("attn_pool"), x))
	}
	if v.classes > 0 {
		out.Logits = b.Linear("head", out.Features, v.classes)
	}
	return out
}

func (v visionTransformer) epsilon() float64 {
	if v.eps == 0 {
		return 1e-6
	}
	return v.eps
}

// prefix is the number of tokens in front of the patches.
func (v visionTransformer) prefix() int {
	if v.pool == classToken {
		return 1 + v.registers
	}
	return v.registers
}

// prefixTokens are class token and registers for each of the patches [N,h*w,C].
func (v visionTransformer) prefixTokens(b *backbone.Builder, patches *Node) []*Node {
	n := patches.Shape().Dim(0)
	var prefix []*Node
	front := func(name string, count int) {
		prefix = append(prefix, BroadcastToDims(b.Token(name, patches, count, v.width), n, count, v.width))
	}
	if v.pool == classToken {
		front("cls_token", 1)
	}
	if v.registers > 0 {
		front("reg_token", v.registers)
	}
	return prefix
}

// tokens puts class token and registers in front of the patches [N,h*w,C], and adds positions.
func (v visionTransformer) tokens(b *backbone.Builder, patches *Node, h, w int) *Node {
	prefix := v.prefixTokens(b, patches)
	before := v.prefix()
	if v.patchesOnly {
		before = 0
	}
	position := v.positions(b, patches, h, w, before)
	if len(prefix) == 0 {
		return Add(patches, position)
	}
	if v.patchesOnly {
		return Concatenate(append(prefix, Add(patches, position)), 1)
	}
	return Add(Concatenate(append(prefix, patches), 1), position)
}

// positions are those of the file [1,before+grid*grid,C], brought to h x w patches.
func (v visionTransformer) positions(b *backbone.Builder, x *Node, h, w, before int) *Node {
	p := b.Token("pos_embed", x, before+v.grid*v.grid, v.width)
	if h == v.grid && w == v.grid {
		return p
	}
	grid := Reshape(Slice(p, AxisRange(), AxisRange(before), AxisRange()), v.grid, v.grid, v.width)
	grid = Reshape(backbone.ResampleGrid(grid, h, w, !v.aliased), 1, h*w, v.width)
	if before == 0 {
		return grid
	}
	return Concatenate([]*Node{Slice(p, AxisRange(), AxisRange(0, before), AxisRange()), grid}, 1)
}

// block is attention and an MLP, each behind a norm and added to what comes in.
func (v visionTransformer) block(b *backbone.Builder, x *Node) *Node {
	scaled := func(name string, y *Node) *Node {
		if v.layerScale {
			y = b.Scale(name+".gamma", y)
		}
		return y
	}
	y := b.In("attn").Attention(b.LayerNorm("norm1", x, v.epsilon()), backbone.Attention{Heads: v.heads})
	x = Add(x, scaled("ls1", y))
	return Add(x, scaled("ls2", v.mlp(b.In("mlp"), b.LayerNorm("norm2", x, v.epsilon()))))
}

func (v visionTransformer) mlp(b *backbone.Builder, x *Node) *Node {
	hidden := v.hidden
	if hidden == 0 {
		hidden = 4 * v.width
	}
	return b.Linear("fc2", v.gelu.of(b.Linear("fc1", x, hidden)), v.width)
}

// attentionPool is SigLIP's: a learnt query attends to all tokens.
func (v visionTransformer) attentionPool(b *backbone.Builder, x *Node) *Node {
	n := x.Shape().Dim(0)
	query := BroadcastToDims(b.Token("latent", x, 1, v.width), n, 1, v.width)
	y := b.CrossAttention(query, x, v.heads)
	y = Add(y, v.mlp(b.In("mlp"), b.LayerNorm("norm", y, v.epsilon())))
	return Squeeze(y, 1)
}
