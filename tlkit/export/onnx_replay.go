package export

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Replay computes the test pictures in ONNX Runtime and returns the largest difference to what tlkit
// computed when the file was written, as a share of the largest logit. Above 1e-4 the error
// is ErrParity; files of integers and files that resize have an [ONNXFile.Tolerance] of their own. Of real values whose mean is far above their standard deviation, as in 101300 ± 50 Pa,
// float32 holds fewer digits, and as much more is allowed.
func (f *ONNXFile) Replay(rt *onnxruntime.Runtime) (float64, error) {
	s, err := f.Session(rt)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if f.Resize != nil {
		logits, err := ofTestPictures(s)
		if err != nil {
			return 0, err
		}
		return f.judge("ONNX Runtime "+rt.Version(), logits)
	}
	size := f.Head.Preset.Size
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{ParityPictures, size, size, 3}, Uint8: f.Head.squares()})
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	return f.judge("ONNX Runtime "+rt.Version(), out[0].Float32)
}

// ReplayHere is Replay without ONNX Runtime: package onnx reads the network from the file, and e
// computes it. A file that resizes is an error: only ONNX Runtime computes it.
func (f *ONNXFile) ReplayHere(ctx context.Context, e *engine.Engine) (float64, error) {
	if f.Resize != nil {
		return 0, errNeedsRuntime()
	}
	path, err := f.written()
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	defer os.Remove(path)
	net, err := zoo.Load(ctx, path, zoo.Options{Offline: true})
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	x, err := net.NewExtractor(e.Backend, ParityPictures)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	defer x.Close()
	var pictures []float32
	for _, v := range f.Head.squares() {
		pictures = append(pictures, float32(v))
	}
	out, logits, err := x.Run(pictures)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if logits != nil {
		out = logits
	}
	return f.judge("tlkit's own reader on "+e.Name, out)
}

// written returns the path of a temporary file with the content of f. The caller removes it.
func (f *ONNXFile) written() (path string, err error) {
	file, err := os.CreateTemp("", "tlkit-*.onnx")
	if err != nil {
		return "", err
	}
	_, err = file.Write(f.data)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// squares are the bytes of the test pictures.
func (h *Head) squares() (pixels []uint8) {
	for k := range ParityPictures {
		pixels = append(pixels, golden.Picture(h.Preset.Size, h.Preset.Size, k)...)
	}
	return pixels
}

// judge compares logits of the test pictures with those that the file holds, and keeps the outcome.
func (f *ONNXFile) judge(by string, logits []float32) (float64, error) {
	if len(logits) != len(f.Head.Parity) {
		return 0, fmt.Errorf("export: the file computes %d numbers for %d pictures, want %d", len(logits), ParityPictures, len(f.Head.Parity))
	}
	off := f.Head.off(logits)
	f.Off, f.Runtime = &off, by
	if allowed := f.tolerance + f.Head.rounding(); !(off <= allowed) {
		return off, fmt.Errorf("export: the ONNX file in %s: %w: off by %.2g of the largest logit, allowed %.2g", by, ErrParity, off, allowed)
	}
	return off, nil
}
