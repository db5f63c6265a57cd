package evaluate

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// ClassesInput is the input of [NewClasses].
type ClassesInput struct {
	Labels   []string         // K names, by class
	Truth    []int            // N classes in [0, K)
	Logits   []float32        // [N, K] row-major
	Files    []string         // N file names for the list of top losses; may be nil
	Clusters metrics.Clusters // pictures that belong together, for the intervals; may be nil
}

// ClassesReport is the report of a model that predicts one label a picture. It marshals to JSON.
type ClassesReport struct {
	Accuracy    metrics.Fraction    `json:"accuracy"`
	Interval    metrics.Interval    `json:"interval"`           // 95 %, see metrics.Clusters.Accuracy
	Clusters    int                 `json:"clusters,omitempty"` // groups of pictures behind the interval; 0 = none
	LogLoss     float64             `json:"log_loss"`           // nats
	Calibration metrics.Calibration `json:"calibration"`
	Classes     []metrics.Class     `json:"classes"`
	Confusion   metrics.Confusion   `json:"confusion"`
	TopLosses   []ClassLoss         `json:"top_losses"` // worst first, at most 16

	worst         []Mistake
	wrong, right  []Mistake // all of them: the worst first, the surest first
	probabilities metrics.Matrix
	truth         []int
	clusters      metrics.Clusters
}

// ClassLoss is one picture with the loss of the model on it.
type ClassLoss struct {
	Index       int     `json:"index"` // of the picture in the input
	File        string  `json:"file,omitempty"`
	Truth       string  `json:"truth"`
	Predicted   string  `json:"predicted"`
	Probability float64 `json:"probability"` // of the true label
	Loss        float64 `json:"loss"`        // -log(Probability), nats
}

// calibrationBins is the usual number of bins for the expected calibration error.
const calibrationBins = 15

// NewClasses computes the report. It is an error if there are no pictures, if sizes do not fit
// together, if a label is out of range or if a logit is not finite.
func NewClasses(input ClassesInput) (*ClassesReport, error) {
	k := len(input.Labels)
	n, err := rows(len(input.Truth), 1, input.Files)
	if err != nil {
		return nil, err
	}
	logits := metrics.Matrix{Rows: n, Cols: k, Data: input.Logits}
	predicted, err := logits.Argmax()
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r := &ClassesReport{}
	r.Accuracy, err = metrics.TopK(logits, input.Truth, 1)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	score, err := input.Clusters.Accuracy(input.Truth, predicted)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.Interval, r.Clusters = score.Interval, score.Clusters
	r.LogLoss, err = metrics.CrossEntropy(logits, input.Truth)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	probabilities, err := metrics.Softmax(logits)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.Calibration, err = metrics.Reliability(probabilities, input.Truth, calibrationBins)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.Confusion, err = metrics.NewConfusion(input.Labels, input.Truth, predicted)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.Classes, err = input.Clusters.PerClass(r.Confusion, input.Truth, predicted)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	r.TopLosses = classLosses(input, logits, predicted)
	all := make([]Mistake, n)
	for _, l := range r.TopLosses {
		all[l.Index] = Mistake{File: l.File, Truth: l.Truth, Predicted: l.Predicted, Loss: l.Loss, Probability: float64(probabilities.Row(l.Index)[predicted[l.Index]])}
	}
	r.clusters = input.Clusters
	r.probabilities, r.truth = probabilities, slices.Clone(input.Truth)
	r.wrong, r.right = apart(all)
	r.worst = wrongFirst(r.wrong, r.right)
	r.TopLosses = slices.Clip(r.TopLosses[:min(topLosses, n)])
	return r, nil
}

// classLosses returns the losses on all pictures, worst first.
func classLosses(input ClassesInput, logits metrics.Matrix, predicted []int) []ClassLoss {
	var out []ClassLoss
	for i, c := range input.Truth {
		row := logits.Row(i)
		loss := metrics.LogSumExp(row) - float64(row[c])
		l := ClassLoss{Index: i, Truth: input.Labels[c], Predicted: input.Labels[predicted[i]], Probability: math.Exp(-loss), Loss: loss}
		if input.Files != nil {
			l.File = input.Files[i]
		}
		out = append(out, l)
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Loss > out[b].Loss })
	return out
}

// Score returns the accuracy.
func (r *ClassesReport) Score() metrics.Score {
	s := r.Accuracy.Score()
	if r.Clusters > 0 {
		s.Interval, s.Clusters = r.Interval, r.Clusters
	}
	return s
}

// Loss returns the mean cross-entropy in nats.
func (r *ClassesReport) Loss() (nats float64, ok bool) { return r.LogLoss, true }

// Figure draws the confusion matrix.
func (r *ClassesReport) Figure() plots.Figure { return plots.Confusion(r.Confusion) }

// Table returns a row for each label: correct pictures, recall with interval, precision.
func (r *ClassesReport) Table() Table {
	t := Table{Header: []string{"label", "right", "recall %", "95 %", "precision %"}}
	for _, c := range r.Classes {
		t.Rows = append(t.Rows, []string{c.Label, fmt.Sprintf("%d of %d", c.Correct, c.Support), percent(c.Recall),
			metrics.Accuracy.FormatInterval(c.RecallInterval), percent(c.Precision)})
	}
	return t
}

// Worst returns the wrong predictions with the largest losses, then the least sure right ones. It
// needs a report that [NewClasses] made.
func (r *ClassesReport) Worst() []Mistake { return r.worst }

// Text formats the report in at most 80 columns.
func (r *ClassesReport) Text() string { return fmt.Sprintf("%s\n", r.Score()) + r.Details() }

// Details formats the loss and a table of the labels.
func (r *ClassesReport) Details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "log loss %.3f nats, calibration error %.1f %% (%d bins)\n\n", r.LogLoss, 100*r.Calibration.ECE, calibrationBins)
	fmt.Fprintf(&b, "%-28s %7s %24s %10s\n", "label", "right", "recall, 95 %", "precision")
	for _, c := range r.Classes {
		fmt.Fprintf(&b, "%-28s %7s %24s %10.1f\n", words.Shorten(c.Label, 28), fmt.Sprintf("%d/%d", c.Correct, c.Support),
			fmt.Sprintf("%.1f (%s)", 100*c.Recall, metrics.Accuracy.FormatInterval(c.RecallInterval)), 100*c.Precision)
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
