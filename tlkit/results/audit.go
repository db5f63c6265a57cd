package results

import "slices"

// FindingKind is a kind of finding: see package audit.
type FindingKind string

// Finding is one thing that was noticed.
type Finding struct {
	Kind    FindingKind `json:"kind"`
	Serious bool        `json:"serious"` // it makes the score wrong, or loses pictures
	Files   []string    `json:"files,omitempty"`
	Splits  []string    `json:"splits,omitempty"` // of Files
	Labels  []string    `json:"labels,omitempty"` // of Files
	// Suggested is the label that fits better, where the label is wrong.
	Suggested string `json:"suggested,omitempty"`
	// Score orders findings of a kind, the most striking first; Why says what it is.
	Score float64 `json:"score"`
	Why   string  `json:"why"`

	Change *Change `json:"-" show:"-"` // the proposal; nil = none
}

// Report is the result of an audit.
type Report struct {
	Name     string    `json:"name"`
	Root     string    `json:"root"` // Files are below it
	Pictures int       `json:"pictures"`
	Findings []Finding `json:"findings"` // by kind, and in a kind by score
}

// Serious returns the number of findings that make a score wrong, or lose pictures.
func (r *Report) Serious() int {
	n := 0
	for _, f := range r.Findings {
		if f.Serious {
			n++
		}
	}
	return n
}

// Of returns the findings of a kind, the most striking first.
func (r *Report) Of(k FindingKind) []Finding {
	var out []Finding
	for _, f := range r.Findings {
		if f.Kind == k {
			out = append(out, f)
		}
	}
	return out
}

// Kinds returns the kinds that were found, in the order of the report.
func (r *Report) Kinds() []FindingKind {
	var out []FindingKind
	for _, f := range r.Findings {
		if !slices.Contains(out, f.Kind) {
			out = append(out, f.Kind)
		}
	}
	return out
}
