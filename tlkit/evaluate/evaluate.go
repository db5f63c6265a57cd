// Package evaluate says how good a model is on pictures it did not learn from: its score with an
// interval, label by label or value by value, and the pictures it was most wrong about. Each result
// is data, with a text twin and a figure.
//
//	report, err := evaluate.NewClasses(evaluate.ClassesInput{Labels: labels, Truth: y, Logits: logits, Files: files})
//	fmt.Println(report.Score()) // accuracy 94.8 % (145 of 153, 95 % 90.0-97.3)
//
// There is a report for each task, in a file of its own; [New] makes the one of a task.
package evaluate

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Report is how well a model of any task does on some pictures. Reports marshal to JSON.
type Report interface {
	// Score is the figure that the model is judged by.
	Score() metrics.Score
	// Loss is the mean loss in nats; ok is false where the task's loss is not in nats.
	Loss() (nats float64, ok bool)
	// Text is the report in at most 80 columns: the score on its first line, then [Report.Details].
	Text() string
	// Details are what the report says beside the score.
	Details() string
	// Table has a row for each label or value.
	Table() Table
	// Figure draws the report.
	Figure() plots.Figure
	// Worst are what the model was most wrong about, the worst first, at most 16.
	Worst() []Mistake
}

// Table is rows under a header.
type Table struct {
	Header []string
	Rows   [][]string
}

// Mistake is a picture that was not what the model said it to be.
type Mistake struct {
	File      string // as Input.Files names it; "" where there are no names
	Truth     string
	Predicted string
	Caption   string // how wrong, in a few words
}

// topLosses is how many of the worst pictures a report lists.
const topLosses = 16

// Input is what a report of any task is computed from.
type Input struct {
	Names   []string     // K labels, or names of values
	Truth   head.Samples // what is known about the N pictures; their features are not looked at
	Logits  []float32    // [N, K] row-major
	Reading task.Reading // with the thresholds of several labels; without them 0.5 each
	Files   []string     // N names for the list of the worst; may be nil
}

// New is the report of a task. A further task has its case here.
func New(t task.Task, in Input) (Report, error) {
	switch t.(type) {
	case task.Classes:
		return NewClasses(ClassesInput{Labels: in.Names, Truth: in.Truth.Y, Logits: in.Logits, Files: in.Files})
	case task.Labels:
		return NewLabels(LabelsInput{Labels: in.Names, Truth: in.Truth.Positive(), Logits: in.Logits, Thresholds: in.Reading.Thresholds, Files: in.Files})
	case task.Values:
		return NewValues(ValuesInput{Names: in.Names, Truth: in.Truth.Targets, Predicted: in.Logits, Files: in.Files})
	}
	return nil, fmt.Errorf("evaluate: there is no report for the task %q", t.Name())
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

func percent(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

// ends are the two ends of an interval for a column of a table; "-" where it is unknown.
func ends(i metrics.Interval, times float64, digits int) string {
	if !i.Known() {
		return "-"
	}
	return fmt.Sprintf("%.*f to %.*f", digits, times*i.Low, digits, times*i.High)
}
