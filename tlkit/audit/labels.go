package audit

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/results"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

const labelFolds = 5

// With so many rows, fewer numbers stand for the features: the cost of the head grows with their square.
const (
	manyRows = 3000
	fewer    = 320
)

// labels reports pictures whose label a head disputes that did not learn from them (confident learning,
// Northcutt et al. 2021): the probability of another label is above the mean that pictures of that label
// have, and above that of the given one.
func (a *auditor) labels(ctx context.Context) error {
	if a.Set.Task != datasets.Classes || len(a.Set.Labels) < 2 || a.folds() < 2 {
		return nil // nothing to compare with
	}
	rows := a.labelled()
	if !a.differs(rows) {
		return nil
	}
	p, err := a.outOfFold(ctx, rows)
	if err != nil {
		return err
	}
	k := len(a.Set.Labels)
	usual, count := make([]float64, k), make([]float64, k)
	for r, i := range rows {
		c := a.items[i].Class
		usual[c] += float64(p.Data[r*k+c])
		count[c]++
	}
	for c := range usual {
		usual[c] /= max(count[c], 1)
	}
	for r, i := range rows {
		given, row := a.items[i].Class, p.Data[r*k:][:k]
		best := -1
		for c, v := range row {
			if c != given && float64(v) >= usual[c] && v > row[given] && (best < 0 || v > row[best]) {
				best = c
			}
		}
		if best < 0 {
			continue
		}
		f := a.of(WrongLabel, i)
		f.Suggested, f.Score = a.Set.Labels[best], float64(row[best]-row[given])
		f.Why = fmt.Sprintf("looks like %s: probability %.3f, %s %.3f", f.Suggested, row[best], a.Set.Labels[given], row[given])
		f.Changes = []results.Change{{File: a.items[i].Rel, Action: results.Relabel, Label: f.Suggested}}
		a.add(f)
	}
	return nil
}

// labelled returns the rows with a label.
func (a *auditor) labelled() (rows []int) {
	for i, item := range a.items {
		if i%max(a.every, 1) == 0 && item.Class >= 0 && item.Targets == nil {
			rows = append(rows, i)
		}
	}
	return rows
}

// differs reports whether there are two rows of one label that are not equal. Without them, there is
// nothing that a label could be measured by.
func (a *auditor) differs(rows []int) bool {
	first := map[int]int{}
	for _, i := range rows {
		k, known := first[a.items[i].Class]
		if !known {
			first[a.items[i].Class] = i
		} else if !slices.Equal(a.matrix.Row(k), a.matrix.Row(i)) {
			return true
		}
	}
	return false
}

// rarest returns the number of pictures of the rarest label.
func (a *auditor) rarest() int {
	counts := make([]int, len(a.Set.Labels))
	for _, i := range a.labelled() {
		counts[a.items[i].Class]++
	}
	return slices.Min(counts)
}

// folds returns the number of folds of the labelled pictures; 0 if a label is too rare for them.
func (a *auditor) folds() int {
	if a.rarest() < labelFolds {
		return 0
	}
	var items []datasets.Item
	for _, i := range a.labelled() {
		items = append(items, a.items[i])
	}
	// Groups lie in one fold, so that a label of few groups allows few.
	return min(labelFolds, task.Classes{}.Rarest(task.Classes{}.Samples(items, nil, len(a.Set.Labels))))
}

// outOfFold returns the probabilities of the labels of rows, by heads that did not learn from the picture.
func (a *auditor) outOfFold(ctx context.Context, rows []int) (metrics.Matrix, error) {
	items, x := make([]datasets.Item, len(rows)), make([]float32, 0, len(rows)*a.matrix.Features)
	for r, i := range rows {
		items[r] = a.items[i]
		x = append(x, a.matrix.Row(i)...)
	}
	samples := task.Classes{}.Samples(items, x, len(a.Set.Labels))
	samples.Features = a.matrix.Features
	if len(rows) > manyRows {
		samples.X, samples.Features = project(x, samples.Features, fewer), fewer
	}
	fit, err := head.LDA(ctx, samples, head.LDAOptions{
		Folds:    datasets.Folds(items, a.folds(), a.Seed),
		Progress: func(done, total int) { a.Progress("checking labels", done, total) },
	})
	if err != nil {
		return metrics.Matrix{}, err
	}
	return metrics.Softmax(metrics.Matrix{Rows: len(rows), Cols: len(a.Set.Labels), Data: fit.OutOfFold})
}

// outlierDeviations is how many standard deviations an outlier is from the usual distance: in a set
// without any, one picture of four thousand is called one.
const outlierDeviations = 3.5

// outliers reports pictures whose features are far from those of all others.
func (a *auditor) outliers(context.Context) error {
	n := len(a.items)
	if n < 20 {
		return nil
	}
	distances := make([]float64, n)
	parallel(n, func(i int) {
		for _, k := range a.near[i] {
			distances[i] += (1 - a.cosine(i, k)) / float64(len(a.near[i]))
		}
	})
	logs := make([]float64, n)
	for i, d := range distances {
		logs[i] = math.Log(max(d, 1e-9))
	}
	middle, deviation := robust(logs)
	for i, d := range logs {
		if z := (d - middle) / deviation; z > outlierDeviations {
			f := a.of(Outlier, i)
			f.Score, f.Why = z, fmt.Sprintf("its nearest pictures are %.1f times as far as usual", math.Exp(d-middle))
			a.add(f)
		}
	}
	return nil
}

// robust returns the median, and the standard deviation that the median distance to it stands for.
func robust(values []float64) (middle, deviation float64) {
	middle = median(values)
	off := make([]float64, len(values))
	for i, v := range values {
		off[i] = math.Abs(v - middle)
	}
	return middle, max(1.4826*median(off), 1e-9)
}

func median(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.SortFunc(sorted, cmp.Compare[float64])
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
