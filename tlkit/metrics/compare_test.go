package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The gain of B over A in mean average precision and in R²: the value is the difference of the two
// scores, equal models gain 0, and in simulations the interval covers the truth about as often as
// stated.
func TestGains(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	const n, k = 150, 2
	make2 := func(noise float64) (labels []bool, values []float64, logits, predicted Matrix) {
		logits, predicted = Matrix{Rows: n, Cols: k}, Matrix{Rows: n, Cols: k}
		for range n * k {
			v := r.NormFloat64()
			values = append(values, v)
			labels = append(labels, v > 0.5)
			x := float32(v + noise*r.NormFloat64())
			logits.Data, predicted.Data = append(logits.Data, x), append(predicted.Data, x)
		}
		return
	}
	worse := func(m Matrix, noise float64) Matrix {
		out := Matrix{Rows: m.Rows, Cols: m.Cols}
		for _, v := range m.Data {
			out.Data = append(out.Data, v+float32(noise*r.NormFloat64()))
		}
		return out
	}
	labels, values, logits, predicted := make2(0.5)
	other := worse(logits, 0.4)
	g, err := Clusters(nil).CompareMAP(labels, other, logits)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := MeanAveragePrecision(other, labels)
	after, _, _ := MeanAveragePrecision(logits, labels)
	if g.Value != after-before || !g.Interval.Contains(g.Value) || g.Interval.Low > g.Interval.High {
		t.Errorf("%+v, want %v", g, after-before)
	}
	same, err := Clusters(nil).CompareR2(values, predicted, predicted)
	if err != nil || same.Value != 0 || same.Interval != (Interval{0, 0}) {
		t.Errorf("equal models: %+v, %v", same, err)
	}
	// The gain over a perfect model is the score less 1, without each picture too.
	var flawless Matrix
	flawless.Rows, flawless.Cols = n, k
	for _, v := range values {
		flawless.Data = append(flawless.Data, float32(v))
	}
	half := func(score func(m Matrix, at int) float64, m Matrix) float64 {
		var without []float64
		for i := range n {
			rest := Matrix{n - 1, k, slices.Delete(slices.Clone(m.Data), i*k, (i+1)*k)}
			without = append(without, score(rest, i*k))
		}
		return t95(float64(n-1)) * jackknife(without)
	}
	byR2 := half(func(m Matrix, at int) float64 {
		v, _, _ := MeanR2(m, slices.Delete(slices.Clone(values), at, at+k))
		return v
	}, predicted)
	over, err := Clusters(nil).CompareR2(values, flawless, predicted)
	if err != nil || math.Abs((over.Interval.High-over.Interval.Low)/2-byR2) > 0.01*byR2 {
		t.Errorf("over a perfect model %+v, ± %v", over, byR2)
	}
	byMAP := half(func(m Matrix, at int) float64 {
		v, _, _ := MeanAveragePrecision(m, slices.Delete(slices.Clone(labels), at, at+k))
		return v
	}, logits)
	// Fewer pictures have a label than there are pictures: Student's t is a little larger.
	if over, err = Clusters(nil).CompareMAP(labels, flawless, logits); err != nil || math.Abs((over.Interval.High-over.Interval.Low)/2-byMAP) > 0.03*byMAP {
		t.Errorf("over a perfect model %+v, ± %v", over, byMAP)
	}
	// R² of v + noise s is 1 - s² for any draw, so the true gain of 0.5 over √(0.5² + 0.4²) is
	// 0.16.
	held := 0
	for range 100 {
		_, values, _, predicted := make2(0.5)
		g, err := Clusters(nil).CompareR2(values, worse(predicted, 0.4), predicted)
		if err != nil {
			t.Fatal(err)
		}
		if g.Interval.Contains(0.16) {
			held++
		}
	}
	// Binomial with 0.95.
	if held < 86 || held > 100 {
		t.Errorf("the interval holds the truth %d times of 100", held)
	}
	t.Logf("held %d of 100", held)
	if _, err := Clusters(nil).CompareR2(values, predicted, Matrix{Rows: n - 1, Cols: k, Data: predicted.Data[k:]}); err == nil {
		t.Error("other pictures are compared")
	}
	if _, err := Clusters(nil).CompareMAP(labels[1:], logits, logits); err == nil {
		t.Error("too few truths are taken")
	}
}
