package evaluate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// ValuesInput is what a report on real values is computed from.
type ValuesInput struct {
	Names     []string  // K names
	Truth     []float64 // [N, K] row-major, in units of the person's
	Predicted []float32 // [N, K] row-major, in the same units
	Files     []string  // N names for the list of the worst; may be nil
}

// ValuesReport says how well real values are predicted. It marshals to JSON as it is.
type ValuesReport struct {
	metrics.ValueScores
	Misses []Miss `json:"worst"` // the worst first, at most 16

	pictures  int
	truth     []float64
	predicted []float32
}

// Miss is one value of one picture and how far it was missed.
type Miss struct {
	Index      int     `json:"index"` // of the picture in the input
	File       string  `json:"file,omitempty"`
	Name       string  `json:"name"`
	True       float64 `json:"true"`
	Predicted  float64 `json:"predicted"`
	Deviations float64 `json:"deviations"` // the error in standard deviations of the true values
}

// NewValues computes the report. Errors name what is wrong with the input: no pictures,
// sizes that do not fit, a number that is not finite, values that never change.
func NewValues(in ValuesInput) (*ValuesReport, error) {
	k := len(in.Names)
	n, err := rows(len(in.Truth), k, in.Files)
	if err != nil {
		return nil, err
	}
	r := &ValuesReport{pictures: n, truth: slices.Clone(in.Truth), predicted: slices.Clone(in.Predicted)}
	if r.ValueScores, err = metrics.ScoreValues(in.Names, metrics.Matrix{Rows: n, Cols: k, Data: in.Predicted}, in.Truth); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	for i, v := range in.Truth {
		s := r.Values[i%k]
		if s.SD == 0 {
			continue
		}
		m := Miss{Index: i / k, Name: s.Name, True: v, Predicted: float64(in.Predicted[i])}
		m.Deviations = (m.Predicted - v) / s.SD
		if in.Files != nil {
			m.File = in.Files[m.Index]
		}
		r.Misses = append(r.Misses, m)
	}
	slices.SortStableFunc(r.Misses, func(a, b Miss) int { return cmp.Compare(math.Abs(b.Deviations), math.Abs(a.Deviations)) })
	r.Misses = slices.Clip(r.Misses[:min(topLosses, len(r.Misses))])
	return r, nil
}

// Score is the mean R².
func (r *ValuesReport) Score() metrics.Score {
	return metrics.NewScore(metrics.R2, r.R2, r.Interval, r.pictures)
}

// Loss has none in nats.
func (r *ValuesReport) Loss() (nats float64, ok bool) { return 0, false }

// Table has a row for each value, in its own units.
func (r *ValuesReport) Table() Table {
	t := Table{Header: []string{"value", "R²", "95 %", "mean error", "RMSE", "SD"}}
	for _, v := range r.Values {
		t.Rows = append(t.Rows, []string{v.Name, fmt.Sprintf("%.3f", v.R2), ends(v.Interval, 1, 3), short(v.MAE), short(v.RMSE), short(v.SD)})
	}
	return t
}

// PerValue has the score of each value.
func (r *ValuesReport) PerValue() []metrics.ValueScore { return r.Values }

// Worst are the values that were missed by most standard deviations.
func (r *ValuesReport) Worst() []Mistake {
	var out []Mistake
	for _, m := range r.Misses {
		out = append(out, Mistake{File: m.File, Truth: m.Name + " " + short(m.True), Predicted: m.Name + " " + short(m.Predicted),
			Caption: fmt.Sprintf("off by %.1f standard deviations", m.Deviations)})
	}
	return out
}

// short is a number in four digits.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// Figure draws predicted against true values. It needs a report that [NewValues] made.
func (r *ValuesReport) Figure() plots.Figure {
	panels := make([]plots.Predicted, len(r.Values))
	for i, v := range r.truth {
		p := &panels[i%len(panels)]
		p.True, p.Predicted = append(p.True, v), append(p.Predicted, float64(r.predicted[i]))
	}
	for c, s := range r.Values {
		panels[c].ValueScore = s
	}
	return plots.Agreement(panels...)
}

// Text is the report as a table of at most 80 columns.
func (r *ValuesReport) Text() string {
	return fmt.Sprintf("%s, mean of %d value(s)\n", r.Score(), r.Counted) + r.Details()
}

// Details are loss and a table of the parts.
func (r *ValuesReport) Details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "errors are in units of the value\n\n")
	fmt.Fprintf(&b, "%-24s %22s %10s %10s %10s\n", "value", "R², 95 %", "mean error", "RMSE", "SD")
	for _, v := range r.Values {
		r2 := "-"
		if v.SD > 0 {
			r2 = fmt.Sprintf("%.3f", v.R2)
			if v.Interval.Known() {
				r2 += fmt.Sprintf(" (%.3f to %.3f)", v.Interval.Low, v.Interval.High)
			}
		}
		fmt.Fprintf(&b, "%-24s %22s %10s %10s %10s\n", words.Shorten(v.Name, 24), r2, short(v.MAE), short(v.RMSE), short(v.SD))
	}
	if len(r.Misses) > 0 {
		w := r.Misses[0]
		fmt.Fprintf(&b, "\nmost wrong: %s %s, predicted %s", words.Shorten(w.Name, 20), short(w.True), short(w.Predicted))
		if w.File != "" {
			fmt.Fprintf(&b, " (%s)", words.Shorten(w.File, 30))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
