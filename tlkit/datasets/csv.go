package datasets

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Limits on a CSV file: far above what is labelled by hand, and low enough that a wrong file
// cannot fill the memory.
const (
	maxCSV  = 256 << 20
	maxRows = 5_000_000
)

// A csvTable is a parsed CSV file whose paths have not been checked.
type csvTable struct {
	task   Task
	names  []string // of the values
	header bool
	rows   []csvRow
}

// A csvRow is one line of a CSV file.
type csvRow struct {
	line   int
	file   string // slash path as written
	label  string
	labels []string  // of the task Labels: sorted, each once
	values []float64 // of the task Values
	split  Split     // "" when there is no such column
}

// said returns what a row says about its picture, in words.
func (t csvTable) said(r csvRow) string { return t.task.kind().said(t, r) }

func csvErr(line int, err error) error {
	return mark(errCSV, fmt.Errorf("datasets: CSV line %d: %w", line, err))
}

// parseCSV reads lines path,label[,split] without a header, or with one that names a column
// path; then the columns may have any order. The header says what is to be learnt:
//
//	path,label    one label for each picture; other columns are ignored
//	path,labels   any number of labels, as in a;b
//	path,x,y      no column of labels: every other column is a number to learn
//
// The separator is a comma, a semicolon or a tab.
func parseCSV(text []byte) (csvTable, error) {
	var t csvTable
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return t, mark(errCSV, advice.New(errors.New("datasets: the CSV file is not UTF-8 text"), "save it as CSV UTF-8"))
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return t, mark(errCSV, fmt.Errorf("datasets: the CSV file has a zero byte at %d: it is not text", i))
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = separator(text)
	r.FieldsPerRecord = -1 // counted below, with a message that says which columns are meant
	r.ReuseRecord = true

	columns := csvColumns{task: Classes, path: 0, label: 1, split: 2}
	fields := 0
	for first := true; ; first = false {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var pe *csv.ParseError
		if errors.As(err, &pe) {
			return t, csvErr(pe.Line, pe.Err)
		} else if err != nil {
			return t, fmt.Errorf("datasets: CSV: %w", err)
		}
		line, _ := r.FieldPos(0)
		if first {
			fields = len(rec)
			found, err := headerOf(rec)
			if err != nil {
				return t, csvErr(line, err)
			}
			if found != nil {
				columns, t.header = *found, true
				continue
			}
			if fields != 2 && fields != 3 {
				return t, csvErr(line, advice.New(fmt.Errorf("%d column(s), want path,label or path,label,split", fields), "with other columns the first line must name them: %s", headers))
			}
			if fields == 2 {
				columns.split = -1
			}
		}
		if len(rec) != fields {
			return t, csvErr(line, advice.New(fmt.Errorf("%d field(s), want %d as in the first line", len(rec), fields), "quote fields that hold the separator"))
		}
		if len(t.rows) == maxRows {
			return t, csvErr(line, fmt.Errorf("more than %d rows", maxRows))
		}
		row, err := columns.row(rec)
		if err != nil {
			return t, csvErr(line, err)
		}
		row.line = line
		t.rows = append(t.rows, row)
	}
	if len(t.rows) == 0 {
		what := "it is empty"
		if t.header {
			what = "it has a header and no rows"
		}
		return t, mark(errCSV, advice.New(fmt.Errorf("datasets: the CSV file names no pictures, %s", what), "want rows path,label[,split]"))
	}
	t.task, t.names = columns.task, columns.names
	return t, nil
}

// separator guesses the separator from the first line: a comma if it has one, else a semicolon
// (as spreadsheets write where the comma is the decimal separator) or a tab.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for _, sep := range []byte{',', ';', '\t'} {
		if bytes.IndexByte(line, sep) >= 0 {
			return rune(sep)
		}
	}
	return ','
}

// readCSV reads a CSV file. Its paths are relative to its folder and may not leave it.
func readCSV(ctx context.Context, file string) (*Dataset, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
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
	table, err := parseCSV(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	root, err := os.OpenRoot(filepath.Dir(abs))
	if err != nil {
		return nil, fmt.Errorf("datasets: opening the folder of %s: %w", file, err)
	}
	defer root.Close()

	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs)), Root: filepath.Dir(abs), Task: table.task}
	var rels []string
	var kept []csvRow
	first := map[string]csvRow{}
	for _, row := range table.rows {
		rel, err := localPath(root, row.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, csvErr(row.line, err))
		}
		if old, twice := first[rel]; twice {
			if was, is := table.said(old), table.said(row); was != is || old.split != row.split {
				return nil, fmt.Errorf("%s: %w", file, csvErr(row.line, advice.New(fmt.Errorf("%q is listed on line %d as %s %s and here as %s %s",
					row.file, old.line, was, old.split, is, row.split), "keep one")))
			}
			d.Report.Skipped = append(d.Report.Skipped, Bad{rel, fmt.Sprintf("listed again on line %d", row.line)})
			continue
		}
		first[rel] = row
		rels = append(rels, rel)
		kept = append(kept, row)
	}
	findings, err := inspectAll(ctx, root, rels)
	if err != nil {
		return nil, err
	}
	readable := func(i int) bool { return findings[i].kind == picture }
	var shown []csvRow
	for i, row := range kept {
		if readable(i) {
			shown = append(shown, row)
		}
	}
	if d.Labels, err = d.Task.kind().names(d, table, shown); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	class := map[string]int{}
	for i, l := range d.Labels {
		class[l] = i
	}
	for i, row := range kept {
		if f := findings[i]; !readable(i) {
			// The file says that it is a picture, whatever its name is.
			why := fmt.Sprintf("line %d: %s", row.line, f.why)
			if row.line == 1 && !table.header {
				why += "; if this line is meant as a header, it must name a column path: " + headers
			}
			d.Report.Unreadable = append(d.Report.Unreadable, Bad{rels[i], why})
			continue
		}
		item := Item{Path: filepath.Join(d.Root, filepath.FromSlash(rels[i])), Rel: rels[i], Class: Unlabelled, Split: row.split, SHA256: findings[i].sum}
		d.Task.kind().fill(&item, row, class)
		d.Items = append(d.Items, item)
	}
	slices.SortFunc(d.Items, func(a, b Item) int { return strings.Compare(a.Rel, b.Rel) })
	return d, nil
}

// localPath cleans a path of a CSV file. If no file with exactly this name exists, backslashes
// are separators: the list may come from Windows.
func localPath(root *os.Root, name string) (string, error) {
	if strings.Contains(name, `\`) {
		if _, err := root.Lstat(name); err != nil {
			name = strings.ReplaceAll(name, `\`, "/")
		}
	}
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) || path.IsAbs(name) || len(name) > 1 && name[1] == ':' {
		return "", advice.New(fmt.Errorf("path %q leaves the folder of the CSV file", name), "put the CSV file above the pictures and write paths from there")
	}
	return path.Clean(name), nil
}
