package audit

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// A cue is something about a file that should not tell its label. If it does, a network may learn the
// cue, and then fails on pictures from elsewhere.
type cue struct {
	name  string
	quick bool // it needs no pixels, and content has no part in it
	of    func(a *auditor, row int) []float32
}

var cues = []cue{
	{"the size of the picture", true, func(a *auditor, i int) []float32 {
		p := a.prints[i]
		w, h := math.Log(float64(max(p.width, 1))), math.Log(float64(max(p.height, 1)))
		return []float32{float32(w), float32(h), float32(w - h), float32((w - h) * (w - h))}
	}},
	{"the bytes a pixel of the file", false, func(a *auditor, i int) []float32 {
		p := a.prints[i]
		b := math.Log(float64(max(p.bytes, 1)) / float64(max(p.width*p.height, 1)))
		return []float32{float32(b), float32(b * b)}
	}},
	{"the outermost pixels", false, func(a *auditor, i int) (out []float32) {
		for k := range side {
			for _, at := range []int{k, (side-1)*side + k, k * side, k*side + side - 1} {
				out = append(out, a.prints[i].pixels[3*at:][:3]...)
			}
		}
		return out
	}},
	{"the type of the file", true, func(a *auditor, i int) []float32 {
		out := make([]float32, len(endings))
		if k := slices.Index(endings, path.Ext(a.items[i].Rel)); k >= 0 {
			out[k] = 1
		}
		return out
	}},
}

var endings = []string{".jpg", ".jpeg", ".JPG", ".png", ".PNG", ".webp", ".gif", ".bmp", ".tif", ".tiff"}

// A cue is reported if it predicts the labels of pictures it has not seen with certainty beyond chance, and
// makes up at least this share of what lies between the most frequent label and no error.
const leastShare = 0.6

// shortcuts reports cues that predict the label.
func (a *auditor) shortcuts(ctx context.Context) error { return a.predictors(ctx, cues) }

// predictors reports those of some cues that predict the label.
func (a *auditor) predictors(ctx context.Context, cues []cue) error {
	if a.Set.Task != datasets.Classes || len(a.Set.Labels) < 2 || a.folds() < 2 {
		return nil
	}
	rows := a.labelled()
	counts := make([]int, len(a.Set.Labels))
	for _, i := range rows {
		counts[a.items[i].Class]++
	}
	chance := float64(slices.Max(counts)) / float64(len(rows))
	for _, c := range cues {
		score, err := a.predicts(ctx, c, rows)
		if err != nil {
			return err
		}
		rate := score.Value
		if !(score.Interval.Low > chance) || (rate-chance)/(1-chance) < leastShare {
			continue
		}
		a.add(Finding{Kind: Shortcut, Labels: a.Set.Labels, Score: rate,
			Why: fmt.Sprintf("%s alone tells the label: %s; the most frequent label is right for %.0f %%", c.name, score, 100*chance)})
	}
	return nil
}

// predicts returns how well a cue predicts the labels, out of fold. A cue that is the same everywhere
// predicts nothing.
func (a *auditor) predicts(ctx context.Context, c cue, rows []int) (metrics.Score, error) {
	items := make([]datasets.Item, len(rows))
	var x []float32
	for r, i := range rows {
		items[r] = a.items[i]
		x = append(x, c.of(a, i)...)
	}
	width := len(x) / len(rows)
	if constant(x, width) {
		return metrics.Score{}, nil
	}
	s := task.Classes{}.Samples(items, x, len(a.Set.Labels))
	s.Features = width
	fit, err := head.Ridge(ctx, s, head.RidgeOptions{Folds: datasets.Folds(items, a.folds(), a.Seed)})
	if err != nil {
		return metrics.Score{}, err
	}
	return task.Classes{}.Measure(s, fit.OutOfFold)
}

func constant(x []float32, width int) bool {
	for i, v := range x {
		if v != x[i%width] {
			return false
		}
	}
	return true
}
