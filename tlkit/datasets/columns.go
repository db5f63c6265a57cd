package datasets

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// headers lists the possible headers for messages.
const headers = `"path,label" for one label a picture, "path,labels" for several as in a;b, "path,x,y" for numbers, each with a column "split" if you like`

// A role is what a column is used for.
type role string

const (
	rolePath   role = "path"
	roleLabel  role = "label"
	roleLabels role = "labels"
	roleValue  role = "value"
	roleSplit  role = "split"
	roleGroup  role = "group"
	roleIgnore role = "ignore"
)

var roles = []role{rolePath, roleLabel, roleLabels, roleValue, roleSplit, roleGroup, roleIgnore}

// A declaration is one entry of Options.Columns.
type declaration struct {
	column string
	role   role
	detail string // after the colon
}

// parseColumns reads the entries of Options.Columns.
func parseColumns(columns string) ([]declaration, error) {
	var all []declaration
	for entry := range strings.SplitSeq(columns, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		i := strings.LastIndex(entry, "=")
		if i < 0 {
			return nil, badColumns(entry, "there is no =")
		}
		name, detail, has := strings.Cut(entry[i+1:], ":")
		d := declaration{column: strings.TrimSpace(entry[:i]), role: role(strings.ToLower(strings.TrimSpace(name))), detail: strings.TrimSpace(detail)}
		switch {
		case d.column == "":
			return nil, badColumns(entry, "there is no column name")
		case !slices.Contains(roles, d.role):
			return nil, badColumns(entry, fmt.Sprintf("unknown role %q", d.role))
		case has && d.role != roleSplit && d.role != roleLabels, has && d.detail == "":
			return nil, badColumns(entry, "nothing can follow the colon there")
		case d.role == roleLabels && has && separatorsOfLabels[d.detail] == "":
			return nil, badColumns(entry, fmt.Sprintf("unknown separator %q, want comma, semicolon, bar, space, slash or plus", d.detail))
		}
		all = append(all, d)
	}
	return all, nil
}

func badColumns(entry, why string) error {
	return mark(errCSV, advice.New(fmt.Errorf("datasets: column declaration %q: %s", strings.TrimSpace(entry), why), "want NAME=ROLE, where ROLE is path, label, labels, value, split, group or ignore, as in patient=group,breed=label"))
}

// columnFlag returns the option --column that declares the named columns.
func columnFlag(names []string, r role) string {
	entries := make([]string, min(len(names), 30))
	for i := range entries {
		entries[i] = names[i] + "=" + string(r)
	}
	if len(names) > len(entries) {
		entries = append(entries, "…")
	}
	text := strings.Join(entries, ",")
	if strings.ContainsAny(text, " '\"$&|;<>()*?[]#~`\\") {
		return fmt.Sprintf("--column %q", text)
	}
	return "--column " + text
}

// Words that column names are made of.
var (
	pictureWords = wordsOf("path paths file files filename filenames filepath filepaths fname image images img picture pictures photo photos pic name uri url src location")
	labelWord    = wordsOf("label class classname category target breed species diagnosis dx disease level grade emotion digit variety tag choice classification taxon")
	severalWords = wordsOf("labels tags classes categories attributes targets keywords findings choices diagnoses")
	besideLabel  = wordsOf("image picture photo img true gt ground truth final main primary finding name id idx index code num number no encoded")
	splitNames   = wordsOf("split set subset partition")
	maySplit     = wordsOf("dataset usage use phase stage purpose mode fold group type")
	besideSplit  = wordsOf("data ml image train test name type is in")
	foldWords    = wordsOf("fold folds kfold cv skfold")
	besideFold   = wordsOf("k id idx no number stratified strat group n s index cv test valid val")
	indexWords   = wordsOf("unnamed index idx id ids row rownum number no nr num key uuid guid serial")
	besideIndex  = wordsOf("external image picture photo img sample row line file n")
	measureWords = wordsOf("x y z cx cy angle angles theta yaw pitch roll age count value values length distance speed steering")
	unitWords    = wordsOf("mm cm km deg degrees rad kg mg ml ms celsius percent")
	notMeasured  = wordsOf("confidence conf probability prob time timestamp date year month day id patient subject person fold seed xmin xmax ymin ymax bbox box")
	bookkeeping  = map[string]bool{"annotator": true, "annotation id": true, "created at": true, "created by": true, "updated at": true, "updated by": true, "lead time": true}

	flagsOf = map[string]flag{
		"valid": {yes: Valid}, "val": {yes: Valid}, "validation": {yes: Valid},
		"test": {yes: Test}, "testing": {yes: Test}, "holdout": {yes: Test},
		"train": {yes: Train, no: Valid}, "training": {yes: Train, no: Valid},
	}
)

