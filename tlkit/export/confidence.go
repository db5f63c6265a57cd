package export

import (
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/confidence"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// The arrays of a head file that say what training pictures look like.
const (
	familiarMean       = "familiar.mean"
	familiarDirections = "familiar.directions"
	familiarWhiten     = "familiar.whiten"
	familiarCentres    = "familiar.centres"
)

// familiarParts are the arrays of a familiarity for so many features.
func familiarParts(f *confidence.Familiar, features int) []heads.Part {
	r := int(math.Round(math.Sqrt(float64(len(f.Whiten)))))
	return []heads.Part{
		{Name: familiarMean, Shape: []int{features}, Values: f.Mean},
		{Name: familiarDirections, Shape: []int{r, features}, Values: f.Directions},
		{Name: familiarWhiten, Shape: []int{r, r}, Values: f.Whiten},
		{Name: familiarCentres, Shape: []int{len(f.Centres) / max(r, 1), r}, Values: f.Centres},
	}
}

// readFamiliarity reads these arrays, where the metadata says that there are some.
func (h *Head) readFamiliarity(f *weights.File, array func(name string, shape ...int) ([]float32, error)) (err error) {
	if h.Confidence == nil || h.Confidence.Familiar == nil {
		return nil
	}
	into, features := h.Confidence.Familiar, h.Backbone.Features
	whiten, ok := f.Tensor(familiarWhiten)
	centres, also := f.Tensor(familiarCentres)
	if !ok || !also || len(whiten.Shape) != 2 || len(centres.Shape) != 2 {
		return fmt.Errorf("no %s and %s of two dimensions, which the metadata announces", familiarWhiten, familiarCentres)
	}
	r := whiten.Shape[0]
	if into.Mean, err = array(familiarMean, features); err != nil {
		return err
	}
	if into.Directions, err = array(familiarDirections, r, features); err != nil {
		return err
	}
	if into.Whiten, err = array(familiarWhiten, r, r); err != nil {
		return err
	}
	into.Centres, err = array(familiarCentres, centres.Shape[0], r)
	return err
}

// published is the head as other files describe it, which do not hold what training pictures look like.
func (h *Head) published() *Head {
	out := *h
	if k := h.Confidence; k != nil && k.Familiar != nil {
		without := *k
		without.Familiar = nil
		out.Confidence = &without
	}
	return &out
}

// predict returns the prediction from the features of one picture, and how sure it is.
func (h *Head) predict(a answers, row []float32) Prediction {
	logits := h.Logits(row)
	p := a.answer(h, logits)
	k := h.Confidence
	if k == nil {
		return p
	}
	if k.Sets != nil && p.Probabilities != nil && p.Labels == nil {
		q := make([]float64, len(h.Labels))
		for i, label := range h.Labels {
			q[i] = p.Probabilities[label]
		}
		for _, i := range k.Sets.Named(q) {
			p.Set = append(p.Set, h.Labels[i])
		}
	}
	if m := k.Margins; m != nil && p.Values != nil {
		p.Intervals = make(map[string][2]float64, len(h.Labels))
		for i, name := range h.Labels {
			p.Intervals[name] = [2]float64{p.Values[name] - m.Each[i], p.Values[name] + m.Each[i]}
		}
	}
	if k.Familiar != nil {
		strangeness, unlike := k.Familiar.Unlike(row, logits)
		familiar := !unlike
		if !math.IsNaN(strangeness) && !math.IsInf(strangeness, 0) { // JSON has no others
			p.Strangeness = &strangeness
		}
		p.Familiar = &familiar
	}
	return p
}
