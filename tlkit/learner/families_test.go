package learner

import (
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Every family can be planned, says what it is, predicts, and has a history that ends with what it
// predicts with.
func TestEveryFamilyHasAHistory(t *testing.T) {
	train, valid := blobs(60), blobs(30)
	for _, kind := range (task.Classes{}).Heads() {
		p, err := NewPlan(task.Classes{}, train, Options{Head: kind, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.String(), string(kind)+" head") {
			t.Errorf("the plan of %s: %s", kind, p)
		}
		var folds [][]int
		for f := range p.Folds {
			var rows []int
			for i := range 60 {
				if i/2%p.Folds == f {
					rows = append(rows, i)
				}
			}
			folds = append(folds, rows)
		}
		history := curves.NewRecorder(curves.Run{Axis: p.Axis()}, nil, 0, nil)
		r, err := FitHead(t.Context(), Data{Train: train, Valid: valid, Folds: folds}, p, history)
		if err != nil {
			t.Fatal(kind, err)
		}
		logits := r.Model.Logits(valid.X)
		right := float64(head.Correct(logits, valid.Y, valid.Classes)) / float64(valid.Len())
		run := history.Run()
		series := run.Series(curves.Valid, curves.Accuracy)
		last := series[len(series)-1]
		if kind == head.RidgeKind || kind == heads.LDAKind { // the history goes on to weaker candidates
			last = series[r.Fit.Steps-1]
		}
		if math.Abs(last.Value-right) > 1e-9 || last.Step != r.Fit.Steps {
			t.Errorf("%s: step %d of the history says %v, the head of step %d gets %v", kind, last.Step, last.Value, r.Fit.Steps, right)
		}
		if (r.Families != nil) != (kind == heads.AutoKind) {
			t.Errorf("%s: families %+v", kind, r.Families)
		}
	}
}

// A handful of pictures a label make the cosine head the default, but not for fine-tuning, whose head is
// linear, nor where another head was asked for.
func TestFewShots(t *testing.T) {
	few, enough := blobs(8), blobs(10)
	for _, c := range []struct {
		s    head.Samples
		o    Options
		want head.Kind
	}{
		{few, Options{}, heads.CosineKind},
		{enough, Options{}, head.LogisticKind},
		{few, Options{ForTuning: true}, head.LogisticKind},
		{few, Options{Head: head.LogisticKind}, head.LogisticKind},
		{few, Options{Head: heads.KNNKind}, heads.KNNKind},
	} {
		p, err := NewPlan(task.Classes{}, c.s, c.o)
		if err != nil || p.Head != c.want {
			t.Errorf("%d pictures, %+v: head %s, want %s (%v)", c.s.Len(), c.o, p.Head, c.want, err)
		}
	}
	for _, kind := range []head.Kind{heads.KNNKind, heads.CosineKind, heads.AutoKind, heads.LDAKind} {
		if _, err := NewPlan(task.Classes{}, enough, Options{Head: kind, ForTuning: true}); err == nil || !strings.Contains(err.Error(), "fine-tuning") {
			t.Errorf("fine-tuning from a %s head: error %v", kind, err)
		}
	}
}
