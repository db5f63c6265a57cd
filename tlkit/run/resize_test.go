package run

import (
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/data/insects"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A file that resizes predicts of drawn insects, of several shapes, what predict does.
func TestExportResize(t *testing.T) {
	rt := testruntime.Open(t)
	dir := t.TempDir()
	place := Place{Folder: dir, Name: "ants", Offline: true}
	r := train(t, Spec{Data: "insects", Model: "mobilenetv2", Seed: 1}, place)
	spec := HeadSpec{Head: r.Head}
	file := filepath.Join(dir, "any.onnx")
	f, err := spec.ExportONNX(t.Context(), file, export.ONNXOptions{Runtime: rt, Resize: true}, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(f.Resize.On, ": ", f.Resize)
	if d := f.Resize; d.Samples < 10 || d.On == "built-in patterns" || 20*d.Changed > d.Samples || !(d.Typical < 0.02) {
		t.Errorf("%+v", d)
	}
	files := drawnInsects(t, dir)
	want, err := Predict(t.Context(), spec, files, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Session(rt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	equal := 0
	for i, file := range files {
		pic, err := transforms.DecodeFile(file, transforms.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(onnxruntime.Tensor{Shape: []int{1, pic.Height, pic.Width, 3}, Uint8: pic.Pix})
		if err != nil {
			t.Fatal(err)
		}
		best := 0
		for k, label := range f.Head.Labels {
			got := float64(out[1].Float32[k])
			if got > float64(out[1].Float32[best]) {
				best = k
			}
			if off := math.Abs(got - want[i].Probabilities[label]); !(off < 0.05) {
				t.Errorf("%s: the probability of %s is off by %.3f", filepath.Base(file), label, off)
			}
		}
		if f.Head.Labels[best] == want[i].Label {
			equal++
		}
	}
	if 100*equal < 95*len(files) {
		t.Errorf("%d of %d labels are equal", equal, len(files))
	}
	// Without the run, there are patterns.
	lone := filepath.Join(t.TempDir(), "lone.head.safetensors")
	data, err := os.ReadFile(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lone, data, 0o644); err != nil {
		t.Fatal(err)
	}
	away := Place{Folder: filepath.Dir(lone), Name: "away", Offline: true}
	f, err = HeadSpec{Head: lone}.ExportONNX(t.Context(), file, export.ONNXOptions{Runtime: rt, Resize: true}, away, nil)
	if err != nil || f.Resize.On != "built-in patterns" {
		t.Fatalf("%+v, %v", f, err)
	}
	t.Log(f.Resize.On, ": ", f.Resize)
}

// drawnInsects writes pictures of insects: square, wide, tall, and small.
func drawnInsects(t *testing.T, dir string) (files []string) {
	t.Helper()
	for i := range 40 {
		img, err := insects.Draw(insects.Medium, "test", i%2, i/2)
		if err != nil {
			t.Fatal(err)
		}
		b := img.Bounds()
		w, h := b.Dx(), b.Dy()
		part := []image.Rectangle{b, image.Rect(0, h/6, w, h-h/6), image.Rect(w/5, 0, w-w/5, h), image.Rect(w/3, h/3, w-w/4, h-w/4)}[i/2%4]
		path := filepath.Join(dir, fmt.Sprintf("insect%d.png", i))
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(out, img.SubImage(part)); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	return files
}
