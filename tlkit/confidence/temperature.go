package confidence

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Temperature is what logits are divided by, so that probabilities mean what they say (Guo et al. 2017).
type Temperature struct {
	Value float64 `json:"value"` // 1 = the logits stay as they are
	// Before and After are the mean losses in nats of the out-of-fold logits. After is by temperatures of
	// the other folds, so that it may be larger.
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// the logarithms of the temperatures that are tried: 1/20 to 20.
var widestTemperature = math.Log(20)

// FitTemperature finds the temperature with the lowest loss on out-of-fold logits [N, K] of samples with
// one label, or with several. It is 1 unless it helps: with the temperatures of the other folds, the loss
// of each fold must fall by more than two standard errors of the mean. It is 1 for values, and without
// folds.
func FitTemperature(s head.Samples, outOfFold []float32, folds [][]int) (Temperature, error) {
	one := Temperature{Value: 1}
	if s.Len() == 0 || len(outOfFold) != s.Len()*s.Classes {
		return one, fmt.Errorf("confidence: %d logits for %d samples of %d outputs, want one for each", len(outOfFold), s.Len(), s.Classes)
	}
	l := tempering{s, outOfFold}
	if len(folds) < 2 || !l.binary() {
		return one, nil
	}
	var gains []float64
	for _, held := range folds {
		out := make([]bool, s.Len())
		for _, r := range held {
			out[r] = true
		}
		var rest []int
		for r, o := range out {
			if !o {
				rest = append(rest, r)
			}
		}
		t := l.best(rest)
		for _, r := range held {
			before := l.loss(r, 1)
			gains = append(gains, before-l.loss(r, t))
			one.Before += before
		}
	}
	n := float64(len(gains))
	if n < 2 {
		return one, nil
	}
	mean, spread := meanAndDeviation(gains)
	one.Before /= n
	one.After = one.Before
	if !(mean > 2*spread/math.Sqrt(n)) {
		return one, nil
	}
	all := make([]int, s.Len())
	for i := range all {
		all[i] = i
	}
	return Temperature{Value: l.best(all), Before: one.Before, After: one.Before - mean}, nil
}

// Model returns a head whose logits are divided by the temperature; ok is false if heads of that kind
// cannot be scaled.
func (t Temperature) Model(m heads.Model) (scaled heads.Model, ok bool) {
	switch m := m.(type) {
	case *head.Linear:
		out := t.linear(*m)
		return &out, true
	case *heads.Cosine:
		return &heads.Cosine{Linear: t.linear(m.Linear)}, true
	case *heads.Neighbours:
		out := *m
		out.Factor /= t.Value
		return &out, true
	}
	return m, false
}

func (t Temperature) linear(h head.Linear) head.Linear {
	h.Weight, h.Bias = t.Logits(h.Weight), t.Logits(h.Bias)
	return h
}

// Logits returns logits divided by the temperature.
func (t Temperature) Logits(logits []float32) []float32 {
	out := slices.Clone(logits)
	for i, v := range out {
		out[i] = float32(float64(v) / t.Value)
	}
	return out
}

// tempering is logits with their truth.
type tempering struct {
	s      head.Samples
	logits []float32
}

// binary reports whether there are labels, one or several, and not values.
func (l tempering) binary() bool {
	return !slices.ContainsFunc(l.s.Targets, func(v float64) bool { return v != 0 && v != 1 })
}

// loss is the cross-entropy of a sample at a temperature; of several labels, the mean over them.
func (l tempering) loss(i int, temperature float64) float64 {
	k := l.s.Classes
	row := make([]float32, k)
	for c := range row {
		row[c] = float32(float64(l.logits[i*k+c]) / temperature)
	}
	if l.s.Targets == nil {
		return metrics.LogSumExp(row) - float64(row[l.s.Y[i]])
	}
	var sum float64
	for c, v := range row {
		sum += math.Max(float64(v), 0) - float64(v)*l.s.Targets[i*k+c] + math.Log1p(math.Exp(-math.Abs(float64(v))))
	}
	return sum / float64(k)
}

// best is the temperature with the lowest loss on some samples. The loss is convex in its inverse, so
// golden sections of its logarithm find it.
func (l tempering) best(rows []int) float64 {
	at := func(log float64) (sum float64) {
		for _, r := range rows {
			sum += l.loss(r, math.Exp(log))
		}
		return sum
	}
	const golden = 0.6180339887498949
	low, high := -widestTemperature, widestTemperature
	a, b := high-golden*(high-low), low+golden*(high-low)
	atA, atB := at(a), at(b)
	for high-low > 1e-4 {
		if atA <= atB {
			high, b, atB = b, a, atA
			a = high - golden*(high-low)
			atA = at(a)
		} else {
			low, a, atA = a, b, atB
			b = low + golden*(high-low)
			atB = at(b)
		}
	}
	return math.Exp((low + high) / 2)
}

// meanAndDeviation returns the mean and the standard deviation, at least a tiny one.
func meanAndDeviation(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		deviation += (x - mean) * (x - mean)
	}
	return mean, max(math.Sqrt(deviation/float64(max(len(v)-1, 1))), 1e-12)
}
