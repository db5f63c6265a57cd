package zoo

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
)

// ONNX returns the network as the content of an .onnx file, for ONNX Runtime and other engines. It
// computes what [Extractor.Run] computes, up to rounding, and reads pictures in the same form:
//
//	pictures  float32 [N,S,S,3], prepared by n.Preset, any number of them
//	features  float32 [N,F]
//	logits    float32 [N,classes], where the network has a classifier
//
// See package write for what is done to the network on the way, and for the errors.
func (n *Net) ONNX() (file []byte, err error) {
	return n.written(func(out backbone.Output) []write.Output {
		outputs := []write.Output{{Name: "features", Node: out.Features}}
		if out.Logits != nil {
			outputs = append(outputs, write.Output{Name: "logits", Node: out.Logits})
		}
		return outputs
	})
}

// MapsONNX returns the network up to some stages as the content of an .onnx file. It reads pictures
// as that of [Net.ONNX], and has an output for each stage, with the stage's name: its map, row by
// row as [N,h*w*C].
func (n *Net) MapsONNX(stages []string) (file []byte, err error) {
	return n.written(func(out backbone.Output) (outputs []write.Output) {
		for _, name := range stages {
			for _, s := range out.Stages {
				if s.Name == name {
					outputs = append(outputs, write.Output{Name: name, Node: graph.Reshape(s.Node, s.Node.Shape().Dim(0), -1)})
				}
			}
		}
		return outputs
	})
}

// written returns what the network computes of its outputs as an ONNX file.
func (n *Net) written(outputs func(backbone.Output) []write.Output) (file []byte, err error) {
	return n.WrappedONNX(Wrapping{After: outputs})
}

// Wrapping is what [Net.WrappedONNX] puts around a network.
type Wrapping struct {
	// Bytes says that the file reads pictures as uint8. Before turns them into what the network
	// reads; nil = the file reads pictures prepared by n.Preset.
	Bytes  bool
	Before func(pictures *graph.Node) *graph.Node
	After  func(backbone.Output) []write.Output // the outputs of the file

	// Weight returns the values of parameters that After adds; nil = it adds none.
	Weight   func(name string) (values []float32, ok bool)
	Metadata map[string]string
}

// WrappedONNX returns the network as the content of an .onnx file, with operations of the caller's in
// front of it and behind it.
func (n *Net) WrappedONNX(w Wrapping) (file []byte, err error) {
	file, err = write.Bytes(write.Network{
		Name:    n.Row.Name,
		Picture: []int{n.Preset.Size, n.Preset.Size, n.Channels()},
		Bytes:   w.Bytes,
		Build: func(pictures *graph.Node) []write.Output {
			if w.Before != nil {
				pictures = w.Before(pictures)
			}
			return w.After(backbone.Unloaded(n.Row.arch, pictures))
		},
		Weight: func(name string) ([]float32, bool) {
			if t, ok := n.tensors[name]; ok || w.Weight == nil {
				return t.Data, ok
			}
			return w.Weight(name)
		},
		Metadata: w.Metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("zoo: %s as an ONNX file: %w", n.Row.Name, err)
	}
	return file, nil
}
