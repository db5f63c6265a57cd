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

	"github.com/tlkit/transfer-learning/data"
)

// Limits on a CSV file: far above what anybody labels by hand, low enough that
// a wrong file cannot fill the memory.
const (
	maxCSV  = 256 << 20
	maxRows = 5_000_000
)

// A csvRow is one line of a CSV file, checked for form but not against disk.
type csvRow struct {
	line  int
	file  string // slash path as written
	label string
	split string // "train", "valid", "test"; "" when there is no such column
}

// Names a header may give to the columns.
var csvColumns = map[string]string{
	"path": "path", "file": "path", "filename": "path", "file_name": "path", "image": "path", "picture": "path", "image_path": "path",
	"label": "label", "labels": "label", "class": "label", "class_name": "label", "category": "label", "target": "label",
	"split": "split", "set": "split", "subset": "split",
}

func csvErr(line int, format string, args ...any) error {
	return mark(ErrCSV, "datasets: CSV line %d: %s", line, fmt.Sprintf(format, args...))
}

// parseCSV reads path,label[,split]. A header is optional: it is one when it
// names a path column and a label column, and then columns may come in any
// order, with others between them. Commas, semicolons or tabs separate.
func parseCSV(text []byte) ([]csvRow, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, mark(ErrCSV, "datasets: the CSV file is not UTF-8 text; save it as CSV UTF-8")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, mark(ErrCSV, "datasets: the CSV file has a zero byte at %d: it is no text", i)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = separator(text)
	r.FieldsPerRecord = -1 // counted below, with a message that says which columns are meant
	r.ReuseRecord = true

	columns := map[string]int{"path": 0, "label": 1, "split": 2}
	fields, header := 0, false
	var rows []csvRow
	for first := true; ; first = false {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var pe *csv.ParseError
		if errors.As(err, &pe) {
			return nil, csvErr(pe.Line, "%v", pe.Err)
		} else if err != nil {
			return nil, fmt.Errorf("datasets: CSV: %w", err)
		}
		line, _ := r.FieldPos(0)
		if first {
			fields = len(rec)
			if found := headerOf(rec); found != nil {
				columns, header = found, true
				continue
			}
			if fields != 2 && fields != 3 {
				return nil, csvErr(line, "%d column(s), want path,label or path,label,split; with other columns the first line must name path and label", fields)
			}
		}
		if len(rec) != fields {
			return nil, csvErr(line, "%d field(s), want %d as in the first line; quote fields that hold the separator", len(rec), fields)
		}
		if len(rows) == maxRows {
			return nil, csvErr(line, "more than %d rows", maxRows)
		}
		row := csvRow{line: line, file: strings.Clone(rec[columns["path"]]), label: strings.TrimSpace(strings.Clone(rec[columns["label"]]))}
		switch {
		case row.file == "":
			return nil, csvErr(line, "no path")
		case row.label == "":
			return nil, csvErr(line, "no label for %q", row.file)
		}
		if c, ok := columns["split"]; ok && c < fields {
			s, ok := data.SplitNamed(strings.TrimSpace(rec[c]))
			if !ok {
				return nil, csvErr(line, "split %q, want train, valid or test", rec[c])
			}
			row.split = s
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		what := "it is empty"
		if header {
			what = "it has a header and no rows"
		}
		return nil, mark(ErrCSV, "datasets: the CSV file names no pictures, %s; want rows path,label[,split]", what)
	}
	return rows, nil
}

// headerOf returns the columns a header names, or nil when rec is no header.
func headerOf(rec []string) map[string]int {
	found := map[string]int{}
	for i, cell := range rec {
		if what, ok := csvColumns[strings.ToLower(strings.TrimSpace(cell))]; ok {
			if _, twice := found[what]; !twice {
				found[what] = i
			}
		}
	}
	_, hasPath := found["path"]
	_, hasLabel := found["label"]
	if !hasPath || !hasLabel {
		return nil
	}
	return found
}

// separator guesses what parts the fields from the first line: a comma if it
// has one, else a semicolon (as spreadsheets write where the comma is decimal)
// or a tab.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for _, sep := range []byte{',', ';', '\t'} {
		if bytes.IndexByte(line, sep) >= 0 {
			return rune(sep)
		}
	}
	return ','
}

// readCSV reads a CSV file; its paths are relative to the folder it lies in
// and may not leave it.
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
		return nil, mark(ErrCSV, "datasets: the CSV file %s has more than %d bytes; is it a list of pictures?", file, maxCSV)
	}
	rows, err := parseCSV(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	root, err := os.OpenRoot(filepath.Dir(abs))
	if err != nil {
		return nil, fmt.Errorf("datasets: opening the folder of %s: %w", file, err)
	}
	defer root.Close()

	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs)), Root: filepath.Dir(abs)}
	var rels []string
	var kept []csvRow
	first := map[string]csvRow{}
	for _, row := range rows {
		rel, err := localPath(root, row.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, csvErr(row.line, "%v", err))
		}
		if old, twice := first[rel]; twice {
			if old.label != row.label || old.split != row.split {
				return nil, fmt.Errorf("%s: %w", file, csvErr(row.line, "%q is listed on line %d as %s %s and here as %s %s; keep one",
					row.file, old.line, old.label, old.split, row.label, row.split))
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
	classes := map[string]int{}
	for i, row := range kept {
		if findings[i].kind == picture {
			classes[row.label] = 0
		}
	}
	d.Labels = sortedKeys(classes)
	for i, l := range d.Labels {
		classes[l] = i
	}
	for i, row := range kept {
		if f := findings[i]; f.kind != picture {
			// Somebody wrote it down as a picture, whatever it is called.
			d.Report.Unreadable = append(d.Report.Unreadable, Bad{rels[i], fmt.Sprintf("line %d: %s", row.line, f.why)})
			continue
		}
		d.Items = append(d.Items, Item{
			Path: filepath.Join(d.Root, filepath.FromSlash(rels[i])), Rel: rels[i],
			Class: classes[row.label], Split: row.split, SHA256: findings[i].sum,
		})
	}
	slices.SortFunc(d.Items, func(a, b Item) int { return strings.Compare(a.Rel, b.Rel) })
	return d, nil
}

// localPath cleans a path of a CSV file. Backslashes are taken for separators
// when no file of that very name exists: the list may come from Windows.
func localPath(root *os.Root, name string) (string, error) {
	if strings.Contains(name, `\`) {
		if _, err := root.Lstat(name); err != nil {
			name = strings.ReplaceAll(name, `\`, "/")
		}
	}
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) || path.IsAbs(name) || len(name) > 1 && name[1] == ':' {
		return "", fmt.Errorf("path %q leaves the folder of the CSV file; put the CSV file above the pictures and write paths from there", name)
	}
	return path.Clean(name), nil
}
