// Package evaluate reports how good a model is on pictures it did not learn from: its score with an
// interval, the score of each label or value, and the pictures it was most wrong about. A report is
// data that can also be printed and drawn.
//
//	input := evaluate.ClassesInput{Labels: labels, Truth: y, Logits: logits, Files: files}
//	report, err := evaluate.NewClasses(input)
//	fmt.Println(report.Score()) // accuracy 94.8 % (145 of 153, 95 % 90.0-97.3)
//
// Each task has its own report; [New] makes the report of a given task.
package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/task"
)

// Report is the report of a model for any task. Reports marshal to JSON.
type Report interface {
	// Score returns the score in the metric of the task.
	Score() metrics.Score
	// Loss returns the mean loss in nats; ok is false if the task's loss is not in nats.
	Loss() (nats float64, ok bool)
	// Text formats the report in at most 80 columns: the score on the first line, then
	// [Report.Details].
	Text() string
	// Details formats everything but the score.
	Details() string
	// Table returns a row for each label or value.
	Table() Table
	// Figure draws the report.
	Figure() plots.Figure
	// Drawings draws all figures of the report, that one first. picture returns a picture small enough
	// for a tile, or nil; it gets the names in the input.
	Drawings(picture func(file string) image.Image) []Drawing
	// Worst returns the worst mistakes, at most 16, worst first. Where there are fewer, right
	// predictions follow, the least sure first.
	Worst() []Mistake
}

// Table is rows under a header.
type Table struct {
	Header []string
	Rows   [][]string
}

// Mistake is a picture with a wrong or unlikely prediction.
type Mistake struct {
	File        string // its name in Input.Files; "" without names
	Truth       string
	Predicted   string  // equal to Truth if the prediction was right, but unsure
	Probability float64 // of Predicted; 0 for values
	Loss        float64 // nats; 0 for values
	Caption     string  // how wrong, in a few words: "off by 2.1 standard deviations"; may be empty
}

// apart returns the wrong predictions, the worst first, and the right ones, the surest first.
func apart(all []Mistake) (wrong, right []Mistake) {
	for _, m := range all {
		if m.Truth == m.Predicted {
			right = append(right, m)
		} else {
			wrong = append(wrong, m)
		}
	}
	slices.SortStableFunc(wrong, func(a, b Mistake) int { return cmp.Compare(b.Loss, a.Loss) })
	slices.SortStableFunc(right, func(a, b Mistake) int { return cmp.Compare(a.Loss, b.Loss) })
	return wrong, right
}

// wrongFirst returns the worst of the pictures: the wrong predictions, then the right ones, the least
// sure first.
func wrongFirst(wrong, right []Mistake) []Mistake {
	all := slices.Concat(wrong, unsureFirst(right))
	return slices.Clip(all[:min(topLosses, len(all))])
}

// unsureFirst returns right predictions, the least sure first.
func unsureFirst(right []Mistake) []Mistake {
	out := slices.Clone(right)
	slices.SortStableFunc(out, func(a, b Mistake) int { return cmp.Compare(b.Loss, a.Loss) })
	return out
}

// topLosses is the number of mistakes that a report lists.
const topLosses = 16

// Input is the input of [New], for any task.
type Input struct {
	Names   []string     // K names of labels or values
	Truth   head.Samples // the labels or values of N pictures; features are not used
	Logits  []float32    // [N, K] row-major
	Reading task.Reading // with thresholds for several labels; without, 0.5 each
	Files   []string     // N file names for the list of mistakes; may be nil
}

// New computes the report of a task. It is an error if there are no pictures, if sizes do not fit
// together or if a number is not finite. A new task adds its case here.
func New(t task.Task, input Input) (Report, error) {
	switch t.(type) {
	case task.Classes:
		return NewClasses(ClassesInput{Labels: input.Names, Truth: input.Truth.Y, Logits: input.Logits, Files: input.Files, Clusters: input.Truth.Clusters})
	case task.Labels:
		return NewLabels(LabelsInput{Labels: input.Names, Truth: input.Truth.Positive(), Logits: input.Logits, Thresholds: input.Reading.Thresholds, Files: input.Files, Clusters: input.Truth.Clusters})
	case task.Values:
		return NewValues(ValuesInput{Names: input.Names, Truth: input.Truth.Targets, Predicted: input.Logits, Files: input.Files, Clusters: input.Truth.Clusters})
	}
	return nil, advice.New(fmt.Errorf("evaluate: no report for the task %q", t.Name()), "use the version of tlkit that knows it")
}

// rows returns the number of pictures behind targets = n·k.
func rows(targets, k int, files []string) (int, error) {
	switch {
	case targets == 0 || k == 0:
		return 0, advice.New(errors.New("evaluate: no pictures in the split"), "choose another one with --split")
	case targets%k != 0:
		return 0, fmt.Errorf("evaluate: %d targets for %d names, want one target for each name and picture", targets, k)
	case files != nil && len(files) != targets/k:
		return 0, fmt.Errorf("evaluate: %d file names for %d pictures, want one for each", len(files), targets/k)
	}
	return targets / k, nil
}

func percent(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

// ends formats the two ends of an interval for a table; "-" if it is unknown.
func ends(i metrics.Interval, times float64, digits int) string {
	if !i.Known() {
		return "-"
	}
	return fmt.Sprintf("%.*f to %.*f", digits, times*i.Low, digits, times*i.High)
}
