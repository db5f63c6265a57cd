package zoo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Twin is the model in torchvision or timm that computes the same features as a network, with the
// network's weights under its names.
type Twin struct {
	Library string // "torchvision" or "timm"
	Model   string // its name there: "mobilenet_v2"
	// Classifier is the module of the last layer, such as "classifier.1" or "fc". A head goes there.
	Classifier string
	// Pooled says that a head reads the average of the last map, which the model's own classifier
	// does not: the model needs another pooling, and a single layer as classifier.
	Pooled bool
	// Tensors is the state dict without the classifier, in PyTorch's layout and in the order in which
	// the network asks for it. Batch norms have their num_batches_tracked.
	Tensors []weights.Tensor
}

// twinned is implemented by architectures that have a twin. The trunk has the same tensors in the
// same order under the twin's names; nil = there is no twin.
type twinned interface {
	twin() (Twin, backbone.Arch)
}

// Twin returns the network as a state dict for torchvision or timm. It is an error if neither has a
// model that computes the same, as for networks of Keras and ONNX files.
func (n *Net) Twin() (*Twin, error) {
	twin, trunk, err := n.Row.twin()
	if err != nil {
		return nil, err
	}
	theirs, err := backbone.Declare(trunk, n.Preset.Size)
	if err != nil {
		return nil, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
	}
	i := 0
	for _, own := range n.declared.Weights {
		if own.Stage == backbone.Classifier {
			continue
		}
		if i == len(theirs.Weights) || !slices.Equal(theirs.Weights[i].Shape, own.Shape) {
			return nil, fmt.Errorf("zoo: tensor %s of %s has no place in %s", own.Name, n.Row.Name, twin.Model)
		}
		name := theirs.Weights[i].Name
		i++
		values, err := own.Layout.Undo(own.Shape, n.tensors[own.Name].Data)
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %s: %w", n.Row.Name, own.Name, err)
		}
		twin.Tensors = append(twin.Tensors, weights.FromFloat32(name, own.Shape, values))
		if norm, ok := strings.CutSuffix(name, ".running_var"); ok {
			twin.Tensors = append(twin.Tensors, weights.FromFloat32(norm+".num_batches_tracked", nil, []float32{0}).Int64())
		}
	}
	if i != len(theirs.Weights) {
		return nil, fmt.Errorf("zoo: %s has %d tensors, %s wants %d", n.Row.Name, i, twin.Model, len(theirs.Weights))
	}
	return &twin, nil
}

// twin returns the twin of a row's architecture, without tensors, and its trunk.
func (r Row) twin() (twin Twin, trunk backbone.Arch, err error) {
	if a, ok := r.arch.(twinned); ok {
		twin, trunk = a.twin()
	}
	if trunk == nil {
		return Twin{}, nil, advice.New(fmt.Errorf("zoo: neither torchvision nor timm has a model that computes the same as %s", r.Name), "export it as ONNX: --onnx FILE")
	}
	return twin, trunk, nil
}

func (m mobileNetV2) twin() (Twin, backbone.Arch) {
	if m.dialect == keras || m.alpha != 1 {
		return Twin{}, nil
	}
	m.dialect = nested
	return Twin{Library: "torchvision", Model: "mobilenet_v2", Classifier: "classifier.1"}, m.trunk()
}

// The twins are those that timm took from TensorFlow: with its padding and eps.
func (e efficientNetLite) twin() (Twin, backbone.Arch) {
	e.names = timmLite
	for n, scale := range []efficientNetLite{{width: 1.0, depth: 1.0}, {width: 1.0, depth: 1.1}, {width: 1.1, depth: 1.2}} {
		if e.width == scale.width && e.depth == scale.depth {
			return Twin{Library: "timm", Model: fmt.Sprintf("tf_efficientnet_lite%d", n), Classifier: "classifier"}, e.trunk()
		}
	}
	return Twin{}, nil
}

func (n resNet) twin() (Twin, backbone.Arch) {
	for name, published := range resNets {
		if published.trunk() == n.trunk() {
			twin := Twin{Library: "torchvision", Model: name, Classifier: "fc"}
			if n.deep || n.weighed {
				twin.Library = "timm"
			}
			return twin, n.trunk()
		}
	}
	return Twin{}, nil
}

func (v vgg) twin() (Twin, backbone.Arch) {
	if v.keras {
		return Twin{}, nil
	}
	return Twin{Library: "torchvision", Model: v.name(), Classifier: "classifier", Pooled: true}, v.trunk()
}
