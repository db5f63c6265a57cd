package datasets

import (
	"fmt"
	"slices"
	"strings"
)

// A Bad is one file with the reason it was not used.
type Bad struct {
	Rel string `json:"file"` // slash path below the root
	Why string `json:"why"`
}

// A Count is the number of pictures with one label in one split.
type Count struct {
	Label string `json:"label"`
	Split string `json:"split"`
	N     int    `json:"n"`
}

// A Duplicate is a group of files with exactly the same content.
type Duplicate struct {
	SHA256  string   `json:"sha256"`
	Files   []string `json:"files"`  // slash paths below the root, two or more, kept ones first
	Splits  []string `json:"splits"` // the splits they lie in, each once; two or more is a leak
	Labels  []string `json:"labels"` // the labels they bear, each once; two or more is a contradiction
	Dropped int      `json:"dropped,omitempty"`
}

// A Report says what reading a data set met, as data; Text says the same in words.
type Report struct {
	Counts     []Count     `json:"counts"`               // by label, then train, valid, test
	Skipped    []Bad       `json:"skipped,omitempty"`    // left out without harm: hidden files, links, files beside the labels
	NotPicture []Bad       `json:"notPicture,omitempty"` // files in a label's folder that are no pictures
	Unreadable []Bad       `json:"unreadable,omitempty"` // pictures that cannot be read
	Duplicates []Duplicate `json:"duplicates,omitempty"` // exact duplicates, within and across splits
	Warnings   []string    `json:"warnings,omitempty"`   // sentences the person should see
}

// Bad returns how many files were meant to be pictures and are not usable.
func (r Report) Bad() int { return len(r.NotPicture) + len(r.Unreadable) }

// Pictures returns how many pictures are in the data set.
func (r Report) Pictures() int {
	n := 0
	for _, c := range r.Counts {
		n += c.N
	}
	return n
}

// Leaks returns the duplicates that lie in more than one split: pictures the
// head would be judged on after learning them by heart.
func (r Report) Leaks() []Duplicate {
	var leaks []Duplicate
	for _, d := range r.Duplicates {
		if len(d.Splits) > 1 {
			leaks = append(leaks, d)
		}
	}
	return leaks
}

// tooMany is the error for a share of bad files above limit, or nil.
func (r Report) tooMany(limit float64) error {
	bad, all := r.Bad(), r.Bad()+r.Pictures()
	if bad == 0 || float64(bad) <= limit*float64(all) {
		return nil
	}
	return mark(ErrTooManyBad, "datasets: %d of %d files are no usable pictures (%.1f %%, at most %.1f %% are skipped without asking); mend or remove them%s",
		bad, all, 100*float64(bad)/float64(all), 100*limit, listed(slices.Concat(r.Unreadable, r.NotPicture), 20))
}

// listed puts the files below a sentence that ends an error; nothing for none.
func listed(files []Bad, n int) string {
	if len(files) == 0 {
		return ""
	}
	return ":\n" + strings.TrimSuffix(list(files, n), "\n")
}

// list writes at most n files, one a line.
func list(files []Bad, n int) string {
	var b strings.Builder
	for i, f := range files {
		if i == n {
			fmt.Fprintf(&b, "  ... and %d more\n", len(files)-n)
			break
		}
		fmt.Fprintf(&b, "  %s: %s\n", printable(f.Rel), f.Why)
	}
	return b.String()
}

// printable keeps a hostile file name from writing to the terminal.
func printable(name string) string {
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r <= 0x9f || r >= 0x202a && r <= 0x202e {
			return fmt.Sprintf("%+q", name)
		}
	}
	return name
}

// Text returns the report in words and one table, for a terminal of 80 columns.
func (r Report) Text() string {
	var b strings.Builder
	r.table(&b)
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
				names[k] = printable(f)
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

// table writes the counts, one row a label, one column a split.
func (r Report) table(b *strings.Builder) {
	var labels, splits []string
	n := map[[2]string]int{}
	width := len("label")
	for _, c := range r.Counts {
		if !slices.Contains(labels, c.Label) {
			labels = append(labels, c.Label)
			width = max(width, len([]rune(c.Label)))
		}
		n[[2]string{c.Label, c.Split}] += c.N
		n[[2]string{"", c.Split}] += c.N
	}
	for _, s := range splitOrder {
		if n[[2]string{"", s}] > 0 {
			splits = append(splits, s)
		}
	}
	row := func(name string, cell func(split string) string) {
		fmt.Fprintf(b, "%-*s", width, name)
		for _, s := range splits {
			fmt.Fprintf(b, " %8s", cell(s))
		}
		b.WriteByte('\n')
	}
	row("label", func(s string) string { return s })
	for _, l := range labels {
		row(printable(l), func(s string) string { return fmt.Sprint(n[[2]string{l, s}]) })
	}
	if len(labels) > 1 {
		row("", func(s string) string { return fmt.Sprint(n[[2]string{"", s}]) })
	}
}

// Text returns the data set in words: what it is, where it lies, what may be
// done with it, and the report.
func (d *Dataset) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d pictures, %d labels, in %s\n", d.Name, len(d.Items), len(d.Labels), d.Root)
	if d.Set != nil {
		fmt.Fprintf(&b, "%s\nlicence: %s\nfrom: %s\n", d.Set.Title, d.Set.Licence, d.Set.Origin)
	}
	return b.String() + d.Report.Text()
}

// recount fills Report.Counts from the items.
func (d *Dataset) recount() {
	n := map[[2]string]int{}
	for _, it := range d.Items {
		n[[2]string{d.label(it), it.Split}]++
	}
	labels := d.Labels
	if slices.ContainsFunc(d.Items, func(it Item) bool { return it.Class < 0 }) {
		labels = append(slices.Clone(labels), d.label(Item{Class: Unlabelled}))
	}
	d.Report.Counts = nil
	for _, l := range labels {
		for _, s := range splitOrder {
			if c := n[[2]string{l, s}]; c > 0 {
				d.Report.Counts = append(d.Report.Counts, Count{Label: l, Split: s, N: c})
			}
		}
	}
}

// label returns the label of an item; "(no label)" when it has none.
func (d *Dataset) label(it Item) string {
	if it.Class < 0 || it.Class >= len(d.Labels) {
		return "(no label)"
	}
	return d.Labels[it.Class]
}