// A column is one column of a table and what it is used for.
type column struct {
	facts
	number int // from 0
	role   role
	detail string
	why    string // for roleIgnore, if it is worth saying
	asked  bool   // declared by the user
}

// title names a column in messages.
func (c *column) title() string {
	if c.name == "" {
		return strconv.Itoa(c.number + 1)
	}
	return strconv.Quote(c.name)
}

// in names a column in the summary.
func (c *column) in() string { return "column " + c.title() }

// key names a column in a declaration.
func (c *column) key() string {
	if c.name == "" || strings.ContainsAny(c.name, ",=\"\n") {
		return strconv.Itoa(c.number + 1)
	}
	return c.name
}

func keys(cols []*column) []string {
	all := make([]string, len(cols))
	for i, c := range cols {
		all[i] = c.key()
	}
	return all
}

func titles(cols []*column) string {
	all := make([]string, len(cols))
	for i, c := range cols {
		all[i] = c.title()
	}
	return strings.Join(all, ", ")
}

// csvColumns says how the lines of a CSV file are read.
type csvColumns struct {
	task     Task
	path     int
	split    splitRule
	group    int   // the column of the groups; -1 = none
	label    []int // the columns of the labels
	cut      labelCut
	byFolder bool // the folders of the pictures are the labels
	hot      bool // the names of the columns are the labels, and their cells say yes or no
	// Of the task Values, and of labels that are names of columns.
	values []int
	names  []string

	header bool
	cols   []*column
	said   []string // how the columns were understood, for the summary
}

// understand gives each column its role: the declared one, or one inferred from its cells and its
// name. It returns the lines below the header.
func understand(g grid, pictures *finder, declared string) (*csvColumns, grid, error) {
	told, err := parseColumns(declared)
	if err != nil {
		return nil, g, err
	}
	if len(g.rows) == 0 {
		return nil, g, mark(errCSV, advice.New(errors.New("datasets: the CSV file is empty"), "want rows path,label[,split]"))
	}
	if n := len(g.rows[0]); n < 2 && pictures == nil {
		return nil, g, csvErr(g.lines[0], advice.New(fmt.Errorf("%d column(s), want path,label or path,label,split", n), "with other columns the first line must name them: %s", headers))
	}
	if n := len(g.rows[0]); n > maxColumns {
		return nil, g, csvErr(g.lines[0], fmt.Errorf("%d columns, want at most %d", n, maxColumns))
	}
	c := &csvColumns{task: Classes}
	if err := c.findPath(g, pictures, told); err != nil {
		return nil, g, csvErr(g.lines[0], err)
	}
	first := g.lines[0]
	var names []string
	if c.header {
		names = g.rows[0]
		g.rows, g.lines = g.rows[1:], g.lines[1:]
		if len(g.rows) == 0 {
			return nil, g, mark(errCSV, advice.New(errors.New("datasets: the CSV file has a header but no rows"), "want rows path,label[,split]"))
		}
	}
	for i := range g.rows[0] {
		name := ""
		if names != nil {
			name = names[i]
		}
		c.cols = append(c.cols, &column{facts: factsOf(g.rows, i, name), number: i})
	}
	c.cols[c.path].role = rolePath
	if err := c.declare(told); err != nil {
		return nil, g, csvErr(first, err)
	}
	if err := c.understandSplit(); err != nil {
		return nil, g, csvErr(first, err)
	}
	if err := c.understandGroup(); err != nil {
		return nil, g, csvErr(first, err)
	}
	c.passOver()
	if err := c.understandTask(g); err != nil {
		return nil, g, csvErr(first, err)
	}
	return c, g, nil
}

