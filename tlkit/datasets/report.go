package datasets

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
)

// A Bad is a file that was not used, and the reason.
type Bad struct {
	Rel string `json:"file"` // slash path below the root
	Why string `json:"why"`
}

// A Count is the number of pictures with one label in one split. A picture with several labels
// counts under each.
type Count struct {
	Label string `json:"label"`
	Split Split  `json:"split"`
	N     int    `json:"n"`
}

// A Duplicate is a group of files with exactly the same content.
type Duplicate struct {
	SHA256  string   `json:"sha256"`
	Files   []string `json:"files"`  // slash paths below the root, two or more, kept ones first
	Splits  []Split  `json:"splits"` // the splits that contain them; two or more is a leak
	Labels  []string `json:"labels"` // their labels; two or more is a contradiction
	Dropped int      `json:"dropped,omitempty"`
}

// A Report says what was found while reading a data set. Text returns it in words.
type Report struct {
	// Table says in words how a CSV file was read; "" for a folder.
	Table string `json:"table,omitempty"`
	// Counts are in order of label and split. With the task Values, the label is "(pictures)".
	Counts []Count `json:"counts"`
	// Totals are the pictures of each split, with the label "". Only the task Labels has them.
	Totals []Count `json:"totals,omitempty"`
	// Ranges are those of the task Values.
	Ranges []Range `json:"ranges,omitempty"`
	// Skipped were left out without harm: hidden files, links, files outside the label folders.
	Skipped []Bad `json:"skipped,omitempty"`
	// NotPicture are files in a label folder that are not pictures.
	NotPicture []Bad `json:"notPicture,omitempty"`
	// Unreadable are pictures that cannot be read.
	Unreadable []Bad `json:"unreadable,omitempty"`
	// Duplicates are exact, within and across splits.
	Duplicates []Duplicate `json:"duplicates,omitempty"`
	// Warnings are sentences for the user.
	Warnings []string `json:"warnings,omitempty"`
}

// A Range is the range of one of the values over all pictures.
type Range struct {
	Name string  `json:"name"`
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// Bad returns the number of files that should be pictures but are unusable.
func (r Report) Bad() int { return len(r.NotPicture) + len(r.Unreadable) }

// Pictures returns the number of pictures in the data set.
func (r Report) Pictures() int {
	n := 0
	for _, c := range r.pictures() {
		n += c.N
	}
	return n
}

// pictures returns counts in which each picture is counted once.
func (r Report) pictures() []Count {
	if r.Totals != nil {
		return r.Totals
	}
	return r.Counts
}

// Leaks returns the duplicates that are in more than one split: pictures that a head would be
// measured on after it has learnt them.
func (r Report) Leaks() []Duplicate {
	var leaks []Duplicate
	for _, d := range r.Duplicates {
		if len(d.Splits) > 1 {
			leaks = append(leaks, d)
		}
	}
	return leaks
}

// tooMany returns an error if the share of bad files is above limit.
func (r Report) tooMany(limit float64) error {
	bad, all := r.Bad(), r.Bad()+r.Pictures()
	if bad == 0 || float64(bad) <= limit*float64(all) {
		return nil
	}
	return mark(ErrTooManyBad, advice.New(fmt.Errorf("datasets: %d of %d files are not usable pictures (%.1f %%; up to %.1f %% are skipped)", bad, all, 100*float64(bad)/float64(all), 100*limit), "repair or remove them, or allow a larger share with --bad-limit (in Go, BadLimit)%s", listed(slices.Concat(r.Unreadable, r.NotPicture), 20)))
}

// listed returns the files as a list to follow the text of an error, or "" if there are none.
func listed(files []Bad, n int) string {
	if len(files) == 0 {
		return ""
	}
	return ":\n" + strings.TrimSuffix(list(files, n), "\n")
}

// list returns at most n files, one per line.
func list(files []Bad, n int) string {
	var b strings.Builder
	for i, f := range files {
		if i == n {
			fmt.Fprintf(&b, "  ... and %d more\n", len(files)-n)
			break
		}
		fmt.Fprintf(&b, "  %s: %s\n", words.Printable(f.Rel), f.Why)
	}
	return b.String()
}

// SkippedLine says in a line how many files and folders were skipped and why, with an example of
// each reason: "skipped: 2 left there by Windows (a/Thumbs.db, ...)"; "" if there are none.
func (r Report) SkippedLine() string {
	n, example := map[string]int{}, map[string]string{}
	for _, b := range r.Skipped {
		if n[b.Why] == 0 {
			example[b.Why] = words.Printable(b.Rel)
		}
		n[b.Why]++
	}
	why := slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(n[b]-n[a], strings.Compare(a, b)) })
	var parts []string
	const shown = 5
	for i, w := range why {
		if i == shown {
			parts = append(parts, fmt.Sprintf("%d other reasons", len(why)-shown))
			break
		}
		more := ""
		if n[w] > 1 {
			more = ", …"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%s%s)", n[w], w, example[w], more))
	}
	if parts == nil {
		return ""
	}
	return "skipped: " + strings.Join(parts, "; ")
}

