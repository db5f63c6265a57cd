package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

const (
	resizeKey       = "tlkit.resize"
	resizeParityKey = "tlkit.parity.sizes"
	// resizeTolerance is that of a file that resizes: another processor may round a byte of a resized
	// picture to its neighbour.
	resizeTolerance = 1e-3
)

// builtInPatterns are the widths and heights of the patterns on which a file that resizes is compared
// where there are no pictures.
var builtInPatterns = [][2]int{{640, 480}, {480, 640}, {500, 375}, {333, 500}, {1600, 1200}, {301, 702}, {96, 64}, {50, 80}, {72, 72}, {31, 17}, {224, 224}, {1000, 250}}

// patterns yields the built-in pictures.
func patterns(yield func(*transforms.Picture, error) bool) {
	for k, size := range builtInPatterns {
		if !yield(pattern(size, k%ParityPictures), nil) {
			return
		}
	}
}

func pattern(size [2]int, k int) *transforms.Picture {
	return &transforms.Picture{Width: size[0], Height: size[1], Pix: golden.Picture(size[0], size[1], k)}
}

// resized returns f with the resizing inside, after computing its test pictures. Off remains that of the
// network, whose pictures tlkit had resized.
func (o ONNXOptions) resized(ctx context.Context, f *ONNXFile) (*ONNXFile, error) {
	out, err := f.resizing(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := o.replay(ctx, out); err != nil {
		return nil, err
	}
	out.Off, out.Runtime = f.Off, f.Runtime
	return out, nil
}

// resizing returns f with the resizing inside, compared with f on o's pictures.
func (f *ONNXFile) resizing(ctx context.Context, o ONNXOptions) (*ONNXFile, error) {
	h := *f.Head
	out := &ONNXFile{Head: &h, Int8: f.Int8, tolerance: max(f.tolerance, resizeTolerance)}
	var err error
	if out.data, err = write.Resizing(f.data, h.Preset, nil); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	s, err := out.Session(o.Runtime)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	pictures, on := o.ResizeOn, o.ResizeOnWords
	if pictures == nil {
		pictures, on = patterns, "built-in patterns"
	}
	d, err := f.differs(ctx, o.Runtime, s, pictures)
	if err != nil {
		return nil, fmt.Errorf("export: comparing resized pictures: %w", err)
	}
	d.On = on
	out.Resize = &d
	if h.Parity, err = ofTestPictures(s); err != nil {
		return nil, err
	}
	about, err := out.resizeMetadata(f)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if out.data, err = write.Resizing(f.data, h.Preset, about); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out, signONNX(out.data)
}

// differs compares the predictions of f, which reads pictures that tlkit has resized, with those of a
// session that resizes by itself.
func (f *ONNXFile) differs(ctx context.Context, rt *onnxruntime.Runtime, resizes *onnxruntime.Session, pictures iter.Seq2[*transforms.Picture, error]) (d task.Difference, err error) {
	plain, err := f.Session(rt)
	if err != nil {
		return d, err
	}
	defer plain.Close()
	kinds, err := answersOf(f.Head.Task)
	if err != nil {
		return d, err
	}
	square := f.Head.Preset.Square()
	var want, got [][]float64
	changed := 0
	for pic, err := range pictures {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return d, err
		}
		prepared, err := square.Picture(pic, transforms.Rand{})
		if err != nil {
			return d, err
		}
		var rows [2][]float64
		var labels [2]string
		for i, one := range []struct {
			session *onnxruntime.Session
			picture *transforms.Picture
		}{{plain, prepared}, {resizes, pic}} {
			logits, err := logitsOf(one.session, one.picture)
			if err != nil {
				return d, err
			}
			p := kinds.answer(f.Head, logits)
			rows[i], labels[i] = f.Head.numbers(p), fmt.Sprintf("%q %q", p.Label, p.Labels)
		}
		want, got = append(want, rows[0]), append(got, rows[1])
		if labels[0] != labels[1] {
			changed++
		}
	}
	if d, err = task.Differ(want, got); err != nil {
		return d, err
	}
	d.Changed, d.Of = changed, task.Probabilities
	if f.Head.Task == datasets.Values {
		d.Of = task.Deviations
	}
	return d, nil
}

// numbers are a prediction's probabilities, or its values in standard deviations.
func (h *Head) numbers(p Prediction) (row []float64) {
	for i, label := range h.Labels {
		if h.Task == datasets.Values {
			row = append(row, (p.Values[label]-h.Scales[i].Mean)/h.Scales[i].SD)
		} else {
			row = append(row, p.Probabilities[label])
		}
	}
	return row
}

// logitsOf returns the logits or values of one picture.
func logitsOf(s *onnxruntime.Session, p *transforms.Picture) ([]float32, error) {
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{1, p.Height, p.Width, 3}, Uint8: p.Pix})
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out[0].Float32, nil
}

// ofTestPictures returns what a session that resizes computes for the built-in pictures, one after the
// other because of their sizes.
func ofTestPictures(s *onnxruntime.Session) (logits []float32, err error) {
	for k, size := range builtInSizes {
		row, err := logitsOf(s, pattern(size, k))
		if err != nil {
			return nil, err
		}
		logits = append(logits, row...)
	}
	return logits, nil
}

// resizeMetadata is that of f, from which this file was made, but for what has changed.
func (f *ONNXFile) resizeMetadata(from *ONNXFile) (map[string]string, error) {
	out, err := write.Metadata(from.data)
	if err != nil {
		return nil, err
	}
	delete(out, floatParityName) // of pictures of another size
	out[digestKey] = strings.Repeat("0", digestChars)
	out[inputKey] = f.Input()
	for key, v := range map[string]any{
		resizeKey: f.Resize, toleranceKey: f.tolerance,
		parityName: f.Head.rows(f.Head.Parity), resizeParityKey: slices.Clone(builtInSizes[:]),
	} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[key] = string(text)
	}
	return out, nil
}

// readResize reads what the metadata of a file that resizes says.
func (f *ONNXFile) readResize() error {
	about, err := write.Metadata(f.data)
	if err != nil || about[resizeKey] == "" {
		return err
	}
	f.Resize = &task.Difference{}
	if err := json.Unmarshal([]byte(about[resizeKey]), f.Resize); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if err := json.Unmarshal([]byte(about[toleranceKey]), &f.tolerance); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// errNeedsRuntime says that only ONNX Runtime computes a file that resizes.
func errNeedsRuntime() error {
	return advice.New(errors.New("export: tlkit's own reader does not compute a network whose pictures have any size, as in a file that resizes by itself"), "check it in ONNX Runtime, which tlkit setup installs")
}
