package head

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// lopsided returns two overlapping clouds, with one of every rare samples in the second.
func lopsided(n, rare int, shift float64) Samples {
	rng := rand.New(rand.NewPCG(5, 6))
	s := Samples{Features: 4, Classes: 2}
	for i := range n {
		y := 0
		if i%rare == rare-1 {
			y = 1
		}
		for j := range s.Features {
			v := rng.NormFloat64()
			if j < 2 {
				v += shift * float64(y)
			}
			s.X = append(s.X, float32(v))
		}
		s.Y = append(s.Y, y)
	}
	return s
}

// Class weights give the loss and the gradient of a set in which the rare samples are repeated until
// the classes have the same size.
func TestClassWeightsEqualRepeatedSamples(t *testing.T) {
	s := lopsided(40, 5, 1)
	var rows []int
	for i, y := range s.Y {
		for range []int{1, 4}[y] {
			rows = append(rows, i)
		}
	}
	evaluate := func(s Samples, weights []float64) (float64, []float64) {
		z := mat.NewDense(s.Len(), s.Features, nil)
		for i := range s.Len() {
			for j, v := range s.Row(i) {
				z.Set(i, j, float64(v))
			}
		}
		params, grad := make([]float64, 10), make([]float64, 10)
		for i := range params {
			params[i] = math.Sin(float64(i))
		}
		p := problem{z: thin{Dense: z}, Samples: s, strength: 0.1, weights: weights}
		return p.loss(params, grad, p.work()), grad
	}
	weights, err := s.classWeights()
	if err != nil || weights[0] != 0.625 || weights[1] != 2.5 {
		t.Fatalf("weights %v, %v", weights, err)
	}
	got, gradient := evaluate(s, weights)
	want, repeated := evaluate(s.Select(rows), nil)
	if math.Abs(got-want) > 1e-12 {
		t.Errorf("loss %v, with repeated samples %v", got, want)
	}
	for i := range gradient {
		if math.Abs(gradient[i]-repeated[i]) > 1e-12 {
			t.Errorf("gradient %d is %v, with repeated samples %v", i, gradient[i], repeated[i])
		}
	}
}

// Rare classes are found more often with class weights, by both solvers.
func TestClassWeightsHelpRareClasses(t *testing.T) {
	s := lopsided(400, 10, 1)
	folds := make([][]int, 4)
	for i := range s.Len() {
		folds[i/10%4] = append(folds[i/10%4], i)
	}
	recall := func(f *Fit, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for i, c := range Classes(f.Head.Logits(s.X), 2) {
			if s.Y[i] == 1 && c == 1 {
				found++
			}
		}
		return found
	}
	ctx := context.Background()
	plain := recall(Logistic(ctx, s, LogisticOptions{Folds: folds}))
	weighed := recall(Logistic(ctx, s, LogisticOptions{Folds: folds, ClassWeights: true}))
	if plain > 20 || weighed < 28 {
		t.Errorf("logistic finds %d of 40 rare samples, %d with class weights", plain, weighed)
	}
	plain = recall(SGD(ctx, s, SGDOptions{Seed: 1, Rate: 0.01}))
	weighed = recall(SGD(ctx, s, SGDOptions{Seed: 1, Rate: 0.01, ClassWeights: true}))
	if plain > 20 || weighed < 28 {
		t.Errorf("sgd finds %d of 40 rare samples, %d with class weights", plain, weighed)
	}
	several := Samples{X: s.X, Features: s.Features, Classes: 1, Targets: make([]float64, 400)}
	several.Targets[0] = 1
	if _, err := Logistic(ctx, several, LogisticOptions{Folds: folds, ClassWeights: true}); err == nil || !strings.Contains(err.Error(), "class weights need one class") {
		t.Errorf("several labels: %v", err)
	}
}
