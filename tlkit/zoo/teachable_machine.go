package zoo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// teachableMachineRow is what https://teachablemachine.withgoogle.com exports under
// "Tensorflow.js": Keras' MobileNetV2 of width 0.35, trained on ImageNet, with a classifier trained
// in the browser: a hidden layer of 100 and one output for each class. Of its three files this row
// wants model.json; weights.bin, and metadata.json with the labels, lie beside it. The export for
// Keras, keras_model.h5 with labels.txt, is read too.
var teachableMachineRow = Row{
	Name: "mobilenetv2_035.teachable_machine", Tag: "teachable_machine", Family: "MobileNetV2",
	Aliases:   []string{"teachable_machine"},
	file:      fileOfYours("model.json"),
	ByHand:    "https://teachablemachine.withgoogle.com/train/image (train, Export Model, Tensorflow.js, Download)",
	TrainedOn: "ImageNet-1k; its classifier on pictures of yours",
	Licence:   kerasLicence, Origin: "https://teachablemachine.withgoogle.com",
	Preset: transforms.Preset{
		// the largest square in the middle, then to size
		Name: "mobilenetv2_035.teachable_machine", Size: 224, Geometry: transforms.GeometryCrop, CropFraction: 1, Interpolation: transforms.Bilinear,
		Range: [2]float32{0, 1}, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}, Channels: "RGB",
	},
	Params: 396128, Features: 1280,
	arch:   teachableMachine{},
	golden: "mobilenetv2_035.trunk",
}

type teachableMachine struct{ hidden, classes int } // 0 = the trunk alone

// Teachable Machine numbers its two layers. The numbers go on rising while a page is open.
const hiddenLayer, lastLayer = "dense_Dense1", "dense_Dense2"

func (teachableMachine) trunk() backbone.Arch { return teachableMachine{} }

func (t teachableMachine) Build(b *backbone.Builder, x *Node) backbone.Output {
	out := mobileNetV2Keras(0.35, 0).Build(b, x)
	if t.classes > 0 {
		b = b.Keras()
		hidden := backbone.ReLU(b.Linear(hiddenLayer, out.Features, t.hidden))
		out.Logits = b.Matrix(lastLayer, hidden, t.classes)
	}
	return out
}

// fit reads the widths of the two layers from the file.
func (t teachableMachine) fit(f *weights.File) (backbone.Arch, error) {
	var matrices []weights.Tensor
	for _, name := range f.Names() {
		if tensor, ok := f.Tensor(name); ok && len(tensor.Shape) == 2 {
			matrices = append(matrices, tensor)
		}
	}
	if len(matrices) == 2 && matrices[0].Shape[1] == matrices[1].Shape[0] && matrices[1].Shape[1] > 0 {
		return teachableMachine{hidden: matrices[0].Shape[1], classes: matrices[1].Shape[1]}, nil
	}
	return t, nil // no classifier, or one of another form: features need none
}

// Labels returns the names of the outputs of the network's own classifier, nil without one. For a
// Teachable Machine model they are read from the metadata.json or labels.txt beside it.
func (n *Net) Labels() ([]string, error) {
	if n.Row.Classes != "" {
		return data.Labels(n.Row.Classes)
	}
	if n.declared.Classes == 0 {
		return nil, nil
	}
	path := filepath.Join(filepath.Dir(n.Path), "metadata.json")
	read := readMetadata
	if lines := filepath.Join(filepath.Dir(n.Path), "labels.txt"); !exists(path) && exists(lines) { // the export for Keras
		path, read = lines, readNumbered
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, advice.New(fmt.Errorf("zoo: %s: the labels: %w", n.Row.Name, err), "put the metadata.json or labels.txt of the same export beside %s", filepath.Base(n.Path))
	}
	defer f.Close()
	labels, err := read(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("zoo: %s: the labels in %s: %w", n.Row.Name, path, err)
	}
	if len(labels) != n.declared.Classes {
		return nil, advice.New(fmt.Errorf("zoo: %s: %s has %d labels, the classifier %d outputs", n.Row.Name, path, len(labels), n.declared.Classes), "take both files from one export")
	}
	return labels, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readMetadata reads the labels of a metadata.json.
func readMetadata(r io.Reader) ([]string, error) {
	var metadata struct {
		Labels []string `json:"labels"`
	}
	err := json.NewDecoder(r).Decode(&metadata)
	return metadata.Labels, err
}

// readNumbered reads the lines "0 ants", "1 bees" of a labels.txt.
func readNumbered(r io.Reader) (labels []string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		number, label, _ := strings.Cut(line, " ")
		if number != strconv.Itoa(len(labels)) {
			return nil, fmt.Errorf("line %d begins with %s, want %d", len(labels)+1, words.Quote(number), len(labels))
		}
		labels = append(labels, strings.TrimSpace(label))
	}
	return labels, lines.Err()
}
