package learner

import (
	"context"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// several returns blobs with targets: two labels, or two values, that depend on the features.
func several(n int, values bool) head.Samples {
	s := blobs(n)
	s.Targets = make([]float64, 2*n)
	for i := range n {
		x := s.Row(i)
		v := []float64{float64(x[0]), 40 + 5*float64(x[1]-x[2])}
		if !values {
			v = []float64{float64(s.Y[i]), float64(i % 3 / 2)}
		}
		copy(s.Targets[2*i:], v)
	}
	s.Y = nil
	return s
}

func TestTasksAreRecorded(t *testing.T) {
	for kind, want := range map[task.Task]struct {
		metric metrics.Metric
		axis   string
	}{task.Labels{}: {curves.MAP, curves.Iterations}, task.Values{}: {curves.R2, curves.Strengths}} {
		ridge := kind == task.Values{}
		train, valid := several(60, ridge), several(30, ridge)
		plan, err := NewPlan(kind, train, Options{Seed: 1})
		if err != nil || plan.Folds != 5 || plan.Axis() != want.axis {
			t.Fatalf("%+v, %v", plan, err)
		}
		var folds [][]int
		for f := range 5 {
			folds = append(folds, nil)
			for i := f; i < 60; i += 5 {
				folds[f] = append(folds[f], i)
			}
		}
		history := curves.NewRecorder(curves.Run{Name: "t", Axis: plan.Axis()}, nil, 0, nil)
		r, err := FitHead(context.Background(), Data{Task: kind, Train: train, Folds: folds, Valid: valid}, plan, history)
		if err != nil {
			t.Fatal(err)
		}
		run := history.Run()
		x, why, ok := run.Kept()
		if !ok || why != curves.Chosen || x != float64(r.Fit.Steps) {
			t.Errorf("%T: kept %v %s, the fit took %d steps", kind, x, why, r.Fit.Steps)
		}
		for _, split := range []string{curves.Train, curves.Folds, curves.Valid} {
			for _, metric := range []metrics.Metric{curves.Loss, want.metric} {
				points := run.Series(split, metric)
				if len(points) < 2 || points[0].N != 0 || ridge != (len(points) == len(head.DefaultRidge)) {
					t.Errorf("%T: %d points of %s %s", kind, len(points), split, metric)
				}
			}
		}
		if best, _ := curves.Best(run.Series(curves.Folds, curves.Loss)); ridge && best.Step != r.Fit.Steps {
			t.Errorf("%T: kept %d, best out of fold is %d", kind, r.Fit.Steps, best.Step)
		}
		// Validation decides nothing: the head is the same without it.
		alone, err := FitHead(context.Background(), Data{Task: kind, Train: train, Folds: folds}, plan, nil)
		if err != nil || alone.Fit.Strength != r.Fit.Strength || alone.Fit.Head.Weight[0] != r.Fit.Head.Weight[0] {
			t.Errorf("%T: validation pictures changed the head (%v)", kind, err)
		}
	}
}

func TestPlansOfTasks(t *testing.T) {
	rare := several(20, false)
	for i := range rare.Targets {
		rare.Targets[i] = 0
	}
	rare.Targets[0], rare.Targets[2], rare.Targets[4] = 1, 1, 1
	rare.Targets[1], rare.Targets[3], rare.Targets[5] = 1, 1, 1
	for _, c := range []struct {
		kind  task.Task
		s     head.Samples
		folds int
		says  string
	}{
		{task.Labels{}, rare, 3, "the smallest label has 3 pictures"},
		{task.Labels{}, several(60, false), 5, "every label has pictures in each"},
		{task.Values{}, several(60, true), 5, "one strength for all values"},
		{task.Values{}, several(4, true), 4, "dealt at random"},
	} {
		p, err := NewPlan(c.kind, c.s, Options{Seed: 1})
		if err != nil || p.Folds != c.folds || !strings.Contains(p.String(), c.says) {
			t.Errorf("%T: %+v, %v; want %d folds and %q", c.kind, p, err, c.folds, c.says)
		}
	}
	if _, err := NewPlan(task.Labels{}, several(20, false), Options{Head: head.SGDKind}); err == nil {
		t.Error("SGD of several labels is accepted")
	}
	if _, err := NewPlan(task.Values{}, several(20, true), Options{Head: heads.LDAKind}); err == nil {
		t.Error("discriminant analysis of values is accepted")
	}
	if _, err := NewPlan(task.Values{}, several(20, true), Options{Head: head.RidgeKind, Epochs: 3}); err == nil || !strings.Contains(err.Error(), "epochs") {
		t.Error(err)
	}
}
