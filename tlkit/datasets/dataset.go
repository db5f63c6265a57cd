// Package datasets opens a folder of pictures, a CSV file or a ready set by its name, as a list
// of labelled files with their splits. It reports what it found: counts, files that are not
// pictures, exact duplicates.
//
//	set, err := datasets.Open(ctx, "hymenoptera", datasets.Options{})
//	for _, item := range set.In(datasets.Train) { ... item.Path, set.Labels[item.Class] ... }
//
// It reads headers and hashes contents, but decodes no pixels and never writes into a user's
// folder. Ready sets are downloaded or drawn once and kept in tlkit's cache.
package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/tlkit/settings"
)

// Unlabelled is the class of a picture without a known label.
const Unlabelled = -1

// Split names a part of a data set.
type Split = data.Split

// The splits. [Dataset.In] takes "all" too.
const (
	Train = data.Train // to learn from
	Valid = data.Valid // to report results on
	Test  = data.Test  // to report results on; with a Valid as well, kept for the end
)

// A Task says what is to be learnt about each picture; see [settings.Task].
type Task = settings.Task

// The tasks. Folders of pictures have the task Classes; CSV files may have any.
const (
	Classes = settings.Classes // exactly one of the labels
	Labels  = settings.Labels  // any number of the labels, or none
	Values  = settings.Values  // a real number for each name, in any unit
)

// An Item is one picture of a data set.
type Item struct {
	Path   string // absolute path of the file
	Rel    string // slash path below the data set's root: "train/bees/1.jpg"
	Class  int    // index into Dataset.Labels; Unlabelled if unknown or if the task is not Classes
	Split  Split  // Train, Valid or Test
	Group  string // pictures of one group belong together, see [Group]; "" = none are declared
	SHA256 string // of the file's content, 64 hex digits

	// Targets has one entry for each of Dataset.Labels: 0 or 1 for the task Labels, the number
	// for Values. It is nil for Classes.
	Targets []float64
}

// A Dataset is a list of labelled pictures with their splits.
type Dataset struct {
	Name   string   // the ready set's name, else the folder's or the CSV file's base name
	Root   string   // absolute path of the folder that contains everything
	Task   Task     // what is to be learnt
	Labels []string // by class number, in byte order; for the task Values, the names of the columns
	Items  []Item   // in order of Rel
	Report Report   // what was found while reading

	// Set is the ready set that these files are; nil for a folder of the user.
	Set *data.Set

	// Dealt says that Valid was chosen by Options.Seed, because the pictures came without a
	// split to report on.
	Dealt bool

	badLimit float64
	grouped  bool // the items have groups
}

// In returns the items of one split, in order; "all" means every item. Other names of a split,
// such as "val", work too; for an unknown name the result is nil.
func (d *Dataset) In(split Split) []Item {
	if split == "all" {
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

// Splits returns the splits with at least one picture, in the order Train, Valid, Test.
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

// Evaluation returns the split that results are reported on: Valid if there is one, else Test,
// or "" if there is neither. A data set with both keeps Test for the end: it is used only when
// named.
func (d *Dataset) Evaluation() Split {
	for _, s := range []Split{Valid, Test} {
		if len(d.In(s)) > 0 {
			return s
		}
	}
	return ""
}

// Fingerprint returns a sha256 over everything that a result can depend on: the labels, and the
// path below the root, class or targets, split, group and content of every picture. It does not depend
// on where the folder is.
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
		if it.Group != "" { // absent from fingerprints without groups, so that those stay as they were
			fmt.Fprintf(h, "group %q\n", it.Group)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Drop removes pictures that could not be decoded from the data set and adds them to the
// report. Bad.Rel is the Item.Rel of the picture; unknown names are ignored. The error is
// ErrTooManyBad if more than Options.BadLimit of the pictures are now bad.
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

// Errors of [Open] and [Dataset.Drop], for errors.Is. The error that wraps one of them says what
// was found and what to do.
var (
	ErrNotFound   = errors.New("no such data set")
	ErrNotFetched = errors.New("data set not on this machine") // a ready set, with Options.Offline
	ErrNoPictures = errors.New("no pictures")
	ErrTooManyBad = errors.New("too many bad files") // more than Options.BadLimit
)

// What CheckTraining finds, and bad CSV files.
var (
	errOneLabel        = errors.New("fewer than two labels")
	errTooFew          = errors.New("too few pictures of a label")
	errLabelNotInTrain = errors.New("label missing from train")
	errConstant        = errors.New("nothing to tell apart")
	errNoSplit         = errors.New("no split to report on")
	errCSV             = errors.New("bad CSV file")
	errNotData         = errors.New("neither a folder nor a table")
)

// marked is an error with a text of its own that errors.Is recognises as kind, whose text is not
// printed.
type marked struct{ text, kind error }

func (m marked) Error() string   { return m.text.Error() }
func (m marked) Unwrap() []error { return []error{m.text, m.kind} }

func mark(kind, text error) error { return marked{text, kind} }
