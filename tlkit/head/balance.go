package head

import (
	"errors"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// classWeights returns N/(K n) for each class, where n of the N samples have that class, so that
// each class weighs the same in all and the mean weight of a sample is 1. It is an error if the
// samples have no classes.
func (s Samples) classWeights() ([]float64, error) {
	if s.Targets != nil {
		return nil, advice.New(errors.New("head: class weights need one class a sample, and these samples have several labels or values"), "leave them out")
	}
	out := make([]float64, s.Classes)
	for _, y := range s.Y {
		out[y]++
	}
	for k, n := range out {
		out[k] = float64(s.Len()) / (float64(s.Classes) * n)
	}
	return out, nil
}

// weighedLoss returns the mean of the cross-entropy of each sample times the weight of its class.
func (s Samples) weighedLoss(logits []float32, weights []float64) float64 {
	var sum float64
	for i, y := range s.Y {
		sum += weights[y] * LogLoss(logits[i*s.Classes:(i+1)*s.Classes], s.Y[i:i+1], s.Classes)
	}
	if len(s.Y) == 0 {
		return math.NaN()
	}
	return sum / float64(len(s.Y))
}
