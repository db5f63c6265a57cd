package features

import (
	"context"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Pictures per call of the usual form. A small batch lets one compiled program serve a data set and
// a single picture.
const (
	cpuBatch = 8
	gpuBatch = 64
)

// output is what is taken from a network. It is part of the backbone's identity.
type output string

const (
	pooled output = "features"
	logits output = "logits"
)

// FromNet returns a checkpoint of the zoo as a backbone: its features, [N,C].
func FromNet(net *zoo.Net, e *engine.Engine) Backbone {
	return fromNet(net, e, pooled, net.Row.Features)
}

// Logits returns a checkpoint with a classifier of its own as a backbone whose features are the
// classifier's logits, [N,classes], for evaluation without training. It is an error for a
// checkpoint without one.
func Logits(net *zoo.Net, e *engine.Engine) (Backbone, error) {
	classes := net.Declaration().Classes
	if classes == 0 {
		return Backbone{}, fmt.Errorf("features: %s has no classifier of its own: train a head on it (tlkit train --model %s), or evaluate a model with one (tlkit models)", net.Row.Name, net.Row.Name)
	}
	return fromNet(net, e, logits, classes), nil
}

func fromNet(net *zoo.Net, e *engine.Engine, out output, width int) Backbone {
	s := newSource(net, e, out, width)
	usual := usual(e)
	b := s.backbone(usual)
	b.forms = &forms{
		name: net.Row.Name, program: fmt.Sprintf("%s of %s, file %s, %d pixels", out, net.Row.Name, net.SHA256, net.Preset.Size), weights: net.Identity(),
		eng: e, width: width, size: net.Preset.Size, usual: usual, list: s.list(usual), backbone: s.backbone, closeOthers: s.closeOthers,
		published: func(values []float32) (float64, bool) {
			if out == logits {
				return net.OffReferee(nil, values, builtInPictures)
			}
			return net.OffReferee(values, nil, builtInPictures)
		},
	}
	return b
}

// usual returns the form in which the engine's backend computes features if nothing was measured.
func usual(e *engine.Engine) engine.Form {
	f := engine.Form{Runtime: engine.XLA, Batch: cpuBatch}
	switch {
	case strings.Contains(e.Name, "cuda"):
		f.Batch = gpuBatch
	case strings.HasPrefix(e.Name, "go"): // padding costs as much as pictures, and much of it runs on one core
		f.Batch, f.Side = 1, e.Threads
	}
	return f
}

// list returns the forms that are worth measuring on a machine like this, the most promising first.
func (s *source) list(usual engine.Form) []engine.Form {
	cores := s.eng.Threads
	var list []engine.Form
	if s.library != nil {
		for _, form := range []engine.Form{{Batch: cpuBatch}, {Batch: 1, Side: cores}, {Batch: 2, Side: cores}, {Batch: 4}, {Batch: 1}, {Batch: 32}} {
			form.Runtime = engine.ONNXRuntime
			list = append(list, form)
		}
	}
	if s.library != nil && s.eng.Frozen == engine.FrozenONNXRuntime {
		return list
	}
	list = append(list, usual)
	if !strings.HasPrefix(s.eng.Name, "xla:cpu") {
		return list
	}
	for _, form := range []engine.Form{
		{Batch: 2, Side: cores}, {Convolutions: engine.Eigen, Batch: cpuBatch}, {Convolutions: engine.Eigen, Batch: 2, Side: cores}, {Batch: 1}, {Batch: 32},
	} {
		form.Runtime = engine.XLA
		list = append(list, form)
	}
	return list
}

// OffReferee returns how far the features of the built-in pictures, computed by b, are from what the
// referee of the published weights of net computed, as a fraction of the largest number. known is false
// if net has other weights or another size than a referee has seen.
func (b Backbone) OffReferee(ctx context.Context, net *zoo.Net) (off float64, known bool, err error) {
	pixels := golden.Input(net.Preset.Size, builtInPictures)
	each := len(pixels) / builtInPictures
	values := make([]float32, builtInPictures*b.Features)
	err = Forward(ctx, b, Pass{
		Size: net.Preset.Size, Pictures: builtInPictures,
		Prepare: func(i int) (transforms.Tensor, error) {
			return transforms.Tensor{Height: net.Preset.Size, Width: net.Preset.Size, Channels: 3, Data: pixels[i*each : (i+1)*each]}, nil
		},
		Use: func(pictures []int, rows []float32) error {
			for k, i := range pictures {
				copy(values[i*b.Features:(i+1)*b.Features], rows[k*b.Features:])
			}
			return nil
		},
		Bad: func(int, error) {},
	})
	if err != nil {
		return 0, false, err
	}
	off, known = net.OffReferee(values, nil, builtInPictures)
	return off, known, nil
}