// findPath decides which column names the pictures and whether the first line is a header.
func (c *csvColumns) findPath(g grid, pictures *finder, told []declaration) error {
	head := g.rows[0]
	named, chosen := false, -1
	for _, d := range told {
		i := columnNamed(head, d.column)
		if i >= 0 {
			named = true
		} else if n, err := strconv.Atoi(d.column); err == nil && n >= 1 && n <= len(head) {
			i = n - 1
		}
		if d.role == rolePath {
			if chosen = i; i < 0 {
				return noColumn(d.column, head)
			}
		}
	}
	if chosen < 0 {
		var err error
		if chosen, err = pictureColumn(head, g.rows, pictures, told); err != nil {
			return err
		}
	}
	c.path = chosen
	c.header = named || isHeader(g, chosen, pictures)
	return nil
}

// columnNamed returns the column with a name; -1 if there is none.
func columnNamed(head []string, name string) int {
	if i := slices.Index(head, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(head, func(h string) bool { return strings.EqualFold(h, name) })
}

func noColumn(name string, head []string) error {
	return advice.New(fmt.Errorf("there is no column %q", name), "the columns are %s; or give the number, from 1", quoted(head))
}

// pictureColumn returns the column whose cells name pictures: files that exist or have the
// extension of a picture, or else names or numbers of pictures below the folder. The header only
// breaks ties, and decides if there are no pictures.
func pictureColumn(head []string, rows [][]string, pictures *finder, told []declaration) (int, error) {
	taken := map[int]bool{}
	for _, d := range told {
		taken[columnNamed(head, d.column)] = true
	}
	rows = sampled(rows, 200)
	for pass, finds := range []func(string) bool{
		func(cell string) bool { return looksPicture(cell) || pictures.exists(cell) || outside(cell) },
		pictures.known,
		pictures.numbered,
	} {
		var found []int
		most := 0
		for i := range head {
			n := 0
			cells := map[string]bool{}
			for _, rec := range rows {
				if finds(rec[i]) {
					n++
				}
				cells[rec[i]] = true
			}
			// A label 1 does not mean picture 1: a column of pictures differs in most rows.
			same := pass > 0 && 2*len(cells) < len(rows) && !pictureWords.has(head[i], indexWords)
			if taken[i] || n == 0 || 2*n < len(rows) || same {
				continue
			}
			if n > most {
				found, most = found[:0], n
			}
			if n == most {
				found = append(found, i)
			}
		}
		found = prefer(found, func(i int) bool { return pictureWords.has(head[i], indexWords) })
		if len(found) > 1 {
			found = mostDistinct(found, rows)
		}
		if len(found) > 1 {
			return 0, advice.New(fmt.Errorf("the columns %q and %q both name pictures", head[found[0]], head[found[1]]), "choose one: %s", columnFlag([]string{head[found[0]]}, rolePath))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	for i, h := range head {
		some := pictures == nil || len(rows) == 1 || slices.ContainsFunc(rows, func(rec []string) bool { return pictures.numbered(rec[i]) })
		if pictureWords.has(h, indexWords) && !taken[i] && some {
			return i, nil
		}
	}
	shown := rows[len(rows)-1]
	return 0, advice.New(fmt.Errorf("no column names pictures below the folder of the table; one of its rows is %s", quoted(shown)), "move the table to the folder of the pictures or one above it; if a column does name them, declare it: --column NAME=path; the usual headers are %s", headers)
}

// mostDistinct returns the columns with the most distinct cells. Labels may look like names of
// pictures, but they recur.
func mostDistinct(columns []int, rows [][]string) []int {
	var best []int
	most := 0
	for _, i := range columns {
		cells := map[string]bool{}
		for _, rec := range rows {
			cells[rec[i]] = true
		}
		if len(cells) > most {
			best, most = nil, len(cells)
		}
		if len(cells) == most {
			best = append(best, i)
		}
	}
	return best
}

// sampled returns at most n rows, evenly spread.
func sampled(rows [][]string, n int) [][]string {
	if len(rows) <= n {
		return rows
	}
	out := make([][]string, n)
	for i := range out {
		out[i] = rows[i*len(rows)/n]
	}
	return out
}

// prefer returns the columns that meet a condition, or all of them if none does.
func prefer[T any](found []T, good func(T) bool) []T {
	var better []T
	for _, i := range found {
		if good(i) {
			better = append(better, i)
		}
	}
	if better == nil {
		return found
	}
	return better
}

// isHeader reports whether the first line names the columns: its path cell names no picture, and
// its other cells do not look like values of their columns.
func isHeader(g grid, path int, pictures *finder) bool {
	head := g.rows[0]
	switch {
	case looksPicture(head[path]) || pictures.exists(head[path]) || outside(head[path]):
		return false
	case pictureWords.has(head[path], indexWords):
		return true
	case pictures.known(head[path]):
		return false
	}
	for i := range head {
		if i == path || len(g.rows) < 3 {
			continue
		}
		f := factsOf(g.rows[1:], i, head[i])
		if f.distinct[head[i]] > 0 && 2*len(f.distinct) <= f.n {
			return false
		}
		if _, err := strconv.ParseFloat(head[i], 64); err == nil && f.numbers && !f.boolean {
			return false
		}
	}
	return true
}

// declare applies what the user says about the columns.
func (c *csvColumns) declare(told []declaration) error {
	head := make([]string, len(c.cols))
	for i, col := range c.cols {
		head[i] = col.name
	}
	for _, d := range told {
		i := columnNamed(head, d.column)
		if n, err := strconv.Atoi(d.column); i < 0 && err == nil && n >= 1 && n <= len(c.cols) {
			i = n - 1
		}
		if i < 0 {
			return noColumn(d.column, head)
		}
		col := c.cols[i]
		if col.asked && col.role != d.role || col.role == rolePath && d.role != rolePath {
			return fmt.Errorf("the column %s is declared as %s, but also used as %s", col.title(), d.role, col.role)
		}
		col.role, col.detail, col.asked = d.role, d.detail, true
	}
	return nil
}

// understandGroup finds the column that is declared to name groups.
func (c *csvColumns) understandGroup() error {
	c.group = -1
	named := c.of(roleGroup)
	if len(named) > 1 {
		return advice.New(fmt.Errorf("the columns %s are both declared to name groups", titles(named)), "leave one out: %s", columnFlag(keys(named[1:]), roleIgnore))
	}
	if len(named) == 1 {
		c.group = named[0].number
		c.said = append(c.said, "groups in "+named[0].in())
	}
	return nil
}

// of returns the columns with a role.
func (c *csvColumns) of(r role) []*column {
	var found []*column
	for _, col := range c.cols {
		if col.role == r {
			found = append(found, col)
		}
	}
	return found
}

// ignore marks a column as not used.
func (c *column) ignore(why string) { c.role, c.why = roleIgnore, why }

// passOver ignores columns that say nothing about the picture: empty ones, row numbers, and the
// bookkeeping of annotation tools.
func (c *csvColumns) passOver() {
	for _, col := range c.of("") {
		switch {
		case len(col.distinct) == 0 && !learnable(col):
			col.ignore("it is empty")
		case col.name == "" && col.counting(), col.unique() && indexWords.has(col.name, besideIndex):
			col.ignore("it numbers the rows")
		case bookkeeping[strings.Join(nameWords(col.name), " ")]:
			col.ignore("kept by the annotation tool")
		}
	}
}
