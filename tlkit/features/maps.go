package features

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Maps returns the first part of a network as a backbone whose features are the outputs of some
// stages, one after the other: [h,w,C] row by row, or [T,C] where the network computes with tokens. It
// runs on ONNX Runtime if f says so, if that is installed, and if it can run the network; else on the
// engine's backend. Stages are those of net.Declaration.
func Maps(net *zoo.Net, e *engine.Engine, stages []string, f engine.Form) Backbone {
	s := newSource(net, e, output("maps behind "+strings.Join(stages, ", ")), 0)
	s.stages = stages
	for _, name := range stages {
		for _, stage := range net.Declaration().Stages {
			if stage.Name == name {
				s.width += stage.Size()
			}
		}
	}
	if f.Runtime == engine.ONNXRuntime && s.library != nil {
		model, err := net.MapsONNX(stages)
		if err == nil {
			s.model = model
			return s.backbone(f)
		}
	}
	return s.backbone(usual(e))
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

// FromStage returns a checkpoint of the zoo up to a stage, as a backbone whose features are the
// stage's map: where in the picture something is, not only what. Stages are those of
// net.Declaration, or of tlkit.Learner.Layers. The map's shape is in Backbone.Map: cell (x,y) of a
// row has the numbers row[(y*w+x)*C:][:C], and is the part of the prepared picture around
// ((x+½)/w, (y+½)/h).
//
// It runs on ONNX Runtime where that is installed, else on the engine's backend; the form that the
// engine was opened with decides before that. Nothing is measured, so the same machine gives the
// same bits. Features are rounded to float16, see Backbone.Half.
//
// It is an error if the network has no map of that name; the error names those it has.
func FromStage(net *zoo.Net, e *engine.Engine, stage string) (Backbone, error) {
	border, err := net.Stage(stage)
	if err != nil {
		return Backbone{}, err
	}
	s := newSource(net, e, output("map behind "+stage), border.Shape[0]*border.Shape[1]*border.Shape[2])
	s.stages = []string{stage}
	form := usual(e)
	if s.library != nil && e.Form.Runtime != engine.XLA {
		if s.model, err = net.MapsONNX(s.stages); err == nil {
			form = engine.Form{Runtime: engine.ONNXRuntime, Batch: cpuBatch}
		}
	}
	b := s.backbone(form)
	b.Map, b.Half = [3]int(border.Shape), true
	b.Identity += fmt.Sprintf(", %d pixels", net.Preset.Size)
	return b, nil
}
