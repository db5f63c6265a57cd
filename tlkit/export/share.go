package export

import (
	"context"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/features"
)

// Backbone returns the network below the head, as [features.Forward] and programs of your own run it.
func (c *Classifier) Backbone() features.Backbone { return c.backbone }

// Answer returns the prediction from the features of one picture, a row of what c.Backbone computes.
// It may be called from several goroutines.
func (c *Classifier) Answer(row []float32) (Prediction, error) {
	if len(row) != c.Head.Backbone.Features {
		return Prediction{}, fmt.Errorf("export: %d features of a picture for a head on %d", len(row), c.Head.Backbone.Features)
	}
	answers, err := answersOf(c.Head.Task)
	if err != nil {
		return Prediction{}, err
	}
	return c.Head.predict(answers, row), nil
}

// Replay classifies the built-in pictures again and returns the largest difference from the logits
// that the head file records, as a share of the largest. Above 1e-3 the error is ErrParity.
func (c *Classifier) Replay(ctx context.Context) (float64, error) {
	logits, err := Parity(ctx, c.backbone, c.Head.Preset, c.Head.Predictor())
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	off := c.Head.off(logits)
	if !(off <= parityTolerance) {
		return off, advice.New(fmt.Errorf("export: %w: off by %.2g of the largest logit, allowed %.0e", ErrParity, off, parityTolerance), "run tlkit verify %s", c.Head.Backbone.Name)
	}
	return off, nil
}

// Shares reports whether h reads the same features as c: the same frozen weights, and pictures
// prepared in the same way.
func (c *Classifier) Shares(h *Head) bool {
	a, b := c.Head.Backbone, h.Backbone
	same := a.Name == b.Name && a.SHA256 == b.SHA256 && a.Features == b.Features && (b.Entry == "" || b.Entry == c.net.Entry)
	return same && c.Head.Changed == nil && h.Changed == nil && c.Head.Preset.Digest() == h.Preset.Digest()
}

// With opens a head that [Classifier.Shares] the features of c, on the same opened network, and
// checks the built-in pictures. One pass through the network then serves both.
func (c *Classifier) With(ctx context.Context, h *Head) (*Classifier, error) {
	if !c.Shares(h) {
		return nil, advice.New(fmt.Errorf("export: a head on %s with other features than that on %s", h.Backbone.Name, c.Head.Backbone.Name), "use Head.Open")
	}
	other := &Classifier{Head: h, net: c.net, backbone: c.backbone}
	off, err := other.Replay(ctx)
	other.Parity = off
	if err != nil {
		return nil, err
	}
	return other, nil
}
