package plots

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// found is a find as they look: level, falling, running away.
func found() (rates, losses []float64) {
	for i := range 80 {
		r := 1e-6 * math.Pow(10, 6*float64(i)/79)
		rates = append(rates, r)
		losses = append(losses, 0.7-0.55/(1+math.Pow(3e-3/r, 1.4))+0.06*sine(i, 1.3)+math.Pow(r/0.3, 3))
	}
	return rates, losses
}

func TestRates(t *testing.T) {
	rates, losses := found()
	text := Rates(rates, losses, 2e-3).Text()
	for _, words := range []string{"from 1e-6 to 1:", "it begins at 0.7", "It falls fastest at 0.002, which"} {
		if !strings.Contains(text, words) {
			t.Errorf("no %q in %q", words, text)
		}
	}
	if text := Rates(rates, losses, 0).Text(); !strings.Contains(text, "No rate is suggested") {
		t.Errorf("without a suggestion it says %q", text)
	}
	gone := append([]float64(nil), losses...)
	gone[70], gone[75] = math.NaN(), math.Inf(1)
	for name, f := range map[string]Figure{"found": Rates(rates, losses, 2e-3), "gone": Rates(rates, gone, 2), "one": Rates([]float64{1e-3}, []float64{0.5}, 1e-3), "zero": Rates(rates[:2], []float64{0, 0}, 0)} {
		var b bytes.Buffer
		if err := f.PNG(&b); err != nil || b.Len() < 1000 {
			t.Errorf("%s: %d bytes, %v", name, b.Len(), err)
		}
	}
	for words, f := range map[string]Figure{
		"as many of both": Rates(rates, losses[:3], 0), "and some": Rates(nil, nil, 0),
		"rate 1 is 0": Rates([]float64{1, 0}, []float64{1, 1}, 0), "none of 1 losses": Rates([]float64{1}, []float64{math.NaN()}, 0),
	} {
		if err := f.PNG(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want an error with %q, got %v", words, err)
		}
	}
}

// Rivals are compared on a split that all of them have, though another one decides for some.
func TestRivalsOnWhatAllHave(t *testing.T) {
	runWith := func(name string, splits ...string) curves.Run {
		r := curves.Run{Name: name}
		for _, s := range splits {
			for e := 1.0; e < 4; e++ {
				r.Points = append(r.Points, curves.Point{Step: int(e), Epoch: e, Split: s, Metric: curves.Loss, Value: 1 / e})
			}
		}
		return r
	}
	text := Curves(runWith("fixed", curves.Folds, curves.Test), runWith("tuned", curves.Train, curves.Test)).Text()
	if !strings.Contains(text, "Test loss: fixed ") || !strings.Contains(text, ", tuned ") {
		t.Errorf("says %q", text)
	}
	if text := Curves(runWith("a", curves.Folds, curves.Test), runWith("b", curves.Folds, curves.Test)).Text(); !strings.Contains(text, "Folds loss: a ") {
		t.Errorf("both have folds, and it says %q", text)
	}
}
