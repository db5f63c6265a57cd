package run

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// In ONNX Runtime an exported head says of each validation picture what Predict says. With TLKIT_DATA
// set, the pictures are the photographs of ants and bees.
func TestExportPredictsTheSame(t *testing.T) {
	l, err := onnxruntime.Find()
	if err != nil {
		t.Skip(err)
	}
	rt, err := onnxruntime.Open(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	set := "insects"
	if _, err := os.Stat(filepath.Join(os.Getenv("TLKIT_DATA"), "hymenoptera")); err == nil && os.Getenv("TLKIT_DATA") != "" {
		set = "hymenoptera"
	}
	dir := t.TempDir()
	place := Place{Folder: dir, Name: "taken", Offline: true}
	r := train(t, Spec{Data: set, Model: "mobilenetv2", Seed: 1}, place)
	file := filepath.Join(dir, "taken.onnx")
	spec, err := HeadSpec{Head: r.Head}.Opened(t.Context(), place, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec.Weights = filepath.Join(dir, "gone") // it is open, and not opened for each export
	if _, err := spec.ExportTorch(t.Context(), filepath.Join(dir, "torch"), export.TorchOptions{}, place, nil); err != nil {
		t.Fatal(err)
	}
	f, err := spec.ExportONNX(t.Context(), file, export.ONNXOptions{}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Off == nil || !(*f.Off < 1e-4) {
		t.Errorf("off by %v, %s", f.Off, f.Unchecked)
	}
	ds, err := datasets.Open(t.Context(), set, datasets.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, item := range ds.In(ds.Evaluation()) {
		paths = append(paths, item.Path)
	}
	want, err := Predict(t.Context(), HeadSpec{Head: r.Head}, paths, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.Session(data, onnxruntime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	same, worst := 0, 0.0
	for i, path := range paths {
		pic, err := transforms.DecodeFile(path, transforms.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		square, err := h.Preset.Square().Picture(pic, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Run(onnxruntime.Tensor{Shape: []int{1, h.Preset.Size, h.Preset.Size, 3}, Uint8: square.Pix})
		if err != nil {
			t.Fatal(err)
		}
		probabilities := got[1].Float32
		if h.Labels[head.Classes(probabilities, len(probabilities))[0]] == want[i].Label {
			same++
		}
		for k, label := range h.Labels {
			worst = max(worst, math.Abs(float64(probabilities[k])-want[i].Probabilities[label]))
		}
	}
	t.Logf("%s: %d of %d labels equal, largest difference of a probability %.2g", set, same, len(paths), worst)
	if same != len(paths) || len(paths) < 10 || !(worst < 1e-4) {
		t.Errorf("%s: %d of %d labels equal, largest difference of a probability %.2g", set, same, len(paths), worst)
	}
}

// A file that was exported may be the backbone of another head, which is exported in turn.
func TestExportOnAnExport(t *testing.T) {
	dir := t.TempDir()
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	place := Place{Folder: dir, Offline: true}
	file := filepath.Join(dir, "first.onnx")
	first := train(t, Spec{Data: folder, Model: "mobilenetv2", Seed: 1}, place)
	if _, err := (HeadSpec{Head: first.Head}).ExportONNX(t.Context(), file, export.ONNXOptions{}, place, nil); err != nil {
		t.Fatal(err)
	}
	second := train(t, Spec{Data: folder, Model: file, Seed: 1}, place)
	f, err := HeadSpec{Head: second.Head, Weights: file}.ExportONNX(t.Context(), filepath.Join(dir, "second.onnx"), export.ONNXOptions{}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Off == nil || !(*f.Off < 1e-4) {
		t.Errorf("off by %v, %s", f.Off, f.Unchecked)
	}
}
