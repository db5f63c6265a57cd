package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// A head of each task, with each kind of preset, frozen and fine-tuned, becomes a file of integers that
// is smaller, reads itself, and differs little.
func TestInt8OfEachTask(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	for _, name := range []datasets.Task{datasets.Classes, datasets.Labels, datasets.Values} {
		for kind, p := range presets {
			t.Run(fmt.Sprint(name, " ", kind), func(t *testing.T) {
				h := onMobile(t, name, p)
				if kind == "torch" {
					h.Changed = []weights.Tensor{weights.FromFloat32("hidden.bias", []int{12}, []float32{5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6})}
				}
				path := filepath.Join(t.TempDir(), "a.onnx")
				if _, err := opened(t, e, h).WriteONNX(t.Context(), path, ONNXOptions{Runtime: rt, Int8: &Int8{Pictures: someSquares(p.Size, 32)}}); err != nil {
					t.Fatal(err)
				}
				f, err := ReadONNX(path)
				if err != nil {
					t.Fatal(err)
				}
				if f.Int8 == nil || f.Int8.Layers < 3 || f.Int8.Pictures != 32 || !(f.Int8.Difference > 0 && f.Int8.Difference < 0.2) || !(f.Tolerance() >= leastTolerance) {
					t.Errorf("%+v, tolerance %v", f.Int8, f.Tolerance())
				}
				if off, err := f.Replay(rt); err != nil || off > 1e-6 {
					t.Errorf("what computed the outputs in the file is off by %v, %v", off, err)
				}
				if _, err := f.ReplayHere(t.Context(), e); err != nil {
					t.Error(err)
				}
				about, err := write.Metadata(f.data)
				if err != nil || about[floatParityName] == "" || about[floatParityName] == about[parityName] || about[toleranceWhyKey] == "" {
					t.Errorf("%v, %v", about, err)
				}
				f.Head.Parity[0] += 10 * (1 + f.Head.Parity[0])
				if _, err := f.Replay(rt); !errors.Is(err, ErrParity) {
					t.Errorf("another output: %v, want ErrParity", err)
				}
			})
		}
	}
}

// What is not accepted is not written, and both files are shown first.
func TestInt8Refused(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	c := opened(t, e, onMobile(t, datasets.Classes, presets["torch"]))
	path, no := filepath.Join(t.TempDir(), "a.onnx"), errors.New("no")
	o := ONNXOptions{Runtime: rt, Int8: &Int8{Pictures: someSquares(18, 4), Accept: func(ctx context.Context, float, packed *ONNXFile) error {
		if float.Int8 != nil || packed.Int8 == nil {
			t.Error("they are not floats and integers")
		}
		return no
	}}}
	if _, err := c.WriteONNX(t.Context(), path, o); !errors.Is(err, no) {
		t.Errorf("%v, want %v", err, no)
	}
	o.Int8 = &Int8{}
	if _, err := c.WriteONNX(t.Context(), path, o); err == nil || !strings.Contains(err.Error(), "--data DIR") {
		t.Errorf("without a picture: %v", err)
	}
	o = ONNXOptions{Engine: e, Int8: &Int8{Pictures: someSquares(18, 4)}}
	if _, err := c.WriteONNX(t.Context(), path, o); err == nil || !strings.Contains(err.Error(), "ONNX Runtime") {
		t.Errorf("without ONNX Runtime: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written all the same")
	}
}
