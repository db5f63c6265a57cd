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

// ValuesInput is the input of [NewValues].
type ValuesInput struct {
	Names     []string         // K names
	Truth     []float64        // [N, K] row-major, in any units
	Predicted []float32        // [N, K] row-major, in the same units
	Files     []string         // N file names for the list of misses; may be nil
	Clusters  metrics.Clusters // pictures that belong together, for the intervals; may be nil
}

// ValuesReport is the report of a model that predicts real values. It marshals to JSON.
type ValuesReport struct {
	metrics.ValueScores
	Clusters int    `json:"clusters,omitempty"` // groups of pictures behind the intervals; 0 = none
	Misses   []Miss `json:"worst"`              // worst first, at most 16

	pictures  int
	truth     []float64
	predicted []float32
}

// Miss is one value of one picture with its prediction.
type Miss struct {
	Index      int     `json:"index"` // of the picture in the input
	File       string  `json:"file,omitempty"`
	Name       string  `json:"name"`
	True       float64 `json:"true"`
	Predicted  float64 `json:"predicted"`
	Deviations float64 `json:"deviations"` // the error in standard deviations of the true values
}

// NewValues computes the report. It is an error if there are no pictures, if sizes do not fit
// together, if a number is not finite or if no value varies.
func NewValues(input ValuesInput) (*ValuesReport, error) {
	k := len(input.Names)
	n, err := rows(len(input.Truth), k, input.Files)
	if err != nil {
		return nil, err
	}
	r := &ValuesReport{Clusters: input.Clusters.Count(), pictures: n, truth: slices.Clone(input.Truth), predicted: slices.Clone(input.Predicted)}
	r.ValueScores, err = input.Clusters.ScoreValues(input.Names, metrics.Matrix{Rows: n, Cols: k, Data: input.Predicted}, input.Truth)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	for i, v := range input.Truth {
		s := r.Values[i%k]
		if s.SD == 0 {
			continue
		}
		m := Miss{Index: i / k, Name: s.Name, True: v, Predicted: float64(input.Predicted[i])}
		m.Deviations = (m.Predicted - v) / s.SD
		if input.Files != nil {
			m.File = input.Files[m.Index]
		}
		r.Misses = append(r.Misses, m)
	}
	slices.SortStableFunc(r.Misses, func(a, b Miss) int { return cmp.Compare(math.Abs(b.Deviations), math.Abs(a.Deviations)) })
	r.Misses = slices.Clip(r.Misses[:min(topLosses, len(r.Misses))])
	return r, nil
}

// Score returns the mean R².
func (r *ValuesReport) Score() metrics.Score {
	s := metrics.NewScore(metrics.R2, r.R2, r.Interval, r.pictures)
	s.Clusters = r.Clusters
	return s
}

// Loss returns ok false: the loss of values is not in nats.
func (r *ValuesReport) Loss() (nats float64, ok bool) { return 0, false }

// Table returns a row for each value: R² with interval, and errors in the value's own units.
func (r *ValuesReport) Table() Table {
	t := Table{Header: []string{"value", "R²", "95 %", "mean error", "RMSE", "SD"}}
	for _, v := range r.Values {
		t.Rows = append(t.Rows, []string{v.Name, fmt.Sprintf("%.3f", v.R2), ends(v.Interval, 1, 3), short(v.MAE), short(v.RMSE), short(v.SD)})
	}
	return t
}

// PerValue returns the score of each value.
func (r *ValuesReport) PerValue() []metrics.ValueScore { return r.Values }

// Worst returns the values with the largest errors in standard deviations.
func (r *ValuesReport) Worst() []Mistake {
	var out []Mistake
	for _, m := range r.Misses {
		out = append(out, Mistake{File: m.File, Truth: m.Name + " " + short(m.True), Predicted: m.Name + " " + short(m.Predicted),
			Caption: fmt.Sprintf("off by %.1f standard deviations", m.Deviations)})
	}
	return out
}

// short formats a number with four significant digits.
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

// Text formats the report in at most 80 columns.
func (r *ValuesReport) Text() string {
	return fmt.Sprintf("%s, mean of %d value(s)\n", r.Score(), r.Counted) + r.Details()
}

// Details formats a table of the values, in their own units.
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
