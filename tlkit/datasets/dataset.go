// Package datasets turns a folder of pictures, a CSV file or the name of a
// ready set into a list of labelled files with their splits, and says plainly
// what it found: counts, files that are no pictures, exact duplicates.
//
//	set, err := datasets.Open(ctx, "hymenoptera", datasets.Options{})
//	for _, item := range set.In("train") { ... item.Path, set.Labels[item.Class] ... }
//
// It reads headers and hashes contents; it decodes no pixels and writes
// nothing into a folder of the user's. Ready sets that must be fetched or
// drawn are kept in tlkit's cache.
package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
)

// Unlabelled is the class of a picture whose label is not known.
const Unlabelled = -1

// An Item is one picture of a data set.
type Item struct {
	Path   string // absolute path of the file
	Rel    string // slash path below the data set's root: "train/bees/1.jpg"
	Class  int    // index into Dataset.Labels; Unlabelled when unknown
	Split  string // "train", "valid" or "test"
	SHA256 string // of the file's content, 64 hex digits
}

// A Dataset is a list of labelled pictures with their splits.
type Dataset struct {
	Name   string   // the ready set's name, else the folder's or the CSV file's base name
	Root   string   // absolute path of the folder everything lies in
	Labels []string // by class number, in byte order
	Items  []Item   // in order of Rel
	Report Report   // what was found on the way, good and bad

	// Set is the ready set these files are; nil for a folder of the user's.
	Set *data.Set

	// Dealt says that valid was dealt by Options.Seed, because the pictures came
	// without a split that one could report on.
	Dealt bool

	badLimit float64
}

// In returns the items of one split, in order: "train", "valid" (or "val",
// "validation"), "test", or "all". Any other word gives nothing.
func (d *Dataset) In(split string) []Item {
	if split == "all" {
		return slices.Clone(d.Items)
	}
	name, ok := data.SplitNamed(split)
	if !ok {
		return nil
	}
	var items []Item
	for _, it := range d.Items {
		if it.Split == name {
			items = append(items, it)
		}
	}
	return items
}

// Splits returns the splits that hold at least one picture, in the order
// train, valid, test.
func (d *Dataset) Splits() []string {
	var found []string
	for _, s := range splitOrder {
		if slices.ContainsFunc(d.Items, func(it Item) bool { return it.Split == s }) {
			found = append(found, s)
		}
	}
	return found
}

var splitOrder = []string{"train", "valid", "test"}

// Evaluation returns the split that results are reported on: "valid" when
// there is one, else "test"; "" when the data set has neither. A data set with
// both keeps its test split untouched until somebody asks for it by name.
func (d *Dataset) Evaluation() string {
	for _, s := range []string{"valid", "test"} {
		if len(d.In(s)) > 0 {
			return s
		}
	}
	return ""
}

// Fingerprint returns a sha256 over everything a result can depend on: the
// labels and, of every picture, path below the root, class, split and content.
// It does not depend on where the folder lies.
func (d *Dataset) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "tlkit data set 1\n%d\n", len(d.Labels))
	for _, l := range d.Labels {
		fmt.Fprintf(h, "%q\n", l)
	}
	items := slices.Clone(d.Items)
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Rel, b.Rel) })
	for _, it := range items {
		fmt.Fprintf(h, "%q %d %s %s\n", it.Rel, it.Class, it.Split, it.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Drop takes pictures out of the data set that turned out to be unreadable
// when they were decoded, and notes them in the report. Bad.Rel names each as
// Item.Rel does; a name that is not in the data set is ignored. When more than
// the allowed share of the pictures is now bad, the error is ErrTooManyBad.
func (d *Dataset) Drop(bad ...Bad) error {
	why := map[string]string{}
	for _, b := range bad {
		why[b.Rel] = b.Why
	}
	kept := d.Items[:0:0]
	for _, it := range d.Items {
		reason, drop := why[it.Rel]
		if !drop {
			kept = append(kept, it)
			continue
		}
		d.Report.Unreadable = append(d.Report.Unreadable, Bad{Rel: it.Rel, Why: reason})
	}
	d.Items = kept
	d.recount()
	return d.Report.tooMany(d.badLimit)
}

// CheckTraining says whether a head can be trained on this data set and
// judged on it. It wants two labels or more, two pictures or more of each
// label in train, no label that train lacks, and a split to report on. The
// errors are ErrOneLabel, ErrTooFew, ErrLabelNotInTrain and ErrNoSplit; all
// that apply are joined.
//
// Open does not ask for this: a folder may also be there to be classified.
func (d *Dataset) CheckTraining() error {
	var errs []error
	if len(d.Labels) < 2 {
		errs = append(errs, mark(ErrOneLabel, "datasets: %s has %d label(s) %q, want at least 2; put the pictures of each label in a folder of its own",
			d.Name, len(d.Labels), d.Labels))
	}
	train := make([]int, len(d.Labels))
	other := make([]string, len(d.Labels))
	for _, it := range d.Items {
		switch {
		case it.Class < 0:
		case it.Split == "train":
			train[it.Class]++
		default:
			other[it.Class] = it.Split
		}
	}
	for c, n := range train {
		switch {
		case n == 0 && other[c] != "":
			errs = append(errs, mark(ErrLabelNotInTrain, "datasets: label %q is in %s but not in train, so nothing can be learnt about it; add pictures of it to train or take it out of %s",
				d.Labels[c], other[c], other[c]))
		case n < 2:
			errs = append(errs, mark(ErrTooFew, "datasets: label %q has %d picture(s) to train on, want at least 2; add pictures or remove the label",
				d.Labels[c], n))
		}
	}
	if d.Evaluation() == "" {
		errs = append(errs, mark(ErrNoSplit, "datasets: %s has no picture in valid or test, so nothing can be reported; add a folder valid beside train, or put the label folders directly into one folder and let them be split",
			d.Name))
	}
	return errors.Join(errs...)
}

// Errors that callers may want to tell apart, with errors.Is. The error that
// is one of these says what was found and what to do.
var (
	ErrNotFound        = errors.New("no such data set")
	ErrNoPictures      = errors.New("no pictures")
	ErrTooManyBad      = errors.New("too many bad files")
	ErrOneLabel        = errors.New("fewer than two labels")
	ErrTooFew          = errors.New("too few pictures of a label")
	ErrLabelNotInTrain = errors.New("label missing from train")
	ErrNoSplit         = errors.New("no split to report on")
	ErrCSV             = errors.New("bad CSV file")
	ErrNotFetched      = errors.New("data set not on this machine")
)

// marked is an error with a sentence of its own that errors.Is recognises as one of the
// above. Printing that too would say everything twice.
type marked struct{ text, kind error }

func (m marked) Error() string   { return m.text.Error() }
func (m marked) Unwrap() []error { return []error{m.text, m.kind} }

func mark(kind error, format string, args ...any) error {
	return marked{fmt.Errorf(format, args...), kind}
}
