package head

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// labelled and valued compute labels_of and values_of of internal/golden/referee/head.py.
func labelled(n, c, k int) Samples {
	s := formula(n, c, k)
	s.Y, s.Targets = nil, make([]float64, n*k)
	for i := range n {
		for j := range k {
			if (i*(j+2)+i/3)%5 < 2 {
				s.Targets[i*k+j] = 1
			}
		}
	}
	return s
}

func valued(n, c, k int) Samples {
	s := formula(n, c, k)
	s.Y, s.Targets = nil, make([]float64, n*k)
	for i := range n {
		x := s.Row(i)
		for j := range k {
			s.Targets[i*k+j] = math.Pow(100, float64(j-1))*(3*float64(x[j])+float64(x[k+j])+float64(i*13%7+i*j%3)/4) + float64(10*j)
		}
	}
	return s
}

type taskFit struct {
	N, Features, Classes int
	Strength             float64
	Probabilities        [][]float64
	Standardised         [][]float64
	Mean, SD             []float64
}

func taskGolden(t *testing.T) (g struct{ Labels, Values []taskFit }) {
	t.Helper()
	raw, err := os.ReadFile("testdata/tasks.json")
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil || len(g.Labels) == 0 || len(g.Values) == 0 {
		t.Fatal(err, len(g.Labels), len(g.Values))
	}
	return g
}

// As with one label a picture: a single optimum, float32 weights, a gradient of 1e-6.
func TestSeveralLabelsFindScikitLearnsOptimum(t *testing.T) {
	for _, g := range taskGolden(t).Labels {
		s := labelled(g.N, g.Features, g.Classes)
		fit, err := Logistic(context.Background(), s, LogisticOptions{Strengths: []float64{g.Strength}})
		if err != nil {
			t.Fatal(err)
		}
		logits := fit.Head.Logits(s.X)
		for i, row := range g.Probabilities {
			for k, want := range row {
				if got := metrics.Sigmoid(float64(logits[i*g.Classes+k])); math.Abs(got-want) > 2e-5 {
					t.Errorf("N %d C %d K %d: sample %d label %d: %v, scikit-learn %v", g.N, g.Features, g.Classes, i, k, got, want)
				}
			}
		}
	}
}

// A closed form has a single answer: the tolerance of 1e-5 standard deviations covers float32
// weights and the jitter on the Gram matrix.
func TestRidgeIsScikitLearns(t *testing.T) {
	for _, g := range taskGolden(t).Values {
		s := valued(g.N, g.Features, g.Classes)
		fit, err := Ridge(context.Background(), s, RidgeOptions{Strengths: []float64{g.Strength}})
		if err != nil {
			t.Fatal(err)
		}
		v := fit.Head.Logits(s.X)
		for i, row := range g.Standardised {
			for k, want := range row {
				if got := (float64(v[i*g.Classes+k]) - g.Mean[k]) / g.SD[k]; math.Abs(got-want) > 1e-5 {
					t.Errorf("N %d C %d K %d: sample %d value %d: %v standard deviations, scikit-learn %v", g.N, g.Features, g.Classes, i, k, got, want)
				}
			}
		}
	}
}

