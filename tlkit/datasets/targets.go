package datasets

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Limits that keep a wrong file from filling the memory with targets.
const (
	maxValues  = 1000
	maxColumns = 5 * maxValues
	maxTargets = 1 << 27 // pictures times labels
)

// understandTask decides what to learn. Columns left without a role are an error: a column that is
// not understood is neither learnt nor ignored.
func (c *csvColumns) understandTask(g grid) error {
	label, labels, value := c.of(roleLabel), c.of(roleLabels), c.of(roleValue)
	if len(label)+len(labels)+len(value) > 0 {
		for _, col := range c.of("") {
			col.ignore("not declared")
		}
	}
	switch {
	case len(value) > 0 && len(label)+len(labels) > 0 || len(label) > 0 && len(labels) > 0:
		return advice.New(errors.New("label, labels and value are declared together"), "declare one of them: a table gives one label, several labels, or values")
	case len(value) > 0:
		return c.learnValues(value)
	case len(label) > 1 || len(labels) > 1 && allBoolean(labels):
		return c.learnHot(g, slices.Concat(label, labels), len(labels) > 0)
	case len(label) == 1:
		c.label = []int{label[0].number}
		c.said = append(c.said, "label in "+label[0].in())
		return nil
	case len(labels) > 0:
		return c.learnLabels(labels)
	}
	return c.guessTask(g)
}

func allBoolean(cols []*column) bool {
	return !slices.ContainsFunc(cols, func(col *column) bool { return !col.boolean })
}

// guessTask decides what to learn from the columns that are left.
func (c *csvColumns) guessTask(g grid) error {
	rest := c.of("")
	var named []*column
	for _, col := range rest {
		if learnable(col) {
			named = append(named, col)
		}
	}
	if len(named) > 1 {
		named = sameLabels(named, g.rows)
	}
	others := slices.DeleteFunc(c.of(""), func(col *column) bool { return slices.Contains(named, col) })
	switch {
	case len(rest) == 0 && len(c.empty()) > 0:
		return c.learnColumn(c.empty()[0])
	case len(rest) == 0:
		c.byFolder = true
		c.said = append(c.said, "label by the folder of the picture")
		return nil
	case len(named) > 1 && numberedNames(named):
		if err := c.stopAt(others, named...); err != nil {
			return err
		}
		return c.learnLabels(named)
	case len(named) > 1 && !(allBoolean(rest) && len(rest) > len(named)):
		return advice.New(fmt.Errorf("the columns %s each look like the column to learn", described(named)), "choose one: %s", columnFlag([]string{named[0].key()}, roleLabel))
	case len(named) == 1 && len(others) > 0 && allBoolean(rest):
		named = nil // one of the labels may be called tag
	case len(named) == 1:
		if err := c.stopAt(others, named...); err != nil {
			return err
		}
		return c.learnColumn(named[0])
	}
	switch {
	case len(rest) == 1 && (!c.header || c.understandable(rest[0])):
		return c.learnColumn(rest[0])
	case len(rest) > 1 && allBoolean(rest):
		return c.learnHot(g, rest, false)
	case measured(rest):
		return c.learnValues(rest)
	case !c.header && sharedWords(rest):
		return c.learnLabels(rest)
	}
	return c.stopAt(rest)
}

// learnable reports whether the name of a column says that it holds labels.
func learnable(col *column) bool {
	return labelWord.has(col.name, besideLabel) || severalWords.has(col.name, besideLabel)
}

// understandable reports whether the only column beside the pictures can be learnt whatever its
// name: its words recur, or it has two values.
func (c *csvColumns) understandable(col *column) bool {
	if suspicious(col) {
		return false
	}
	return col.boolean || !col.numbers && col.others == "" && !col.unique()
}

// empty returns the named columns that have no cells.
func (c *csvColumns) empty() []*column {
	return slices.DeleteFunc(c.of(roleIgnore), func(col *column) bool { return len(col.distinct) > 0 || col.asked || c.header && col.name == "" })
}

