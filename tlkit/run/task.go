package run

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/evaluate"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/learner"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
)

// What a score can be of.
const (
	Accuracy = "accuracy" // of the task Classes: share of pictures
	MAP      = "map"      // of Labels: mean average precision
	R2       = "r2"       // of Values: mean share of the variance explained
)

// figureName is the file, beside the curves, of the figure that a task's report draws.
func figureName(t datasets.Task) string {
	switch t {
	case datasets.Labels:
		return "labels.png"
	case datasets.Values:
		return "values.png"
	}
	return "confusion.png"
}

// headKind is the kind of head a task is learnt by.
func headKind(t datasets.Task, asked string) (string, error) {
	fits := []string{"", learner.Logistic, learner.SGD}
	switch t {
	case datasets.Labels:
		fits = []string{"", learner.Logistic}
	case datasets.Values:
		fits = []string{learner.Ridge, ""}
	}
	switch {
	case !slices.Contains(fits, asked):
		return "", fmt.Errorf("run: a %s head cannot learn %s; leave --head out", asked, t)
	case t == datasets.Values:
		return learner.Ridge, nil
	}
	return asked, nil
}

// samples are features with what is known about the pictures of the rows.
func samples(ds *datasets.Dataset, x []float32, width int, items []datasets.Item) head.Samples {
	s := head.Samples{X: x, Features: width, Classes: len(ds.Labels)}
	if ds.Task != datasets.Classes {
		s.Targets = make([]float64, 0, len(items)*s.Classes)
	}
	for _, it := range items {
		if ds.Task == datasets.Classes {
			s.Y = append(s.Y, it.Class)
		} else {
			s.Targets = append(s.Targets, it.Targets...)
		}
	}
	return s
}

// verdict is a report on any task.
type verdict struct {
	task    datasets.Task
	classes *evaluate.Report
	labels  *evaluate.LabelsReport
	values  *evaluate.ValuesReport
	total   int
}

// judge compares logits with what is known. thresholds are of several labels.
func judge(task datasets.Task, names []string, s head.Samples, logits []float32, thresholds []float64, files []string) (v *verdict, err error) {
	v = &verdict{task: task, total: s.Len()}
	switch task {
	case datasets.Labels:
		v.labels, err = evaluate.NewLabels(evaluate.LabelsInput{Labels: names, Truth: positive(s.Targets), Logits: logits, Thresholds: thresholds, Files: files})
	case datasets.Values:
		v.values, err = evaluate.NewValues(evaluate.ValuesInput{Names: names, Truth: s.Targets, Predicted: logits, Files: files})
	default:
		v.classes, err = evaluate.New(evaluate.Input{Labels: names, Truth: s.Y, Logits: logits, Files: files})
	}
	return v, err
}

func positive(targets []float64) []bool {
	out := make([]bool, len(targets))
	for i, t := range targets {
		out[i] = t == 1
	}
	return out
}

// figures are the verdict as those of one seed.
func (v *verdict) figures(seed uint64, strength float64) One {
	o := One{Seed: seed, Total: v.total, Strength: strength}
	switch {
	case v.labels != nil:
		o.Metric, o.Score, o.Interval = MAP, v.labels.MAP, v.labels.Interval
	case v.values != nil:
		o.Metric, o.Score, o.Interval = R2, v.values.R2, v.values.Interval
	default:
		o.Accuracy, o.Correct, o.Interval = v.classes.Accuracy.Value(), v.classes.Accuracy.Correct, v.classes.Interval
	}
	return o
}

func (v *verdict) text() string {
	switch {
	case v.labels != nil:
		return v.labels.Text()
	case v.values != nil:
		return v.values.Text()
	}
	return v.classes.Text()
}

func (v *verdict) figure() plots.Figure {
	switch {
	case v.labels != nil:
		return v.labels.Figure()
	case v.values != nil:
		return v.values.Figure()
	}
	return v.classes.ConfusionFigure()
}

func (v *verdict) logLoss() float64 {
	switch {
	case v.labels != nil:
		return v.labels.LogLoss
	case v.values != nil:
		return 0
	}
	return v.classes.LogLoss
}

// score is the figure that a run is judged by.
func (o One) score() float64 {
	if o.Metric == "" || o.Metric == Accuracy {
		return o.Accuracy
	}
	return o.Score
}

// measure is the score of logits without an interval.
func measure(task datasets.Task, s head.Samples, logits []float32) (o One, err error) {
	m := metrics.Matrix{Rows: s.Len(), Cols: s.Classes, Data: logits}
	o.Total = s.Len()
	o.Interval = metrics.Interval{Low: math.NaN(), High: math.NaN()}
	switch task {
	case datasets.Labels:
		o.Metric = MAP
		o.Score, _, err = metrics.MeanAveragePrecision(m, positive(s.Targets))
	case datasets.Values:
		o.Metric = R2
		o.Score, _, err = metrics.MeanR2(m, s.Targets)
	default:
		a := metrics.Accuracy{Correct: head.Correct(logits, s.Y, s.Classes), Total: s.Len()}
		o.Accuracy, o.Correct, o.Interval = a.Value(), a.Correct, a.Interval()
	}
	return o, err
}

// thresholds of several labels, each where F1 is highest out of fold on the training
// pictures; even odds where there are no folds.
func thresholds(task datasets.Task, train head.Samples, outOfFold []float32) ([]float64, error) {
	if task != datasets.Labels {
		return nil, nil
	}
	k := train.Classes
	out := make([]float64, k)
	for c := range out {
		out[c] = 0.5
		if outOfFold == nil {
			continue
		}
		column, truth := make([]float32, train.Len()), make([]bool, train.Len())
		for i := range column {
			column[i], truth[i] = outOfFold[i*k+c], train.Targets[i*k+c] == 1
		}
		var err error
		if out[c], _, err = metrics.BestThreshold(column, truth); err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
	}
	return out, nil
}

