package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

const backboneFile = "../onnx/testdata/mobile.onnx" // 12 features of pictures of 18 pixels

// onMobile returns a head of a task on that network, with weights of a formula.
func onMobile(t *testing.T, name datasets.Task, p transforms.Preset) *Head {
	t.Helper()
	data, err := os.ReadFile(backboneFile)
	if err != nil {
		t.Fatal(err)
	}
	const k, c = 3, 12
	h := &Head{
		Task: name, Labels: []string{"ants", "be\"es", "фы"}, Preset: p,
		Backbone: Backbone{Name: "mobile.onnx#hidden", SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Features: c, Licence: "that of the file"},
		Data:     Data{Name: "insects", Fingerprint: "f", Train: 10},
		Result:   Result{Split: "test", Score: metrics.Fraction{Correct: 9, Total: 10}.Score()},
		Linear:   head.Linear{Features: c, Classes: k, Bias: []float32{0.5, -0.5, 0.25}},
	}
	for i := range k * c {
		h.Linear.Weight = append(h.Linear.Weight, float32(math.Sin(float64(i*i))))
	}
	switch name {
	case datasets.Labels:
		h.Thresholds = []float64{0.5, 0.25, 0.75}
	case datasets.Values:
		for i := range k {
			h.Scales = append(h.Scales, task.Scale{Mean: float64(1000 * i), SD: 2, Min: -1e4, Max: 1e4})
			h.Linear.Bias[i] += float32(1000 * i)
		}
	}
	return h
}

var presets = map[string]transforms.Preset{
	"torch":  {Name: "p", Size: 18, Resize: 20, Geometry: transforms.GeometryShort, Range: [2]float32{0, 1}, Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}, Channels: "RGB"},
	"caffe":  {Name: "p", Size: 18, CropFraction: 0.9, Geometry: transforms.GeometryCrop, Interpolation: transforms.Bicubic, Range: [2]float32{0, 255}, Mean: [3]float32{104, 117, 123}, Std: [3]float32{57, 58, 59}, Channels: "BGR"},
	"grey":   {Name: "p", Size: 18, Geometry: transforms.GeometrySquash, Range: [2]float32{-1, 1}, Std: [3]float32{1, 1, 1}, Channels: "grey"},
	"widely": {Name: "p", Size: 18, Geometry: transforms.GeometrySquash, Range: [2]float32{-0.5, 1.5}, Std: [3]float32{1, 2, 3}, Channels: "BGR"},
}

// opened opens a head on the network, after recording the logits of its built-in pictures.
func opened(t *testing.T, e *engine.Engine, h *Head) *Classifier {
	t.Helper()
	path, err := filepath.Abs(backboneFile)
	if err != nil {
		t.Fatal(err)
	}
	h.Parity = make([]float32, ParityPictures*len(h.Labels))
	o := Options{Zoo: zoo.Options{Weights: path, Offline: true}}
	net, err := zoo.Load(t.Context(), h.Backbone.Name, zoo.Options{Weights: path, Offline: true, Preset: &h.Preset})
	if err != nil {
		t.Fatal(err)
	}
	net, err = net.With(h.Changed)
	if err != nil {
		t.Fatal(err)
	}
	h.Parity, err = Parity(t.Context(), features.FromNet(net, e), h.Preset, h.Predictor())
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Open(t.Context(), e, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// photos are pictures of several shapes with the bytes that a user prepares.
func photos(t *testing.T, p transforms.Preset) (paths []string, squares []uint8) {
	t.Helper()
	dir := t.TempDir()
	for k, size := range [][2]int{{40, 30}, {18, 18}, {25, 61}, {200, 90}} {
		path := filepath.Join(dir, fmt.Sprint(k, ".ppm"))
		pix := golden.Picture(size[0], size[1], k)
		testpictures.Write(t, path, append(fmt.Appendf(nil, "P6\n%d %d\n255\n", size[0], size[1]), pix...))
		square, err := p.Square().Picture(&transforms.Picture{Width: size[0], Height: size[1], Pix: pix}, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		paths, squares = append(paths, path), append(squares, square.Pix...)
	}
	return paths, squares
}

// An exported head of each task, with each kind of preset, frozen and fine-tuned, predicts in ONNX
// Runtime from bytes what it predicts here from files.
func TestONNX(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	for _, name := range []datasets.Task{datasets.Classes, datasets.Labels, datasets.Values} {
		for kind, p := range presets {
			for _, tuned := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s %v", name, kind, tuned), func(t *testing.T) {
					h := onMobile(t, name, p)
					if tuned {
						h.Changed = []weights.Tensor{weights.FromFloat32("hidden.bias", []int{12}, []float32{5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6})}
					}
					path := filepath.Join(t.TempDir(), "a.onnx")
					c := opened(t, e, h)
					f, err := c.WriteONNX(t.Context(), path, ONNXOptions{Runtime: rt})
					if err != nil {
						t.Fatal(err)
					}
					if f.Off == nil || !(*f.Off < 1e-5) {
						t.Errorf("off by %v", f.Off)
					}
					if off, err := f.ReplayHere(t.Context(), e); err != nil || !(off < 1e-5) {
						t.Errorf("our own reader is off by %v, %v", off, err)
					}
					samePredictions(t, c, rt, path)
				})
			}
		}
	}
}

