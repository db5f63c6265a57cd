package metrics

import (
	"fmt"
	"math"
	"slices"
)

// TopK counts the rows whose label is among the k largest scores, with k from 1 to K. Scores may be
// logits or probabilities. Of equal scores, the lower class number comes first.
func TopK(scores Matrix, labels []int, k int) (Fraction, error) {
	if err := scores.checkLabels(labels); err != nil {
		return Fraction{}, err
	}
	if k < 1 || k > scores.Cols {
		return Fraction{}, fmt.Errorf("metrics: top-%d of %d classes: want 1..%d", k, scores.Cols, scores.Cols)
	}
	a := Fraction{Total: scores.Rows}
	for i, l := range labels {
		row, before := scores.Row(i), 0
		for c, v := range row {
			if v > row[l] || v == row[l] && c < l {
				before++
			}
		}
		if before < k {
			a.Correct++
		}
	}
	return a, nil
}

// CrossEntropy is the mean of -log p(label) in nats, computed from logits by
// log-sum-exp, so that a confident mistake keeps its true size.
func CrossEntropy(logits Matrix, labels []int) (float64, error) {
	if err := logits.checkLabels(labels); err != nil {
		return 0, err
	}
	sum := 0.0
	for i, l := range labels {
		row := logits.Row(i)
		sum += LogSumExp(row) - float64(row[l])
	}
	return sum / float64(logits.Rows), nil
}

// LogLoss is the mean of -log p(label) in nats, from probabilities. As in scikit-learn, a
// probability of 0 counts as 1.2e-7, the smallest float32 step from 1: at most 15.9 nats a picture.
func LogLoss(probabilities Matrix, labels []int) (float64, error) {
	if err := probabilities.checkProbabilities(labels); err != nil {
		return 0, err
	}
	const eps = 1.1920928955078125e-07
	sum := 0.0
	for i, l := range labels {
		p := min(max(float64(probabilities.Row(i)[l]), eps), 1-eps)
		sum -= math.Log(p)
	}
	return sum / float64(probabilities.Rows), nil
}

// Brier is the mean squared distance between the probabilities and the truth, summed over classes:
// 0 is perfect, 2 is the worst. For two classes it is twice the Brier score that counts only one of
// them.
func Brier(probabilities Matrix, labels []int) (float64, error) {
	if err := probabilities.checkProbabilities(labels); err != nil {
		return 0, err
	}
	sum := 0.0
	for i, l := range labels {
		for k, v := range probabilities.Row(i) {
			d := float64(v)
			if k == l {
				d--
			}
			sum += d * d
		}
	}
	return sum / float64(probabilities.Rows), nil
}

// AveragePrecision is the area under the precision-recall steps of one class: the sum over
// thresholds of (recall gained) x (precision there). Only the order of the scores matters, so
// logits, sigmoids and probabilities give the same value. Equal scores share one threshold. It is
// an error if there is no positive.
func AveragePrecision(scores []float32, positive []bool) (float64, error) {
	if err := (Matrix{Rows: len(scores), Cols: 1, Data: scores}).check(); err != nil {
		return 0, err
	}
	if len(positive) != len(scores) {
		return 0, fmt.Errorf("metrics: %d truths for %d scores", len(positive), len(scores))
	}
	order, total := make([]int, len(scores)), 0
	for i := range order {
		order[i] = i
		if positive[i] {
			total++
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("metrics: average precision needs at least one positive among %d", len(scores))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	area, hits, before := 0.0, 0, 0
	for i, o := range order {
		if positive[o] {
			hits++
		}
		if i+1 < len(order) && scores[order[i+1]] == scores[o] {
			continue
		}
		area += float64(hits-before) / float64(total) * float64(hits) / float64(i+1)
		before = hits
	}
	return area, nil
}

// MeanAveragePrecision is the mean of [AveragePrecision] over the classes of a multi-label task.
// positive holds N*K truths in the order of scores.Data. A class without a positive has no average
// precision and is left out; counted is the number of classes in the mean.
func MeanAveragePrecision(scores Matrix, positive []bool) (mean float64, counted int, err error) {
	if err := scores.check(); err != nil {
		return 0, 0, err
	}
	if len(positive) != len(scores.Data) {
		return 0, 0, fmt.Errorf("metrics: %d truths for %d x %d scores", len(positive), scores.Rows, scores.Cols)
	}
	column, truth := make([]float32, scores.Rows), make([]bool, scores.Rows)
	for k := range scores.Cols {
		found := false
		for i := range scores.Rows {
			column[i], truth[i] = scores.Data[i*scores.Cols+k], positive[i*scores.Cols+k]
			found = found || truth[i]
		}
		if !found {
			continue
		}
		ap, err := AveragePrecision(column, truth)
		if err != nil {
			return 0, 0, err
		}
		mean += ap
		counted++
	}
	if counted == 0 {
		return 0, 0, fmt.Errorf("metrics: no class of %d has a positive", scores.Cols)
	}
	return mean / float64(counted), counted, nil
}