// boxWords are words in the column names of object detection.
var boxWords = wordsOf("xmin xmax ymin ymax bbox box bndbox polygon region segmentation")

// stopAt is the error for columns that are not understood, beside those that are.
func (c *csvColumns) stopAt(cols []*column, understood ...*column) error {
	if len(cols) == 0 {
		return nil
	}
	what := "the column %s is not understood"
	if len(cols) > 1 {
		what = "the columns %s are not understood"
	}
	cause := fmt.Errorf(what, described(cols))
	if slices.ContainsFunc(cols, func(col *column) bool { return boxWords.has(col.name, wordsOf("x y w h attributes id count shape")) }) {
		cause = fmt.Errorf("%w: boxes are not learnt, only what a whole picture shows", cause)
	}
	ignore := columnFlag(keys(cols), roleIgnore)
	if len(understood) > 0 {
		instead := ""
		if len(cols) == 1 {
			r := likelyRole(cols[0])
			if cols[0].numbers && !cols[0].boolean {
				r = roleValue
			}
			instead = "; to learn it instead: " + columnFlag(keys(cols), r)
		}
		if i := slices.IndexFunc(cols, (*column).mayGroup); i >= 0 {
			instead += "; if it says which pictures belong together: " + columnFlag(keys(cols[i:i+1]), roleGroup)
		}
		return advice.New(cause, "to leave %s out: %s; to learn only %s and ignore all others: %s%s; roles are path, label, labels, value, split, group, ignore (in Go, the field Columns)",
			map[bool]string{true: "it", false: "them"}[len(cols) == 1], ignore, titles(understood), columnFlag(keys(understood), likelyRole(understood[0])), instead)
	}
	likely := prefer(cols, func(col *column) bool { return measured([]*column{col}) })
	text := columnFlag(keys(likely), roleValue)
	if !measured(likely) {
		likely = prefer(cols, func(col *column) bool {
			return !col.fractions && !col.unique() && !suspicious(col) && len(col.distinct) > 1
		})[:1]
		if text = columnFlag(keys(likely), likelyRole(likely[0])); likely[0].numbers && !likely[0].boolean {
			text = fmt.Sprintf("%s for classes, or %s for numbers", columnFlag(keys(likely), roleLabel), columnFlag(keys(likely), roleValue))
		}
	}
	return advice.New(cause, "declare what to learn, and the others are ignored: %s; or declare what to ignore: %s; roles are path, label, labels, value, split, group, ignore (in Go, the field Columns)", text, ignore)
}

// groupWords are words in the names of columns that say which pictures belong together.
var groupWords = wordsOf("patient subject person participant case specimen animal video clip film movie sequence scene session series burst site camera group")

// mayGroup reports whether a column may say which pictures belong together: its name says so, or
// its cells recur.
func (c *column) mayGroup() bool {
	named := slices.ContainsFunc(nameWords(c.name), func(w string) bool { return groupWords[w] })
	return len(c.distinct) > 1 && !c.unique() && !c.fractions && !c.boolean && (named || 3*len(c.distinct) >= c.n)
}

// likelyRole is the role that fits the cells of a column to be learnt.
func likelyRole(col *column) role {
	_, verdict := cutOf(col, severalWords.has(col.name, besideLabel))
	switch {
	case measured([]*column{col}):
		return roleValue
	case verdict == cutSeveral:
		return roleLabels
	}
	return roleLabel
}

// described lists columns with what they hold.
func described(cols []*column) string {
	var all []string
	for i, col := range cols {
		if i == 6 {
			all = append(all, fmt.Sprintf("%d more", len(cols)-i))
			break
		}
		all = append(all, fmt.Sprintf("%s (%s)", col.title(), col.describe()))
	}
	return strings.Join(all, ", ")
}

