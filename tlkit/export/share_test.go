package export

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Heads on the same frozen features share a network and predict as they do alone; heads on others
// are refused.
func TestHeadsShareANetwork(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	first := opened(t, e, onMobile(t, datasets.Classes, presets["torch"]))
	second := onMobile(t, datasets.Labels, presets["torch"])
	for i := range second.Linear.Weight {
		second.Linear.Weight[i] *= float32(math.Cos(float64(i)))
	}
	alone := opened(t, e, second)
	shared, err := first.With(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := photos(t, presets["torch"])
	want, err := alone.Classify(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	got, err := shared.Classify(t.Context(), paths)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v\nwant %v", err, got, want)
	}
	// The same from features, row by row.
	for i, path := range paths {
		if p := fromFeatures(t, shared, path); !reflect.DeepEqual(p.Probabilities, want[i].Probabilities) || !reflect.DeepEqual(p.Labels, want[i].Labels) {
			t.Errorf("%s: %v, want %v", path, p, want[i])
		}
	}
	if _, err := shared.Answer(make([]float32, 11)); err == nil {
		t.Error("11 features for a head on 12")
	}

	for what, spoil := range map[string]func(h *Head){
		"another preset":   func(h *Head) { h.Preset = presets["grey"] },
		"another backbone": func(h *Head) { h.Backbone.SHA256 = h.Backbone.SHA256[1:] + "0" },
		"another network":  func(h *Head) { h.Backbone.Name = "mobile.onnx#other" },
		"a changed tensor": func(h *Head) {
			h.Changed = []weights.Tensor{weights.FromFloat32("hidden.bias", []int{1}, []float32{1})}
		},
	} {
		h := *second
		spoil(&h)
		if _, err := first.With(t.Context(), &h); err == nil {
			t.Errorf("a head on %s shares the network", what)
		}
	}
	h := *second
	h.Parity = append([]float32(nil), second.Parity...)
	h.Parity[4] += 5
	if _, err := first.With(t.Context(), &h); !errors.Is(err, ErrParity) {
		t.Errorf("other parity vectors: %v", err)
	}
	if off, err := shared.Replay(t.Context()); err != nil || off > 1e-5 {
		t.Errorf("replay: %v %v", off, err)
	}
}

// fromFeatures is the prediction for one picture from its features.
func fromFeatures(t *testing.T, c *Classifier, path string) Prediction {
	t.Helper()
	var p Prediction
	err := features.Forward(t.Context(), c.Backbone(), features.Pass{
		Size: c.Head.Preset.Size, Pictures: 1,
		Prepare: func(int) (transforms.Tensor, error) {
			return c.Head.Preset.Eval().LoadFile(nil, path, transforms.DecodeOptions{}, transforms.Rand{})
		},
		Use: func(_ []int, rows []float32) (err error) {
			p, err = c.Answer(rows[:c.Backbone().Features])
			return err
		},
		Bad: func(_ int, err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
