package datasets

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// labelKind is any number of labels a picture.
type labelKind struct{}

func (labelKind) complete() bool { return false }

func (labelKind) truth(d *Dataset, it Item) string {
	var have []string
	for k, l := range d.Labels {
		if it.Targets[k] != 0 {
			have = append(have, l)
		}
	}
	return labelWords(have)
}

func (labelKind) count(d *Dataset) {
	n, all, none := map[place]int{}, map[place]int{}, labelWords(nil)
	for _, it := range d.Items {
		all[place{"", it.Split}]++
		if !slices.Contains(it.Targets, 1) {
			n[place{none, it.Split}]++
		}
		for k, v := range it.Targets {
			if v != 0 {
				n[place{d.Labels[k], it.Split}]++
			}
		}
	}
	d.Report.Totals = counts([]string{""}, all)
	d.Report.Counts = counts(append(slices.Clone(d.Labels), none), n)
}

func (labelKind) contradiction(n int) string { return contradiction(n, Labels) }

// contradiction warns of copies with different targets.
func contradiction(n int, t Task) string {
	return fmt.Sprintf("%d picture(s) have different %s as exact copies; at most one of them is right: see the list of duplicates", n, t)
}

func (labelKind) check(d *Dataset) []error {
	var errs []error
	for k, l := range d.Labels {
		present, absent := 0, 0
		for _, it := range d.Items {
			switch {
			case it.Split != Train:
			case it.Targets[k] != 0:
				present++
			default:
				absent++
			}
		}
		switch {
		case present < 2:
			errs = append(errs, mark(errTooFew, advice.New(fmt.Errorf("datasets: label %q has %d picture(s) to train on, want at least 2", l, present), "add pictures or remove the label%s", smallFix)))
		case absent < 2:
			errs = append(errs, mark(errConstant, advice.New(fmt.Errorf("datasets: label %q is on all but %d of the pictures to train on, want at least 2 without it", l, absent), "add pictures or remove the label")))
		}
	}
	return errs
}

func (labelKind) read(c *csvColumns, rec []string, row *csvRow) error {
	if c.hot {
		for k, column := range c.values {
			if truth(rec[column]) {
				row.labels = append(row.labels, c.names[k])
			}
		}
	}
	for _, column := range c.label {
		row.labels = append(row.labels, c.cut.labels(rec[column])...)
	}
	slices.Sort(row.labels)
	row.labels = slices.Compact(row.labels)
	return nil
}

func (labelKind) said(_ csvTable, r csvRow) string { return labelWords(r.labels) }

// names warns where every picture has exactly one label.
func (labelKind) names(d *Dataset, t csvTable, rows []csvRow) ([]string, error) {
	all, single := map[string]int{}, true
	for _, l := range t.names { // columns of 0 and 1: a label may be on no picture
		all[l] = 0
	}
	for _, row := range rows {
		single = single && len(row.labels) == 1
		for _, l := range row.labels {
			all[l] = 0
		}
	}
	switch {
	case len(rows) > 0 && len(all) == 0:
		return nil, mark(errCSV, errors.New("datasets: the column to learn is empty on every line"))
	case len(rows)*len(all) > maxTargets:
		return nil, mark(errCSV, advice.New(fmt.Errorf("datasets: %d pictures with %d different labels", len(rows), len(all)), "is this a column of sentences?"))
	case single && len(all) > 1:
		d.warn("every picture has exactly one label; if the labels exclude each other, declare the column: --column NAME=label")
	}
	return sortedKeys(all), nil
}

func (labelKind) fill(it *Item, row csvRow, class map[string]int) {
	it.Targets = make([]float64, len(class))
	for _, l := range row.labels {
		it.Targets[class[l]] = 1
	}
}

// labelWords returns the labels of a picture in words.
func labelWords(labels []string) string {
	if len(labels) == 0 {
		return "(none of the labels)"
	}
	return strings.Join(labels, ";")
}
