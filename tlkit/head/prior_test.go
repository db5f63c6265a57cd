package head

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// away returns a head that no fit to formula's samples finds.
func away(features, classes int) *Linear {
	h := &Linear{Features: features, Classes: classes, Weight: make([]float32, features*classes), Bias: make([]float32, classes)}
	for i := range h.Weight {
		h.Weight[i] = float32(math.Sin(float64(i))) / 4
	}
	for i := range h.Bias {
		h.Bias[i] = float32(i) - 1
	}
	return h
}

// largestDifference returns the largest difference of two heads' probabilities: logits of classes are
// the same with a constant added.
func largestDifference(a, b *Linear, s Samples) float64 {
	probabilities := func(h *Linear) []float32 {
		logits := h.Logits(s.X)
		if s.Targets == nil {
			return Softmax(logits, s.Classes)
		}
		for i, v := range logits {
			logits[i] = float32(metrics.Sigmoid(float64(v)))
		}
		return logits
	}
	var off float64
	other := probabilities(b)
	for i, v := range probabilities(a) {
		off = max(off, math.Abs(float64(v-other[i])))
	}
	return off
}

// A strong penalty keeps the head that the fit goes towards; a weak one, which the data overrule, ends
// where a fit without it ends. Both for fewer samples than features and for more, and for several
// labels.
func TestLogisticTowardsAHead(t *testing.T) {
	for name, s := range map[string]Samples{"gram": formula(24, 40, 3), "direct": formula(90, 6, 3), "labels": labelled(60, 8, 3)} {
		t.Run(name, func(t *testing.T) {
			towards := away(s.Features, s.Classes)
			fit := func(strength float64, h *Linear) *Linear {
				f, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{strength}, Towards: h, Iterations: 2000})
				if err != nil {
					t.Fatal(err)
				}
				return f.Head
			}
			strong := fit(1e6, towards)
			for i, w := range strong.Weight {
				if math.Abs(float64(w-towards.Weight[i])) > 1e-4 {
					t.Fatalf("weight %d: %v at a strong penalty, the head has %v", i, w, towards.Weight[i])
				}
			}
			if name == "gram" { // separable: without a penalty there is no optimum to compare
				return
			}
			if off := largestDifference(fit(1e-7, towards), fit(1e-7, nil), s); off > 1e-3 {
				t.Errorf("probabilities are off by %v at a weak penalty", off)
			}
			if off := largestDifference(fit(1, towards), fit(1, nil), s); off < 0.02 {
				t.Errorf("probabilities differ by %v only at strength 1: the head has no effect", off)
			}
		})
	}
}

// The optimum has no slope: the gradient of cross-entropy + λ/2·‖W−W₀‖², by differences, is 0 in each
// weight, in units of the standardised features.
func TestLogisticTowardsAHeadIsOptimal(t *testing.T) {
	s, strength := formula(60, 5, 3), 0.1
	towards := away(s.Features, s.Classes)
	f, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{strength}, Towards: towards})
	if err != nil {
		t.Fatal(err)
	}
	d := newDesign(s)
	cost := func(h *Linear) float64 {
		v := LogLoss(h.Logits(s.X), s.Y, s.Classes)
		for i, w := range h.Weight {
			e := float64(w-towards.Weight[i]) / d.scale[i%s.Features]
			v += strength / 2 * e * e
		}
		return v
	}
	const step = 1e-2
	for i := range f.Head.Weight {
		w := f.Head.Weight[i]
		f.Head.Weight[i] = w + step
		up := cost(f.Head)
		f.Head.Weight[i] = w - step
		down := cost(f.Head)
		f.Head.Weight[i] = w
		if slope := (up - down) / (2 * step); math.Abs(slope) > 2e-4 {
			t.Errorf("weight %d: slope %v, want 0", i, slope)
		}
	}
}

// Out of fold, the head that the fit goes towards counts too: at a strong penalty it is all there is.
func TestTowardsOutOfFold(t *testing.T) {
	s := formula(60, 5, 3)
	towards := away(s.Features, s.Classes)
	f, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{1e6, 1e5}, Folds: everyKth(60, 5), Towards: towards})
	if err != nil {
		t.Fatal(err)
	}
	own := towards.Logits(s.X)
	for i := range 60 { // biases are free, so compare differences of rows
		for k := range 3 {
			j := (i + 5) % 60 // of the same fold
			got := f.OutOfFold[i*3+k] - f.OutOfFold[j*3+k]
			if want := own[i*3+k] - own[j*3+k]; math.Abs(float64(got-want)) > 1e-3 {
				t.Fatalf("samples %d and %d, class %d: out-of-fold logits differ by %v, want %v", i, j, k, got, want)
			}
		}
	}
}

func TestTowardsAnotherHead(t *testing.T) {
	s := formula(20, 4, 2)
	for _, h := range []*Linear{away(5, 2), away(4, 3), {Features: 4, Classes: 2}} {
		if _, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{1}, Towards: h}); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("a head of %d classes on %d features: error %v", h.Classes, h.Features, err)
		}
	}
}
