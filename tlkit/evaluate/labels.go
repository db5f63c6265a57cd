package evaluate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// LabelsInput is what a report on several labels a picture is computed from.
type LabelsInput struct {
	Labels     []string  // K names
	Truth      []bool    // [N, K] row-major
	Logits     []float32 // [N, K] row-major
	Thresholds []float64 // K probabilities, chosen on other pictures; nil = 0.5 each
	Files      []string  // N names for the list of top losses; may be nil
}

// LabelsReport says how well several labels a picture are found. It marshals to JSON as it is.
type LabelsReport struct {
	metrics.LabelScores
	TopLosses []LabelLoss `json:"top_losses"` // the worst first, at most 16
}

// LabelLoss is one label of one picture and how wrong the head was about it.
type LabelLoss struct {
	Index       int     `json:"index"` // of the picture in the input
	File        string  `json:"file,omitempty"`
	Label       string  `json:"label"`
	Truth       bool    `json:"truth"`       // the picture has it
	Probability float64 `json:"probability"` // that the head gave to it
	Loss        float64 `json:"loss"`        // -log of the probability of the truth, nats
}

// NewLabels computes the report. Errors name what is wrong with the input: no pictures,
// sizes that do not fit, a logit that is not finite, labels that no picture has.
func NewLabels(in LabelsInput) (*LabelsReport, error) {
	k := len(in.Labels)
	n, err := rows(len(in.Truth), k, in.Files)
	if err != nil {
		return nil, err
	}
	r := &LabelsReport{}
	if r.LabelScores, err = metrics.ScoreLabels(in.Labels, metrics.Matrix{Rows: n, Cols: k, Data: in.Logits}, in.Truth, in.Thresholds); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	for i, is := range in.Truth {
		z := float64(in.Logits[i])
		l := LabelLoss{Index: i / k, Label: in.Labels[i%k], Truth: is, Probability: metrics.Sigmoid(z), Loss: metrics.BinaryLoss(z, 0)}
		if is {
			l.Loss = metrics.BinaryLoss(z, 1)
		}
		if in.Files != nil {
			l.File = in.Files[l.Index]
		}
		r.TopLosses = append(r.TopLosses, l)
	}
	slices.SortStableFunc(r.TopLosses, func(a, b LabelLoss) int { return cmp.Compare(b.Loss, a.Loss) })
	r.TopLosses = slices.Clip(r.TopLosses[:min(topLosses, len(r.TopLosses))])
	return r, nil
}

// Score is the mean average precision.
func (r *LabelsReport) Score() metrics.Score {
	total := 0
	if len(r.Labels) > 0 {
		total = r.Labels[0].Total
	}
	return metrics.NewScore(metrics.MAP, r.MAP, r.Interval, total)
}

// Loss is the mean binary cross-entropy of a picture and label, in nats.
func (r *LabelsReport) Loss() (nats float64, ok bool) { return r.LogLoss, true }

// Table has a row for each label.
func (r *LabelsReport) Table() Table {
	t := Table{Header: []string{"label", "support", "AP %", "95 %", "threshold %", "F1 %"}}
	for _, l := range r.Labels {
		ap := "-"
		if l.Support > 0 {
			ap = percent(l.AP)
		}
		t.Rows = append(t.Rows, []string{l.Label, fmt.Sprintf("%d of %d", l.Support, l.Total), ap, ends(l.Interval, 100, 1), fmt.Sprintf("%.0f", 100*l.Threshold), percent(l.F1)})
	}
	return t
}

// PerLabel has the score of each label.
func (r *LabelsReport) PerLabel() []metrics.LabelScore { return r.Labels }

// Worst are the labels of pictures with the largest loss.
func (r *LabelsReport) Worst() []Mistake {
	var out []Mistake
	for _, l := range r.TopLosses {
		m := Mistake{File: l.File, Truth: l.Label, Predicted: "no " + l.Label, Caption: fmt.Sprintf("loss %.2f", l.Loss)}
		if !l.Truth {
			m.Truth, m.Predicted = m.Predicted, m.Truth
		}
		out = append(out, m)
	}
	return out
}

// Figure draws the average precision of each label, the best first.
func (r *LabelsReport) Figure() plots.Figure {
	var bars []plots.Bar
	for _, l := range r.Labels {
		if l.Support > 0 {
			bars = append(bars, plots.Bar{Label: l.Label, Value: l.AP, Interval: l.Interval, Note: fmt.Sprintf("%d of %d", l.Support, l.Total)})
		}
	}
	slices.SortStableFunc(bars, func(a, b plots.Bar) int { return cmp.Compare(b.Value, a.Value) })
	return plots.Bars("How well each label is found", plots.Scale{Name: "average precision", Unit: "%"}, bars)
}

// Text is the report as a table of at most 80 columns.
func (r *LabelsReport) Text() string {
	return fmt.Sprintf("%s, mean of %d label(s)\n", r.Score(), r.Counted) + r.Details()
}

// Details are loss and a table of the parts.
func (r *LabelsReport) Details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "log loss %.3f nats a label, macro F1 %.1f %% at the thresholds\n\n", r.LogLoss, 100*r.MacroF1)
	fmt.Fprintf(&b, "%-24s %9s %18s %6s %6s %10s\n", "label", "support", "AP, 95 %", "from", "F1", "right/said")
	for _, l := range r.Labels {
		ap := "-"
		if l.Support > 0 {
			ap = fmt.Sprintf("%.1f", 100*l.AP)
			if l.Interval.Known() {
				ap += fmt.Sprintf(" (%.1f-%.1f)", 100*l.Interval.Low, 100*l.Interval.High)
			}
		}
		fmt.Fprintf(&b, "%-24s %9s %18s %6s %6.1f %10s\n", words.Shorten(l.Label, 24), fmt.Sprintf("%d/%d", l.Support, l.Total), ap,
			fmt.Sprintf("%.0f %%", 100*l.Threshold), 100*l.F1, fmt.Sprintf("%d/%d", l.Correct, l.Predicted))
	}
	return b.String()
}
