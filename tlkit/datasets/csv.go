package datasets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
)

// A csvTable is a parsed CSV file whose pictures have not been looked at.
type csvTable struct {
	task   Task
	names  []string // of the values, and of labels that are names of columns
	header bool
	rows   []csvRow
	bare   []csvRow // rows without a label, or without one of the values
	found  found
}

// A csvRow is one line of a CSV file.
type csvRow struct {
	line   int
	file   string // as written
	rel    string // slash path of the picture below the folder
	label  string
	labels []string  // of the task Labels: sorted, each once
	values []float64 // of the task Values
	split  Split     // "" when there is no such column
	group  string    // "" when there is no such column, or nothing in it
}

// said returns what a row says about its picture, in words.
func (t csvTable) said(r csvRow) string { return kindOf(t.task).said(t, r) }

func csvErr(line int, err error) error {
	return mark(errCSV, fmt.Errorf("datasets: CSV line %d: %w", line, err))
}

// errBare is returned for a row that says nothing about its picture.
var errBare = errors.New("no label")

// parseCSV reads a table. With a nil finder it does not look for the pictures. See [Open] for the
// accepted forms.
func parseCSV(text []byte, pictures *finder, declared string) (csvTable, *csvColumns, error) {
	var t csvTable
	g, err := parseGrid(text)
	if err != nil {
		return t, nil, err
	}
	c, g, err := understand(g, pictures, declared)
	if err != nil {
		return t, nil, err
	}
	c.said = slices.Insert(c.said, 0, g.words(c.header))
	t.task, t.names, t.header = c.task, c.names, c.header
	for i, rec := range g.rows {
		if missing(rec[c.path]) {
			return t, nil, csvErr(g.lines[i], errors.New("no path"))
		}
	}
	if pictures != nil {
		if t.found, err = pictures.resolve(g, c.path); err != nil {
			return t, nil, err
		}
	}
	for i, rec := range g.rows {
		row := csvRow{line: g.lines[i], file: rec[c.path], rel: rec[c.path]}
		if pictures != nil {
			row.rel = t.found.rels[i]
		}
		switch err := kindOf(c.task).read(c, rec, &row); {
		case errors.Is(err, errBare):
			t.bare = append(t.bare, row)
			continue
		case err != nil:
			return t, nil, csvErr(row.line, err)
		}
		if row.split, err = c.split.of(rec); err != nil {
			return t, nil, csvErr(row.line, err)
		}
		if c.group >= 0 && !missing(rec[c.group]) {
			row.group = rec[c.group]
		}
		t.rows = append(t.rows, row)
	}
	if c.byFolder && !severalFolders(t.rows) {
		return t, nil, csvErr(g.lines[0], advice.New(errors.New("no column says what to learn, and the pictures are not in a folder for each label"), "want a header such as %s", headers))
	}
	if len(t.rows) == 0 {
		return t, nil, mark(errCSV, advice.New(errors.New("datasets: the column to learn is empty on every line"), "fill it in, or declare another column: --column NAME=label"))
	}
	return t, c, nil
}

// severalFolders reports whether the rows have different labels.
func severalFolders(rows []csvRow) bool {
	return slices.ContainsFunc(rows, func(r csvRow) bool { return r.label != rows[0].label })
}

// words describes the form of the file.
func (g grid) words(header bool) string {
	text := fmt.Sprintf("%d rows, separated by %s", len(g.rows), map[rune]string{',': "commas", ';': "semicolons", '\t': "tabs", '|': "bars", ' ': "spaces"}[g.sep])
	if g.utf16 {
		text += " in UTF-16"
	}
	if !header {
		text += ", no header"
	}
	return text
}

// readCSV reads a CSV file. Its pictures are below its folder.
func readCSV(ctx context.Context, file string, declared string) (*Dataset, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	text, err := readText(abs, file)
	if err != nil {
		return nil, err
	}
	pictures := &finder{ctx: ctx, tree: tree{filepath.Dir(abs)}, table: strings.ToLower(filepath.Base(abs))}
	table, columns, err := parseCSV(text, pictures, declared)
	if pictures.err != nil {
		err = pictures.err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs)), Root: filepath.Dir(abs), Task: table.task}
	if err := d.takeRows(ctx, table, columns); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d.Report.Table = filepath.Base(abs) + ": " + strings.Join(columns.said, "; ")
	return d, nil
}

