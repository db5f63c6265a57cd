package head

import (
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Samples are the training samples of a head: features, with either Y or Targets.
type Samples struct {
	X        []float32 // [N, Features] row-major
	Features int       // C
	Y        []int     // N classes in [0, Classes), for one label a picture
	Classes  int       // K: classes (at least 2), labels or values

	// Targets is [N, Classes] row-major: 0 or 1 for several labels a picture, or real values in any
	// units. nil if Y is set.
	Targets []float64

	// Clusters says which samples belong together; nil = each is by itself. Heads do not use it:
	// scores and the choice of folds do.
	Clusters metrics.Clusters
}

// Len is the number of samples.
func (s Samples) Len() int {
	if s.Targets != nil && s.Classes > 0 {
		return len(s.Targets) / s.Classes
	}
	return len(s.Y)
}

// Row returns the features of sample i. It shares memory with X.
func (s Samples) Row(i int) []float32 { return s.X[i*s.Features : (i+1)*s.Features] }

// all returns the indices of all samples.
func (s Samples) all() []int {
	out := make([]int, s.Len())
	for i := range out {
		out[i] = i
	}
	return out
}

// pick returns the labels or targets of some rows, without features.
func (s Samples) pick(rows []int) Samples {
	s.X, s.Features = nil, 0
	return s.Select(rows)
}

// Select returns a copy of some rows, in the given order. Samples without features stay without.
func (s Samples) Select(rows []int) Samples {
	out := Samples{Features: s.Features, Classes: s.Classes}
	for _, r := range rows {
		if s.Clusters != nil {
			out.Clusters = append(out.Clusters, s.Clusters[r])
		}
		if s.X != nil {
			out.X = append(out.X, s.Row(r)...)
		}
		if s.Targets != nil {
			out.Targets = append(out.Targets, s.Targets[r*s.Classes:(r+1)*s.Classes]...)
		} else {
			out.Y = append(out.Y, s.Y[r])
		}
	}
	return out
}

// Positive returns the targets of several labels as truths, [N, Classes] row-major.
func (s Samples) Positive() []bool {
	out := make([]bool, len(s.Targets))
	for i, v := range s.Targets {
		out[i] = v == 1
	}
	return out
}

// Check reports samples that no head can be fitted to: sizes that do not fit together, values that
// are not finite, or a class without samples.
func (s Samples) Check() error {
	switch {
	case s.Y != nil && s.Targets != nil:
		return fmt.Errorf("head: samples with both Y and Targets, want one of them")
	case s.Features < 1 || s.Classes < 1 || s.Len() == 0:
		return fmt.Errorf("head: %d samples of %d features with %d outputs, want at least one of each", s.Len(), s.Features, s.Classes)
	case len(s.X) != s.Len()*s.Features:
		return fmt.Errorf("head: %d feature values for %d samples, want %d (samples x %d features)", len(s.X), s.Len(), s.Len()*s.Features, s.Features)
	case s.Targets != nil && len(s.Targets) != s.Len()*s.Classes:
		return fmt.Errorf("head: %d targets, want %d for each sample", len(s.Targets), s.Classes)
	case s.Clusters != nil && len(s.Clusters) != s.Len():
		return fmt.Errorf("head: the clusters of %d samples for %d, want one for each", len(s.Clusters), s.Len())
	case s.Targets == nil && s.Classes < 2:
		return advice.New(fmt.Errorf("head: %d class, want at least 2", s.Classes), "a classifier needs classes to tell apart")
	}
	for i, v := range s.X {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return advice.New(fmt.Errorf("head: feature %d of sample %d is %v: want a finite number", i%s.Features, i/s.Features, v), "check the picture and the backbone's weights")
		}
	}
	if s.Targets != nil {
		for i, v := range s.Targets {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("head: target %d of sample %d is %v, want a finite number", i%s.Classes, i/s.Classes, v)
			}
		}
		return nil
	}
	seen := make([]bool, s.Classes)
	for i, y := range s.Y {
		if y < 0 || y >= s.Classes {
			return fmt.Errorf("head: sample %d has class %d, want 0 to %d", i, y, s.Classes-1)
		}
		seen[y] = true
	}
	for k, ok := range seen {
		if !ok {
			return advice.New(fmt.Errorf("head: class %d has no training sample", k), "add pictures of it or remove the class")
		}
	}
	return nil
}

// checkLabels reports targets other than 0 and 1, and labels that are on all samples or on none.
func (s Samples) checkLabels() error {
	positives := make([]int, s.Classes)
	for i, v := range s.Targets {
		if v != 0 && v != 1 {
			return advice.New(fmt.Errorf("head: target %d of sample %d is %v, want 0 or 1", i%s.Classes, i/s.Classes, v), "use Ridge for real values")
		}
		positives[i%s.Classes] += int(v)
	}
	for k, n := range positives {
		if n == 0 || n == s.Len() {
			return advice.New(fmt.Errorf("head: label %d is on %d of %d training samples, want some with it and some without", k, n, s.Len()), "add pictures or remove the label")
		}
	}
	return nil
}

// measure returns the loss and the score of logits [N, K]: cross-entropy and accuracy for classes,
// mean binary cross-entropy and mean average precision for several labels.
func (s Samples) measure(logits []float32) (loss, score float64, right int) {
	if s.Targets == nil {
		right = Correct(logits, s.Y, s.Classes)
		return LogLoss(logits, s.Y, s.Classes), float64(right) / float64(s.Len()), right
	}
	m := metrics.Matrix{Rows: s.Len(), Cols: s.Classes, Data: logits}
	positive := s.Positive()
	loss, err := metrics.BinaryCrossEntropy(m, positive)
	if err != nil {
		return math.NaN(), math.NaN(), -1
	}
	score, _, err = metrics.MeanAveragePrecision(m, positive)
	if err != nil {
		score = math.NaN()
	}
	return loss, score, -1
}