// Out of fold, each sample is predicted by a head that did not see it: if the targets are unrelated
// to the features, R² is near 0 and a strong penalty is chosen.
func TestRidgeOutOfFoldOnNoise(t *testing.T) {
	s := valued(60, 200, 1)
	for i := range s.Targets {
		s.Targets[i] = math.Sin(float64(i * i))
	}
	var steps []Step
	fit, err := Ridge(context.Background(), s, RidgeOptions{Folds: everyKth(60, 5), Step: func(s Step) { steps = append(steps, s) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(fit.Choices) != len(DefaultRidge) || fit.Strength < 1 || fit.Choices[0].Score > 0.2 {
		t.Errorf("strength %v, choices %+v", fit.Strength, fit.Choices)
	}
	if weak := steps[len(steps)-1]; weak.TrainScore < 0.9 || weak.FoldScore > 0.2 || weak.FoldLoss < 0.8 {
		t.Errorf("the weakest strength should overfit the noise and fail out of fold: %+v", weak)
	}
}

func TestTasksChooseByFolds(t *testing.T) {
	ctx := context.Background()
	s := valued(200, 20, 2)
	var steps []Step
	fit, err := Ridge(ctx, s, RidgeOptions{Folds: everyKth(200, 4), Step: func(s Step) { steps = append(steps, s) }})
	if err != nil {
		t.Fatal(err)
	}
	best := steps[fit.Steps-1]
	for i, c := range fit.Choices {
		if c.Loss < best.FoldLoss || steps[i].Step != i+1 || steps[i].FoldLoss != c.Loss || c.Strength != DefaultRidge[i] {
			t.Errorf("choice %d: %+v, step %+v, chosen %v", i, c, steps[i], fit.Strength)
		}
	}
	if loss, r2 := s.errors(fit.OutOfFold, must(spread(s))); loss != best.FoldLoss || r2 != best.FoldScore || r2 < 0.5 {
		t.Errorf("out of fold: loss %v, R² %v; the step has %v, %v", loss, r2, best.FoldLoss, best.FoldScore)
	}
	if !reflect.DeepEqual(best.Head, fit.Head) {
		t.Error("the head kept is not that of the step chosen")
	}
	again, _ := Ridge(ctx, s, RidgeOptions{Folds: everyKth(200, 4)})
	if !reflect.DeepEqual(again.Head, fit.Head) {
		t.Error("a Step callback changes the head")
	}

	l := labelled(200, 20, 4)
	for i := range 200 { // a signal to learn
		for k := range 4 {
			if l.Targets[i*4+k] == 1 {
				l.X[i*20+k] += 1
			}
		}
	}
	var last Step
	lf, err := Logistic(ctx, l, LogisticOptions{Folds: everyKth(200, 4), Step: func(s Step) { last = s }})
	if err != nil {
		t.Fatal(err)
	}
	if !(last.FoldScore > 0.6 && last.FoldScore < last.TrainScore && last.FoldLoss > last.TrainLoss && last.FoldLoss < 0.6) || last.TrainRight != -1 {
		t.Errorf("%+v", last)
	}
	for _, c := range lf.Choices {
		if c.Loss < lf.Choices[0].Loss && c.Strength == lf.Strength && c.Score < 0.6 {
			t.Errorf("%+v", c)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNeighboursOfTasks(t *testing.T) {
	s := Samples{Features: 2, Classes: 2, X: []float32{1, 0, 0, 1, 1, 1}, Targets: []float64{1, 5, 0, -5, 1, 7}}
	out, err := KNN(s, []float32{2, 0}, 1)
	if err != nil || !reflect.DeepEqual(out, []float32{1, 5}) {
		t.Errorf("%v %v", out, err)
	}
	// the nearest is the sample itself; the others weigh exp(-0.293/0.07) each
	out, err = KNN(s, []float32{1, 1}, 3)
	w := math.Exp((math.Sqrt2/2 - 1) / 0.07)
	if err != nil || math.Abs(float64(out[0])-(1+w)/(1+2*w)) > 1e-6 || math.Abs(float64(out[1])-7/(1+2*w)) > 1e-5 {
		t.Errorf("%v %v", out, err)
	}
}

func TestTasksRefuse(t *testing.T) {
	ctx := context.Background()
	one := []float64{1}
	for name, c := range map[string]struct {
		want string
		err  func() error
	}{
		"a label of 2": {"0 or 1", func() error {
			s := labelled(20, 5, 2)
			s.Targets[3] = 2
			_, e := Logistic(ctx, s, LogisticOptions{Strengths: one})
			return e
		}},
		"a label nowhere": {"label 0 is on 0 of 20", func() error {
			s := labelled(20, 5, 1)
			clear(s.Targets)
			_, e := Logistic(ctx, s, LogisticOptions{Strengths: one})
			return e
		}},
		"constant": {"value 1 is 4", func() error {
			s := valued(20, 5, 2)
			for i := range 20 {
				s.Targets[2*i+1] = 4
			}
			_, e := Ridge(ctx, s, RidgeOptions{Strengths: one})
			return e
		}},
		"no folds": {"0 folds", func() error { _, e := Ridge(ctx, valued(20, 5, 2), RidgeOptions{}); return e }},
		"NaN": {"target 1 of sample 2", func() error {
			s := valued(20, 5, 2)
			s.Targets[5] = math.NaN()
			_, e := Ridge(ctx, s, RidgeOptions{Strengths: one})
			return e
		}},
		"ragged": {"39 targets", func() error {
			s := valued(20, 5, 2)
			s.Targets = s.Targets[:39]
			s.X = s.X[:19*5]
			_, e := Ridge(ctx, s, RidgeOptions{Strengths: one})
			return e
		}},
		"both": {"both", func() error { s := formula(20, 5, 2); s.Targets = make([]float64, 40); return s.Check() }},
		"SGD":  {"one label a picture", func() error { _, e := SGD(ctx, labelled(20, 5, 2), SGDOptions{}); return e }},
	} {
		if err := c.err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := Ridge(stopped, valued(20, 5, 2), RidgeOptions{Strengths: one}); err != context.Canceled {
		t.Errorf("a stopped fit: %v", err)
	}
}

// The intercept has no penalty and rows of a fold are not centred, so shifting all rows by a
// constant does not change the predictions.
func TestRidgeMovedRows(t *testing.T) {
	s := valued(30, 6, 2)
	scale := must(spread(s))
	z := mat.NewDense(30, 6, nil)
	for i := range 30 {
		for j, v := range s.Row(i) {
			z.Set(i, j, float64(v))
		}
	}
	predict := func(move float64) []float64 {
		moved := mat.DenseCopyOf(z)
		moved.Apply(func(_, j int, v float64) float64 { return v + move*float64(j) }, moved)
		p := must(newRidge(moved, s, scale).solve(0.5))
		var out mat.Dense
		out.Mul(moved, mat.NewDense(6, 2, p[:12]))
		out.Apply(func(_, j int, v float64) float64 { return v + p[12+j] }, &out)
		return out.RawMatrix().Data
	}
	a, b := predict(0), predict(3)
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-9*scale[2+i%2] {
			t.Fatalf("prediction %d: %v, with shifted rows %v", i, a[i], b[i])
		}
	}
}

// Whoever waits for a choice sees each fit on a fold, in order and to the end.
func TestProgressCountsTheFitsOnFolds(t *testing.T) {
	s := Samples{X: []float32{0, 1, 2, 3, 4, 5, 6, 7}, Features: 1, Classes: 2, Y: []int{0, 0, 1, 0, 1, 0, 1, 1}}
	folds := [][]int{{0, 1, 2}, {3, 4}, {5, 6, 7}}
	var seen []int
	progress := func(want int) func(int, int) {
		seen = nil
		return func(done, total int) {
			if total != want {
				t.Errorf("%d of %d, want %d in all", done, total, want)
			}
			seen = append(seen, done)
		}
	}
	complete := func(what string, want int) {
		t.Helper()
		for i, done := range seen {
			if done != i+1 {
				t.Fatalf("%s: %v", what, seen)
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d reports, want %d", what, len(seen), want)
		}
	}
	if _, err := Logistic(t.Context(), s, LogisticOptions{Folds: folds, Strengths: []float64{1, 0.1}, Progress: progress(9)}); err != nil {
		t.Fatal(err)
	}
	complete("logistic", 9)
	if _, err := Logistic(t.Context(), s, LogisticOptions{Folds: folds, Strengths: []float64{1}, Progress: progress(3)}); err != nil {
		t.Fatal(err)
	}
	complete("logistic with one strength", 3)
	s.Y, s.Classes, s.Targets = nil, 1, []float64{1, 2, 2, 3, 3, 4, 4, 5}
	if _, err := Ridge(t.Context(), s, RidgeOptions{Folds: folds, Strengths: []float64{1, 0.1}, Progress: progress(6)}); err != nil {
		t.Fatal(err)
	}
	complete("ridge", 6)
}
