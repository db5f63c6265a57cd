package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Inception-v3, https://arxiv.org/abs/1512.00567, by torchvision and by timm. Its auxiliary
// classifier, which only training needs, is left out. torchvision feeds it ImageNet's statistics, and
// the network turns them into means and deviations of one half; here the preset has these at once.
var inceptionRows = []Row{
	inceptionTorch(Row{file: torchvision("inception_v3_google-0cc3c7bd.pth"), Params: 23834568, Top1: 77.294, Top5: 93.45}),
	inceptionRow("inception_v3.gluon_in1k", Row{Params: 23834568, Preset: square(299, 0.875, "imagenet")}),
}

func inceptionTorch(r Row) Row {
	r.Name, r.Tag, r.Aliases = "inception_v3", "tv_in1k", []string{"inception_v3.imagenet1k_v1"}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, 342, 299, transforms.Bilinear).WithStatistics(statistics("half"))
	return r.inception()
}

func inceptionRow(name string, r Row) Row {
	r = timmRow(name, r)
	r.Licence = "Apache-2.0"
	return r.inception()
}

// inception fills in what all rows share.
func (r Row) inception() Row {
	r.Family, r.Classes, r.Features, r.golden = "Inception-v3", "imagenet1k", 2048, "inception_v3"
	r.arch, r.ignore = inception{classes: 1000}, []string{"AuxLogits."}
	return r
}

type inception struct {
	classes int // 0 = without a classifier
}

func (n inception) trunk() backbone.Arch { return inception{} }

func (n inception) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = inceptionLayer(b, "Conv2d_1a_3x3", x, strip{out: 32, height: 3, width: 3, stride: 2, inside: true})
	x = inceptionLayer(b, "Conv2d_2a_3x3", x, strip{out: 32, height: 3, width: 3, inside: true})
	x = inceptionLayer(b, "Conv2d_2b_3x3", x, strip{out: 64, height: 3, width: 3})
	x = b.Stage("stem", backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2})) // [N,73,73,64] of 299 pixels
	x = inceptionLayer(b, "Conv2d_3b_1x1", x, strip{out: 80})
	x = inceptionLayer(b, "Conv2d_4a_3x3", x, strip{out: 192, height: 3, width: 3, inside: true})
	x = b.Stage("Conv2d_4a_3x3", backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2})) // [N,35,35,192]
	for _, m := range []struct {
		name  string
		build func(b *backbone.Builder, x *Node, width int) *Node
		width int
	}{
		{"Mixed_5b", inceptionA, 32}, {"Mixed_5c", inceptionA, 64}, {"Mixed_5d", inceptionA, 64}, // [N,35,35,288]
		{"Mixed_6a", inceptionB, 0},
		{"Mixed_6b", inceptionC, 128}, {"Mixed_6c", inceptionC, 160}, {"Mixed_6d", inceptionC, 160}, {"Mixed_6e", inceptionC, 192}, // [N,17,17,768]
		{"Mixed_7a", inceptionD, 0},
		{"Mixed_7b", inceptionE, 0}, {"Mixed_7c", inceptionE, 0}, // [N,8,8,2048]
	} {
		x = b.Stage(m.name, m.build(b.In(m.name), x, m.width))
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if n.classes > 0 {
		out.Logits = b.Linear("fc", out.Features, n.classes)
	}
	return out
}

// strip sets up a layer with a kernel of height x width pixels; 0 = 1.
type strip struct {
	out, height, width int
	stride             int  // 0 = 1
	inside             bool // the kernel stays inside the map, which becomes smaller
}

func square3(out int) strip         { return strip{out: out, height: 3, width: 3} }
func lying(out, length int) strip   { return strip{out: out, width: length} }
func upright(out, length int) strip { return strip{out: out, height: length} }

