// Package evaluate says how good a classifier is on pictures it did not learn from:
// accuracy with its interval, per class, confusion, calibration, and the pictures it was
// most wrong about. Each result is data, with a text twin and a figure.
//
//	report, err := evaluate.New(evaluate.Input{Labels: labels, Truth: y, Logits: logits, Files: files})
//	fmt.Println(report.Accuracy) // 94.8 % (145 of 153, 95 % 90.0-97.3)
package evaluate

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// Input is what a report is computed from.
type Input struct {
	Labels []string  // K names by class
	Truth  []int     // N classes in [0, K)
	Logits []float32 // [N, K] row-major
	Files  []string  // N names for the list of top losses; may be nil
}

// Report is the result. It marshals to JSON as it is.
type Report struct {
	Accuracy    metrics.Accuracy    `json:"accuracy"`
	Interval    metrics.Interval    `json:"interval"` // 95 %, Wilson
	LogLoss     float64             `json:"log_loss"` // nats
	Calibration metrics.Calibration `json:"calibration"`
	Classes     []metrics.Class     `json:"classes"`
	Confusion   metrics.Confusion   `json:"confusion"`
	TopLosses   []Loss              `json:"top_losses"` // the worst first, at most 16
}

// Loss is one picture and how wrong the classifier was about it.
type Loss struct {
	Index       int     `json:"index"` // of the picture in the input
	File        string  `json:"file,omitempty"`
	Truth       string  `json:"truth"`
	Predicted   string  `json:"predicted"`
	Probability float64 `json:"probability"` // given to the true label
	Loss        float64 `json:"loss"`        // -log of it, nats
}

// calibrationBins is the field's habit for the expected calibration error.
const calibrationBins = 15

// topLosses is how many of the worst pictures a report lists.
const topLosses = 16

// New computes the report. Errors name what is wrong with the input: no pictures, sizes
// that do not fit, a label out of range, a logit that is not finite.
func New(in Input) (*Report, error) {
	n, k := len(in.Truth), len(in.Labels)
	if n == 0 {
		return nil, fmt.Errorf("evaluate: no pictures: the split is empty, choose another with --split")
	}
	if in.Files != nil && len(in.Files) != n {
		return nil, fmt.Errorf("evaluate: %d file names for %d pictures", len(in.Files), n)
	}
	logits := metrics.Matrix{Rows: n, Cols: k, Data: in.Logits}
	predicted, err := logits.Argmax()
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r := &Report{}
	if r.Accuracy, err = metrics.TopK(logits, in.Truth, 1); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.Interval = r.Accuracy.Interval()
	if r.LogLoss, err = metrics.CrossEntropy(logits, in.Truth); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	probabilities, err := metrics.Softmax(logits)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if r.Calibration, err = metrics.Reliability(probabilities, in.Truth, calibrationBins); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if r.Confusion, err = metrics.NewConfusion(in.Labels, in.Truth, predicted); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.Classes = r.Confusion.PerClass()
	for i, c := range in.Truth {
		row := logits.Row(i)
		loss := logSumExp(row) - float64(row[c])
		l := Loss{Index: i, Truth: in.Labels[c], Predicted: in.Labels[predicted[i]], Probability: math.Exp(-loss), Loss: loss}
		if in.Files != nil {
			l.File = in.Files[i]
		}
		r.TopLosses = append(r.TopLosses, l)
	}
	sort.SliceStable(r.TopLosses, func(a, b int) bool { return r.TopLosses[a].Loss > r.TopLosses[b].Loss })
	r.TopLosses = r.TopLosses[:min(topLosses, n)]
	return r, nil
}

func logSumExp(row []float32) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		top = max(top, float64(v))
	}
	var sum float64
	for _, v := range row {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// ConfusionFigure draws the confusion matrix.
func (r *Report) ConfusionFigure() plots.Figure { return plots.Confusion(r.Confusion) }

// Text is the report as a table of at most 80 columns.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "accuracy %s\n", r.Accuracy)
	fmt.Fprintf(&b, "log loss %.3f nats, calibration error %.1f %% (%d bins)\n\n", r.LogLoss, 100*r.Calibration.ECE, calibrationBins)
	fmt.Fprintf(&b, "%-28s %7s %24s %10s\n", "label", "right", "recall, 95 %", "precision")
	for _, c := range r.Classes {
		fmt.Fprintf(&b, "%-28s %7s %24s %10.1f\n", words.Shorten(c.Label, 28), fmt.Sprintf("%d/%d", c.Correct, c.Support),
			fmt.Sprintf("%.1f (%.1f-%.1f)", 100*c.Recall, 100*c.RecallInterval.Low, 100*c.RecallInterval.High), 100*c.Precision)
	}
	if mistakes := r.Confusion.MostConfused(3); len(mistakes) > 0 {
		b.WriteString("\nmost confused: ")
		for i, m := range mistakes {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s taken for %s %d×", words.Shorten(r.Confusion.Labels[m.Truth], 20), words.Shorten(r.Confusion.Labels[m.Predicted], 20), m.Count)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
