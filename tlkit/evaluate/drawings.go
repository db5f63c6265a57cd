package evaluate

import (
	"cmp"
	"fmt"
	"image"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// Drawing is one figure of a report.
type Drawing struct {
	Name string // of a file, without its ending
	plots.Figure
	Photos bool // it shows pictures of the data set
}

// How many pictures a grid shows of each kind.
const (
	wrongShown  = 8
	rightShown  = 6
	pairsShown  = 4
	pairPicture = 6
)

// Drawings draws the confusion matrix, precision, recall and F1 of each label, the curves of ROC and of
// precision against recall, the pictures of the most confused pairs of labels, those that the model is
// most wrong about, and right ones: the surest and the least sure. picture returns a picture small
// enough for a tile, or nil; it gets the names in the input. It needs a report that [NewClasses] made.
func (r *ClassesReport) Drawings(picture func(file string) image.Image) []Drawing {
	out := []Drawing{{"confusion", r.Figure(), false}, {"per-label", plots.PerClass(r.Classes), false}}
	if ranked := r.Rankings(); slices.ContainsFunc(ranked, metrics.Ranking.Known) {
		out = append(out, Drawing{"rankings", plots.Rankings(ranked), false})
	}
	if pairs := r.Confused(pairsShown, pairPicture); len(pairs) > 0 {
		out = append(out, Drawing{"confused", plots.Grid("Most confused", tiles(pairs, picture)), true})
	}
	return append(out, judged(r.wrong, r.right, picture)...)
}

// Drawings draws how well each label is found, the curves of ROC and of precision against recall, and
// pictures as [ClassesReport.Drawings] does.
func (r *LabelsReport) Drawings(picture func(file string) image.Image) []Drawing {
	out := []Drawing{{"labels", r.Figure(), false}}
	if ranked := r.Rankings(); slices.ContainsFunc(ranked, metrics.Ranking.Known) {
		out = append(out, Drawing{"rankings", plots.Rankings(ranked), false})
	}
	return append(out, judged(r.wrong, r.right, picture)...)
}

// Drawings draws predicted against true values, and the pictures with the largest errors.
func (r *ValuesReport) Drawings(picture func(file string) image.Image) []Drawing {
	return append([]Drawing{{"values", r.Figure(), false}}, judged(r.Worst(), nil, picture)...)
}

// Rankings ranks the pictures for each label by its probability, one label against the rest. It needs a
// report that [NewClasses] made.
func (r *ClassesReport) Rankings() []metrics.Ranking {
	positive := make([]bool, len(r.probabilities.Data))
	for i, c := range r.truth {
		positive[i*r.probabilities.Cols+c] = true
	}
	out, err := r.clusters.Rankings(r.Confusion.Labels, r.probabilities, positive)
	if err != nil { // a report that was read from a file
		return nil
	}
	return out
}

// Rankings ranks the pictures for each label by its logit. It needs a report that [NewLabels] made.
func (r *LabelsReport) Rankings() []metrics.Ranking {
	var names []string
	for _, l := range r.Labels {
		names = append(names, l.Label)
	}
	out, err := r.clusters.Rankings(names, r.logits, r.truth)
	if err != nil {
		return nil
	}
	return out
}

// Confused returns pictures of the labels that are most often taken for another one: up to so many
// pairs, and of each up to so many pictures, the surest mistakes first. The caption says how often. It
// needs a report that [NewClasses] made.
func (r *ClassesReport) Confused(pairs, pictures int) []Mistake {
	var out []Mistake
	for _, m := range r.Confusion.MostConfused(pairs) {
		truth, predicted := r.Confusion.Labels[m.Truth], r.Confusion.Labels[m.Predicted]
		var these []Mistake
		for _, w := range r.wrong {
			if w.Truth == truth && w.Predicted == predicted {
				w.Caption = fmt.Sprintf("%s taken for %s: %d of %d", truth, predicted, m.Count, m.Support)
				these = append(these, w)
			}
		}
		slices.SortStableFunc(these, func(a, b Mistake) int { return cmp.Compare(b.Probability, a.Probability) })
		out = append(out, these[:min(pictures, len(these))]...)
	}
	return out
}

// tiles are mistakes in rows, one for each caption.
func tiles(mistakes []Mistake, picture func(file string) image.Image) []plots.Picture {
	var out []plots.Picture
	for _, m := range mistakes {
		out = append(out, plots.Picture{Image: picture(m.File), Truth: m.Truth, Prediction: m.Predicted, Probability: m.Probability, Loss: m.Loss, Row: m.Caption})
	}
	return out
}

// judged draws the mistakes, worst first, and the right predictions: the surest, then the least sure.
func judged(wrong, right []Mistake, picture func(file string) image.Image) []Drawing {
	tile := func(m Mistake, row string) plots.Picture {
		return plots.Picture{Image: picture(m.File), Truth: m.Truth, Prediction: m.Predicted, Probability: m.Probability, Loss: m.Loss, Caption: m.Caption, Row: row}
	}
	var out []Drawing
	var tiles []plots.Picture
	for _, m := range wrong[:min(wrongShown, len(wrong))] {
		tiles = append(tiles, tile(m, ""))
	}
	if len(tiles) > 0 {
		out = append(out, Drawing{"top-losses", plots.Grid("Most wrong about", tiles), true})
	}
	if len(right) == 0 {
		return out
	}
	tiles = nil
	surest := right[:min(rightShown, len(right))]
	for _, m := range surest {
		tiles = append(tiles, tile(m, "Surest"))
	}
	unsure := unsureFirst(right[len(surest):])
	for _, m := range unsure[:min(rightShown, len(unsure))] {
		tiles = append(tiles, tile(m, "Least sure"))
	}
	title := "Right about"
	if len(wrong) == 0 {
		title = "No mistake; right about"
	}
	return append(out, Drawing{"right", plots.Grid(title, tiles), true})
}
