package features

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Maps returns the first part of a network on ONNX Runtime, as a backbone whose features are the
// output maps of some stages, one after the other. ok is false if f is a form of another runtime, if
// ONNX Runtime is not here, or if it cannot run the network.
func Maps(net *zoo.Net, e *engine.Engine, stages []string, f engine.Form) (b Backbone, ok bool) {
	if f.Runtime != engine.ONNXRuntime {
		return Backbone{}, false
	}
	model, err := net.MapsONNX(stages)
	if err != nil {
		return Backbone{}, false
	}
	s := newSource(net, e, output("maps behind "+strings.Join(stages, ", ")), 0)
	if s.library == nil {
		return Backbone{}, false
	}
	for _, name := range stages {
		for _, stage := range net.Declaration().Stages {
			if stage.Name == name {
				s.width += stage.Shape[0] * stage.Shape[1] * stage.Shape[2]
			}
		}
	}
	s.stages, s.model = stages, model
	return s.backbone(f), true
}

// sideBySide returns the features of several outputs, [N,a], [N,b], ..., as [N,a+b+...].
func sideBySide(outputs [][]float32, pictures int) ([]float32, error) {
	if len(outputs) == 1 {
		return outputs[0], nil
	}
	var all []float32
	for i := range pictures {
		for _, out := range outputs {
			if len(out)%pictures != 0 {
				return nil, fmt.Errorf("features: %d numbers for %d pictures", len(out), pictures)
			}
			width := len(out) / pictures
			all = append(all, out[i*width:(i+1)*width]...)
		}
	}
	return all, nil
}
