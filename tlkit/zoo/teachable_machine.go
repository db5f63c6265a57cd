package zoo

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// teachableMachineRow is what https://teachablemachine.withgoogle.com exports under
// "Tensorflow.js": Keras' MobileNetV2 of width 0.35, trained on ImageNet, with a classifier trained
// in the browser: a hidden layer of 100 and one output for each class. Of its three files this row
// wants model.json; weights.bin, and metadata.json with the labels, lie beside it.
var teachableMachineRow = Row{
	Name: "mobilenetv2_035.teachable_machine", Tag: "teachable_machine", Family: "MobileNetV2",
	Aliases: []string{"teachable_machine"},
	file:    fileOfYours("model.json"),
	ByHand:  "https://teachablemachine.withgoogle.com/train/image (train, Export Model, Tensorflow.js, Download)",
	Licence: kerasLicence, Origin: "https://teachablemachine.withgoogle.com",
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
	switch {
	case len(matrices) == 0:
		return t, nil
	case len(matrices) == 2 && matrices[0].Shape[1] == matrices[1].Shape[0] && matrices[1].Shape[1] > 0:
		return teachableMachine{hidden: matrices[0].Shape[1], classes: matrices[1].Shape[1]}, nil
	}
	return nil, advice.New(fmt.Errorf("%s has %d matrices, want the two of a Teachable Machine classifier, or none", f.Path, len(matrices)), "export it again from Teachable Machine")
}

// Labels returns the names of the outputs of the network's own classifier, nil without one. For a
// Teachable Machine model they are read from the metadata.json beside it.
func (n *Net) Labels() ([]string, error) {
	if n.Row.Classes != "" {
		return data.Labels(n.Row.Classes)
	}
	if n.declared.Classes == 0 {
		return nil, nil
	}
	path := filepath.Join(filepath.Dir(n.Path), "metadata.json")
	f, err := os.Open(path)
	if err != nil {
		return nil, advice.New(fmt.Errorf("zoo: %s: the labels: %w", n.Row.Name, err), "put the metadata.json of the same export beside %s", filepath.Base(n.Path))
	}
	defer f.Close()
	var metadata struct {
		Labels []string `json:"labels"`
	}
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&metadata); err != nil {
		return nil, fmt.Errorf("zoo: %s: the labels in %s: %w", n.Row.Name, path, err)
	}
	if len(metadata.Labels) != n.declared.Classes {
		return nil, advice.New(fmt.Errorf("zoo: %s: %s has %d labels, the classifier %d outputs", n.Row.Name, path, len(metadata.Labels), n.declared.Classes), "take both files from one export")
	}
	return metadata.Labels, nil
}
