package confidence

import (
	"math/rand/v2"
	"testing"
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
