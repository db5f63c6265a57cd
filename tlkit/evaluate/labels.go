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

// LabelsInput is the input of [NewLabels].
type LabelsInput struct {
	Labels     []string         // K names
	Truth      []bool           // [N, K] row-major
	Logits     []float32        // [N, K] row-major
	Thresholds []float64        // K probabilities, chosen on other pictures; nil = 0.5 each
	Files      []string         // N file names for the list of top losses; may be nil
	Clusters   metrics.Clusters // pictures that belong together, for the intervals; may be nil
}

// LabelsReport is the report of a model that predicts several labels a picture. It marshals to
// JSON.
type LabelsReport struct {
	metrics.LabelScores
	Clusters  int         `json:"clusters,omitempty"` // groups of pictures behind the intervals; 0 = none
	TopLosses []LabelLoss `json:"top_losses"`         // worst first, at most 16

	worst        []Mistake
	wrong, right []Mistake // all of them: the worst first, the surest first
	logits       metrics.Matrix
	truth        []bool
	clusters     metrics.Clusters
}

// LabelLoss is one label of one picture with the loss of the model on it.
type LabelLoss struct {
	Index       int     `json:"index"` // of the picture in the input
	File        string  `json:"file,omitempty"`
	Label       string  `json:"label"`
	Truth       bool    `json:"truth"`       // whether the picture has the label
	Probability float64 `json:"probability"` // predicted for the label
	Loss        float64 `json:"loss"`        // -log of the probability of the truth, nats
}

// NewLabels computes the report. It is an error if there are no pictures, if sizes do not fit
// together, if a logit is not finite or if no picture has any label.
func NewLabels(input LabelsInput) (*LabelsReport, error) {
	k := len(input.Labels)
	n, err := rows(len(input.Truth), k, input.Files)
	if err != nil {
		return nil, err
	}
	r := &LabelsReport{Clusters: input.Clusters.Count()}
	r.LabelScores, err = input.Clusters.ScoreLabels(input.Labels, metrics.Matrix{Rows: n, Cols: k, Data: input.Logits}, input.Truth, input.Thresholds)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	for i, is := range input.Truth {
		z := float64(input.Logits[i])
		l := LabelLoss{Index: i / k, Label: input.Labels[i%k], Truth: is, Probability: metrics.Sigmoid(z), Loss: metrics.BinaryLoss(z, 0)}
		if is {
			l.Loss = metrics.BinaryLoss(z, 1)
		}
		if input.Files != nil {
			l.File = input.Files[l.Index]
		}
		r.TopLosses = append(r.TopLosses, l)
	}
	slices.SortStableFunc(r.TopLosses, func(a, b LabelLoss) int { return cmp.Compare(b.Loss, a.Loss) })
	thresholds := map[string]float64{}
	for _, s := range r.Labels {
		thresholds[s.Label] = s.Threshold
	}
	all := make([]Mistake, len(r.TopLosses))
	for i, l := range r.TopLosses {
		all[i] = l.mistake(thresholds[l.Label])
	}
	r.clusters = input.Clusters
	r.logits, r.truth = metrics.Matrix{Rows: n, Cols: k, Data: slices.Clone(input.Logits)}, slices.Clone(input.Truth)
	r.wrong, r.right = apart(all)
	r.worst = wrongFirst(r.wrong, r.right)
	r.TopLosses = slices.Clip(r.TopLosses[:min(topLosses, len(r.TopLosses))])
	return r, nil
}

// Score returns the mean average precision.
func (r *LabelsReport) Score() metrics.Score {
	total := 0
	if len(r.Labels) > 0 {
		total = r.Labels[0].Total
	}
	s := metrics.NewScore(metrics.MAP, r.MAP, r.Interval, total)
	s.Clusters = r.Clusters
	return s
}

// Loss returns the mean binary cross-entropy over pictures and labels, in nats.
func (r *LabelsReport) Loss() (nats float64, ok bool) { return r.LogLoss, true }

// Table returns a row for each label: support, average precision with interval, threshold, F1.
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

// PerLabel returns the score of each label.
func (r *LabelsReport) PerLabel() []metrics.LabelScore { return r.Labels }

// Worst returns the wrong labels of pictures with the largest losses, then the least sure right
// ones. It needs a report that [NewLabels] made.
func (r *LabelsReport) Worst() []Mistake { return r.worst }

// mistake names what is true and what was predicted of a label.
func (l LabelLoss) mistake(threshold float64) Mistake {
	m := Mistake{File: l.File, Truth: "no " + l.Label, Predicted: "no " + l.Label, Probability: 1 - l.Probability, Loss: l.Loss}
	if l.Truth {
		m.Truth = l.Label
	}
	if l.Probability >= threshold {
		m.Predicted, m.Probability = l.Label, l.Probability
	}
	return m
}

// Figure draws the average precision of each label, best first.
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

// Text formats the report in at most 80 columns.
func (r *LabelsReport) Text() string {
	return fmt.Sprintf("%s, mean of %d label(s)\n", r.Score(), r.Counted) + r.Details()
}

// Details formats the loss and a table of the labels. The precision column gives its counts: the
// pictures that have the label of those that get it.
func (r *LabelsReport) Details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "log loss %.3f nats a label, macro F1 %.1f %% at the thresholds\n\n", r.LogLoss, 100*r.MacroF1)
	fmt.Fprintf(&b, "%-23s %8s %18s %9s %5s %9s\n", "label", "support", "AP, 95 %", "threshold", "F1", "precision")
	for _, l := range r.Labels {
		ap := "-"
		if l.Support > 0 {
			ap = fmt.Sprintf("%.1f", 100*l.AP)
			if l.Interval.Known() {
				ap += fmt.Sprintf(" (%.1f-%.1f)", 100*l.Interval.Low, 100*l.Interval.High)
			}
		}
		fmt.Fprintf(&b, "%-23s %8s %18s %9s %5.1f %9s\n", words.Shorten(l.Label, 23), fmt.Sprintf("%d/%d", l.Support, l.Total), ap,
			fmt.Sprintf("%.0f %%", 100*l.Threshold), 100*l.F1, fmt.Sprintf("%d/%d", l.Correct, l.Predicted))
	}
	return b.String()
}
