package confidence

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
)

// Measured is how far the promises of a [Known] are kept on pictures that it was not learnt from. Fields
// are nil where nothing was promised.
type Measured struct {
	Sets      *metrics.Fraction  `json:"sets,omitempty"`      // that hold the true label
	SetSize   float64            `json:"set_size,omitempty"`  // labels in a set, on average
	Intervals []metrics.Fraction `json:"intervals,omitempty"` // of each value, that hold the true one
	Unlike    *metrics.Fraction  `json:"unlike,omitempty"`    // pictures that are unlike the training pictures
	// Calibration before and after the temperature; one entry if the temperature is 1.
	Calibration []Calibrated `json:"calibration,omitempty"`

	known *Known
}

// Calibrated is the calibration of probabilities.
type Calibrated struct {
	Name string `json:"name"` // "as trained", or "with temperature 1.7"
	metrics.Calibration
	Brier float64 `json:"brier"` // from 0, perfect, to 2
}

// bins is the usual number of bins for the expected calibration error.
const bins = 15

// Measure compares with the truth of pictures, whose features and final logits [N, K] are given.
func (k *Known) Measure(s head.Samples, logits []float32) (*Measured, error) {
	if k == nil || s.Len() == 0 || len(logits) != s.Len()*s.Classes {
		return nil, nil
	}
	out := &Measured{known: k}
	out.Unlike = k.unlike(s, logits)
	if s.Targets != nil {
		out.Intervals = k.held(s, logits)
		return out, nil
	}
	q := head.Softmax(logits, s.Classes)
	if k.Sets != nil {
		out.Sets = &metrics.Fraction{Total: s.Len()}
		for i, y := range s.Y {
			row := make([]float64, s.Classes)
			for c := range row {
				row[c] = float64(q[i*s.Classes+c])
			}
			set := k.Sets.Named(row)
			out.SetSize += float64(len(set)) / float64(s.Len())
			if slices.Contains(set, y) {
				out.Sets.Correct++
			}
		}
	}
	return out, out.calibrate(s, logits)
}

func (k *Known) unlike(s head.Samples, logits []float32) *metrics.Fraction {
	if k.Familiar == nil || s.Features != len(k.Familiar.Mean) {
		return nil
	}
	out := &metrics.Fraction{Total: s.Len()}
	for i := range s.Len() {
		if _, unlike := k.Familiar.Unlike(s.Row(i), logits[i*s.Classes:(i+1)*s.Classes]); unlike {
			out.Correct++
		}
	}
	return out
}

func (k *Known) held(s head.Samples, predicted []float32) (out []metrics.Fraction) {
	if k.Margins == nil {
		return nil
	}
	for c, m := range k.Margins.Each {
		f := metrics.Fraction{Total: s.Len()}
		for i := range s.Len() {
			if math.Abs(float64(predicted[i*s.Classes+c])-s.Targets[i*s.Classes+c]) <= m {
				f.Correct++
			}
		}
		out = append(out, f)
	}
	return out
}

// calibrate measures the calibration before and after the temperature.
func (m *Measured) calibrate(s head.Samples, logits []float32) error {
	add := func(name string, logits []float32) error {
		q, err := metrics.Softmax(metrics.Matrix{Rows: s.Len(), Cols: s.Classes, Data: logits})
		if err != nil {
			return err
		}
		c := Calibrated{Name: name}
		if c.Calibration, err = metrics.Reliability(q, s.Y, bins); err != nil {
			return err
		}
		c.Brier, err = metrics.Brier(q, s.Y)
		m.Calibration = append(m.Calibration, c)
		return err
	}
	t := m.known.Temperature
	if t == nil || t.Value == 1 {
		return add("as trained", logits)
	}
	if err := add("as trained", Temperature{Value: 1 / t.Value}.Logits(logits)); err != nil {
		return err
	}
	return add(fmt.Sprintf("with temperature %.2g", t.Value), logits)
}

// String says it in lines of at most 80 columns; "" if nothing was promised.
func (m *Measured) String() string {
	if m == nil {
		return ""
	}
	var lines []string
	for _, c := range m.Calibration {
		lines = append(lines, fmt.Sprintf("%s: calibration error %.1f %%, Brier score %.3f", c.Name, 100*c.ECE, c.Brier))
	}
	if t := m.known.Temperature; t != nil && t.Value == 1 && t.Before > 0 {
		lines = append(lines, "a temperature would not help: folds of the training pictures show no gain")
	}
	if m.Sets != nil {
		lines = append(lines, fmt.Sprintf("sets for %g %%: hold the label of %s, %.2f labels each", 100*m.known.Sets.Coverage, *m.Sets, m.SetSize))
	}
	for i, f := range m.Intervals {
		lines = append(lines, fmt.Sprintf("intervals of value %d for %g %%: hold it in %s", i+1, 100*m.known.Margins.Coverage, f))
	}
	if m.Unlike != nil {
		lines = append(lines, fmt.Sprintf("unlike the training pictures: %s; %g %% are false alarms", *m.Unlike, 100*m.known.Familiar.Rate))
	}
	return strings.Join(lines, "\n")
}
