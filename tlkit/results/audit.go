package results

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/tlkit/transfer-learning/internal/words"
)

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

	Changes []Change `json:"-" show:"-"` // the proposals; nil = none
}

// Names returns at most so many of the files, or of the labels of a finding without files, as they are shown, and
// how many more there are.
func (f Finding) Names(most int) []string {
	names := f.Files
	if len(names) == 0 {
		names = f.Labels
	}
	var shown []string
	for _, n := range names[:min(most, len(names))] {
		shown = append(shown, words.Plain(n))
	}
	if len(names) > most {
		shown = append(shown, fmt.Sprintf("and %d more", len(names)-most))
	}
	return shown
}

// Brief is what a training finds in its data: what makes a score wrong, in a few sentences.
type Brief struct {
	Pictures int                 `json:"pictures"`
	Counts   map[FindingKind]int `json:"counts,omitempty"` // serious findings of each kind
	Lines    []string            `json:"lines,omitempty"`  // about near copies and shortcuts; the rest is in the set's report
}

// Guard says in short whether pictures are prepared as the network expects them: see package guard.
type Guard struct {
	OK         bool     `json:"ok"`
	Verdict    string   `json:"verdict"`
	Best       string   `json:"best"` // the statistics that fit best
	Confidence float64  `json:"confidence"`
	Pictures   int      `json:"pictures"` // that were looked at; 0 = the preset alone was
	Evidence   string   `json:"evidence"`
	Line       string   `json:"line"` // the verdict in a sentence
	Warnings   []string `json:"warnings,omitempty"`
}

// Report is the result of an audit.
type Report struct {
	Name     string    `json:"name"`
	Root     string    `json:"root"` // Files are below it
	Pictures int       `json:"pictures"`
	Findings []Finding `json:"findings"` // by kind, and in a kind by score
	// Notes say what could not be looked at, and what would allow it.
	Notes []string `json:"notes,omitempty"`
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

// Path is where a file of the report is.
func (r *Report) Path(file string) string { return filepath.Join(r.Root, filepath.FromSlash(file)) }
