// Package datasets turns a folder of pictures, a CSV file or the name of a
// ready set into a list of labelled files with their splits, and says plainly
// what it found: counts, files that are no pictures, exact duplicates.
//
//	set, err := datasets.Open(ctx, "hymenoptera", datasets.Options{})
//	for _, item := range set.In(datasets.Train) { ... item.Path, set.Labels[item.Class] ... }
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

// Split names a part of a data set.
type Split = data.Split

// The splits, and All of them together as [Dataset.In] understands it.
const (
	Train       = data.Train // to learn from
	Valid       = data.Valid // to measure on while deciding
	Test        = data.Test  // to measure on at the end
	All   Split = "all"
)

// A Task says what is to be learnt about a picture.
type Task string

// The tasks. Folders are always of the first; CSV files may be of any.
const (
	Classes Task = "classes" // exactly one of the labels
	Labels  Task = "labels"  // any number of the labels, none among them
	Values  Task = "values"  // a real number for each of the names, in units of the person's
)

// An Item is one picture of a data set.
type Item struct {
	Path   string // absolute path of the file
	Rel    string // slash path below the data set's root: "train/bees/1.jpg"
	Class  int    // index into Dataset.Labels; Unlabelled when unknown, and for tasks other than Classes
	Split  Split  // Train, Valid or Test
	SHA256 string // of the file's content, 64 hex digits

	// Targets has one entry for each of Dataset.Labels: 0 or 1 for the task Labels, the number for Values. nil for Classes.
	Targets []float64
}

// A Dataset is a list of labelled pictures with their splits.
type Dataset struct {
	Name   string   // the ready set's name, else the folder's or the CSV file's base name
	Root   string   // absolute path of the folder everything lies in
	Task   Task     // what is to be learnt
	Labels []string // by class number, in byte order; of the task Values the names of the values, in order of the columns
	Items  []Item   // in order of Rel
	Report Report   // what was found on the way, good and bad

	// Set is the ready set these files are; nil for a folder of the user's.
	Set *data.Set

	// Dealt says that valid was dealt by Options.Seed, because the pictures came
	// without a split that one could report on.
	Dealt bool

	badLimit float64
}

// In returns the items of one split, in order; All gives every item. Other words for a
// split ("val", "validation") are understood; a word that means none gives nothing.
func (d *Dataset) In(split Split) []Item {
	if split == All {
		return slices.Clone(d.Items)
	}
	name, ok := data.SplitNamed(string(split))
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
// Train, Valid, Test.
func (d *Dataset) Splits() []Split {
	var found []Split
	for _, s := range splitOrder {
		if slices.ContainsFunc(d.Items, func(it Item) bool { return it.Split == s }) {
			found = append(found, s)
		}
	}
	return found
}

var splitOrder = []Split{Train, Valid, Test}

// Evaluation returns the split that results are reported on: Valid when there is one, else
// Test; "" when the data set has neither. A data set with both keeps its test split
// untouched until it is asked for by name.
func (d *Dataset) Evaluation() Split {
	for _, s := range []Split{Valid, Test} {
		if len(d.In(s)) > 0 {
			return s
		}
	}
	return ""
}

// Fingerprint returns a sha256 over everything a result can depend on: the
// labels and, of every picture, path below the root, class or targets, split and content.
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
		if it.Targets != nil {
			fmt.Fprintf(h, "%s %v\n", d.Task, it.Targets)
		}
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

// Errors to tell apart with errors.Is. The error that wraps one of them says what was found
// and what to do.
var (
	ErrNotFound   = errors.New("no such data set")
	ErrNotFetched = errors.New("data set not on this machine")
	ErrNoPictures = errors.New("no pictures")
	ErrTooManyBad = errors.New("too many bad files")
)

// The kinds of what CheckTraining finds, and of bad CSV files.
var (
	errOneLabel        = errors.New("fewer than two labels")
	errTooFew          = errors.New("too few pictures of a label")
	errLabelNotInTrain = errors.New("label missing from train")
	errConstant        = errors.New("nothing to tell apart")
	errNoSplit         = errors.New("no split to report on")
	errCSV             = errors.New("bad CSV file")
)

// marked is an error with a sentence of its own that errors.Is recognises as one of the
// above. Printing that too would say everything twice.
type marked struct{ text, kind error }

func (m marked) Error() string   { return m.text.Error() }
func (m marked) Unwrap() []error { return []error{m.text, m.kind} }

func mark(kind error, format string, args ...any) error {
	return marked{fmt.Errorf(format, args...), kind}
}
