package confidence

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
)

// The numbers below are those of scikit-learn and PyTorch on the same formulas: internal/golden/referee,
// confidence.py.

func TestLedoitWolf(t *testing.T) {
	x := mat.NewDense(9, 4, nil)
	for i := range 9 {
		for j := range 4 {
			v := float64((i*7+j*5)%11-5) * .3
			if j < 2 {
				v += .9 * float64((i*3)%7-3)
			}
			x.Set(i, j, v)
		}
	}
	want := mat.NewDense(4, 4, []float64{4.24506161, 1.71883395, 0.0311383, -0.10587021, 1.71883395, 2.76910637, -0.51689572, 0.26778935,
		0.0311383, -0.51689572, 1.58585112, -0.25533403, -0.10587021, 0.26778935, -0.25533403, 1.47998091})
	if got := ledoitWolf(x); !mat.EqualApprox(got, want, 1e-7) { // printed to eight digits
		t.Errorf("%v", mat.Formatted(got))
	}
}

// refereeLogits are those of confidence.py.
func refereeLogits() (s head.Samples, logits []float32) {
	s.Classes = 3
	for i := range 20 {
		for j := range 3 {
			logits = append(logits, float32(float64((i*5+j*3)%7-3)*1.7))
		}
		y := (i * 5) % 7 % 3
		if i%4 != 1 {
			y = head.Classes(logits[i*3:], 3)[0]
		}
		s.Y = append(s.Y, y)
	}
	return s, logits
}

func TestTemperatureEqualsTorch(t *testing.T) {
	s, logits := refereeLogits()
	l := tempering{s, logits}
	all := make([]int, 20)
	for i := range all {
		all[i] = i
	}
	got := l.best(all)
	if want := 2.81113253694829; math.Abs(got/want-1) > 2e-4 { // the search stops at 1e-4
		t.Errorf("temperature %v, want %v", got, want)
	}
	var loss float64
	for i := range all {
		loss += l.loss(i, got) / 20
	}
	if want := 0.7000697550225399; math.Abs(loss-want) > 1e-6 {
		t.Errorf("loss %v, want %v", loss, want)
	}
	labels := head.Samples{Classes: 3}
	for i := range 60 {
		m := 0.
		if i*7%5 < 2 {
			m = 1
		}
		labels.Targets = append(labels.Targets, m)
		logits[i] = float32(math.Abs(float64(logits[i])) * (2*m - 1))
		if i%7 == 0 {
			logits[i] *= -1
		}
	}
	if got, want := (tempering{labels, logits}).best(all), 3.2577829678939243; math.Abs(got/want-1) > 2e-4 {
		t.Errorf("temperature of several labels %v, want %v", got, want)
	}
}

// A head that is three times too sure gets a temperature of 3; one that is as sure as it may be keeps its
// logits, and so does one for values.
func TestFitTemperature(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	s, logits := drawn(r, 600, 1.5)
	folds := make([][]int, 5)
	for i := range 600 {
		folds[i%5] = append(folds[i%5], i)
	}
	fit := func(by float32) Temperature {
		scaled := make([]float32, len(logits))
		for i, v := range logits {
			scaled[i] = by * v
		}
		got, err := FitTemperature(s, scaled, folds)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := fit(3); math.Abs(got.Value-3) > 0.4 || !(got.After < got.Before) {
		t.Errorf("%+v, want a temperature of 3", got)
	}
	if got := fit(1); got.Value != 1 {
		t.Errorf("%+v of logits that are right, want 1", got)
	}
	values := head.Samples{Classes: 1, Targets: []float64{1.5, 2, 0, 1}}
	if got, err := FitTemperature(values, []float32{1, 2, 3, 4}, [][]int{{0, 1}, {2, 3}}); err != nil || got.Value != 1 {
		t.Errorf("values: %+v, %v", got, err)
	}
}

// A scaled head gives the logits divided by the temperature.
func TestModelOfTemperature(t *testing.T) {
	x := []float32{1, 2, 3, -1, 0, 2}
	linear := head.Linear{Features: 3, Classes: 2, Weight: []float32{1, 2, 3, -1, .5, 2}, Bias: []float32{.5, -1}}
	near, err := heads.NewNeighbours(head.Samples{X: x, Features: 3, Classes: 2, Y: []int{0, 1}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	temperature := Temperature{Value: 2.5}
	for _, m := range []heads.Model{&linear, &heads.Cosine{Linear: linear}, near} {
		scaled, ok := temperature.Model(m)
		if !ok {
			t.Fatalf("%T cannot be scaled", m)
		}
		want := temperature.Logits(m.Logits(x))
		for i, v := range scaled.Logits(x) {
			if math.Abs(float64(v-want[i])) > 1e-6 {
				t.Errorf("%T: logit %d is %v, want %v", m, i, v, want[i])
			}
		}
	}
	if _, ok := temperature.Model(&heads.Mean{Of: []heads.Model{&linear, near}}); ok {
		t.Error("a mean is scaled")
	}
}