// inceptionLayer is a convolution, its norm and a ReLU.
func inceptionLayer(b *backbone.Builder, name string, x *Node, s strip) *Node {
	b = b.In(name)
	s.height, s.width, s.stride = max(s.height, 1), max(s.width, 1), max(s.stride, 1)
	want := weights.Want{Name: "conv.weight", Shape: []int{s.out, x.Shape().Dim(-1), s.height, s.width}, Layout: weights.OIHWtoHWIO}
	w := backbone.Window{Stride: [2]int{s.stride, s.stride}, Dilation: [2]int{1, 1}}
	if !s.inside {
		w.Pads = [2][2]int{{s.height / 2, s.height / 2}, {s.width / 2, s.width / 2}}
	}
	y := b.Convolution(x, b.Weight(x, want, true), 1, w)
	return backbone.ReLU(b.BatchNorm("bn", y, tensorflowEps))
}

// chain applies layers NAME_1, NAME_2, ...
func chain(b *backbone.Builder, name string, x *Node, layers ...strip) *Node {
	for i, s := range layers {
		x = inceptionLayer(b, fmt.Sprintf("%s_%d", name, i+1), x, s)
	}
	return x
}

// pooled is the branch of the means of 3x3 pixels.
func pooled(b *backbone.Builder, x *Node, width int) *Node {
	means := backbone.Window{Size: [2]int{3, 3}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Pads: [2][2]int{{1, 1}, {1, 1}}}
	return inceptionLayer(b, "branch_pool", means.MeanPool(x, true), strip{out: width})
}

// inceptionA is Figure 5 of the paper, with 5x5 where the paper has two times 3x3.
func inceptionA(b *backbone.Builder, x *Node, width int) *Node {
	return Concatenate([]*Node{
		inceptionLayer(b, "branch1x1", x, strip{out: 64}),
		chain(b, "branch5x5", x, strip{out: 48}, strip{out: 64, height: 5, width: 5}),
		chain(b, "branch3x3dbl", x, strip{out: 64}, square3(96), square3(96)),
		pooled(b, x, width),
	}, -1)
}

// inceptionB halves the map.
func inceptionB(b *backbone.Builder, x *Node, _ int) *Node {
	halving := strip{height: 3, width: 3, stride: 2, inside: true}
	wide, narrow := halving, halving
	wide.out, narrow.out = 384, 96
	return Concatenate([]*Node{
		inceptionLayer(b, "branch3x3", x, wide),
		chain(b, "branch3x3dbl", x, strip{out: 64}, square3(96), narrow),
		backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2}),
	}, -1)
}

// inceptionC is Figure 6 of the paper.
func inceptionC(b *backbone.Builder, x *Node, c int) *Node {
	return Concatenate([]*Node{
		inceptionLayer(b, "branch1x1", x, strip{out: 192}),
		chain(b, "branch7x7", x, strip{out: c}, lying(c, 7), upright(192, 7)),
		chain(b, "branch7x7dbl", x, strip{out: c}, upright(c, 7), lying(c, 7), upright(c, 7), lying(192, 7)),
		pooled(b, x, 192),
	}, -1)
}

// inceptionD halves the map again.
func inceptionD(b *backbone.Builder, x *Node, _ int) *Node {
	halving := strip{height: 3, width: 3, stride: 2, inside: true}
	wide, narrow := halving, halving
	wide.out, narrow.out = 320, 192
	return Concatenate([]*Node{
		chain(b, "branch3x3", x, strip{out: 192}, wide),
		chain(b, "branch7x7x3", x, strip{out: 192}, lying(192, 7), upright(192, 7), narrow),
		backbone.MaxPool(x, backbone.Pool{Size: 3, Stride: 2}),
	}, -1)
}

// inceptionE is Figure 7 of the paper.
func inceptionE(b *backbone.Builder, x *Node, _ int) *Node {
	fork := func(name string, x *Node) *Node {
		return Concatenate([]*Node{inceptionLayer(b, name+"a", x, lying(384, 3)), inceptionLayer(b, name+"b", x, upright(384, 3))}, -1)
	}
	return Concatenate([]*Node{
		inceptionLayer(b, "branch1x1", x, strip{out: 320}),
		fork("branch3x3_2", chain(b, "branch3x3", x, strip{out: 384})),
		fork("branch3x3dbl_3", chain(b, "branch3x3dbl", x, strip{out: 448}, square3(384))),
		pooled(b, x, 192),
	}, -1)
}
