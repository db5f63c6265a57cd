package confidence

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/head"
)

// Learn learns what the task and the number of pictures allow.
func TestLearn(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	s := two(r, 60, false)
	logits := make([]float32, 120)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	k, err := Learn(Training{Samples: s, OutOfFold: logits, Folds: dealt(60)})
	if err != nil || k.Temperature == nil || k.Sets == nil || k.Margins != nil || k.Familiar == nil {
		t.Fatalf("one label: %+v, %v", k, err)
	}
	if err := k.Check(width, 2); err != nil {
		t.Error(err)
	}
	if err := k.Check(width+1, 2); err == nil {
		t.Error("it suits other features")
	}
	values := s
	values.Y, values.Targets = nil, make([]float64, 120)
	for i := range values.Targets {
		values.Targets[i] = r.NormFloat64()
	}
	k, err = Learn(Training{Samples: values, OutOfFold: logits, Folds: dealt(60), Values: true})
	if err != nil || k.Temperature != nil || k.Sets != nil || k.Margins == nil || k.Familiar == nil || k.Check(width, 2) != nil {
		t.Errorf("values: %+v, %v", k, err)
	}
	few := two(r, 6, false)
	k, err = Learn(Training{Samples: few, OutOfFold: logits[:12], Folds: dealt(6)})
	if err != nil || k.Sets != nil || k.Familiar != nil {
		t.Errorf("six pictures: %+v, %v", k, err)
	}
	if k, err = Learn(Training{Samples: s}); err != nil || k != (Known{}) {
		t.Errorf("without predictions: %+v, %v", k, err)
	}
	var none *Known
	if err := none.Check(3, 2); err != nil {
		t.Error(err)
	}
}

// What is measured on the pictures that sets were fitted on is what was promised, and a temperature is
// undone for the calibration before it.
func TestMeasure(t *testing.T) {
	s, logits := drawn(rand.New(rand.NewPCG(9, 9)), 999, 1)
	sets, err := FitSets(s, logits, Coverage)
	if err != nil {
		t.Fatal(err)
	}
	k := &Known{Sets: &sets, Temperature: &Temperature{Value: 2}}
	m, err := k.Measure(s, logits)
	if err != nil || m.Sets.Correct != 900 || m.SetSize < 1 || m.SetSize > 3 || len(m.Calibration) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if before, after := m.Calibration[0], m.Calibration[1]; before.Mean < after.Mean || before.ECE < after.ECE || before.Brier < after.Brier {
		t.Errorf("before %+v, after %+v: want it too sure before", before, after)
	}
	if text := m.String(); !strings.Contains(text, "with temperature 2") || !strings.Contains(text, "900 of 999") {
		t.Error(text)
	}
	values := &Known{Margins: &Margins{Coverage: .9, Each: []float64{1}, Pictures: 10}}
	m, err = values.Measure(head.Samples{Classes: 1, Targets: []float64{0, 5}}, []float32{0.5, 3})
	if err != nil || m.Intervals[0].Correct != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	var none *Known
	if m, err := none.Measure(s, logits); m != nil || err != nil || m.String() != "" {
		t.Errorf("nothing promised: %+v, %v", m, err)
	}
}
