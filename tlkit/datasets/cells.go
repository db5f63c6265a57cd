package datasets

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
)

// facts are what the cells of a column have in common.
type facts struct {
	name     string // of the column, as the header has it; "" if there is none
	n, empty int
	distinct map[string]int // the cells that are not empty, with their numbers
	ordered  []string       // the same in order of appearance, the first few

	numbers   bool   // every cell that is not empty is a number
	fractions bool   // and at least one has a fraction
	comma     bool   // decimals are written with a comma
	others    string // a cell that is not a number, if most cells are
	lo, hi    float64
	boolean   bool // two values, such as 0 and 1 or True and False
	splits    int  // cells that name a split
	maySplits int  // cells that name a split among other words
}

// factsOf collects the facts about one column. A cell such as 1,5 is a number unless the column's
// name suggests several labels.
func factsOf(rows [][]string, column int, name string) facts {
	f := facts{name: name, n: len(rows), distinct: map[string]int{}}
	several := severalWords.has(name, besideLabel)
	for _, rec := range rows {
		cell := rec[column]
		if missing(cell) {
			f.empty++
			continue
		}
		if f.distinct[cell]++; f.distinct[cell] == 1 && len(f.ordered) < 4 {
			f.ordered = append(f.ordered, cell)
		}
	}
	f.lo, f.hi = math.Inf(1), math.Inf(-1)
	wrong := 0
	for cell, n := range f.distinct {
		split, ok := splitNamed(cell)
		if ok || unassigned(cell) {
			f.maySplits += n
		}
		if ok && split.sure || unassigned(cell) {
			f.splits += n
		}
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil && !several && strings.Count(cell, ",") == 1 && !strings.Contains(cell, ".") {
			v, err = strconv.ParseFloat(strings.Replace(cell, ",", ".", 1), 64)
			f.comma = f.comma || err == nil
		}
		if err != nil {
			wrong += n
			if f.others == "" || cell < f.others {
				f.others = cell
			}
			continue
		}
		f.lo, f.hi = min(f.lo, v), max(f.hi, v)
		f.fractions = f.fractions || v != math.Trunc(v)
	}
	f.numbers = len(f.distinct) > 0 && wrong == 0
	if f.comma = f.comma && f.numbers; wrong*10 > f.n {
		f.others = ""
	}
	f.boolean = len(f.distinct) > 0 && len(f.distinct) <= 4 && f.twoValues()
	return f
}

// missing reports whether a cell holds nothing, as pandas writes it.
func missing(cell string) bool {
	return cell == "" || cell == "nan" || cell == "NaN" || cell == "<NA>"
}

// truths are the ways to write yes and no.
var truths = map[string]bool{
	"true": true, "false": false, "t": true, "f": false, "yes": true, "no": false, "y": true, "n": false, "x": true,
	"wahr": true, "falsch": false, "ja": true, "nein": false, "vrai": true, "faux": false, "oui": true, "non": false,
	"verdadero": true, "falso": false, "vero": true,
}

// truth reads a cell of a two-valued column. An empty cell is false.
func truth(cell string) bool {
	if v, err := strconv.ParseFloat(strings.Replace(cell, ",", ".", 1), 64); err == nil {
		return v == 1
	}
	return truths[strings.ToLower(cell)]
}

// twoValues reports whether the cells are 0 and 1, -1 and 1, or words such as yes and no. If only
// yes is written, the other cells may be empty.
func (f facts) twoValues() bool {
	words, zero, minus, one := 0, false, false, false
	for cell := range f.distinct {
		v, err := strconv.ParseFloat(strings.Replace(cell, ",", ".", 1), 64)
		_, word := truths[strings.ToLower(cell)]
		switch {
		case err == nil && v == 0:
			zero = true
		case err == nil && v == 1:
			one = true
		case err == nil && v == -1:
			minus = true
		case word:
			words++
			zero = zero || !truth(cell)
		default:
			return false
		}
	}
	if f.empty > 0 && (zero || minus) {
		return false
	}
	return (words == 0 || words == len(f.distinct)) && !(zero && minus) && (one || zero || words > 0)
}

// unique reports whether no two rows have the same cell.
func (f facts) unique() bool { return f.empty == 0 && len(f.distinct) == f.n }

// counting reports whether the column counts the rows: 0 to n-1 or 1 to n, in any order.
func (f facts) counting() bool {
	return f.unique() && f.numbers && !f.fractions && (f.lo == 0 || f.lo == 1) && f.hi-f.lo == float64(f.n-1)
}

// describe summarizes the cells of the column for messages.
func (f facts) describe() string {
	var what string
	switch {
	case len(f.distinct) == 0:
		return "empty"
	case len(f.distinct) == 1 && f.empty == 0:
		what = "always the same"
	case f.boolean:
		what = "yes or no"
	case f.others != "":
		return fmt.Sprintf("numbers, except for %q", shorten(f.others))
	case f.numbers && f.fractions:
		what = fmt.Sprintf("numbers from %g to %g", f.lo, f.hi)
	case f.numbers:
		what = fmt.Sprintf("%d different whole numbers", len(f.distinct))
	case f.unique():
		what = "a different word in every row"
	default:
		what = fmt.Sprintf("%d different words", len(f.distinct))
	}
	shown := make([]string, min(3, len(f.ordered)))
	for i := range shown {
		shown[i] = words.Printable(shorten(f.ordered[i]))
	}
	if len(f.distinct) > len(shown) {
		shown = append(shown, "…")
	}
	return what + ": " + strings.Join(shown, ", ")
}

// shorten cuts a long cell for a message.
func shorten(cell string) string {
	if r := []rune(cell); len(r) > 30 {
		return string(r[:30]) + "…"
	}
	return cell
}

// splitWord returns the split that a cell names.
func splitWord(cell string) (Split, bool) {
	n, ok := splitNamed(cell)
	return n.split, ok && n.sure
}

// unassigned reports whether a cell leaves the choice of the split to the program, as UNASSIGNED
// does for Vertex AI.
func unassigned(cell string) bool { return strings.EqualFold(cell, "unassigned") }

// A vocabulary is a set of words that hint at the role of a column.
type vocabulary map[string]bool

func wordsOf(list string) vocabulary {
	v := vocabulary{}
	for _, w := range strings.Fields(list) {
		v[w] = true
	}
	return v
}

// has reports whether at least one word of a name is in the vocabulary, and each of the other words
// is in it or in one of the others.
func (v vocabulary) has(name string, others ...vocabulary) bool {
	found := false
	for _, w := range nameWords(name) {
		known := v[w]
		found = found || known
		known = known || slices.ContainsFunc(others, func(o vocabulary) bool { return o[w] })
		if !known {
			return false
		}
	}
	return found
}
