package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/card"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// onnxTolerance is the largest difference of an ONNX file's logits on its test pictures, as a share
// of the largest logit.
const onnxTolerance = 1e-4

// The keys of an ONNX file's metadata beside those of a head file.
const (
	inputKey  = "tlkit.input"
	labelsKey = "labels"
)

// ONNX returns the head on its backbone as the content of one .onnx file:
//
//	pictures       uint8 [N,S,S,3], RGB, any number of them, after resizing and cropping
//	logits         float32 [N,K]
//	probabilities  float32 [N,K]: softmax for one label a picture, sigmoid for several labels
//	values         float32 [N,K], for real values, instead of both: in the units of the data
//
// Range, mean, std and order of the channels are operations inside, the same as in the preset, so
// that the network reads the same float32 numbers. The metadata has the labels as a JSON list under
// "labels", how to prepare pictures in words under "tlkit.input", and under "tlkit.head" the same
// JSON as a head file: preset, task, thresholds, backbone with its licence, data, score.
//
// Under "tlkit.parity" are the outputs that tlkit computed, in JSON as a list for each of
// [ParityPictures] test pictures. The pictures are made by a formula, so that a program in any
// language can repeat the comparison. In Python, test picture k of S x S pixels is
//
//	def picture(S, k):
//	    y, x, c = np.mgrid[0:S, 0:S, 0:3]
//	    v = x * (7 + 2 * c) + y * (11 - 3 * c) + x * y * (c + 1 + k) // 32
//	    disc = (x - S // 3) ** 2 + (y - S // 2) ** 2 < (S // (4 + k)) ** 2
//	    return np.where(disc, 255 - (v >> 3), v).astype(np.uint8)
//
// # A file that resizes
//
// With [ONNXOptions].Resize the file reads pictures uint8 [N,H,W,3] of any height and width, all of one
// batch the same, and resizes and crops them itself: by ONNX's Resize, with antialiasing, rounded to
// bytes. What follows is the same. It is a file of its own, and not a second input: most presets
// resize a picture even if it has the network's size already, so that no input could take both kinds.
// Resize is not Pillow's, whose bytes tlkit has. How far predictions are from those of pictures that
// tlkit has resized is measured when the file is written, and is in the metadata under "tlkit.resize".
// For the same bytes, resize as the preset says and use the file without Resize.
//
// The outputs under "tlkit.parity" are then those that ONNX Runtime computed from this file, for
// pictures of the widths and heights under "tlkit.parity.sizes". Of W x H pixels, picture k has
// W // 3, H // 2 and min(W, H) in place of the three S. Another processor may round some bytes of a
// resized picture the other way, so 1e-3 of the largest logit is allowed. A long and thin picture is
// resized as a whole before its middle is cut out, and takes as much memory.
func (c *Classifier) ONNX(ctx context.Context) ([]byte, error) {
	f, err := c.onnx(ctx)
	if err != nil {
		return nil, err
	}
	return f.data, nil
}

// ONNXOptions are the options of [Classifier.WriteONNX].
type ONNXOptions struct {
	// Runtime computes the test pictures before the file is written. If it is nil, Engine does, see
	// [ONNXFile.ReplayHere]; if that is nil too, nothing does.
	Runtime *onnxruntime.Runtime
	Engine  *engine.Engine
	// Int8 asks for 8-bit integers in place of 32-bit floats; nil = floats. It needs Runtime.
	Int8 *Int8
	// Resize asks for a file that reads pictures of any size, see [Classifier.ONNX]. It needs Runtime.
	// ResizeOn yields the pictures on which it is compared with tlkit's resizing, and ResizeOnWords
	// says which they are; nil = built-in patterns.
	Resize        bool
	ResizeOn      iter.Seq2[*transforms.Picture, error]
	ResizeOnWords string

	Force bool // replace a file that is not such an export
	// Card is written beside the file, as NAME.card.md and NAME.card.html; nil = none.
	Card *card.Card
}