// WriteLeftOut writes a CSV file that lists everything that was left out: file, kind and reason.
// The kinds are unreadable, no picture, and skipped.
func (r Report) WriteLeftOut(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"file", "kind", "reason"})
	for _, part := range []struct {
		kind  string
		files []Bad
	}{{"unreadable", r.Unreadable}, {"no picture", r.NotPicture}, {"skipped", r.Skipped}} {
		for _, b := range part.files {
			_ = c.Write([]string{words.Printable(b.Rel), part.kind, b.Why}) // Error has it
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("datasets: %w", err)
	}
	return nil
}

// Text returns the report in words and one table, for a terminal of 80 columns.
func (r Report) Text() string {
	var b strings.Builder
	if r.Table != "" {
		fmt.Fprintf(&b, "%s\n", r.Table)
	}
	r.table(&b)
	for _, v := range r.Ranges {
		fmt.Fprintf(&b, "%s: %.4g to %.4g, mean %.4g\n", words.Printable(v.Name), v.Min, v.Max, v.Mean)
	}
	section := func(what string, files []Bad) {
		if len(files) > 0 {
			fmt.Fprintf(&b, "%s: %d\n%s", what, len(files), list(files, 10))
		}
	}
	section("unreadable pictures, left out", r.Unreadable)
	section("no pictures, left out", r.NotPicture)
	section("skipped", r.Skipped)
	if n := len(r.Duplicates); n > 0 {
		fmt.Fprintf(&b, "exact duplicates: %d group(s), %d across splits\n", n, len(r.Leaks()))
		for i, d := range r.Duplicates {
			if i == 10 {
				fmt.Fprintf(&b, "  ... and %d more\n", n-i)
				break
			}
			names := make([]string, len(d.Files))
			for k, f := range d.Files {
				names[k] = words.Printable(f)
			}
			fmt.Fprintf(&b, "  %s", strings.Join(names, " = "))
			if d.Dropped > 0 {
				fmt.Fprintf(&b, " (%d left out)", d.Dropped)
			}
			b.WriteByte('\n')
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// A place is a cell of the table of counts. The label "" means all pictures of the split.
type place struct {
	label string
	split Split
}

// table writes the counts, with a row for each label and a column for each split.
func (r Report) table(b *strings.Builder) {
	var labels []string
	var splits []Split
	n := map[place]int{}
	width := len("label")
	for _, c := range r.Counts {
		if !slices.Contains(labels, c.Label) {
			labels = append(labels, c.Label)
			width = max(width, len([]rune(c.Label)))
		}
		n[place{c.Label, c.Split}] += c.N
	}
	for _, c := range r.pictures() {
		n[place{"", c.Split}] += c.N
	}
	for _, s := range splitOrder {
		if n[place{"", s}] > 0 {
			splits = append(splits, s)
		}
	}
	row := func(name string, cell func(Split) string) {
		fmt.Fprintf(b, "%-*s", width, name)
		for _, s := range splits {
			fmt.Fprintf(b, " %8s", cell(s))
		}
		b.WriteByte('\n')
	}
	row("label", func(s Split) string { return string(s) })
	for _, l := range labels {
		row(words.Printable(l), func(s Split) string { return fmt.Sprint(n[place{l, s}]) })
	}
	if len(labels) > 1 {
		row("", func(s Split) string { return fmt.Sprint(n[place{"", s}]) })
	}
}

// Text describes the data set in words: what it is, where it is, its licence, and the report.
func (d *Dataset) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d pictures, %s, in %s\n", d.Name, len(d.Items), d.Task.Words(d.Labels), d.Root)
	if d.Set != nil {
		fmt.Fprintf(&b, "%s\nlicence: %s\nfrom: %s\n", d.Set.Title, d.Set.Licence, d.Set.Origin)
	}
	return b.String() + d.Report.Text()
}

// Truth returns in words what is known about an item: its label, its labels or its values.
func (d *Dataset) Truth(it Item) string { return kindOf(d.Task).truth(d, it) }

// recount fills Report.Counts, Totals and Ranges from the items.
func (d *Dataset) recount() {
	r := &d.Report
	r.Counts, r.Totals, r.Ranges = nil, nil, nil
	kindOf(d.Task).count(d)
}

// counts returns the numbers above zero above zero, in order of label and split.
func counts(labels []string, n map[place]int) []Count {
	var out []Count
	for _, l := range labels {
		for _, s := range splitOrder {
			if c := n[place{l, s}]; c > 0 {
				out = append(out, Count{Label: l, Split: s, N: c})
			}
		}
	}
	return out
}
