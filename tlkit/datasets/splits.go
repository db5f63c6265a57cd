package datasets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// A flag is a yes-or-no column that says which split a picture is in.
type flag struct {
	column  int
	yes, no Split // no "" = another column decides, else train
}

// A splitRule says how the split of a row is found: by a column of words, by flags, or by the value
// of a column that is held out.
type splitRule struct {
	words int // the column; -1 = none
	flags []flag
	held  string // with words: the rows with this cell are valid
}

func (r splitRule) given() bool { return r.words >= 0 || len(r.flags) > 0 }

// of returns the split of a row; "" if the table gives none.
func (r splitRule) of(rec []string) (Split, error) {
	if r.held != "" {
		if sameValue(rec[r.words], r.held) {
			return Valid, nil
		}
		return Train, nil
	}
	if r.words >= 0 {
		n, ok := splitNamed(rec[r.words])
		s := n.split
		if !ok {
			return "", advice.New(fmt.Errorf("split %q, want train, valid or test", rec[r.words]), "if this column is something else, declare it: --column %d=ignore", r.words+1)
		}
		return s, nil
	}
	if len(r.flags) == 0 {
		return "", nil
	}
	split := Train
	for _, f := range r.flags {
		cell := rec[f.column]
		switch {
		case missing(cell):
			return "", advice.New(fmt.Errorf("column %d, which says whether the picture is in a split, is empty", f.column+1), "fill it in, or remove the line")
		case truth(cell):
			return f.yes, nil
		case f.no != "":
			split = f.no
		}
	}
	return split, nil
}

// sameValue compares cells, numbers by their value: a fold 0 may be written 0.0.
func sameValue(a, b string) bool {
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return a == b || err == nil && err2 == nil && x == y
}

// flagNamed returns the flag that a column of two values is by its name, such as is_valid.
func flagNamed(name string) (flag, bool) {
	all := slices.DeleteFunc(nameWords(name), func(w string) bool { return w == "is" || w == "in" || w == "set" || w == "image" || w == "split" })
	if len(all) != 1 {
		return flag{}, false
	}
	w := all[0]
	if f, ok := flagsOf[w]; ok {
		return f, true
	}
	f, ok := flagsOf[strings.TrimPrefix(w, "is")] // isvalid
	return f, ok
}

// understandSplit finds the columns that say which split a picture is in.
func (c *csvColumns) understandSplit() error {
	c.split.words = -1
	var named, cells []*column
	for _, col := range c.cols {
		switch {
		case col.role == roleSplit:
			if col.detail != "" && !slices.ContainsFunc(sortedKeys(col.distinct), func(cell string) bool { return sameValue(cell, col.detail) }) {
				return fmt.Errorf("the column %s has no %q in it: %s", col.title(), col.detail, col.describe())
			}
			named = append(named, col)
		case col.role != "" || labelWord.has(col.name, besideLabel) || len(col.distinct) == 0:
		case splitNames.has(col.name, besideSplit, maySplit):
			named = append(named, col)
		case col.splits == col.n-col.empty, col.maySplits == col.n-col.empty && col.splits > 0, !c.header && 2*col.splits >= col.n:
			cells = append(cells, col)
		}
	}
	if len(named) == 0 {
		named = cells
	}
	if len(named) > 1 {
		named = slices.DeleteFunc(named, func(col *column) bool { return !col.asked && col.splits < col.n })
	}
	switch {
	case len(named) > 1:
		return advice.New(fmt.Errorf("the columns %s both name splits", titles(named)), "leave one out: %s", columnFlag(keys(named[1:]), roleIgnore))
	case len(named) == 1 && named[0].splits == 0 && named[0].detail == "" && len(named[0].distinct) > 0:
		if _, ok := flagNamed(named[0].name); !ok || !named[0].boolean {
			return heldOut(named[0], "it does not say train, valid or test")
		}
		c.useSplit(named[0])
	case len(named) == 1:
		c.useSplit(named[0])
	default:
		for _, col := range c.of("") {
			if f, ok := flagNamed(col.name); ok && col.boolean {
				f.column, col.role = col.number, roleSplit
				c.split.flags = append(c.split.flags, f)
				c.said = append(c.said, fmt.Sprintf("%s by %s", f.yes, col.in()))
			}
		}
	}
	return c.understandFolds()
}

// useSplit makes a column the one that names the splits.
func (c *csvColumns) useSplit(col *column) {
	if f, ok := flagNamed(col.name); ok && col.boolean && col.detail == "" {
		f.column = col.number
		c.split.flags = append(c.split.flags, f)
		col.role = roleSplit
		return
	}
	free := 0
	for cell, n := range col.distinct {
		if unassigned(cell) {
			free += n
		}
	}
	if free+col.empty == col.n && free > 0 {
		col.ignore("it assigns no split")
		return
	}
	col.role, c.split.words, c.split.held = roleSplit, col.number, col.detail
	if col.detail != "" {
		c.said = append(c.said, fmt.Sprintf("valid where %s is %s", col.in(), col.detail))
		return
	}
	c.said = append(c.said, "split in "+col.in())
}

// understandFolds returns an error for a column of folds that does not say which fold to hold out.
func (c *csvColumns) understandFolds() error {
	for _, col := range c.of("") {
		if !foldWords.has(col.name, besideFold) {
			continue
		}
		if c.split.given() {
			col.ignore("there is a split")
			continue
		}
		if len(col.distinct) > 0 {
			return heldOut(col, "nothing says which one to hold out")
		}
	}
	return nil
}

// heldOut is the error for a column that divides the pictures into unnamed parts.
func heldOut(col *column, why string) error {
	parts := sortedKeys(col.distinct)
	key := []string{col.key()}
	return advice.New(fmt.Errorf("the column %s divides the pictures into %d parts (%s), and %s", col.title(), len(parts), shorten(strings.Join(parts, ", ")), why),
		"to hold out the rows with %s: %s; to leave the column out: %s", parts[0], columnFlag(key, roleSplit+role(":"+parts[0])), columnFlag(key, roleIgnore))
}

// splitsOfFolders returns the splits that the top folders of the pictures name, if all of them do
// and there are several; else nil.
func splitsOfFolders(rels []string) []Split {
	splits := make([]Split, len(rels))
	seen := map[Split]bool{}
	for i, rel := range rels {
		top, _, below := strings.Cut(rel, "/")
		s, ok := splitWord(top)
		if !ok || !below {
			return nil
		}
		splits[i] = s
		seen[s] = true
	}
	if !seen[Train] || len(seen) < 2 {
		return nil
	}
	return splits
}
