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

// ClassesInput is what a report on one label a picture is computed from.
type ClassesInput struct {
	Labels []string  // K names by class
	Truth  []int     // N classes in [0, K)
	Logits []float32 // [N, K] row-major
	Files  []string  // N names for the list of top losses; may be nil
}

// ClassesReport says how well one label a picture is found. It marshals to JSON as it is.
type ClassesReport struct {
	Accuracy    metrics.Fraction    `json:"accuracy"`
	Interval    metrics.Interval    `json:"interval"` // 95 %, Wilson
	LogLoss     float64             `json:"log_loss"` // nats
	Calibration metrics.Calibration `json:"calibration"`
	Classes     []metrics.Class     `json:"classes"`
	Confusion   metrics.Confusion   `json:"confusion"`
	TopLosses   []ClassLoss         `json:"top_losses"` // the worst first, at most 16
}

// ClassLoss is one picture and how wrong the classifier was about it.
type ClassLoss struct {
	Index       int     `json:"index"` // of the picture in the input
	File        string  `json:"file,omitempty"`
	Truth       string  `json:"truth"`
	Predicted   string  `json:"predicted"`
	Probability float64 `json:"probability"` // given to the true label
	Loss        float64 `json:"loss"`        // -log of it, nats
}

// calibrationBins is the field's habit for the expected calibration error.
const calibrationBins = 15

// NewClasses computes the report. Errors name what is wrong with the input: no pictures, sizes that
// do not fit, a label out of range, a logit that is not finite.
func NewClasses(in ClassesInput) (*ClassesReport, error) {
	k := len(in.Labels)
	n, err := rows(len(in.Truth), 1, in.Files)
	if err != nil {
		return nil, err
	}
	logits := metrics.Matrix{Rows: n, Cols: k, Data: in.Logits}
	predicted, err := logits.Argmax()
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r := &ClassesReport{}
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
	r.TopLosses = classLosses(in, logits, predicted)
	return r, nil
}

// classLosses are the pictures with the largest loss, the worst first.
func classLosses(in ClassesInput, logits metrics.Matrix, predicted []int) []ClassLoss {
	var out []ClassLoss
	for i, c := range in.Truth {
		row := logits.Row(i)
		loss := metrics.LogSumExp(row) - float64(row[c])
		l := ClassLoss{Index: i, Truth: in.Labels[c], Predicted: in.Labels[predicted[i]], Probability: math.Exp(-loss), Loss: loss}
		if in.Files != nil {
			l.File = in.Files[i]
		}
		out = append(out, l)
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Loss > out[b].Loss })
	return out[:min(topLosses, len(out))]
}

// Score is the accuracy.
func (r *ClassesReport) Score() metrics.Score { return r.Accuracy.Score() }

// Loss is the cross-entropy in nats.
func (r *ClassesReport) Loss() (nats float64, ok bool) { return r.LogLoss, true }

// Figure draws the confusion matrix.
func (r *ClassesReport) Figure() plots.Figure { return plots.Confusion(r.Confusion) }

// Table has a row for each label.
func (r *ClassesReport) Table() Table {
	t := Table{Header: []string{"label", "right", "recall %", "95 %", "precision %"}}
	for _, c := range r.Classes {
		t.Rows = append(t.Rows, []string{c.Label, fmt.Sprintf("%d of %d", c.Correct, c.Support), percent(c.Recall),
			fmt.Sprintf("%.1f-%.1f", 100*c.RecallInterval.Low, 100*c.RecallInterval.High), percent(c.Precision)})
	}
	return t
}

// Worst are the pictures with the largest loss.
func (r *ClassesReport) Worst() []Mistake {
	var out []Mistake
	for _, l := range r.TopLosses {
		out = append(out, Mistake{File: l.File, Truth: l.Truth, Predicted: l.Predicted, Caption: fmt.Sprintf("loss %.2f", l.Loss)})
	}
	return out
}

// Text is the report as a table of at most 80 columns.
func (r *ClassesReport) Text() string { return fmt.Sprintf("accuracy %s\n", r.Accuracy) + r.Details() }

// Details are loss and a table of the parts.
func (r *ClassesReport) Details() string {
	var b strings.Builder
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
