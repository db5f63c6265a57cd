package finetune

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// valueLoss is the squared error of real values, in units of the variance, averaged over the
// values.
//
// Values are standardised by their mean and standard deviation over the training pictures, so that
// a rate means the same in any units. Head, targets and logits are standardised during training; R²
// is the same either way.
type valueLoss struct {
	mean, sd []float64 // [K]
}

func newValueLoss(d Data) (loss, error) {
	k := d.Outputs
	l := valueLoss{mean: make([]float64, k), sd: make([]float64, k)}
	if err := checkTargets(d, func(v float64) error {
		if !finite(v) {
			return errors.New("a finite number")
		}
		return nil
	}); err != nil {
		return nil, err
	}
	n := float64(len(d.Train))
	for _, it := range d.Train {
		for c, v := range it.Targets {
			l.mean[c] += v / n
		}
	}
	for _, it := range d.Train {
		for c, v := range it.Targets {
			l.sd[c] += (v - l.mean[c]) * (v - l.mean[c]) / n
		}
	}
	for c := range l.sd {
		l.sd[c] = math.Sqrt(l.sd[c])
		if !(l.sd[c] > 1e-12*math.Abs(l.mean[c])) {
			return nil, advice.New(fmt.Errorf("finetune: value %d is %g in every training picture, so there is nothing to learn", c, d.Train[0].Targets[c]), "remove it")
		}
	}
	return l, nil
}

func (valueLoss) suits(p Plan) error {
	if p.Smoothing > 0 {
		return advice.New(fmt.Errorf("finetune: plan %s: smoothing %v, which does not apply to real values", p.Name, p.Smoothing), "leave it out")
	}
	return noClassWeights(p, datasets.Values)
}

func (l valueLoss) target(it datasets.Item, _ float64, out []float32) {
	for c, v := range it.Targets {
		out[c] = float32(l.standard(c, v))
	}
}

// standard returns a value in standard deviations from the mean.
func (l valueLoss) standard(c int, v float64) float64 { return (v - l.mean[c]) / l.sd[c] }

func (valueLoss) graph(logits, targets *graph.Node) *graph.Node {
	return graph.ReduceMean(graph.Square(graph.Sub(logits, targets)), -1)
}

func (l valueLoss) row(s head.Samples, i int, logits []float32) float64 {
	k, sum := len(l.sd), 0.0
	for c, z := range logits {
		d := float64(z) - s.Targets[i*k+c]
		sum += d * d / float64(k)
	}
	return sum
}

func (l valueLoss) known(items []datasets.Item) head.Samples {
	s := task.Values{}.Samples(items, nil, len(l.sd))
	for i, v := range s.Targets {
		s.Targets[i] = l.standard(i%len(l.sd), v)
	}
	return s
}

// epochScore returns R², computed from the loss, which is in units of the variance.
func (valueLoss) epochScore(loss, _ float64, _ int) (float64, bool) { return 1 - loss, true }

func (l valueLoss) inTraining(h *head.Linear) *head.Linear {
	return scaled(h, func(c int, v float64) float64 { return v / l.sd[c] }, func(c int, v float64) float64 { return l.standard(c, v) })
}

func (l valueLoss) written(h *head.Linear) *head.Linear {
	return scaled(h, func(c int, v float64) float64 { return v * l.sd[c] }, func(c int, v float64) float64 { return v*l.sd[c] + l.mean[c] })
}

func (valueLoss) tempered() bool { return false }

func (l valueLoss) units(logits []float32) []float32 {
	k := len(l.sd)
	out := make([]float32, len(logits))
	for i, v := range logits {
		out[i] = float32(float64(v)*l.sd[i%k] + l.mean[i%k])
	}
	return out
}

// scaled returns a head with transformed weights and biases.
func scaled(h *head.Linear, weight, bias func(c int, v float64) float64) *head.Linear {
	out := &head.Linear{Classes: h.Classes, Features: h.Features, Weight: make([]float32, len(h.Weight)), Bias: make([]float32, len(h.Bias))}
	for i, v := range h.Weight {
		out.Weight[i] = float32(weight(i/h.Features, float64(v)))
	}
	for c, v := range h.Bias {
		out.Bias[c] = float32(bias(c, float64(v)))
	}
	return out
}