// readText reads a file of bounded size.
func readText(abs, file string) ([]byte, error) {
	f, err := os.Open(abs)
	if err != nil {
		return nil, fmt.Errorf("datasets: opening the CSV file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCSV+1))
	if err != nil {
		return nil, fmt.Errorf("datasets: reading the CSV file: %w", err)
	}
	if len(text) > maxCSV {
		return nil, mark(errCSV, advice.New(fmt.Errorf("datasets: the CSV file %s has more than %d bytes", file, maxCSV), "is it a list of pictures?"))
	}
	return text, nil
}

// takeRows makes items of the rows whose pictures can be read.
func (d *Dataset) takeRows(ctx context.Context, table csvTable, columns *csvColumns) error {
	kept, err := d.distinctRows(table, columns.united())
	if err != nil {
		return err
	}
	rels := make([]string, len(kept))
	for i, row := range kept {
		rels[i] = row.rel
	}
	findings, err := inspectAll(ctx, tree{d.Root}, rels)
	if err != nil {
		return err
	}
	var shown []csvRow
	for i, row := range kept {
		if findings[i].kind == picture {
			shown = append(shown, row)
		}
	}
	if d.Labels, err = kindOf(d.Task).names(d, table, shown); err != nil {
		return err
	}
	class := map[string]int{}
	for i, l := range d.Labels {
		class[l] = i
	}
	d.warnOfSpellings()
	d.grouped = columns.group >= 0
	folders := []Split(nil)
	if !columns.split.given() {
		folders = splitsOfFolders(rels)
	}
	gone := 0
	for i, row := range kept {
		f := findings[i]
		if f.kind != picture {
			// The table says that it is a picture, whatever its name is.
			d.Report.Unreadable = append(d.Report.Unreadable, Bad{row.rel, fmt.Sprintf("line %d: %s", row.line, f.why)})
			if f.absent {
				gone++
			}
			continue
		}
		item := Item{Path: filepath.Join(d.Root, filepath.FromSlash(row.rel)), Rel: row.rel, Class: Unlabelled, Split: row.split, Group: row.group, SHA256: f.sum}
		if folders != nil {
			item.Split = folders[i]
		}
		kindOf(d.Task).fill(&item, row, class)
		d.Items = append(d.Items, item)
	}
	slices.SortFunc(d.Items, func(a, b Item) int { return strings.Compare(a.Rel, b.Rel) })
	d.sayRows(table, columns, rowCounts{gone: gone, repeated: len(table.rows) - len(kept), united: columns.united(), folders: folders != nil})
	return nil
}

// warnOfSpellings warns of labels that differ only in case. They remain separate labels.
func (d *Dataset) warnOfSpellings() {
	first := map[string]string{}
	for _, l := range d.Labels {
		if other, twice := first[folded(l)]; twice {
			d.warn("the labels %q and %q differ only in upper and lower case, and are learnt as two", other, l)
			continue
		}
		first[folded(l)] = l
	}
}

// united reports whether a picture may have one row per label. The column has to be declared as
// labels for that.
func (c *csvColumns) united() bool {
	return c.task == Labels && slices.ContainsFunc(c.of(roleLabels), func(col *column) bool { return col.asked })
}

// distinctRows returns one row per picture. If rows are united, it has the labels of all rows of
// the picture. Otherwise it is the first row, and rows that contradict it are an error.
func (d *Dataset) distinctRows(table csvTable, united bool) ([]csvRow, error) {
	var kept []csvRow
	first := map[string]int{}
	for _, row := range table.rows {
		i, twice := first[row.rel]
		if !twice {
			first[row.rel] = len(kept)
			kept = append(kept, row)
			continue
		}
		old := kept[i]
		if old.group != row.group {
			return nil, csvErr(row.line, advice.New(fmt.Errorf("%q is in the group %q on line %d and in %q here", row.file, old.group, old.line, row.group), "a picture has one group: correct one of the lines"))
		}
		if united && old.split == row.split {
			all := slices.Concat(old.labels, row.labels)
			slices.Sort(all)
			kept[i].labels = slices.Compact(all)
			continue
		}
		if was, is := table.said(old), table.said(row); was != is || old.split != row.split {
			return nil, csvErr(row.line, advice.New(fmt.Errorf("%q is listed on line %d as %s %s and here as %s %s",
				row.file, old.line, was, old.split, is, row.split), "keep one, or, if a picture has a row for each of its labels, declare their column: --column NAME=labels"))
		}
		d.Report.Skipped = append(d.Report.Skipped, Bad{row.rel, fmt.Sprintf("listed again on line %d", row.line)})
	}
	return kept, nil
}

// rowCounts counts the rows that did not become a picture of their own, and says how splits were
// found.
type rowCounts struct {
	gone     int // pictures that are not there
	repeated int
	united   bool // the repeated rows add labels
	folders  bool // the folders of the pictures name the splits
}

// sayRows completes the summary of how the table was read.
func (d *Dataset) sayRows(table csvTable, columns *csvColumns, n rowCounts) {
	said := fmt.Sprintf("pictures in %s", columns.cols[columns.path].in())
	if table.found.moved > 0 {
		said += table.found.words(len(columns.cols[columns.path].distinct))
	}
	columns.said = slices.Insert(columns.said, 1, said)
	if n.folders {
		columns.said = append(columns.said, "split by the folders of the pictures")
	}
	var ignored []string
	for _, col := range columns.of(roleIgnore) {
		if col.name == "" && len(col.distinct) == 0 {
			continue
		}
		text := col.in()
		if col.why != "" {
			text += " (" + col.why + ")"
		}
		ignored = append(ignored, text)
	}
	if ignored != nil {
		columns.said = append(columns.said, "ignored "+strings.Join(ignored, ", "))
	}
	for _, part := range []struct {
		n    int
		what string
	}{
		{n.repeated, map[bool]string{true: "add labels to a picture above", false: "listed again, left out"}[n.united]},
		{len(table.bare), "without a label, left out"},
		{n.gone, "whose picture is missing, left out"},
	} {
		if part.n > 0 {
			columns.said = append(columns.said, fmt.Sprintf("%d row(s) %s", part.n, part.what))
		}
	}
	for _, row := range table.bare {
		d.Report.Skipped = append(d.Report.Skipped, Bad{row.rel, fmt.Sprintf("line %d: no label", row.line)})
	}
}

// words says how pictures that are not at the path in the table were found.
func (f found) words(n int) string {
	text := fmt.Sprintf(" (%s found", map[bool]string{true: "all", false: fmt.Sprint(f.moved)}[f.moved >= n])
	if len(f.changes) == 1 {
		for ch := range f.changes {
			if ch.folder != "" {
				text += " in " + words.Printable(ch.folder) + "/"
			}
			if ch.ending != "" {
				text += " as " + words.Printable(ch.ending)
			}
		}
	}
	return text + fmt.Sprintf(": %s is %s)", words.Printable(shorten(f.example[0])), words.Printable(f.example[1]))
}
