package evaluate

import (
	"cmp"
	"fmt"
	"math"
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
	Truth       bool    `json:"truth"`       // the picture bears it
	Probability float64 `json:"probability"` // that the head gave to its bearing it
	Loss        float64 `json:"loss"`        // -log of the probability of the truth, nats
}

// NewLabels computes the report. Errors name what is wrong with the input: no pictures,
// sizes that do not fit, a logit that is not finite, labels that no picture bears.
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
		l := LabelLoss{Index: i / k, Label: in.Labels[i%k], Truth: is, Probability: 1 / (1 + math.Exp(-z))}
		if is {
			z = -z
		}
		l.Loss = max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
		if in.Files != nil {
			l.File = in.Files[l.Index]
		}
		r.TopLosses = append(r.TopLosses, l)
	}
	slices.SortStableFunc(r.TopLosses, func(a, b LabelLoss) int { return cmp.Compare(b.Loss, a.Loss) })
	r.TopLosses = slices.Clip(r.TopLosses[:min(topLosses, len(r.TopLosses))])
	return r, nil
}

// rows is the number of pictures behind n·k targets.
func rows(targets, k int, files []string) (int, error) {
	switch {
	case targets == 0 || k == 0:
		return 0, fmt.Errorf("evaluate: no pictures: the split is empty, choose another with --split")
	case targets%k != 0:
		return 0, fmt.Errorf("evaluate: %d targets for %d names, want one of each a picture", targets, k)
	case files != nil && len(files) != targets/k:
		return 0, fmt.Errorf("evaluate: %d file names for %d pictures", len(files), targets/k)
	}
	return targets / k, nil
}

// ScoreLine is the mean average precision with its interval.
func (r *LabelsReport) ScoreLine() string {
	return fmt.Sprintf("mAP %.1f %%%s", 100*r.MAP, within(r.Interval, 100, 1, fmt.Sprintf("mean of %d label(s)", r.Counted)))
}

// within is an interval in words: " (95 % 80.1-85.9, mean of 3)".
func within(i metrics.Interval, times float64, digits int, more string) string {
	if !i.Known() {
		return " (" + more + ")"
	}
	lo, hi := times*i.Low, times*i.High
	dash := "-"
	if lo < 0 {
		dash = " to "
	}
	return fmt.Sprintf(" (95 %% %.*f%s%.*f, %s)", digits, lo, dash, digits, hi, more)
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
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.ScoreLine())
	fmt.Fprintf(&b, "log loss %.3f nats a label, macro F1 %.1f %% at the thresholds\n\n", r.LogLoss, 100*r.MacroF1)
	fmt.Fprintf(&b, "%-24s %9s %18s %6s %6s %10s\n", "label", "bear it", "AP, 95 %", "from", "F1", "right/said")
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
