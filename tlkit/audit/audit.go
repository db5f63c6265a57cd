// Package audit looks at a data set before anything is learnt from it: pictures that cannot be read,
// copies and near copies (above all those in two splits), labels that look wrong, pictures unlike all
// others, poor pictures, rare labels, and labels that give themselves away by something that is not in
// the picture.
//
//	m, err := spec.Features(ctx, paths, place, nil) // features of set.Items
//	report, err := audit.Run(ctx, audit.Input{Set: set, Features: m})
//	for _, f := range report.Findings { ... f.Kind, f.Files, f.Why ... }
//	err = report.WriteChanges(file) // proposals; edit them, then set datasets.Options.Changes
//
// Nothing is changed: a report proposes, and a person decides.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// Kind is a kind of finding.
type Kind = results.FindingKind

// The kinds of findings, in the order of a report.
const (
	Unreadable    Kind = "unreadable"     // a file that should be a picture
	Leak          Kind = "leak"           // the same or nearly the same picture in two splits
	GroupLeak     Kind = "group leak"     // pictures of one group in two splits
	Contradiction Kind = "contradiction"  // the same or nearly the same picture with two labels
	WrongLabel    Kind = "wrong label"    // a label that a head which did not learn from the picture disputes
	WrongValue    Kind = "wrong value"    // the same of a number
	Copy          Kind = "copy"           // the same or nearly the same picture twice in a split
	Shortcut      Kind = "shortcut"       // something beside the content predicts the label
	Imbalance     Kind = "imbalance"      // labels with few pictures
	Outlier       Kind = "outlier"        // unlike all other pictures
	Blurred       Kind = "blurred"        // far less sharp than the other pictures
	Dark          Kind = "dark"           // hardly anything above black
	Bright        Kind = "bright"         // hardly anything below white
	Empty         Kind = "little content" // nearly one colour
	OddSize       Kind = "odd size"       // far fewer pixels than the other pictures
	OddShape      Kind = "odd shape"      // far longer or wider than the other pictures
)

// serious are the kinds that make a score wrong, or lose pictures. The others are worth a look.
var serious = map[Kind]bool{Unreadable: true, Leak: true, GroupLeak: true, Contradiction: true, Shortcut: true}

// Finding is one thing that was noticed.
type Finding = results.Finding

// Report is the result of an audit; see [results.Report].
type Report = results.Report

// Input is a data set with the features of its pictures.
type Input struct {
	Set *datasets.Dataset
	// Features are those of Set.Items by a frozen network, as features.Extract returns them: Items and Bad
	// are indices into Set.Items.
	Features *features.Matrix
	Seed     uint64 // of folds
	// Progress tells what is done; may be nil.
	Progress func(what string, done, total int)
}

// auditor holds what the checks share.
type auditor struct {
	Input
	items  []datasets.Item // those that can be read, one for each row
	first  []int           // the first row with the same file content, of each row
	matrix *features.Matrix
	prints []*print // of equal contents, the same
	near   [][]int  // the rows with the most similar features, of other contents
	every  int      // only every so many rows are asked for shortcuts; 0 = 1
	found  []Finding
}

