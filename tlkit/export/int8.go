package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/onnx/quantise"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
)

// Int8 is how an ONNX file of 8-bit integers is made.
type Int8 struct {
	// Pictures are training pictures as the file reads them, S*S*3 bytes each: half of them show the
	// range of each activation, the other half decide between several ways of quantising. 64 are
	// plenty.
	Pictures [][]uint8
	// Accept is asked about the file before it is written, beside that of floats; nil = it is written.
	Accept func(ctx context.Context, float, packed *ONNXFile) error
}

// Int8Result says how a network was quantised, and what that costs.
type Int8Result struct {
	Method   quantise.Method `json:"method"`       // of finding the ranges
	Layers   int             `json:"layers"`       // convolutions and matrices
	First    int             `json:"float_layers"` // how many of the first ones stayed in floats, besides the head
	Pictures int             `json:"pictures"`     // training pictures by which that was decided
	// Difference is the typical difference of logits to the network in floats, as a share of the
	// typical logit, on half of these pictures.
	Difference float64 `json:"difference"`
	FloatBytes int     `json:"float_bytes"` // size of the file in floats

	// What Accept may find out about both files.
	Split      string        `json:"split,omitempty"`         // the pictures that they were scored on
	FloatScore metrics.Score `json:"float_score,omitzero"`    // of floats
	Score      metrics.Score `json:"score,omitzero"`          // of integers
	Gain       metrics.Gain  `json:"gain,omitzero"`           // the latter minus the former
	FloatTime  float64       `json:"float_seconds,omitempty"` // seconds a picture
	Time       float64       `json:"seconds,omitempty"`
}

const (
	int8Key         = "tlkit.int8"
	floatParityName = "tlkit.parity.float"
	toleranceKey    = "tlkit.parity.tolerance"
	toleranceWhyKey = "tlkit.parity.tolerance.why"
	toleranceWhy    = "A number in the middle between two integers is rounded up by one engine and down by the next; the following layers make more of it. Engines that are both right differ as much as integers differ from floats."
)

// leastTolerance is the smallest tolerance of a file of integers.
const leastTolerance = 0.05

// int8 returns the network of f in 8-bit integers.
func (f *ONNXFile) int8(ctx context.Context, rt *onnxruntime.Runtime, pictures [][]uint8) (*ONNXFile, error) {
	if rt == nil {
		return nil, advice.New(errors.New("export: 8-bit integers need ONNX Runtime, which observes the network"), "run tlkit setup, or leave out --int8")
	}
	n, err := quantise.Read(f.data)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	seen, judges := halves(pictures)
	if len(judges) == 0 {
		return nil, advice.New(errors.New("export: no training picture to quantise with, want one at least"), "pass the pictures with --data DIR")
	}
	if err := f.observe(ctx, rt, n, seen); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	c := &chooser{float: f, network: n, runtime: rt, judges: judges}
	if err := c.choose(ctx); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	c.best.Pictures, c.best.Layers, c.best.FloatBytes = len(pictures), len(n.Layers()), len(f.data)
	return c.written(ctx)
}

// halves deals pictures to two purposes, or gives both all of them where they are few.
func halves(pictures [][]uint8) (a, b [][]uint8) {
	if len(pictures) < 16 {
		return pictures, pictures
	}
	for i, p := range pictures {
		if i%2 == 0 {
			a = append(a, p)
		} else {
			b = append(b, p)
		}
	}
	return a, b
}

// observe shows pictures to the network.
func (f *ONNXFile) observe(ctx context.Context, rt *onnxruntime.Runtime, n *quantise.Network, pictures [][]uint8) error {
	s, err := rt.Session(n.Probe(), onnxruntime.SessionOptions{Outputs: n.Observed()})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, p := range pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := s.Run(f.input(p))
		if err != nil {
			return err
		}
		values := make([][]float32, len(out))
		for i, t := range out {
			values[i] = t.Float32
		}
		if err := n.Observe(values); err != nil {
			return err
		}
	}
	return nil
}

func (f *ONNXFile) input(picture []uint8) onnxruntime.Tensor {
	return onnxruntime.Tensor{Shape: []int{1, f.Head.Preset.Size, f.Head.Preset.Size, 3}, Uint8: picture}
}

