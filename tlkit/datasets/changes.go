package datasets

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// The actions in a file of changes.
const (
	changeDrop    = "drop"
	changeRelabel = "relabel"
)

// correction is a line of a file of changes.
type correction struct {
	line   int
	action string
	label  string
}

// correct drops and relabels pictures as a file says that `tlkit audit --csv` proposed and a person went
// through.
func (d *Dataset) correct(file string) error {
	if file == "" {
		return nil
	}
	changes, err := readChanges(file)
	if err != nil {
		return err
	}
	kept, dropped, relabelled := d.Items[:0:0], 0, 0
	for _, item := range d.Items {
		c, ok := changes[item.Rel]
		delete(changes, item.Rel)
		switch {
		case !ok:
		case c.action == changeDrop:
			d.Report.Skipped = append(d.Report.Skipped, Bad{item.Rel, "dropped by " + file})
			dropped++
			continue
		default:
			k := slices.Index(d.Labels, c.label)
			if k < 0 || item.Targets != nil {
				return advice.New(fmt.Errorf("datasets: %s, line %d: %s cannot get the label %q", file, c.line, item.Rel, c.label), "the labels of %s are %s", d.Name, strings.Join(d.Labels, ", "))
			}
			item.Class = k
			relabelled++
		}
		kept = append(kept, item)
	}
	for rel, c := range changes {
		if !slices.ContainsFunc(d.Report.Unreadable, func(b Bad) bool { return b.Rel == rel }) { // it is gone anyway
			return advice.New(fmt.Errorf("datasets: %s, line %d: %s has no picture %s", file, c.line, d.Name, rel), "paths are below the root, as in %s", example(d.Items))
		}
	}
	d.Items = kept
	d.warn("%s: pictures dropped: %d, relabelled: %d", file, dropped, relabelled)
	return nil
}

func example(items []Item) string {
	if len(items) == 0 {
		return "train/bees/1.jpg"
	}
	return items[0].Rel
}

// readChanges reads a file of changes, by the path of the picture.
func readChanges(file string) (map[string]correction, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("datasets: changes: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, advice.New(fmt.Errorf("datasets: %s: %w", file, err), "want a CSV file with the columns file, action and label")
	}
	column := func(name string) int { return slices.Index(head, name) }
	if column("file") < 0 || column("action") < 0 {
		return nil, advice.New(fmt.Errorf("datasets: %s has the columns %s", file, strings.Join(head, ", ")), "want file, action and label, as tlkit audit --csv writes them")
	}
	out := map[string]correction{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("datasets: %s: %w", file, err)
		}
		line, _ := r.FieldPos(0)
		cell := func(name string) string {
			if k := column(name); k >= 0 && k < len(row) {
				return row[k]
			}
			return ""
		}
		c := correction{line: line, action: cell("action"), label: cell("label")}
		if c.action != changeDrop && c.action != changeRelabel {
			return nil, advice.New(fmt.Errorf("datasets: %s, line %d: unknown action %q", file, line, c.action), "use drop or relabel")
		}
		if before, twice := out[cell("file")]; twice {
			return nil, advice.New(fmt.Errorf("datasets: %s: lines %d and %d are both about %s", file, before.line, line, cell("file")), "keep one of them")
		}
		out[cell("file")] = c
	}
}