// suspicious reports whether the name of a column says that it is neither a label nor a value.
func suspicious(col *column) bool {
	return !indexWords.has(col.name) && slices.ContainsFunc(nameWords(col.name), func(w string) bool { return notMeasured[w] })
}

// measured reports whether all columns hold measurements: numbers with fractions, or whole numbers
// under a name such as x or age.
func measured(cols []*column) bool {
	for _, col := range cols {
		unit := slices.ContainsFunc(nameWords(col.name), func(w string) bool { return unitWords[w] })
		if !col.numbers || suspicious(col) || !(col.fractions || unit || measureWords.has(col.name)) {
			return false
		}
	}
	return len(cols) > 0
}

// numberedNames reports whether the names are one name with numbers, as in tag1, tag2.
func numberedNames(cols []*column) bool {
	for _, col := range cols {
		if stem := strings.TrimRight(col.name, "0123456789"); stem == col.name || strings.Join(nameWords(stem), " ") != strings.Join(nameWords(cols[0].name), " ") {
			return false
		}
	}
	return true
}

// sharedWords reports whether columns without names hold the same labels.
func sharedWords(cols []*column) bool {
	if len(cols) < 2 || len(cols) > 100 {
		return false
	}
	for _, col := range cols {
		if col.numbers {
			return false
		}
		if col.empty > 0 { // lines of different lengths
			continue
		}
		shared := slices.ContainsFunc(cols, func(o *column) bool {
			return o != col && slices.ContainsFunc(sortedKeys(col.distinct), func(cell string) bool { return o.distinct[cell] > 0 })
		})
		if !shared {
			return slices.ContainsFunc(cols, func(o *column) bool { return o.empty > 0 })
		}
	}
	return true
}

// sameLabels leaves out columns that say the same as another one: class_id beside class_name.
// Words stay rather than numbers.
func sameLabels(cols []*column, rows [][]string) []*column {
	kept := slices.Clone(cols)
	slices.SortStableFunc(kept, func(a, b *column) int {
		switch {
		case a.numbers == b.numbers:
			return 0
		case b.numbers:
			return -1
		}
		return 1
	})
	for i := 0; i < len(kept); i++ {
		for k := len(kept) - 1; k > i; k-- {
			if n := len(kept[i].distinct); n > 1 && n == len(kept[k].distinct) && kept[i].empty == kept[k].empty && paired(rows, kept[i].number, kept[k].number) {
				kept[k].ignore("it says the same as " + kept[i].title())
				kept = slices.Delete(kept, k, k+1)
			}
		}
	}
	return kept
}

// paired reports whether each cell of one column always stands beside the same cell of the other.
func paired(rows [][]string, a, b int) bool {
	to, from := map[string]string{}, map[string]string{}
	for _, rec := range rows {
		x, y := rec[a], rec[b]
		if old, ok := to[x]; ok && old != y {
			return false
		}
		if old, ok := from[y]; ok && old != x {
			return false
		}
		to[x], from[y] = y, x
	}
	return true
}

// learnColumn learns one column: a label, several labels, or a number.
func (c *csvColumns) learnColumn(col *column) error {
	if len(col.distinct) == 0 {
		return advice.New(fmt.Errorf("the column to learn, %s, is empty on every line", col.title()), "fill it in, or name another column: --column NAME=label")
	}
	if col.numbers && col.fractions && len(col.distinct) > 10 && 2*len(col.distinct) > col.n {
		return c.learnValues([]*column{col})
	}
	several := severalWords.has(col.name, besideLabel)
	cut, verdict := cutOf(col, several)
	switch verdict {
	case cutUnsure:
		return advice.New(fmt.Errorf("the column %s holds cells such as %q, which may be one label or several", col.title(), shorten(cut.example)),
			"say what they are: %s, or %s", columnFlag([]string{col.key()}, roleLabel), columnFlag([]string{col.key()}, role("labels:"+cut.word)))
	case cutSeveral:
		if !cut.list || col.empty > 0 || !onlyOne(col, cut) {
			return c.useLabels([]*column{col}, cut)
		}
		several, c.cut = true, cut
	}
	if several && col.empty > 0 {
		return c.useLabels([]*column{col}, labelCut{})
	}
	col.role, c.label = roleLabel, []int{col.number}
	c.said = append(c.said, "label in "+col.in())
	if several {
		c.said = append(c.said, "one on each line")
	}
	return nil
}

