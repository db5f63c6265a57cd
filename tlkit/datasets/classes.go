package datasets

import (
	"fmt"
	"path"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// classKind is one label a picture.
type classKind struct{}

func (classKind) complete() bool { return false }

func (classKind) truth(d *Dataset, it Item) string {
	if it.Class < 0 || it.Class >= len(d.Labels) {
		return "(no label)"
	}
	return d.Labels[it.Class]
}

func (k classKind) count(d *Dataset) {
	n := map[place]int{}
	for _, it := range d.Items {
		n[place{k.truth(d, it), it.Split}]++
	}
	d.Report.Counts = counts(append(slices.Clone(d.Labels), k.truth(d, Item{Class: Unlabelled})), n)
}

func (classKind) contradiction(n int) string {
	return fmt.Sprintf("%d picture(s) have more than one label as exact copies; at least one of the labels is wrong", n)
}

func (classKind) check(d *Dataset) []error {
	var errs []error
	if len(d.Labels) < 2 { // whatever else is missing follows from it, or does not matter yet
		return append(errs, mark(errOneLabel, advice.New(fmt.Errorf("datasets: %s has %d label(s) %q, want at least 2", d.Name, len(d.Labels), d.Labels), "put the pictures of each label in a folder of its own")))
	}
	train := make([]int, len(d.Labels))
	other := make([]Split, len(d.Labels))
	for _, it := range d.Items {
		switch {
		case it.Class < 0:
		case it.Split == Train:
			train[it.Class]++
		default:
			other[it.Class] = it.Split
		}
	}
	for c, n := range train {
		switch {
		case n == 0 && other[c] != "":
			errs = append(errs, mark(errLabelNotInTrain, advice.New(fmt.Errorf("datasets: label %q is in %s but not in train, so it cannot be learnt", d.Labels[c], other[c]), "add pictures of it to train or take it out of %s%s", other[c], smallFix)))
		case n < 2:
			errs = append(errs, mark(errTooFew, advice.New(fmt.Errorf("datasets: label %q has %d picture(s) to train on, want at least 2", d.Labels[c], n), "add pictures or remove the label%s", smallFix)))
		}
	}
	return errs
}

func (classKind) read(c *csvColumns, rec []string, row *csvRow) error {
	if c.hot {
		for k, column := range c.values {
			if truth(rec[column]) {
				row.label = c.names[k]
			}
		}
		return nil
	}
	if c.byFolder {
		if row.label = path.Base(path.Dir(row.rel)); row.label == "." {
			return errBare
		}
		return nil
	}
	if row.label = rec[c.label[0]]; missing(row.label) {
		return errBare
	}
	if c.cut.list {
		row.label = c.cut.labels(row.label)[0]
	}
	return nil
}

func (classKind) said(_ csvTable, r csvRow) string { return r.label }

// names warns of a column of numbers, which may be meant as values.
func (classKind) names(d *Dataset, _ csvTable, rows []csvRow) ([]string, error) {
	all, numbers := map[string]int{}, true
	for _, row := range rows {
		all[row.label] = 0
		_, err := value(row.label, false)
		numbers = numbers && err == nil
	}
	if numbers && len(all) > 10 && 2*len(all) > len(rows) {
		d.warn("the labels are %d different numbers; to learn them as numbers, declare their column: --column NAME=value", len(all))
	}
	return sortedKeys(all), nil
}

func (classKind) fill(it *Item, row csvRow, class map[string]int) { it.Class = class[row.label] }
