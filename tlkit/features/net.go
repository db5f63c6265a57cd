package features

import (
	"context"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// cpuBatch and gpuBatch are the pictures of one call. On a CPU the rate is flat from 8 on,
// and a small batch keeps one compiled program for a data set and for a single picture.
const (
	cpuBatch = 8
	gpuBatch = 64
)

// FromNet is a checkpoint of the zoo as a backbone: its pooled features.
func FromNet(net *zoo.Net, e *engine.Engine) Backbone {
	return fromNet(net, e, "features", net.Row.Features, func(features, _ []float32) []float32 { return features })
}

// Logits is a checkpoint with its own classifier as a "backbone" whose features are the
// classifier's logits, for zero-shot evaluation. It is an error for a trunk without one.
func Logits(net *zoo.Net, e *engine.Engine) (Backbone, error) {
	classes := net.Declaration().Classes
	if classes == 0 {
		return Backbone{}, fmt.Errorf("features: %s is a trunk without a classifier of its own: train a head on it (tlkit train --model %s), or evaluate a model with one (tlkit models)", net.Row.Name, net.Row.Name)
	}
	return fromNet(net, e, "logits", classes, func(_, logits []float32) []float32 { return logits }), nil
}

func fromNet(net *zoo.Net, e *engine.Engine, what string, width int, pick func(features, logits []float32) []float32) Backbone {
	b := Backbone{
		Identity: fmt.Sprintf("%s of %s, weights %s, on %s", what, net.Row.Family, net.Identity(), e.Identity()),
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
			features, logits, err := x.Run(batch)
			return pick(features, logits), err
		}, nil
	}
	return b
}
