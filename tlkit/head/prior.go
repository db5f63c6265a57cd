package head

import (
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// prior is a head that a fit starts from. The solver finds what is added to it, so that the penalty is
// on the difference, and only the head's logits are needed. Its methods take a nil prior for none.
type prior struct {
	head   *Linear
	logits []float32 // of the samples, [N, K]
}

// newPrior returns the prior of a fit to s; nil if there is no head.
func newPrior(h *Linear, s Samples) (*prior, error) {
	if h == nil {
		return nil, nil
	}
	if err := h.Check(); err != nil {
		return nil, err
	}
	if h.Features != s.Features || h.Classes != s.Classes {
		return nil, advice.New(fmt.Errorf("head: a fit towards a head of %d classes on %d features, want %d classes and %d features as the samples have", h.Classes, h.Features, s.Classes, s.Features), "pass a head of the same labels on the same backbone")
	}
	return &prior{h, h.Logits(s.X)}, nil
}

// of returns the prior of some of the samples.
func (p *prior) of(rows []int) *prior {
	if p == nil {
		return nil
	}
	k := p.head.Classes
	out := &prior{p.head, make([]float32, 0, len(rows)*k)}
	for _, r := range rows {
		out.logits = append(out.logits, p.logits[r*k:(r+1)*k]...)
	}
	return out
}

// addTo adds the logits to scores, [N, K].
func (p *prior) addTo(scores []float64) {
	if p == nil {
		return
	}
	for i, v := range p.logits {
		scores[i] += float64(v)
	}
}

// add adds the head to what the solver found, in place, and returns the sum.
func (p *prior) add(found *Linear) *Linear {
	if p == nil {
		return found
	}
	for i, v := range p.head.Weight {
		found.Weight[i] += v
	}
	for i, v := range p.head.Bias {
		found.Bias[i] += v
	}
	return found
}
