package export

import (
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
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// A file that resizes, of each task, preset and kind of numbers, says how far it is from tlkit's
// resizing, is read, and is replayed in ONNX Runtime.
func TestResize(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	for _, name := range []datasets.Task{datasets.Classes, datasets.Labels, datasets.Values} {
		for kind, p := range presets {
			for _, packed := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", kind, " ", packed), func(t *testing.T) {
					c := opened(t, e, onMobile(t, name, p))
					path := filepath.Join(t.TempDir(), "a.onnx")
					o := ONNXOptions{Runtime: rt, Resize: true}
					if packed {
						o.Int8 = &Int8{Pictures: someSquares(p.Size, 16)}
					}
					wrote, err := c.WriteONNX(t.Context(), path, o)
					if err != nil {
						t.Fatal(err)
					}
					f, err := ReadONNX(path)
					if err != nil {
						t.Fatal(err)
					}
					if f.Resize == nil || *f.Resize != *wrote.Resize || f.Tolerance() != wrote.Tolerance() || f.Tolerance() < resizeTolerance || (f.Int8 != nil) != packed {
						t.Errorf("read %+v, wrote %+v", f, wrote)
					}
					d := f.Resize
					if d.Samples != len(builtInPatterns) || d.On != "built-in patterns" || (d.Of == task.Deviations) != (name == datasets.Values) {
						t.Errorf("%+v", d)
					}
					if !(d.Largest < 0.1) || d.Typical > d.Largest || d.Changed > 2 {
						t.Errorf("resizing changes too much: %s", d)
					}
					t.Log(d)
					if off, err := f.Replay(rt); err != nil || off > 1e-6 {
						t.Errorf("off by %v, %v", off, err)
					}
					if !strings.Contains(f.Input(), "[N,H,W,3]") || !strings.Contains(f.python("a"), "of any size") {
						t.Error(f.Input())
					}
					about, err := write.Metadata(f.data)
					if err != nil || about[inputKey] != f.Input() || about[resizeParityKey] != "[[96,64],[50,80],[72,72]]" || about[floatParityName] != "" {
						t.Errorf("%v, %v", about, err)
					}
				})
			}
		}
	}
}

// A picture that the preset leaves as it is gets the outputs of the file without resizing; a changed
// output is noticed; only ONNX Runtime computes the file.
func TestResizeReplay(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	c := opened(t, e, onMobile(t, datasets.Classes, presets["widely"]))
	plain, err := c.onnx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := ONNXOptions{Runtime: rt, Resize: true, ResizeOnWords: "two", ResizeOn: func(yield func(*transforms.Picture, error) bool) {
		_ = yield(pattern([2]int{18, 18}, 0), nil) && yield(pattern([2]int{18, 18}, 1), nil)
	}}
	f, err := plain.resizing(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d := f.Resize; d.On != "two" || d.Samples != 2 || d.Largest > 1e-6 || d.Changed != 0 {
		t.Errorf("pictures of the network's size: %+v", d)
	}
	if _, err := f.ReplayHere(t.Context(), e); err == nil || !strings.Contains(err.Error(), "ONNX Runtime") {
		t.Errorf("our own reader: %v", err)
	}
	f.Head.Parity[0] += 0.1
	if _, err := f.Replay(rt); !errors.Is(err, ErrParity) {
		t.Errorf("another output: %v, want ErrParity", err)
	}
	path := filepath.Join(t.TempDir(), "a.onnx")
	if _, err := c.WriteONNX(t.Context(), path, ONNXOptions{Resize: true, Engine: e}); err == nil || !strings.Contains(err.Error(), "--resize") {
		t.Errorf("without ONNX Runtime: %v", err)
	}
	broken := errors.New("broken")
	o.ResizeOn = func(yield func(*transforms.Picture, error) bool) { yield(nil, broken) }
	if _, err := c.WriteONNX(t.Context(), path, o); !errors.Is(err, broken) {
		t.Errorf("a picture that cannot be read: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was written all the same")
	}
}
