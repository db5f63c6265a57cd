package zoo

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// ConvNeXt, https://arxiv.org/abs/2201.03545, and ConvNeXt V2, https://arxiv.org/abs/2301.00808, by
// torchvision and by timm.
var convNeXtRows = []Row{
	convNeXtTorch("tiny", Row{file: torchvision("convnext_tiny-983f1562.pth"), Params: 28589128, Top1: 82.52, Top5: 96.146}, 236),
	convNeXtTorch("small", Row{file: torchvision("convnext_small-0c510722.pth"), Params: 50223688, Top1: 83.616, Top5: 96.65}, 230),
	convNeXtTorch("base", Row{file: torchvision("convnext_base-6075fbad.pth"), Params: 88591464, Top1: 84.062, Top5: 96.87}, 232),
	convNeXtRow("convnext_atto.d2_in1k", Row{Params: 3695520, Top1: 75.672, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_femto.d1_in1k", Row{Params: 5217784, Top1: 77.498, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_pico.d1_in1k", Row{Params: 9045672, Top1: 79.516, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_nano.in12k_ft_in1k", Row{Params: 15593560, Top1: 82.306, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_tiny.in12k_ft_in1k", Row{Params: 28589128, Top1: 84.192, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_tiny.fb_in22k", Row{Params: 27820128, Preset: square(224, 0.875, "imagenet")}),
	convNeXtRow("convnext_small.in12k_ft_in1k", Row{Params: 50223688, Top1: 85.164, Preset: square(224, 0.95, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_small.fb_in22k_ft_in1k", Row{Params: 50223688, Top1: 84.582, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_base.fb_in22k_ft_in1k", Row{Params: 88591464, Top1: 85.814, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnext_base.clip_laion2b_augreg_ft_in12k_in1k", Row{Params: 88591464, Top1: 86.378, Preset: square(256, 1, "clip"), Classes: "imagenet1k"}),
	// Taught by DINOv3's largest transformer: https://arxiv.org/abs/2508.10104.
	convNeXtRow("convnext_tiny.dinov3_lvd1689m", Row{Licence: dinov3Licence, Params: 27820128, Preset: square(224, 1, "imagenet")}),
	convNeXtRow("convnext_small.dinov3_lvd1689m", Row{Licence: dinov3Licence, Params: 49454688, Preset: square(224, 1, "imagenet")}),
	convNeXtRow("convnext_base.dinov3_lvd1689m", Row{Licence: dinov3Licence, Params: 87566464, Preset: square(224, 1, "imagenet")}),
	convNeXtRow("convnextv2_atto.fcmae_ft_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 3708400, Top1: 76.644, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnextv2_nano.fcmae_ft_in22k_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 15623800, Top1: 82.038, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnextv2_tiny.fcmae_ft_in22k_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 28635496, Top1: 83.904, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
	convNeXtRow("convnextv2_base.fcmae_ft_in22k_in1k", Row{Licence: "CC-BY-NC-4.0", NonCommercial: true, Params: 88717800, Top1: 86.752, Preset: square(224, 0.875, "imagenet"), Classes: "imagenet1k"}),
}

var convNeXts = map[string]convNeXt{
	"convnext_atto":   {depths: [4]int{2, 2, 6, 2}, width: 40, kernels: true},
	"convnext_femto":  {depths: [4]int{2, 2, 6, 2}, width: 48, kernels: true},
	"convnext_pico":   {depths: [4]int{2, 2, 6, 2}, width: 64, kernels: true},
	"convnext_nano":   {depths: [4]int{2, 2, 8, 2}, width: 80, kernels: true},
	"convnext_tiny":   {depths: [4]int{3, 3, 9, 3}, width: 96},
	"convnext_small":  {depths: [4]int{3, 3, 27, 3}, width: 96},
	"convnext_base":   {depths: [4]int{3, 3, 27, 3}, width: 128},
	"convnextv2_atto": {depths: [4]int{2, 2, 6, 2}, width: 40, second: true, kernels: true},
	"convnextv2_nano": {depths: [4]int{2, 2, 8, 2}, width: 80, second: true, kernels: true},
	"convnextv2_tiny": {depths: [4]int{3, 3, 9, 3}, width: 96, second: true},
	"convnextv2_base": {depths: [4]int{3, 3, 27, 3}, width: 128, second: true},
}

func convNeXtTorch(size string, r Row, resize int) Row {
	plain := "convnext_" + size
	r.Name, r.Tag, r.Family = plain, "tv_in1k", "ConvNeXt"
	r.Aliases = []string{plain + ".imagenet1k_v1"}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, resize, 224, transforms.Bilinear)
	r.Classes = "imagenet1k"
	c := convNeXts[plain]
	c.classes, c.torchvision = 1000, true
	r.arch, r.golden, r.Features = c, plain+".torchvision", 8*c.width
	return r
}

func convNeXtRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.golden, _, _ = strings.Cut(name, ".")
	c, ok := convNeXts[r.golden]
	if !ok {
		panic("zoo: no ConvNeXt is called " + r.golden)
	}
	r.Family, r.Features = "ConvNeXt", 8*c.width
	if c.second {
		r.Family = "ConvNeXt V2"
	}
	if r.Licence == "" {
		r.Licence = "Apache-2.0"
	}
	c.classes = 1000
	r.small = c.shallow()
	if r.Classes == "" {
		c.classes = 0
		r.ignore = []string{"head.fc."}
	}
	r.arch = c
	return r
}

// convNeXt is a network of blocks that look at 7x7 pixels of each channel, then at each pixel.
type convNeXt struct {
	depths      [4]int
	width       int  // of the first stage; each stage doubles it
	classes     int  // 0 = without a classifier
	second      bool // V2: a response norm instead of a factor for each channel
	kernels     bool // the file has the matrices of a block as kernels [out,in,1,1]
	torchvision bool // torchvision's names instead of timm's
}

func (c convNeXt) trunk() backbone.Arch {
	c.classes = 0
	return c
}

// shallow returns c as its golden values were computed, with at most six blocks in the third stage
// where it has many.
func (c convNeXt) shallow() backbone.Arch {
	if c.depths[2] > 9 {
		c.depths[2] = 6
	}
	return c
}

const convNeXtEps = 1e-6

func (c convNeXt) Build(b *backbone.Builder, x *Node) backbone.Output {
	if c.torchvision {
		return c.buildTorchvision(b, x)
	}
	x = b.Patches("stem.0", x, backbone.Conv{Out: c.width, Kernel: 4, Bias: true}) // [N,H/4,W/4,width]
	x = b.Stage("stem", b.LayerNorm("stem.1", x, convNeXtEps))
	for i, depth := range c.depths {
		name := fmt.Sprintf("stages.%d", i)
		stage := b.In(name)
		if i > 0 {
			x = halved(stage.In("downsample"), x)
		}
		for j := range depth {
			x = c.block(stage.In("blocks", j), x)
		}
		x = b.Stage(name, x)
	}
	return c.output(b, x, "head.norm", "head.fc")
}

func (c convNeXt) buildTorchvision(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Patches("features.0.0", x, backbone.Conv{Out: c.width, Kernel: 4, Bias: true})
	x = b.Stage("features.0", b.LayerNorm("features.0.1", x, convNeXtEps))
	for i, depth := range c.depths {
		if i > 0 {
			name := fmt.Sprintf("features.%d", 2*i)
			x = b.Stage(name, halved(b.In(name), x))
		}
		name := fmt.Sprintf("features.%d", 2*i+1)
		for j := range depth {
			x = c.block(b.In(name, j), x)
		}
		x = b.Stage(name, x)
	}
	return c.output(b, x, "classifier.0", "classifier.2")
}

func (c convNeXt) output(b *backbone.Builder, x *Node, norm, classifier string) backbone.Output {
	out := backbone.Output{Map: x}
	out.Features = b.Stage(norm, b.LayerNorm(norm, backbone.GlobalAverage(x), convNeXtEps))
	if c.classes > 0 {
		out.Logits = b.Linear(classifier, out.Features, c.classes)
	}
	return out
}

// halved halves the map and doubles its channels.
func halved(b *backbone.Builder, x *Node) *Node {
	width := 2 * x.Shape().Dim(-1)
	return b.Patches("1", b.LayerNorm("0", x, convNeXtEps), backbone.Conv{Out: width, Kernel: 2, Bias: true})
}

// convNeXtNames are the layers of a block.
type convNeXtNames struct{ depthwise, norm, first, second, scale string }

func (c convNeXt) block(b *backbone.Builder, x *Node) *Node {
	n := convNeXtNames{"conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"}
	if c.torchvision {
		n = convNeXtNames{"block.0", "block.2", "block.3", "block.5", "layer_scale"}
	}
	width := x.Shape().Dim(-1)
	y := b.Depthwise(n.depthwise, x, backbone.Conv{Kernel: 7, Pad: 3, Bias: true})
	y = b.LayerNorm(n.norm, y, convNeXtEps)
	y = backbone.GELU(c.dense(b, n.first, y, 4*width))
	if c.second {
		return Add(x, c.dense(b, n.second, b.ResponseNorm("mlp.grn", y), width))
	}
	y = c.dense(b, n.second, y, width)
	if c.torchvision {
		scale := b.Weight(y, weights.Want{Name: n.scale, Shape: []int{width, 1, 1}}, true)
		return Add(x, Mul(y, Reshape(scale, 1, 1, 1, width)))
	}
	return Add(x, b.Scale(n.scale, y))
}

// dense is a matrix product for each pixel.
func (c convNeXt) dense(b *backbone.Builder, name string, x *Node, out int) *Node {
	if c.kernels {
		return b.Conv(name, x, backbone.Conv{Out: out, Bias: true})
	}
	return b.Linear(name, x, out)
}