// Session opens the file in ONNX Runtime.
func (f *ONNXFile) Session(rt *onnxruntime.Runtime) (*onnxruntime.Session, error) {
	s, err := rt.Session(f.data, onnxruntime.SessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return s, nil
}

// Logits computes pictures as the file reads them, S*S*3 bytes each, in ONNX Runtime, and returns the
// logits or values, [N,K] row by row.
func (f *ONNXFile) Logits(ctx context.Context, rt *onnxruntime.Runtime, pictures [][]uint8) ([]float32, error) {
	s, err := f.Session(rt)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var logits []float32
	for _, p := range pictures {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out, err := s.Run(f.input(p))
		if err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		logits = append(logits, out[0].Float32...)
	}
	return logits, nil
}

// chooser tries ways of quantising on training pictures.
type chooser struct {
	float   *ONNXFile
	network *quantise.Network
	runtime *onnxruntime.Runtime
	judges  [][]uint8
	want    []float32 // logits of the judges
	best    Int8Result
}

// choose finds the method with the least difference, and then how many of the first layers stay in
// floats: the fewest that come within a quarter of the least difference. The head always does: it is
// small.
func (c *chooser) choose(ctx context.Context) (err error) {
	if c.want, err = c.float.Logits(ctx, c.runtime, c.judges); err != nil {
		return err
	}
	c.best.Difference = math.Inf(1)
	for _, m := range quantise.Methods() {
		d, err := c.try(ctx, quantise.Options{Method: m, Last: 1})
		if err != nil {
			return err
		}
		if d < c.best.Difference {
			c.best.Method, c.best.Difference = m, d
		}
	}
	tried, least := map[int]float64{0: c.best.Difference}, c.best.Difference
	layers := len(c.network.Layers())
	for _, k := range []int{layers / 12, layers / 6} {
		if _, done := tried[k]; done {
			continue
		}
		if tried[k], err = c.try(ctx, quantise.Options{Method: c.best.Method, First: k, Last: 1}); err != nil {
			return err
		}
		least = min(least, tried[k])
	}
	for _, k := range []int{0, layers / 12, layers / 6} {
		if tried[k] <= 1.25*least {
			c.best.First, c.best.Difference = k, tried[k]
			break
		}
	}
	return nil
}

// try returns the difference that a way of quantising makes.
func (c *chooser) try(ctx context.Context, o quantise.Options) (float64, error) {
	data, err := c.network.Int8(o)
	if err != nil {
		return 0, err
	}
	got, err := (&ONNXFile{Head: c.float.Head, data: data}).Logits(ctx, c.runtime, c.judges)
	if err != nil {
		return 0, err
	}
	return c.float.Head.difference(c.want, got), nil
}

// difference is the root of the mean squared difference of outputs, as a share of that of want. What
// does not matter to the answers is left out: of one label a picture, what all its logits have in
// common; of values, their mean and unit.
func (h *Head) difference(want, got []float32) float64 {
	k := len(h.Labels)
	off, all := 0.0, 0.0
	for at := 0; at < len(want); at += k {
		a, b := h.telling(want[at:at+k]), h.telling(got[at:at+k])
		for i := range a {
			off += (a[i] - b[i]) * (a[i] - b[i])
			all += a[i] * a[i]
		}
	}
	return math.Sqrt(off / max(all, 1e-30))
}

// telling returns what of a picture's outputs matters to the answer.
func (h *Head) telling(row []float32) []float64 {
	out, mean := make([]float64, len(row)), 0.0
	for i, v := range row {
		out[i] = float64(v)
		if h.Scales != nil {
			out[i] = (out[i] - h.Scales[i].Mean) / h.Scales[i].SD
		}
		mean += out[i] / float64(len(row))
	}
	if h.Task == datasets.Classes || h.Task == "" {
		for i := range out {
			out[i] -= mean
		}
	}
	return out
}

// written returns the file of the choice, with the outputs that it gives for the test pictures.
func (c *chooser) written(ctx context.Context) (*ONNXFile, error) {
	h := *c.float.Head
	o := quantise.Options{Method: c.best.Method, First: c.best.First, Last: 1}
	data, err := c.network.Int8(o)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	pixels := h.squares()
	var squares [][]uint8
	for p := range slices.Chunk(pixels, len(pixels)/ParityPictures) {
		squares = append(squares, p)
	}
	float := h.Parity
	if h.Parity, err = (&ONNXFile{Head: &h, data: data}).Logits(ctx, c.runtime, squares); err != nil {
		return nil, err
	}
	out := &ONNXFile{Head: &h, Int8: &c.best, tolerance: max(leastTolerance, 2*h.off(float))}
	if o.Metadata, err = out.metadata(float); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if out.data, err = c.network.Int8(o); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out, signONNX(out.data)
}

// metadata is that of a file of integers.
func (f *ONNXFile) metadata(float []float32) (map[string]string, error) {
	out, err := f.Head.onnxMetadata()
	if err != nil {
		return nil, err
	}
	out[toleranceWhyKey] = toleranceWhy
	for key, v := range map[string]any{int8Key: f.Int8, toleranceKey: f.tolerance, floatParityName: f.Head.rows(float)} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[key] = string(text)
	}
	return out, nil
}

// readInt8 reads what the metadata of a file of integers says.
func (f *ONNXFile) readInt8() error {
	about, err := write.Metadata(f.data)
	if err != nil || about[int8Key] == "" {
		return err
	}
	f.Int8 = &Int8Result{}
	if err := json.Unmarshal([]byte(about[int8Key]), f.Int8); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if err := json.Unmarshal([]byte(about[toleranceKey]), &f.tolerance); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}
