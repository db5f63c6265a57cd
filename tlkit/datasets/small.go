package datasets

import (
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// smallFix is the advice to leave out labels with too few pictures.
const smallFix = ", or leave out all such labels with --min-per-label 2 (in Go, MinPerLabel)"

// leaveOutSmall removes labels with fewer than least pictures in Train.
func (d *Dataset) leaveOutSmall(least int) {
	if least < 1 || d.Task == Values || len(d.Labels) == 0 {
		return
	}
	count := make([]int, len(d.Labels))
	for _, it := range d.In(Train) {
		for _, k := range it.labels() {
			count[k]++
		}
	}
	small := func(k int) bool { return count[k] < least }
	var gone, kept []string
	number := make([]int, len(d.Labels)) // of the labels that are kept
	for k, l := range d.Labels {
		number[k] = len(kept)
		if small(k) {
			gone = append(gone, fmt.Sprintf("%s (%d)", words.Printable(l), count[k]))
		} else {
			kept = append(kept, l)
		}
	}
	if len(gone) == 0 {
		return
	}
	items := d.Items[:0:0]
	for _, it := range d.Items {
		switch {
		case it.Targets != nil:
			it.Targets = targetsWithout(it.Targets, small)
		case it.Class >= 0 && small(it.Class):
			d.Report.Skipped = append(d.Report.Skipped, Bad{it.Rel, fmt.Sprintf("its label has fewer than %d pictures to train on", least)})
			continue
		case it.Class >= 0:
			it.Class = number[it.Class]
		}
		items = append(items, it)
	}
	d.Items, d.Labels = items, kept
	const shown = 20
	if n := len(gone); n > shown {
		gone = append(gone[:shown], fmt.Sprintf("and %d more", n-shown))
	}
	d.warn("labels with fewer than %d picture(s) to train on are left out: %s", least, strings.Join(gone, ", "))
}

// labels returns the numbers of an item's labels.
func (it Item) labels() (all []int) {
	if it.Targets == nil && it.Class >= 0 {
		return []int{it.Class}
	}
	for k, v := range it.Targets {
		if v != 0 {
			all = append(all, k)
		}
	}
	return all
}

func targetsWithout(targets []float64, gone func(k int) bool) []float64 {
	out := []float64{}
	for k, v := range targets {
		if !gone(k) {
			out = append(out, v)
		}
	}
	return out
}