// WriteONNX writes the content of [Classifier.ONNX] at path, completely or not at all.
//
// It is an error if path is a file that WriteONNX has not written, unless o.Force, and if o.Runtime or
// o.Engine gets other logits than this classifier (ErrParity).
func (c *Classifier) WriteONNX(ctx context.Context, path string, o ONNXOptions) (*ONNXFile, error) {
	if err := replaceable(path, o.Force); err != nil {
		return nil, err
	}
	if err := replaceableCards(path, o.Card, o.Force); err != nil {
		return nil, err
	}
	if o.Resize && o.Runtime == nil {
		return nil, advice.New(errors.New("export: a file that resizes needs ONNX Runtime, in which its resizing is measured"), "run tlkit setup, or leave out --resize")
	}
	f, err := c.onnx(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.replay(ctx, f); err != nil {
		return nil, fmt.Errorf("%w; %s was not written", err, path)
	}
	if o.Int8 != nil {
		if f, err = o.packed(ctx, f); err != nil {
			return nil, err
		}
	}
	if o.Resize {
		if f, err = o.resized(ctx, f); err != nil {
			return nil, fmt.Errorf("%w; %s was not written", err, path)
		}
	}
	if err := atomicfile.WriteBytes(path, f.data, 0o644); err != nil {
		return nil, fmt.Errorf("export: cannot write the ONNX file: %w", err)
	}
	return f, writeCards(path, f.card(o.Card, path), o.Force)
}

// packed returns f in 8-bit integers, if that is accepted.
func (o ONNXOptions) packed(ctx context.Context, f *ONNXFile) (*ONNXFile, error) {
	packed, err := f.int8(ctx, o.Runtime, o.Int8.Pictures)
	if err != nil {
		return nil, err
	}
	if o.Int8.Accept != nil {
		if err := o.Int8.Accept(ctx, f, packed); err != nil {
			return nil, err
		}
	}
	return packed, o.replay(ctx, packed)
}

// replay computes the test pictures with what there is.
func (o ONNXOptions) replay(ctx context.Context, f *ONNXFile) (err error) {
	switch {
	case o.Runtime != nil:
		_, err = f.Replay(o.Runtime)
	case o.Engine != nil:
		_, err = f.ReplayHere(ctx, o.Engine)
	}
	return err
}

// replaceable returns an error unless there is no file at path, or one that may be replaced.
func replaceable(path string, force bool) error {
	err := atomicfile.Replaceable(path, "a head exported by tlkit", force, func() bool {
		data, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		about, err := write.Metadata(data)
		return err == nil && about[headKey] != ""
	})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// onnx makes the file.
func (c *Classifier) onnx(ctx context.Context) (*ONNXFile, error) {
	h := *c.Head
	expected, err := c.ofSquares(ctx)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	h.Parity = expected
	metadata, err := h.onnxMetadata()
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	layers := newONNXLayers(c.layerName(), h.Predictor())
	data, err := c.net.WrappedONNX(zoo.Wrapping{
		Bytes:    true,
		Before:   func(pictures *graph.Node) *graph.Node { return prepared(pictures, h.Preset) },
		After:    func(out backbone.Output) []write.Output { return h.outputs(layers, out) },
		Weight:   layers.value,
		Metadata: metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return &ONNXFile{Head: &h, data: data, tolerance: onnxTolerance}, signONNX(data)
}

// signONNX puts its sha256 into a file that has zeros in its place.
func signONNX(data []byte) error {
	offset, err := onnxDigestAt(data)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	hex.Encode(data[offset:offset+digestChars], sum[:])
	return nil
}

// layerName is the name of the head's layer, which the network does not have yet: that of an ONNX file
// may come from this package.
func (c *Classifier) layerName() string {
	name := "head"
	parts := heads.Parts(c.Head.Predictor())
	taken := func() bool {
		for i, layer := range parts {
			for _, p := range layer {
				if _, _, ok := c.net.Tensor(layerPart(name, i, len(parts), p.Name)); ok {
					return true
				}
			}
		}
		return false
	}
	for taken() {
		name = "new." + name
	}
	return name
}

// ofSquares returns the logits of the test pictures, which are squares of the preset's size.
func (c *Classifier) ofSquares(ctx context.Context) ([]float32, error) {
	p := c.Head.Preset
	p.Geometry = transforms.GeometrySquash // leaves a square of its size as it is
	size := [2]int{p.Size, p.Size}
	x, err := ofFormula(ctx, c.backbone, p, [ParityPictures][2]int{size, size, size})
	if err != nil {
		return nil, err
	}
	return c.Head.Logits(x), nil
}

func (h *Head) onnxMetadata() (map[string]string, error) {
	out := map[string]string{
		formatKey: format,
		digestKey: strings.Repeat("0", digestChars),
		inputKey:  h.feed(),
	}
	for key, v := range map[string]any{headKey: h.published(), labelsKey: h.Labels, parityName: h.rows(h.Parity)} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[key] = string(text)
	}
	return out, nil
}

// rows are the outputs of each test picture.
func (h *Head) rows(outputs []float32) [][]float32 {
	return slices.Collect(slices.Chunk(outputs, len(h.Labels)))
}

// feed says in words what the file reads.
func (h *Head) feed() string {
	return fmt.Sprintf("uint8 RGB [N,%d,%d,3], each picture %s, as Pillow resizes", h.Preset.Size, h.Preset.Size, h.Preset.SquareWords())
}

// prepared turns bytes into what the network reads, in the order and the precision of
// [transforms.ToTensor] and [transforms.Normalize].
func prepared(pictures *graph.Node, p transforms.Preset) *graph.Node {
	x := graph.ConvertDType(pictures, dtypes.Float32)
	if p.Channels == "grey" {
		x = brightness(x)
	}
	lo, hi := p.Range[0], p.Range[1]
	if lo != 0 || hi != 255 {
		x = graph.Div(x, graph.Const(x.Graph(), float32(255))) // DivScalar multiplies by the inverse
		if hi != lo+1 {
			x = graph.MulScalar(x, hi-lo)
		}
		if lo != 0 {
			x = graph.AddScalar(x, lo)
		}
	}
	if p.Channels == "BGR" {
		var turned []*graph.Node
		for _, channel := range []int{2, 1, 0} {
			turned = append(turned, graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(channel, channel+1)))
		}
		x = graph.Concatenate(turned, 3)
	}
	if p.Mean != [3]float32{} {
		x = graph.Sub(x, perChannel(x, p.Mean))
	}
	if p.Std != [3]float32{1, 1, 1} {
		x = graph.Div(x, perChannel(x, p.Std))
	}
	return x
}

// brightness is Pillow's, in whole numbers below 2^24, which float32 holds exactly.
func brightness(x *graph.Node) *graph.Node {
	sum := graph.ReduceAndKeep(graph.Mul(x, perChannel(x, [3]float32{19595, 38470, 7471})), graph.ReduceSum, 3)
	grey := graph.Floor(graph.DivScalar(graph.AddScalar(sum, float32(0x8000)), float32(0x10000)))
	return graph.Concatenate([]*graph.Node{grey, grey, grey}, 3)
}

func perChannel(x *graph.Node, v [3]float32) *graph.Node {
	return graph.Reshape(graph.Const(x.Graph(), v[:]), 1, 1, 1, 3)
}

// outputs adds the head.
func (h *Head) outputs(layers *onnxLayers, out backbone.Output) []write.Output {
	logits := layers.logits(out.Features)
	switch h.Task {
	case datasets.Values:
		return []write.Output{{Name: "values", Node: logits}}
	case datasets.Labels:
		return []write.Output{{Name: "logits", Node: logits}, {Name: "probabilities", Node: graph.Sigmoid(logits)}}
	}
	return []write.Output{{Name: "logits", Node: logits}, {Name: "probabilities", Node: graph.Softmax(logits, -1)}}
}

// ONNXFile is a file that [Classifier.WriteONNX] has written.
type ONNXFile struct {
	Head *Head // Linear is empty after reading: the weights are in the network. Parity is of the test pictures

	Off       *float64 // the largest difference at the last Replay or ReplayHere, as a share of the largest logit
	Runtime   string   // what computed it
	Unchecked string   // why it was not ONNX Runtime

	Int8   *Int8Result      // nil = a file of floats
	Resize *task.Difference // of predictions, to tlkit's resizing; nil = a file of resized pictures

	data      []byte
	tolerance float64 // of Replay
}

// Tolerance is the largest difference at Replay and ReplayHere, as a share of the largest logit:
// 1e-4, 1e-3 for a file that resizes, and more for a file of integers. Engines round numbers in the middle between two
// integers as their own last digits have it, and the following layers make more of it.
func (f *ONNXFile) Tolerance() float64 { return f.tolerance }

// Bytes returns the size of the file.
func (f *ONNXFile) Bytes() int { return len(f.data) }

// Input says in words what the file reads.
func (f *ONNXFile) Input() string {
	if f.Resize == nil {
		return f.Head.feed()
	}
	return fmt.Sprintf("uint8 RGB [N,H,W,3] of any height and width, each picture %s in the file itself, by ONNX's Resize, which is not Pillow's", f.Head.Preset.SquareWords())
}

// Outputs says in words what the file computes.
func (f *ONNXFile) Outputs() string {
	what := "logits and probabilities"
	if f.Head.Task == datasets.Values {
		what = "values"
	}
	return fmt.Sprintf("%s: float32 [N,%d], in the order of the labels", what, len(f.Head.Labels))
}

// ReadONNX reads a file of [Classifier.WriteONNX]. Errors name the file, and wrap ErrDamaged if its
// content does not match its sha256.
func ReadONNX(path string) (*ONNXFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxONNX {
		return nil, fmt.Errorf("export: %s: not an ONNX file: %d bytes, want a regular file of at most %d", path, info.Size(), int64(maxONNX))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	f, err := parseONNX(data)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", path, err)
	}
	return f, nil
}

// maxONNX is the largest file that protobuf can be.
const maxONNX = 2 << 30

func parseONNX(data []byte) (*ONNXFile, error) {
	about, err := write.Metadata(data)
	if err != nil {
		return nil, advice.New(fmt.Errorf("%w: %w", ErrDamaged, err), "get a fresh copy, or export the head again")
	}
	if about[headKey] == "" {
		return nil, advice.New(fmt.Errorf("an ONNX file without a head: no %q in its metadata", headKey), "pass a file that tlkit export wrote")
	}
	if v := about[formatKey]; v != format {
		return nil, advice.New(fmt.Errorf("format %q, want %q", v, format), "use the version of tlkit that wrote the file, or export the head again")
	}
	offset, err := onnxDigestAt(data)
	if err != nil {
		return nil, err
	}
	zeroed := bytes.Clone(data)
	copy(zeroed[offset:], strings.Repeat("0", digestChars))
	if sum := sha256.Sum256(zeroed); hex.EncodeToString(sum[:]) != about[digestKey] {
		return nil, advice.New(fmt.Errorf("%w: its sha256 is %x, its metadata has %s", ErrDamaged, sum, about[digestKey]), "get a fresh copy, or export the head again")
	}
	h := &Head{}
	if err := json.Unmarshal([]byte(about[headKey]), h); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	var rows [][]float32
	if err := json.Unmarshal([]byte(about[parityName]), &rows); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	for _, row := range rows {
		h.Parity = append(h.Parity, row...)
	}
	if k := len(h.Labels); k == 0 || len(h.Parity) != ParityPictures*k {
		return nil, fmt.Errorf("%d outputs of test pictures for %d labels, want %d for each", len(h.Parity), k, ParityPictures)
	}
	if err := h.Preset.Validate(); err != nil {
		return nil, err
	}
	f := &ONNXFile{Head: h, data: data, tolerance: onnxTolerance}
	return f, errors.Join(h.checkTask(), f.readInt8(), f.readResize())
}

// onnxDigestAt returns the offset of the sha256 in the file.
func onnxDigestAt(data []byte) (int, error) {
	// The key, then the tag and the length of its value. JSON escapes such bytes, so that no label
	// can hold them.
	field := []byte(digestKey + "\x12\x40")
	at := bytes.LastIndex(data, field)
	if at < 0 || bytes.Count(data, field) != 1 || len(data)-at-len(field) < digestChars {
		return 0, advice.New(fmt.Errorf("export: %w: no sha256 field in its metadata, or several", ErrDamaged), "is this a file that tlkit export wrote?")
	}
	return at + len(field), nil
}

// rounding is the share of the largest deviation that four units in the last place of a real value
// are; 0 for other tasks.
func (h *Head) rounding() float64 {
	var largest, unit float64
	for i, v := range h.Parity {
		if h.Scales == nil {
			return 0
		}
		s := h.Scales[i%len(h.Scales)]
		largest = max(largest, math.Abs(float64(v)-s.Mean)/s.SD)
		unit = max(unit, math.Abs(float64(v))*0x1p-23/s.SD)
	}
	return 4 * unit / max(largest, 1e-6)
}
