package weights

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// Report lists every difference between a file and what was wanted.
type Report struct {
	Path   string
	Wanted int // number of wanted tensors
	Loaded int // number of loaded tensors; 0 if anything is wrong

	Missing    []string     // wanted, not in the file
	Unexpected []string     // in the file, not wanted
	WrongShape []Difference // in both, of another shape
	WrongType  []Difference // in both, but not floating-point numbers
	NonFinite  []Difference // NaN or infinities inside
	Ambiguous  []string     // two tensors of the file became one name

	Ignored []string // in the file, not wanted, and allowed to be there
	Skipped []string // as in [File]
}

// Difference is a tensor that is not as wanted.
type Difference struct{ Name, Got, Want string }

func (d Difference) String() string {
	return fmt.Sprintf("%s: got %s, want %s", words.Quote(d.Name), d.Got, d.Want)
}

// OK reports whether the file has exactly what was wanted.
func (r *Report) OK() bool {
	return len(r.Missing)+len(r.Unexpected)+len(r.WrongShape)+len(r.WrongType)+len(r.NonFinite)+len(r.Ambiguous) == 0
}

// shownLines is how many differences of a kind String shows. A file of another network has hundreds.
const shownLines = 3

// String returns a line of counts, then a line for each of the first differences of each kind.
func (r *Report) String() string {
	var b strings.Builder
	if r.OK() {
		fmt.Fprintf(&b, "%s: %d of %d wanted tensors loaded", r.Path, r.Loaded, r.Wanted)
		if n := len(r.Ignored); n > 0 {
			fmt.Fprintf(&b, ", %d ignored", n)
		}
		return b.String()
	}
	var counts []string
	count := func(n int, what string) {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(len(r.Missing), "missing")
	count(len(r.Unexpected), "unexpected")
	count(len(r.WrongShape), "of the wrong shape")
	count(len(r.WrongType), "of the wrong type")
	count(len(r.NonFinite), "with NaN or infinities")
	count(len(r.Ambiguous), "ambiguous")
	fmt.Fprintf(&b, "%s does not fit the network (%d tensors wanted): %s", r.Path, r.Wanted, strings.Join(counts, ", "))
	if hint := r.prefixHint(); hint != "" {
		b.WriteString("\n  " + hint)
	}
	list := func(what string, names []string) {
		for _, n := range names[:min(shownLines, len(names))] {
			b.WriteString("\n  " + what + " " + n)
		}
		if more := len(names) - shownLines; more > 0 {
			fmt.Fprintf(&b, "\n  %s %d more", what, more)
		}
	}
	list("missing", quoted(r.Missing))
	list("unexpected", quoted(r.Unexpected))
	list("wrong shape", lines(r.WrongShape))
	list("wrong type", lines(r.WrongType))
	list("not finite", lines(r.NonFinite))
	list("ambiguous", r.Ambiguous)
	if len(r.Missing) > 0 {
		list("not a tensor in the file:", r.Skipped)
	}
	return b.String()
}

func (r *Report) err() error { return errors.New("weights: " + r.String()) }

// prefixHint returns a hint if the only difference is a prefix before every name.
func (r *Report) prefixHint() string {
	if len(r.Missing) == 0 || len(r.Unexpected) == 0 {
		return ""
	}
	if p := prefixBefore(r.Missing, r.Unexpected); p != "" {
		return fmt.Sprintf("the names in the file have the prefix %s, which is not wanted: MatchOptions.Rename can strip it", words.Quote(p))
	}
	if p := prefixBefore(r.Unexpected, r.Missing); p != "" {
		return fmt.Sprintf("the names in the file lack the prefix %s: MatchOptions.Rename can add it", words.Quote(p))
	}
	return ""
}

// prefixBefore finds the p for which p+name is in long for every name in short.
func prefixBefore(short, long []string) string {
	have := make(map[string]bool, len(long))
	for _, n := range long {
		have[n] = true
	}
candidates:
	for _, n := range long {
		p, ok := strings.CutSuffix(n, short[0])
		if !ok || p == "" {
			continue
		}
		for _, s := range short {
			if !have[p+s] {
				continue candidates
			}
		}
		return p
	}
	return ""
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = words.Quote(n)
	}
	return out
}

func lines(ds []Difference) []string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = d.String()
	}
	return out
}