// scales of values in the training pictures, views of a picture counted once each.
func scales(task datasets.Task, train head.Samples) []export.Scale {
	if task != datasets.Values {
		return nil
	}
	k, n := train.Classes, float64(train.Len())
	out := make([]export.Scale, k)
	for c := range out {
		s := export.Scale{Min: math.Inf(1), Max: math.Inf(-1)}
		for i := c; i < len(train.Targets); i += k {
			v := train.Targets[i]
			s.Min, s.Max = min(s.Min, v), max(s.Max, v)
			s.Mean += v / n
		}
		for i := c; i < len(train.Targets); i += k {
			d := train.Targets[i] - s.Mean
			s.SD += d * d / n
		}
		s.SD, s.Mean = math.Sqrt(s.SD), min(max(s.Mean, s.Min), s.Max)
		out[c] = s
	}
	return out
}

// scoreWords is a score with its interval and what it is of.
func scoreWords(metric string, score float64, i metrics.Interval, of string) string {
	name, times, digits, unit := Accuracy, 100.0, 1, " %"
	switch metric {
	case MAP:
		name = "mAP"
	case R2:
		name, times, digits, unit = "R²", 1, 3, ""
	}
	out := fmt.Sprintf("%s %.*f%s (", name, digits, times*score, unit)
	if i.Known() {
		dash := "-"
		if i.Low < 0 {
			dash = " to "
		}
		out += fmt.Sprintf("95 %% %.*f%s%.*f, ", digits, times*i.Low, dash, digits, times*i.High)
	}
	return out + of + ")"
}

// The figures of one task have no place in the JSON of another, where a zero would look
// like a result: an accuracy of real values. What every task has is metric and score.

// ScoreLine is the score with its interval: "accuracy 94.8 % (145 of 153, 95 % 90.0-97.3)".
func (r *Result) ScoreLine() string {
	return (&Evaluation{Metric: r.Metric, Score: r.Score, Interval: r.Interval, Correct: r.Correct, Total: r.Total}).ScoreLine()
}

// MarshalJSON writes metric and score for every task, accuracy and correct for classes only.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	r.Task = cmp.Or(r.Task, datasets.Classes)
	if r.Task == datasets.Classes {
		r.Metric, r.Score = Accuracy, r.Accuracy
		return json.Marshal(plain(r))
	}
	out := struct {
		plain
		Accuracy any `json:"accuracy,omitempty"`
		Correct  any `json:"correct,omitempty"`
		LogLoss  any `json:"log_loss,omitempty"`
	}{plain: plain(r)}
	if r.Task == datasets.Labels {
		out.LogLoss = r.LogLoss
	}
	return json.Marshal(out)
}

// MarshalJSON as of Result.
func (o One) MarshalJSON() ([]byte, error) {
	type plain One
	if o.Metric == "" || o.Metric == Accuracy {
		o.Metric, o.Score = Accuracy, o.Accuracy
		return json.Marshal(plain(o))
	}
	return json.Marshal(struct {
		plain
		Accuracy any `json:"accuracy,omitempty"`
		Correct  any `json:"correct,omitempty"`
	}{plain: plain(o)})
}

// MarshalJSON as of Result.
func (p Probe) MarshalJSON() ([]byte, error) {
	type plain Probe
	if p.Metric == "" || p.Metric == Accuracy {
		p.Metric, p.Score = Accuracy, p.Accuracy
		return json.Marshal(plain(p))
	}
	out := struct {
		plain
		Accuracy any `json:"accuracy,omitempty"`
		Correct  any `json:"correct,omitempty"`
		LogLoss  any `json:"log_loss,omitempty"`
	}{plain: plain(p)}
	if p.Metric == MAP {
		out.LogLoss = p.LogLoss
	}
	return json.Marshal(out)
}

// MarshalJSON as of Result.
func (b Baseline) MarshalJSON() ([]byte, error) {
	type plain Baseline
	if b.Metric == "" || b.Metric == Accuracy {
		b.Metric, b.Score = Accuracy, metrics.Accuracy{Correct: b.Correct, Total: b.Total}.Value()
		return json.Marshal(plain(b))
	}
	return json.Marshal(struct {
		plain
		Correct any `json:"correct,omitempty"`
	}{plain: plain(b)})
}

// MarshalJSON as of Result.
func (e Evaluation) MarshalJSON() ([]byte, error) {
	type plain Evaluation
	e.Task = cmp.Or(e.Task, datasets.Classes)
	if e.Task == datasets.Classes {
		e.Metric, e.Score = Accuracy, e.Accuracy
		return json.Marshal(plain(e))
	}
	return json.Marshal(struct {
		plain
		Accuracy any `json:"accuracy,omitempty"`
		Correct  any `json:"correct,omitempty"`
	}{plain: plain(e)})
}

// Words is the baseline's figure: "140 of 153", "mAP 61.2 %".
func (b Baseline) Words() string {
	switch b.Metric {
	case MAP:
		return fmt.Sprintf("mAP %.1f %%", 100*b.Score)
	case R2:
		return fmt.Sprintf("R² %.3f", b.Score)
	}
	return fmt.Sprintf("%d of %d", b.Correct, b.Total)
}
