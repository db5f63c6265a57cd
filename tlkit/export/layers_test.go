package export

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// models are heads of every form that is not linear, of 3 classes.
func models(t *testing.T, features int) map[string]heads.Model {
	t.Helper()
	s := head.Samples{Features: features, Classes: 3}
	for i := range 11 {
		s.Y = append(s.Y, i*i%3, 2)
		row := make([]float32, features)
		for j := range row {
			row[j] = float32(math.Abs(math.Sin(float64(i*i + 3*i*j + j))))
		}
		s.X = append(append(s.X, row...), row...) // each twice: equal neighbours are counted once each
	}
	s.Y[0] = 1
	s.Y[2] = 0
	of := func(k int) *heads.Neighbours {
		n, err := heads.NewNeighbours(s, k)
		if err != nil {
			t.Fatal(err)
		}
		n.Factor = 1.5
		return n
	}
	linear := head.Linear{Features: features, Classes: 3, Weight: make([]float32, 3*features), Bias: []float32{0.5, -0.5, 0.25}}
	for i := range linear.Weight {
		linear.Weight[i] = float32(math.Sin(float64(i * i)))
	}
	cosine := &heads.Cosine{Linear: linear}
	return map[string]heads.Model{
		"cosine": cosine, "k 1": of(1), "k 5": of(5), "all": of(22),
		"mean": &heads.Mean{Of: []heads.Model{&linear, of(3)}}, "mean of both": &heads.Mean{Of: []heads.Model{cosine, of(4)}},
	}
}

// A head of every form predicts in ONNX Runtime and in our own reader what it predicts here; its file
// comes back as it went; PyTorch's files, which end in a linear layer, are refused.
func TestEveryForm(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, m := range models(t, 12) {
		t.Run(name, func(t *testing.T) {
			h := onMobile(t, "", presets["torch"])
			h.SetModel(m)
			c := opened(t, e, h)
			path := filepath.Join(t.TempDir(), "a.head.safetensors")
			if err := h.Write(path); err != nil {
				t.Fatal(err)
			}
			back, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, h) {
				t.Errorf("read\n%+v\nwrote\n%+v", back, h)
			}
			if _, err := c.Head.torch(&zoo.Twin{Library: "torchvision"}, nil); err == nil || !strings.Contains(err.Error(), "--onnx") {
				t.Errorf("PyTorch's files: error %v", err)
			}
			rt := testruntime.Open(t)
			file := filepath.Join(t.TempDir(), "a.onnx")
			f, err := c.WriteONNX(t.Context(), file, ONNXOptions{Runtime: rt})
			if err != nil {
				t.Fatal(err)
			}
			if f.Off == nil || !(*f.Off < 1e-5) {
				t.Errorf("off by %v", f.Off)
			}
			if off, err := f.ReplayHere(t.Context(), e); err != nil || !(off < 1e-5) {
				t.Errorf("our own reader is off by %v, %v", off, err)
			}
			samePredictions(t, c, rt, file)
		})
	}
}

// What does not fit is refused before it is written, and a file with a flipped bit before it is read.
func TestFormsRefuse(t *testing.T) {
	of := func() *Head {
		h := onMobile(t, "", presets["torch"])
		h.SetModel(models(t, 12)["k 5"])
		h.Parity = make([]float32, ParityPictures*3)
		return h
	}
	path := filepath.Join(t.TempDir(), "a.head.safetensors")
	for name, spoil := range map[string]func(*Head){
		"task":      func(h *Head) { h.Task, h.Thresholds = datasets.Labels, []float64{0.5, 0.5, 0.5} },
		"features":  func(h *Head) { h.SetModel(models(t, 13)["k 5"]) },
		"layers":    func(h *Head) { h.Layers = nil },
		"neighbour": func(h *Head) { h.Predictor().(*heads.Neighbours).Y[0] = 7 },
	} {
		h := of()
		spoil(h)
		if err := h.Write(path); err == nil {
			t.Errorf("a head with wrong %s is written", name)
		}
	}
	if err := of().Write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Split(string(data), `"`), formatLayers) {
		t.Error("the file does not say that it needs a newer version")
	}
	data[len(data)-40] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil {
		t.Error("a file with a flipped bit is read")
	}
}
