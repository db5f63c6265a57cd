package export

import (
	"context"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// ParityPictures is the number of built-in pictures whose logits a head file holds.
const ParityPictures = 3

// parityTolerance is the largest difference of logits between machines, as a share of the largest
// logit. Processors round differently (1e-6 seen); a wrong preset or weight changes logits by
// percents.
const parityTolerance = 1e-3

// Classifier is a head opened on its backbone.
type Classifier struct {
	Head   *Head
	Parity float64 // largest difference on the built-in pictures, as a share of the largest logit

	net      *zoo.Net
	backbone features.Backbone
}

// Options are the options of [Head.Open].
type Options struct {
	Zoo zoo.Options // where the backbone comes from; its Preset is not used
	// Form is the form in which the backbone runs, if it is possible here and the engine was not
	// opened with another; the zero value chooses one.
	Form engine.Form
}

// Open loads the backbone that the head was trained on, applies the changed tensors and checks the
// built-in pictures.
//
// It is an error if the backbone is missing and cannot be fetched (the error names the file and its
// sources), if its sha256 is not the one that the head was trained on, or if the built-in pictures
// give other logits (ErrParity).
func (h *Head) Open(ctx context.Context, e *engine.Engine, o Options) (*Classifier, error) {
	o.Zoo.Preset = &h.Preset
	if o.Zoo.Entry == "" {
		o.Zoo.Entry = h.Backbone.Entry
	}
	net, err := zoo.Load(ctx, h.Backbone.Name, o.Zoo)
	if err != nil {
		return nil, fmt.Errorf("export: the head needs its backbone: %w", err)
	}
	if net.SHA256 != h.Backbone.SHA256 {
		return nil, advice.New(fmt.Errorf("export: the head was trained on %s weights with sha256 %s, the ones here have %s", h.Backbone.Name, h.Backbone.SHA256, net.SHA256), "pass the right file with --weights")
	}
	if in := h.Backbone.Entry; in != "" && net.Entry != in {
		return nil, advice.New(fmt.Errorf("export: the head was trained on the weights under %s in that file, not on those under %s", in, net.Entry), "leave out --entry")
	}
	net, err = net.With(h.Changed)
	if err != nil {
		return nil, fmt.Errorf("export: the head's changed tensors do not fit its backbone: %w", err)
	}
	c := &Classifier{Head: h, net: net, backbone: features.FromNet(net, e).Prefer(o.Form)}
	if c.Parity, err = c.Replay(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// off returns the largest difference between logits of the built-in pictures and the recorded ones,
// as a share of the largest. Real values are compared as deviations from their training mean, so
// that a large constant part, as in 1013 ± 2 hPa, does not hide a change.
func (h *Head) off(logits []float32) float64 {
	var largest, off float64
	for i, v := range h.Parity {
		want, got := float64(v), float64(logits[i])
		if h.Scales != nil {
			s := h.Scales[i%len(h.Scales)]
			want, got = (want-s.Mean)/s.SD, (got-s.Mean)/s.SD
		}
		largest, off = max(largest, math.Abs(want)), max(off, math.Abs(got-want))
	}
	return off / max(largest, 1e-6)
}

// Net returns the backbone below the head.
func (c *Classifier) Net() *zoo.Net { return c.net }

// Parity classifies the built-in pictures and returns their logits, [ParityPictures, K]. The
// pictures are small: one wide, one tall and one square, so that resizing and cropping are tested
// too.
func Parity(ctx context.Context, b features.Backbone, p transforms.Preset, m heads.Model) ([]float32, error) {
	x, err := BuiltIn(ctx, b, p)
	if err != nil {
		return nil, err
	}
	return m.Logits(x), nil
}

// BuiltIn returns the features of the built-in pictures, [ParityPictures, C]. A head makes their
// logits of them, see [Parity].
func BuiltIn(ctx context.Context, b features.Backbone, p transforms.Preset) ([]float32, error) {
	return ofFormula(ctx, b, p, builtInSizes)
}

// builtInSizes are the widths and heights of the built-in pictures.
var builtInSizes = [ParityPictures][2]int{{96, 64}, {50, 80}, {72, 72}}

// ofFormula returns the features of the pictures that a formula makes, of those widths and heights.
func ofFormula(ctx context.Context, b features.Backbone, p transforms.Preset, sizes [ParityPictures][2]int) ([]float32, error) {
	out := make([]float32, ParityPictures*b.Features)
	pipeline := p.Eval()
	var failed error
	err := features.Forward(ctx, b, features.Pass{
		Size: p.Size, Pictures: ParityPictures,
		Prepare: func(i int) (transforms.Tensor, error) {
			w, h := sizes[i][0], sizes[i][1]
			return pipeline.Apply(&transforms.Picture{Width: w, Height: h, Pix: golden.Picture(w, h, i)}, transforms.Rand{})
		},
		Use: func(rows []int, values []float32) error {
			for i, r := range rows {
				copy(out[r*b.Features:(r+1)*b.Features], values[i*b.Features:])
			}
			return nil
		},
		Bad: func(_ int, err error) { failed = err },
	})
	if err == nil {
		err = failed
	}
	return out, err
}

// Classify predicts each picture and returns the predictions in the order of paths. A picture that
// cannot be read gets a Prediction with Error. The returned error concerns all pictures: a
// cancelled ctx or a failure of the engine.
func (c *Classifier) Classify(ctx context.Context, paths []string) ([]Prediction, error) {
	out := make([]Prediction, 0, len(paths))
	err := c.Stream(ctx, Stream{Paths: paths, Use: func(p Prediction) error {
		out = append(out, p)
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return out, nil
}
