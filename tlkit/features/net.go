package features

import (
	"context"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Pictures per call. On a CPU the rate is the same from 8 on, and a small batch lets one compiled
// program serve a data set and a single picture.
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
	b := Backbone{
		Identity: fmt.Sprintf("%s of %s, weights %s, on %s", out, net.Row.Family, net.Identity(), e.Identity()),
		Features: width,
		Batch:    cpuBatch,
	}
	if strings.Contains(e.Name, "cuda") {
		b.Batch = gpuBatch
	}
	b.Open = func(_ context.Context, size int) (func([]float32) ([]float32, error), error) {
		if size != net.Preset.Size {
			return nil, fmt.Errorf("features: pictures of %d pixels for a network built for %d", size, net.Preset.Size)
		}
		x, err := net.NewExtractor(e.Backend, b.Batch)
		if err != nil {
			return nil, err
		}
		return func(batch []float32) ([]float32, error) {
			features, scores, err := x.Run(batch)
			if out == logits {
				return scores, err
			}
			return features, err
		}, nil
	}
	return b
}
