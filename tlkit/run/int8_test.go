package run

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// Integers that are worse beyond chance are refused with both scores, unless force; others are not. Here
// the worse ones are those of a head whose weights have the wrong sign.
func TestInt8WorseIsRefused(t *testing.T) {
	rt := testruntime.Open(t)
	dir := t.TempDir()
	place := Place{Folder: dir, Name: "ants", Offline: true}
	r := train(t, Spec{Data: "insects", Model: "mobilenetv2", Seed: 1}, place)
	spec, err := HeadSpec{Head: r.Head}.Opened(t.Context(), place, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := export.ONNXOptions{Runtime: rt}
	good, err := spec.ExportONNX(t.Context(), filepath.Join(dir, "good.onnx"), o, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	head := spec.opened.classifier.Head
	for i := range head.Linear.Weight {
		head.Linear.Weight[i] *= -1
	}
	bad, err := spec.ExportONNX(t.Context(), filepath.Join(dir, "bad.onnx"), o, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err = spec.withData(place)
	if err != nil || spec.Data != "insects" {
		t.Fatalf("the run's pictures are %q, %v", spec.Data, err)
	}
	m, err := measuring(t.Context(), head, spec, place, silent{})
	if err != nil {
		t.Fatal(err)
	}
	bad.Int8, good.Int8 = &export.Int8Result{}, &export.Int8Result{}
	c := &int8Comparison{measured: m, head: head, runtime: rt, progress: silent{}}
	if err := c.accept(t.Context(), good, bad); !errors.Is(err, errWorse) || !strings.Contains(err.Error(), "--force") || !strings.Contains(err.Error(), "gain -") {
		t.Errorf("%v, want %v", err, errWorse)
	}
	if err := c.accept(t.Context(), good, good); err != nil {
		t.Error(err)
	}
	c.force = true
	if err := c.accept(t.Context(), good, bad); err != nil {
		t.Error(err)
	}
	if r := bad.Int8; !(r.Gain.Interval.High < 0) || r.Split == "" || r.FloatScore.Total < 10 || r.Score.Total != r.FloatScore.Total || !(r.Time > 0 && r.FloatTime > 0) {
		t.Errorf("%+v", r)
	}
}