// onlyOne reports whether each cell holds exactly one label.
func onlyOne(col *column, cut labelCut) bool {
	for cell := range col.distinct {
		if len(cut.labels(cell)) != 1 {
			return false
		}
	}
	return true
}

// learnLabels learns several labels a picture, from one column or several.
func (c *csvColumns) learnLabels(cols []*column) error {
	cut := labelCut{}
	if len(cols) == 1 {
		cut, _ = cutOf(cols[0], true)
	}
	if d := cols[0].detail; d != "" {
		cut = labelCut{sep: separatorsOfLabels[d], word: d}
	}
	return c.useLabels(cols, cut)
}

func (c *csvColumns) useLabels(cols []*column, cut labelCut) error {
	c.task, c.cut = Labels, cut
	for _, col := range cols {
		col.role = roleLabels
		c.label = append(c.label, col.number)
	}
	said := "labels in " + ins(cols)
	switch {
	case len(cols) > 1:
	case cut.list:
		said += " (lists)"
	case cut.word != "":
		said += fmt.Sprintf(" (separated by %s)", cut.word)
	}
	c.said = append(c.said, said)
	return nil
}

// learnHot learns labels that are names of columns: one label if each row has exactly one.
func (c *csvColumns) learnHot(g grid, cols []*column, several bool) error {
	for _, col := range cols {
		if !col.boolean {
			return advice.New(fmt.Errorf("the column %s (%s) is declared as one of several columns of labels, whose cells are 0 or 1", col.title(), col.describe()), "declare one column as label, or columns of words as labels")
		}
		col.role = roleLabel
	}
	if err := c.use(cols); err != nil {
		return err
	}
	c.hot = true
	for _, rec := range g.rows {
		n := 0
		for _, col := range cols {
			if truth(rec[col.number]) {
				n++
			}
		}
		several = several || n != 1
	}
	said := fmt.Sprintf("labels: the names of %d columns, %s", len(cols), titlesShort(cols))
	if several {
		c.task = Labels
		said += ", several on a line"
	} else {
		said += ", one on each line"
	}
	c.said = append(c.said, said)
	return nil
}

// ins names columns in the summary.
func ins(cols []*column) string {
	if len(cols) == 1 {
		return cols[0].in()
	}
	return "columns " + titlesShort(cols)
}

func titlesShort(cols []*column) string {
	if len(cols) <= 4 {
		return titles(cols)
	}
	return titles(cols[:3]) + ", …"
}

// learnValues learns numbers.
func (c *csvColumns) learnValues(cols []*column) error {
	for _, col := range cols {
		col.role = roleValue
	}
	c.task = Values
	c.said = append(c.said, "numbers to learn in "+ins(cols))
	return c.use(cols)
}

// use names the labels or values after their columns.
func (c *csvColumns) use(cols []*column) error {
	if len(cols) > maxValues {
		return fmt.Errorf("%d columns to learn, want at most %d", len(cols), maxValues)
	}
	for _, col := range cols {
		switch {
		case col.name == "":
			return advice.New(fmt.Errorf("column %d has no name", col.number+1), "labels and values are named after their columns: add a header such as path,x,y")
		case slices.Contains(c.names, col.name):
			return advice.New(fmt.Errorf("two columns are called %q", col.name), "rename one")
		}
		c.values, c.names = append(c.values, col.number), append(c.names, col.name)
	}
	return nil
}
