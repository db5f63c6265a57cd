package datasets

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// valueKind is a real number for each of several names.
type valueKind struct{}

func (valueKind) complete() bool { return true }

func (valueKind) truth(d *Dataset, it Item) string { return valueWords(d.Labels, it.Targets) }

func (valueKind) count(d *Dataset) {
	const pictures = "(pictures)"
	n := map[place]int{}
	for _, it := range d.Items {
		n[place{pictures, it.Split}]++
	}
	d.Report.Counts = counts([]string{pictures}, n)
	if len(d.Items) == 0 {
		return
	}
	for k, name := range d.Labels {
		v := Range{Name: name, Min: math.Inf(1), Max: math.Inf(-1)}
		for _, it := range d.Items {
			v.Min, v.Max = min(v.Min, it.Targets[k]), max(v.Max, it.Targets[k])
			v.Mean += it.Targets[k] / float64(len(d.Items))
		}
		d.Report.Ranges = append(d.Report.Ranges, v)
	}
}

func (valueKind) contradiction(n int) string { return contradiction(n, Values) }

// fewestValues is the least number of pictures to fit a line on while half of them is held out.
const fewestValues = 4

func (valueKind) check(d *Dataset) []error {
	var errs []error
	if n := len(d.In(Train)); n < fewestValues {
		errs = append(errs, mark(errTooFew, fmt.Errorf("datasets: %s has %d picture(s) to train on, want at least %d, and some hundreds are better", d.Name, n, fewestValues)))
	}
	for k, name := range d.Labels {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, it := range d.In(Train) {
			lo, hi = min(lo, it.Targets[k]), max(hi, it.Targets[k])
		}
		switch size := max(math.Abs(lo), math.Abs(hi)); {
		case lo == hi:
			errs = append(errs, mark(errConstant, advice.New(fmt.Errorf("datasets: the value %q is %g in every picture to train on, so nothing can be learnt about it", name, lo), "remove the column")))
		case hi-lo < 1e-4*size:
			// A head computes in float32: most of its seven digits would be spent on the
			// constant part.
			errs = append(errs, mark(errConstant, advice.New(fmt.Errorf("datasets: the value %q lies between %v and %v, too narrow for its size", name, lo, hi), "subtract %.0f from the column", lo)))
		}
	}
	return errs
}

func (valueKind) read(c *csvColumns, rec []string, row *csvRow) error {
	for k, column := range c.values {
		if missing(rec[column]) {
			return errBare
		}
		v, err := value(rec[column], c.cols[column].comma)
		if err != nil {
			return fmt.Errorf("column %q of %q: %w", c.names[k], row.file, err)
		}
		row.values = append(row.values, v)
	}
	return nil
}

func (valueKind) said(t csvTable, r csvRow) string { return valueWords(t.names, r.values) }

func (valueKind) names(_ *Dataset, t csvTable, _ []csvRow) ([]string, error) { return t.names, nil }

func (valueKind) fill(it *Item, row csvRow, _ map[string]int) { it.Targets = row.values }

// valueWords returns the values of a picture in words.
func valueWords(names []string, values []float64) string {
	words := make([]string, len(values))
	for k, v := range values {
		words[k] = fmt.Sprintf("%s %v", names[k], v)
	}
	return strings.Join(words, ", ")
}

// value reads a number.
func value(cell string, comma bool) (float64, error) {
	if comma {
		cell = strings.Replace(cell, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil && strings.Count(cell, ",") == 1:
		return 0, advice.New(fmt.Errorf("%q is not a number", cell), "write decimals with a point")
	case err != nil:
		return 0, advice.New(fmt.Errorf("%q is not a number", cell), "correct it, or declare the column as label or ignore")
	case math.IsNaN(v) || math.Abs(v) > math.MaxFloat32/4:
		return 0, advice.New(fmt.Errorf("%q is not finite or is too large", cell), "correct it, or remove the line")
	}
	return v, nil
}