// Run audits a data set. Shortcuts are looked for where pictures have one label, the rest for every task. It
// takes a few seconds for 10,000 pictures whose features and prints are cached.
//
// It is an error if there are no pictures, or if ctx ends.
func Run(ctx context.Context, in Input) (*Report, error) {
	if in.Set == nil || in.Features == nil {
		return nil, advice.New(errors.New("audit: no data set or no features, want both"), "open a set, and take the features of its items")
	}
	a := newAuditor(in)
	if a.matrix.Rows() == 0 {
		return nil, a.nothing()
	}
	a.unreadable()
	if err := a.takePrints(ctx); err != nil {
		return nil, err
	}
	a.findNear()
	for _, check := range []func(context.Context) error{a.copies, a.groups, a.labels, a.targets, a.shortcuts, a.outliers, a.quality, a.balance} {
		if err := check(ctx); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
	return a.report(), nil
}

// newAuditor returns an auditor of the pictures that have features.
func newAuditor(in Input) *auditor {
	a := &auditor{Input: in, matrix: in.Features}
	if in.Progress == nil {
		a.Progress = func(string, int, int) {}
	}
	known := map[string]int{}
	for row, i := range a.matrix.Items {
		item := a.Set.Items[i]
		first, copied := known[item.SHA256]
		if item.SHA256 == "" || !copied {
			first, known[item.SHA256] = row, row
		}
		a.items, a.first = append(a.items, item), append(a.first, first)
	}
	return a
}

// nothing is the error of a set without a picture that can be read. It names one, with the reason.
func (a *auditor) nothing() error {
	why := ""
	for _, bad := range slices.Concat(a.Set.Report.Unreadable, a.Set.Report.NotPicture) {
		why = fmt.Sprintf(", such as %s: %s", bad.Rel, bad.Why)
	}
	if len(a.matrix.Bad) > 0 {
		why = fmt.Sprintf(", such as %v", a.matrix.Bad[0].Err)
	}
	return advice.New(fmt.Errorf("audit: %s has no picture that can be read%s", a.Set.Name, why), "get the files again, or name a folder of pictures")
}

// notes say what could not be looked at, and what would allow it.
func (a *auditor) notes() (notes []string) {
	if len(a.items) == 1 {
		notes = append(notes, "there is one picture, and nothing to compare it with; add pictures")
	}
	switch {
	case a.Set.Task != datasets.Classes || len(a.labelled()) == 0:
	case len(a.Set.Labels) < 2:
		notes = append(notes, "labels and shortcuts were not looked at: there is one label; put the pictures of each label in a folder of its own")
	case a.folds() < 2:
		notes = append(notes, fmt.Sprintf("labels and shortcuts were not looked at: that takes %d pictures of each label, of two groups where there are groups; add some, or leave rare labels out: --min-per-label %d", labelFolds, labelFolds))
	}
	return notes
}

// unreadable reports files that datasets could not open and pictures that could not be decoded.
func (a *auditor) unreadable() {
	for _, bad := range slices.Concat(a.Set.Report.Unreadable, a.Set.Report.NotPicture) {
		a.add(Finding{Kind: Unreadable, Files: []string{bad.Rel}, Why: bad.Why})
	}
	for _, bad := range a.matrix.Bad {
		item := a.Set.Items[bad.Item]
		a.add(Finding{Kind: Unreadable, Files: []string{item.Rel}, Why: bad.Err.Error(), Changes: []results.Change{{File: item.Rel, Action: results.Drop}}})
	}
}

// groups reports groups of the set, such as patients or videos, with pictures in more than one split. It
// proposes to leave out those to learn from, so that what is measured stays.
func (a *auditor) groups(context.Context) error {
	members := map[string][]int{}
	for i, item := range a.items {
		if item.Group != "" {
			members[item.Group] = append(members[item.Group], i)
		}
	}
	for name, rows := range members {
		splits := a.splits(rows)
		if len(splits) < 2 {
			continue
		}
		f := a.of(GroupLeak, rows...)
		f.Score, f.Why = float64(len(rows)), fmt.Sprintf("group %s has %d pictures, in %v", name, len(rows), splits)
		for _, i := range rows {
			if a.items[i].Split == datasets.Train {
				f.Changes = append(f.Changes, results.Change{File: a.items[i].Rel, Action: results.Drop})
			}
		}
		a.add(f)
	}
	return nil
}

// splits returns the splits of rows, each once.
func (a *auditor) splits(rows []int) []string {
	var out []string
	for _, i := range rows {
		if s := string(a.items[i].Split); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// balance reports labels with far fewer pictures than the most frequent one.
func (a *auditor) balance(context.Context) error {
	if a.Set.Task != datasets.Classes {
		return nil
	}
	counts := make([]int, len(a.Set.Labels))
	for _, item := range a.items {
		if item.Class >= 0 && item.Split == datasets.Train {
			counts[item.Class]++
		}
	}
	most := slices.Max(append(counts, 0))
	for k, n := range counts {
		if n*10 <= most {
			a.add(Finding{Kind: Imbalance, Labels: []string{a.Set.Labels[k]}, Score: float64(most) / float64(max(n, 1)),
				Why: fmt.Sprintf("%d training pictures, and %d of the most frequent label", n, most)})
		}
	}
	return nil
}

// of returns a finding about rows.
func (a *auditor) of(k Kind, rows ...int) Finding {
	f := Finding{Kind: k}
	for _, i := range rows {
		item := a.items[i]
		f.Files = append(f.Files, item.Rel)
		f.Splits = append(f.Splits, string(item.Split))
		if item.Class >= 0 && item.Targets == nil {
			f.Labels = append(f.Labels, a.Set.Labels[item.Class])
		}
	}
	return f
}

func (a *auditor) add(f Finding) {
	f.Serious = serious[f.Kind]
	a.found = append(a.found, f)
}

// order is the place of a kind in a report.
var order = []Kind{Unreadable, Leak, GroupLeak, Contradiction, Shortcut, WrongLabel, WrongValue, Copy, Imbalance, Outlier, Blurred, Dark, Bright, Empty, OddSize, OddShape}

func (a *auditor) report() *Report {
	slices.SortStableFunc(a.found, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, x.Kind), slices.Index(order, y.Kind)), cmp.Compare(y.Score, x.Score), slices.Compare(x.Files, y.Files))
	})
	return &Report{Name: a.Set.Name, Root: a.Set.Root, Pictures: len(a.items), Findings: a.found, Notes: a.notes()}
}