// samePredictions compares an exported file with the classifier on pictures of several shapes.
func samePredictions(t *testing.T, c *Classifier, rt *onnxruntime.Runtime, path string) {
	t.Helper()
	h := c.Head
	f, err := ReadONNX(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.Session(f.data, onnxruntime.SessionOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	paths, squares := photos(t, h.Preset)
	want, err := c.Classify(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	n, k := len(paths), len(h.Labels)
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{n, h.Preset.Size, h.Preset.Size, 3}, Uint8: squares})
	if err != nil {
		t.Fatal(err)
	}
	names := map[datasets.Task]string{datasets.Values: "values"}[h.Task]
	if got := s.Outputs(); names == "" && (len(got) != 2 || got[0].Name != "logits" || got[1].Name != "probabilities") || names != "" && (len(got) != 1 || got[0].Name != names) {
		t.Errorf("outputs %v", got)
	}
	for i, w := range want {
		if w.Error != "" {
			t.Fatal(w.Error)
		}
		got := answerOf(t, f.Head, out[0].Float32[i*k:(i+1)*k])
		if got.Label != w.Label || fmt.Sprint(got.Labels) != fmt.Sprint(w.Labels) {
			t.Errorf("%s: %s, want %s", paths[i], got.Words(), w.Words())
		}
		for j, label := range h.Labels {
			a, b, tolerance := 0.0, 0.0, 1e-5
			if h.Task == datasets.Values {
				a, b, tolerance = got.Values[label], w.Values[label], 1e-5*(1+math.Abs(w.Values[label]))
			} else {
				a, b = float64(out[1].Float32[i*k+j]), w.Probabilities[label]
			}
			if !(math.Abs(a-b) < tolerance) {
				t.Errorf("%s: %s is %v, want %v", paths[i], label, a, b)
			}
		}
	}
}

// A file with any bit flipped, or with an end cut off, does not open; a file of another kind is named
// for what it is.
func TestReadONNXRefuses(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	whole, err := opened(t, e, onMobile(t, datasets.Classes, presets["torch"])).ONNX(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseONNX(whole); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += 1 + len(whole)/500 {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		if _, err := parseONNX(flipped); err == nil {
			t.Fatalf("bit %d of byte %d of %d flipped, and the file still opens", i%8, i, len(whole))
		}
	}
	for _, n := range []int{0, 1, 100, len(whole) / 2, len(whole) - 1} {
		if _, err := parseONNX(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes open", n, len(whole))
		}
	}
	dir := t.TempDir()
	for path, word := range map[string]string{backboneFile: "without a head", dir: "regular file", filepath.Join(dir, "none"): "none"} {
		if _, err := ReadONNX(path); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %q in it", filepath.Base(path), err, word)
		}
	}
}

// Only an export is replaced without a word, and what computes something else is not written.
func TestWriteONNXRefuses(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := opened(t, e, onMobile(t, datasets.Classes, presets["torch"]))
	path := filepath.Join(t.TempDir(), "mine.onnx")
	write := func(force bool) error {
		_, err := c.WriteONNX(t.Context(), path, ONNXOptions{Force: force})
		return err
	}
	foreign, err := os.ReadFile(backboneFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{foreign, []byte("notes"), nil} {
		testpictures.Write(t, path, content)
		if err := write(false); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("a file of %d bytes was replaced: %v", len(content), err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, content) {
			t.Error("the file has changed")
		}
	}
	if err := write(true); err != nil {
		t.Error(err)
	}
	if err := write(false); err != nil {
		t.Errorf("an export is not replaced: %v", err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A network whose file computes something else than its graph.
	c.net, err = c.net.With([]weights.Tensor{weights.FromFloat32("hidden.bias", []int{12}, make([]float32, 12))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteONNX(t.Context(), path, ONNXOptions{Runtime: testruntime.Open(t)}); !errors.Is(err, ErrParity) {
		t.Errorf("%v, want ErrParity", err)
	}
	if _, err := c.WriteONNX(t.Context(), path, ONNXOptions{Engine: e}); !errors.Is(err, ErrParity) {
		t.Errorf("by our own reader: %v, want ErrParity", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("it was written all the same")
	}
	path = t.TempDir()
	if err := write(true); err == nil || !strings.Contains(err.Error(), "not an ordinary file") {
		t.Errorf("a folder: %v", err)
	}
}

// Values far from zero have few digits below their standard deviation. That is no error of the file,
// and a change of the network still is.
func TestONNXOfValuesFarFromZero(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	h := onMobile(t, datasets.Values, presets["torch"])
	for i := range h.Scales {
		h.Scales[i] = task.Scale{Mean: 1e6, SD: 1, Min: 0, Max: 1e7}
		h.Linear.Bias[i] = 1e6
	}
	f, err := opened(t, e, h).onnx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.Head.Parity[0] = math.Nextafter32(f.Head.Parity[0], 2e6)
	if off, err := f.Replay(rt); err != nil || off < onnxTolerance {
		t.Errorf("the last digit of a value: off by %v, %v", off, err)
	}
	f.Head.Parity[0] += 2
	if _, err := f.Replay(rt); !errors.Is(err, ErrParity) {
		t.Errorf("another value: %v, want ErrParity", err)
	}
}

// ONNX's own checker, its shape inference and ONNX Runtime from Python take the files, and the formula
// in the documentation makes the test pictures. Set TLKIT_ONNX_PYTHON to a Python that has onnx and
// onnxruntime.
func TestONNXReferee(t *testing.T) {
	python := os.Getenv("TLKIT_ONNX_PYTHON")
	if python == "" {
		t.Skip("TLKIT_ONNX_PYTHON is not set: no Python with onnx and onnxruntime to compare with")
	}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir := t.TempDir()
	want := map[string][]string{}
	for _, name := range []datasets.Task{datasets.Classes, datasets.Labels, datasets.Values} {
		for kind, p := range presets {
			h := onMobile(t, name, p)
			file := fmt.Sprintf("%s_%s.onnx", name, kind)
			if _, err := opened(t, e, h).WriteONNX(t.Context(), filepath.Join(dir, file), ONNXOptions{}); err != nil {
				t.Fatal(err)
			}
			want[file] = h.Labels
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "../../internal/golden/referee/onnx_exported.py", dir)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Labels []string
		Off    float64
	}
	if err := json.Unmarshal(said, &got); err != nil || len(got) != len(want) {
		t.Fatal(len(got), err)
	}
	for file, g := range got {
		if !(g.Off < onnxTolerance) || fmt.Sprint(g.Labels) != fmt.Sprint(want[file]) {
			t.Errorf("%s: off by %v, labels %q", file, g.Off, g.Labels)
		}
	}
}
