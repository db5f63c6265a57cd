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
}
