package results

import (
	"encoding/csv"
	"fmt"
	"io"
)

// Action is what a change does to a picture.
type Action string

// The actions of a change.
const (
	Drop    Action = "drop"
	Relabel Action = "relabel"
)

// Change is a proposal for one picture.
type Change struct {
	File   string // slash path below the root
	Action Action
	Label  string // the new one, for Relabel
}

// WriteChanges writes the proposals as a CSV file: file, action, label, and why. A person goes through
// them, deletes the lines that are wrong, and opens the set with the file as datasets.Options.Changes.
// Contradictions have no proposal: which label is right, only a person knows.
func (r *Report) WriteChanges(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"file", "action", "label", "why"})
	done := map[string]bool{}
	for _, f := range r.Findings {
		for _, c := range f.Changes {
			if !done[c.File] { // one change a picture
				done[c.File] = true
				_ = out.Write([]string{c.File, string(c.Action), c.Label, fmt.Sprintf("%s: %s", f.Kind, f.Why)})
			}
		}
	}
	out.Flush()
	return out.Error()
}
