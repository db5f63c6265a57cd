package plots

import (
	"bytes"
	"math"
	"slices"
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
	var rising, spiked []float64
	for i, v := range losses {
		rising = append(rising, 0.05+0.02*sine(i, 1.3)+2*rates[i])
		if i == 40 {
			v = 9
		}
		spiked = append(spiked, v)
	}
	// Whatever a finder suggests: where the loss does not fall, no rate is usable.
	for _, suggested := range []float64{0, 2e-3, 5} {
		if text := Rates(rates, rising, suggested).Text(); !strings.Contains(text, "does not fall. There is no usable rate.") {
			t.Errorf("suggested %v for a loss that does not fall: %q", suggested, text)
		}
	}
	for _, suggested := range []float64{5, 1e-7, math.NaN()} { // off the chart
		if text := Rates(rates, losses, suggested).Text(); !strings.Contains(text, "No rate is suggested") {
			t.Errorf("suggested %v: %q", suggested, text)
		}
	}
	gone := append([]float64(nil), losses...)
	gone[70], gone[75] = math.NaN(), math.Inf(1)
	for name, f := range map[string]Figure{"found": Rates(rates, losses, 2e-3), "spiked": Rates(rates, spiked, 2e-3), "gone": Rates(rates, gone, 2), "one": Rates([]float64{1e-3}, []float64{0.5}, 1e-3), "zero": Rates(rates[:2], []float64{0, 0}, 0)} {
		render(t, name, f)
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

// A point above the frame is not dropped, so its neighbours are not joined by a line that was never
// there: the line leads up to the edge and comes back from it.
func TestClip(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct{ line, want []point }{
		"inside":         {[]point{{0, 5}, {1, 6}}, []point{{0, 5}, {1, 6}}},
		"above":          {[]point{{0, 5}, {1, -5}, {2, 5}}, []point{{0, 5}, {0.5, 0}, {nan, nan}, {1.5, 0}, {2, 5}}},
		"below":          {[]point{{0, 5}, {1, 15}}, []point{{0, 5}, {0.5, 10}}},
		"through":        {[]point{{0, -5}, {1, 15}}, []point{{0.25, 0}, {0.75, 10}}},
		"outside":        {[]point{{0, -5}, {1, -1}, {2, -1}}, nil},
		"not a number":   {[]point{{0, 5}, {1, nan}, {2, 5}, {3, 6}}, []point{{2, 5}, {3, 6}}},
		"along the edge": {[]point{{0, 0}, {1, 0}}, []point{{0, 0}, {1, 0}}},
	} {
		got := clip(c.line, 0, 10)
		same := func(a, b point) bool { return a == b || math.IsNaN(a.x) && math.IsNaN(b.x) }
		if !slices.EqualFunc(got, c.want, same) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
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
