package learner

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// blobs returns two overlapping clouds, so that every fit makes mistakes.
func blobs(n int) head.Samples {
	s := head.Samples{Features: 6, Classes: 2}
	state := uint32(7)
	for i := range n {
		y := i % 2
		for j := range 6 {
			state = state*1664525 + 1013904223
			v := float32(state>>8)/(1<<23) - 1
			if j == 0 {
				v += float32(y) * 0.6
			}
			s.X = append(s.X, v)
		}
		s.Y = append(s.Y, y)
	}
	return s
}

func folds(n, k int) [][]int {
	out := make([][]int, k)
	for i := range n {
		out[i/2%k] = append(out[i/2%k], i)
	}
	return out
}

// The central promise of the project: validation labels change the curve and nothing else.
func TestValidationLabelsChooseNothing(t *testing.T) {
	for _, kind := range []head.Kind{head.LogisticKind, head.SGDKind} {
		train, valid := blobs(80), blobs(40)
		plan, err := NewPlan(task.Classes{}, train, Options{Head: kind, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		run := func(v head.Samples) (*head.Linear, curves.Run) {
			r := curves.NewRecorder(curves.Run{Axis: plan.Axis()}, nil, 0, nil)
			got, err := FitHead(context.Background(), Data{Train: train, Folds: folds(80, 5), Valid: v}, plan, r)
			if err != nil {
				t.Fatal(err)
			}
			return got.Fit.Head, r.Run()
		}
		honest, a := run(valid)
		swapped := valid
		swapped.Y = make([]int, len(valid.Y))
		for i, y := range valid.Y {
			swapped.Y[i] = 1 - y
		}
		turned, b := run(swapped)
		if !reflect.DeepEqual(honest, turned) {
			t.Errorf("%s: other validation labels gave another head", kind)
		}
		if reflect.DeepEqual(a.Series(curves.Valid, curves.Accuracy), b.Series(curves.Valid, curves.Accuracy)) {
			t.Errorf("%s: the validation curve does not depend on the validation labels", kind)
		}
		if !reflect.DeepEqual(a.Series(curves.Folds, curves.Accuracy), b.Series(curves.Folds, curves.Accuracy)) {
			t.Errorf("%s: the out-of-fold curve depends on the validation labels", kind)
		}
	}
}

func TestHistoryHasEverySplitAndEndsInAMark(t *testing.T) {
	train := blobs(60)
	plan, err := NewPlan(task.Classes{}, train, Options{Head: head.SGDKind, Epochs: 6, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := curves.NewRecorder(curves.Run{Axis: plan.Axis()}, nil, 0, nil)
	if _, err := FitHead(context.Background(), Data{Train: train, Folds: folds(60, 5), Valid: blobs(20)}, plan, r); err != nil {
		t.Fatal(err)
	}
	run := r.Run()
	for _, split := range []string{curves.Train, curves.Folds, curves.Valid} {
		for _, metric := range []metrics.Metric{curves.Loss, curves.Accuracy} {
			if n := len(run.Series(split, metric)); n != 6 {
				t.Errorf("%d points of %s %s, want 6 epochs", n, split, metric)
			}
		}
	}
	if p := run.Series(curves.Valid, curves.Accuracy)[0]; p.N != 20 {
		t.Errorf("valid accuracy is out of %d pictures, want 20", p.N)
	}
	if x, why, ok := run.Kept(); !ok || x != 6 || why != curves.Chosen {
		t.Errorf("kept %v %q %v, want the mark at the last epoch", x, why, ok)
	}
}

func TestPlansSayWhy(t *testing.T) {
	for name, c := range map[string]struct {
		y     []int
		folds int
		word  string
	}{
		"plenty":      {[]int{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}, 5, "5 folds"},
		"three":       {[]int{0, 0, 0, 1, 1, 1, 1, 1}, 3, "smallest class has 3"},
		"one picture": {[]int{0, 1, 1, 1, 1, 1}, 0, "single training picture"},
	} {
		p, err := NewPlan(task.Classes{}, head.Samples{Y: c.y, Classes: 2}, Options{})
		if err != nil || p.Folds != c.folds || !strings.Contains(p.String(), c.word) {
			t.Errorf("%s: %d folds, %v, says\n%s", name, p.Folds, err, p)
		}
	}
	two := head.Samples{Y: []int{0, 1}, Classes: 2}
	if _, err := NewPlan(task.Classes{}, two, Options{Head: "perceptron"}); err == nil || !strings.Contains(err.Error(), "logistic") {
		t.Errorf("an unknown head: %v", err)
	}
	if _, err := NewPlan(task.Classes{}, two, Options{Views: MaxViews + 1}); err == nil || !strings.Contains(err.Error(), "views") {
		t.Errorf("more views than memory: %v", err)
	}
	if _, err := NewPlan(task.Classes{}, two, Options{Epochs: 3}); err == nil {
		t.Error("epochs are accepted for a head without epochs")
	}
	p, err := NewPlan(task.Classes{}, two, Options{ClassWeights: true})
	if err != nil || !p.ClassWeights || !strings.Contains(p.String(), "rare classes") {
		t.Errorf("class weights: %v, %v", p, err)
	}
	if _, err := NewPlan(task.Labels{}, head.Samples{Targets: []float64{0, 1}, Classes: 1}, Options{ClassWeights: true}); err == nil || !strings.Contains(err.Error(), "one label a picture") {
		t.Errorf("class weights for several labels: %v", err)
	}
}

// The plan's class weights reach the solvers.
func TestClassWeightsReachTheFit(t *testing.T) {
	train := blobs(80)
	keep := []int{}
	for i := range train.Len() {
		if train.Y[i] == 0 || i%8 == 1 {
			keep = append(keep, i)
		}
	}
	train = train.Select(keep)
	for _, kind := range []head.Kind{head.LogisticKind, head.SGDKind} {
		var heads []*head.Linear
		for _, weigh := range []bool{false, true} {
			plan, err := NewPlan(task.Classes{}, train, Options{Head: kind, Seed: 1, ClassWeights: weigh})
			if err != nil {
				t.Fatal(err)
			}
			plan.Folds = 0
			plan.Strengths = plan.Strengths[:min(1, len(plan.Strengths))]
			r, err := FitHead(context.Background(), Data{Train: train}, plan, nil)
			if err != nil {
				t.Fatal(err)
			}
			heads = append(heads, r.Fit.Head)
		}
		if !(heads[1].Bias[1]-heads[1].Bias[0] > heads[0].Bias[1]-heads[0].Bias[0]) {
			t.Errorf("%s: the rare class has bias %v, with class weights %v", kind, heads[0].Bias, heads[1].Bias)
		}
	}
}
