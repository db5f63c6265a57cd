package confidence

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// The rank is that of split conformal prediction, ⌈(n+1)·coverage⌉.
func TestQuantile(t *testing.T) {
	scores := func(n int) (out []float64) {
		for i := range n {
			out = append(out, float64(n-i)) // 1..n, descending
		}
		return out
	}
	for _, c := range []struct {
		n        int
		coverage float64
		want     float64
	}{{9, 0.9, 9}, {10, 0.9, 10}, {19, 0.9, 18}, {99, 0.9, 90}, {100, 0.9, 91}, {99, 0.95, 95}, {3, 0.5, 2}} {
		if got, err := Quantile(scores(c.n), c.coverage); err != nil || got != c.want {
			t.Errorf("quantile %g of 1..%d is %v, %v, want %g", c.coverage, c.n, got, err, c.want)
		}
	}
	if _, err := Quantile(scores(8), 0.9); !errors.Is(err, ErrFew) {
		t.Errorf("8 scores promise 90 %%: %v", err)
	}
	for _, bad := range []float64{0, 1, -1, math.NaN()} {
		if _, err := Quantile(scores(100), bad); err == nil {
			t.Errorf("coverage %v is accepted", bad)
		}
	}
	if _, err := Quantile([]float64{1, math.NaN(), 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9); err == nil {
		t.Error("a score that is not a number is accepted")
	}
}

// drawn draws logits of three classes, and classes in accord with their probabilities.
func drawn(r *rand.Rand, n int, sharp float64) (head.Samples, []float32) {
	s := head.Samples{Classes: 3}
	var logits []float32
	for range n {
		row := []float32{float32(sharp * r.NormFloat64()), float32(sharp * r.NormFloat64()), float32(sharp * r.NormFloat64())}
		logits = append(logits, row...)
		u, y := r.Float64(), 0
		for _, p := range head.Softmax(row, 3)[:2] {
			if u -= float64(p); u > 0 {
				y++
			} else {
				break
			}
		}
		s.Y = append(s.Y, y)
	}
	return s, logits
}

// covered is the share of samples whose label is in the set.
func covered(sets Sets, s head.Samples, logits []float32) float64 {
	hits := 0
	q := head.Softmax(logits, s.Classes)
	for i, y := range s.Y {
		if slices.Contains(sets.Of(wide(q[i*3:i*3+3])), y) {
			hits++
		}
	}
	return float64(hits) / float64(s.Len())
}

func wide(q []float32) (out []float64) {
	for _, v := range q {
		out = append(out, float64(v))
	}
	return out
}

// Over many redraws, sets hold the true label as often as they promise, whether the head is unsure or
// right more often than that.
func TestSetsCover(t *testing.T) {
	for _, sharp := range []float64{1, 8} {
		r := rand.New(rand.NewPCG(1, uint64(sharp)))
		const draws = 1000
		var sum float64
		for range draws {
			s, logits := drawn(r, 150, sharp)
			sets, err := FitSets(s, logits, Coverage)
			if err != nil || sets.Check() != nil {
				t.Fatal(err, sets.Check())
			}
			fresh, other := drawn(r, 150, sharp)
			sum += covered(sets, fresh, other)
		}
		// ⌈151·0.9⌉/151 = 90.07 % are promised; the mean of the draws is within 0.4 % of that, 4 of its
		// standard errors.
		if got := sum / draws; math.Abs(got-136./151) > 0.004 {
			t.Errorf("sharpness %g: %.4f of the sets hold the label, want %.4f", sharp, got, 136./151)
		}
	}
}

func TestNamedIsNeverEmpty(t *testing.T) {
	s := Sets{Coverage: .5, Least: .8, Pictures: 1}
	p := []float64{.3, .6, .1}
	if got := s.Of(p); len(got) != 0 {
		t.Errorf("%v, want no label", got)
	}
	if got := s.Named(p); !slices.Equal(got, []int{1}) {
		t.Errorf("%v, want the most probable label", got)
	}
	s.Least = .2
	if got := s.Named(p); !slices.Equal(got, []int{1, 0}) {
		t.Errorf("%v, want both, the most probable first", got)
	}
}

// Margins of two values, each in its own units.
func TestMarginsCover(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const draws, n = 500, 120
	sd := []float64{1, 50}
	var hits [2]float64
	for range draws {
		s := head.Samples{Classes: 2}
		var predicted []float32
		for i := range n + 1 {
			for c := range 2 {
				truth := r.NormFloat64()
				if i < n {
					s.Targets = append(s.Targets, truth)
				}
				predicted = append(predicted, float32(truth+sd[c]*r.NormFloat64()))
			}
		}
		margins, err := FitMargins(s, predicted[:2*n], Coverage)
		if err != nil {
			t.Fatal(err)
		}
		for c, m := range margins {
			hits[c] += math.Erf(m/sd[c]/math.Sqrt2) / draws // the share of normal errors within the margin
		}
	}
	for c, h := range hits {
		if math.Abs(h-109./121) > 0.006 { // ⌈121·0.9⌉/121; 4 standard errors
			t.Errorf("margins of value %d hold %.4f, want %.4f", c, h, 109./121)
		}
	}
}

func TestBadSamples(t *testing.T) {
	if _, err := FitSets(head.Samples{Classes: 2, Y: []int{0, 1}}, []float32{1}, .9); err == nil {
		t.Error("one logit for two samples is accepted")
	}
	if _, err := FitMargins(head.Samples{Classes: 2, Y: []int{0, 1}}, []float32{1}, .9); err == nil {
		t.Error("margins of classes are accepted")
	}
	if err := (Sets{Coverage: .9, Least: 2, Pictures: 5}).Check(); err == nil {
		t.Error("a probability of 2 is accepted")
	}
}
