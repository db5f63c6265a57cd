package run_test

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/keypoint"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/run"
)

// On pooled features of the drawn insects, ridge regression reaches R² 0.11 over five values, and
// about 0 for x and y. On the map of the same frozen network, the place is found, and what lies around it
// tells the rest.
func TestMapsKnowWhere(t *testing.T) {
	set := set(t)
	items := append(set.In(datasets.Train), set.In(datasets.Test)[:150]...)
	train := len(set.In(datasets.Train))
	paths := make([]string, len(items))
	for i, item := range items {
		paths[i] = item.Path
	}
	m, err := run.Spec{Model: "mobilenetv2"}.Maps(t.Context(), "features.13", paths, run.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Map != [3]int{14, 14, 96} || m.Rows() != len(items) {
		t.Fatalf("%d maps of %v", m.Rows(), m.Map)
	}
	const side = 192.0 // pixels of the drawn pictures
	x, y := column(t, set, "x"), column(t, set, "y")
	s := keypoint.Samples{Map: m.Map, X: m.Data[:train*m.Features]}
	for _, item := range items[:train] {
		s.At = append(s.At, [2]float64{item.Targets[x] / side, item.Targets[y] / side})
	}
	fit, err := keypoint.Fit(t.Context(), s, keypoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	points := fit.OutOfFold
	for i := train; i < len(items); i++ {
		p, err := fit.Head.Find(m.Row(i))
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, p)
	}
	predicted := around(t, fit.Head, m, points, items, train)
	for i := range predicted.Rows {
		row := predicted.Row(i)
		row[x], row[y] = float32(side*points[train+i].X), float32(side*points[train+i].Y)
	}
	var truth []float64
	for _, item := range items[train:] {
		truth = append(truth, item.Targets...)
	}
	scores, err := metrics.ScoreValues(set.Labels, predicted, truth)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range scores.Values {
		t.Logf("%-6s R² %.3f (95 %% %.3f-%.3f)", v.Name, v.R2, v.Interval.Low, v.Interval.High)
		if (k == x || k == y) && v.Interval.Low < 0.8 {
			t.Errorf("%s: R² %.3f from %.3f, want 0.8 or more", v.Name, v.R2, v.Interval.Low)
		}
	}
	t.Logf("mean   R² %.3f (95 %% %.3f-%.3f), strength %g", scores.R2, scores.Interval.Low, scores.Interval.High, fit.Strength)
	if scores.Interval.Low < 0.65 {
		t.Errorf("mean R² from %.3f, want 0.65 or more", scores.Interval.Low)
	}
}

func column(t *testing.T, set *datasets.Dataset, name string) int {
	t.Helper()
	for k, label := range set.Labels {
		if label == name {
			return k
		}
	}
	t.Fatalf("%s has no %s", set.Name, name)
	return 0
}

// around predicts the values of the items after the first so many by what lies around their points.
func around(t *testing.T, h *keypoint.Head, m *features.Matrix, points []keypoint.Point, items []datasets.Item, train int) metrics.Matrix {
	t.Helper()
	s := head.Samples{Classes: len(items[0].Targets)}
	var rest []float32
	for i, item := range items {
		near, err := h.Around(m.Row(i), points[i], 3)
		if err != nil {
			t.Fatal(err)
		}
		if s.Features = len(near); i >= train {
			rest = append(rest, near...)
			continue
		}
		s.X, s.Targets = append(s.X, near...), append(s.Targets, item.Targets...)
	}
	folds := make([][]int, 5)
	for i := range train {
		folds[i%5] = append(folds[i%5], i)
	}
	fit, err := head.Ridge(t.Context(), s, head.RidgeOptions{Folds: folds})
	if err != nil {
		t.Fatal(err)
	}
	return metrics.Matrix{Rows: len(items) - train, Cols: s.Classes, Data: fit.Head.Logits(rest)}
}

func TestMapsOfNoStage(t *testing.T) {
	paths := []string{set(t).Items[0].Path}
	for stage, want := range map[string]string{"": "the map of no stage", "features.99": `no map called "features.99"`} {
		_, err := run.Spec{Model: "mobilenetv2"}.Maps(t.Context(), stage, paths, run.Place{}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", stage, err)
		}
	}
}

func set(t *testing.T) *datasets.Dataset {
	t.Helper()
	s, err := datasets.Open(t.Context(), "insects-values", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
