package datasets

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Limits on a CSV file: far above what is labelled by hand, and low enough that a wrong file
// cannot fill the memory.
const (
	maxCSV   = 256 << 20
	maxRows  = 5_000_000
	maxCells = 40_000_000
)

// A grid is the cells of a CSV file, before it is known what they mean. Every row has as many
// cells as the first.
type grid struct {
	sep   rune
	utf16 bool // as Excel's "Unicode text" is
	rows  [][]string
	lines []int // the line of the file that each row begins on
}

// wideOrder returns the byte order of UTF-16 text, from its byte order mark or from the zero bytes
// of its Latin letters. It returns nil for other text.
func wideOrder(text []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		return binary.LittleEndian
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		return binary.BigEndian
	}
	head := text[:min(len(text), 512)&^1]
	zeros := [2]int{}
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case zeros[1]*4 > len(head) && zeros[0] == 0:
		return binary.LittleEndian
	case zeros[0]*4 > len(head) && zeros[1] == 0:
		return binary.BigEndian
	}
	return nil
}

// plainText returns the text as UTF-8 with lines that end in \n, without a byte order mark.
func plainText(text []byte) (plain []byte, wide bool, err error) {
	if order := wideOrder(text); order != nil {
		units := make([]uint16, 0, len(text)/2)
		for i := 0; i+1 < len(text); i += 2 {
			units = append(units, order.Uint16(text[i:]))
		}
		text, wide = []byte(string(utf16.Decode(units))), true
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, wide, mark(errCSV, advice.New(errors.New("datasets: the CSV file is not UTF-8 text"), "save it as CSV UTF-8"))
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, wide, mark(errCSV, fmt.Errorf("datasets: the CSV file has a zero byte at %d: it is not text", i))
	}
	if bytes.IndexByte(text, '\n') < 0 {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n")) // classic Mac OS
	}
	return text, wide, nil
}

// parseGrid reads the cells of a CSV file. The separator is a comma, a semicolon, a tab, a bar or,
// in lists of names and labels, a space: the one that gives all lines the same number of cells.
func parseGrid(text []byte) (grid, error) {
	text, wide, err := plainText(text)
	if err != nil {
		return grid{}, err
	}
	g := grid{utf16: wide}
	text, before := g.preamble(text)
	if g.sep == 0 {
		g.sep = separator(text)
	}
	if err := g.read(text, before, false); err != nil {
		// A quote inside of an unquoted cell stands for itself, as in a "big" dog.
		if !errors.Is(err, csv.ErrBareQuote) {
			return g, err
		}
		if err := g.read(text, before, true); err != nil {
			return g, err
		}
	}
	return g, g.align()
}

// preamble cuts off what may precede a table, Excel's "sep=;" and comments, and returns the number
// of lines it cut.
func (g *grid) preamble(text []byte) (rest []byte, lines int) {
	line, rest, more := bytes.Cut(text, []byte("\n"))
	word := strings.Trim(strings.TrimSpace(string(line)), `"`)
	if sep, ok := strings.CutPrefix(strings.ToLower(word), "sep="); ok && more {
		if r, size := utf8.DecodeRuneInString(sep); size == len(sep) && size > 0 && strings.ContainsRune(",;\t|", r) {
			g.sep = r
			return rest, 1
		}
	}
	for more && bytes.HasPrefix(line, []byte("#")) {
		next, _, _ := bytes.Cut(rest, []byte("\n"))
		sep := separator(rest)
		if n := fieldsOf(line, sep); n > 1 && n == fieldsOf(next, sep) { // a header
			return text[1:], lines
		}
		text, lines = rest, lines+1
		line, rest, more = bytes.Cut(text, []byte("\n"))
	}
	return text, lines
}

func fieldsOf(line []byte, sep rune) int {
	rec, _ := csvReader(line, sep, true).Read()
	return len(rec)
}

func csvReader(text []byte, sep rune, lazy bool) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.LazyQuotes = sep, lazy
	r.FieldsPerRecord = -1 // align counts them, with a better message
	return r
}

func (g *grid) read(text []byte, before int, lazy bool) error {
	g.rows, g.lines = nil, nil
	cells := 0
	for r := csvReader(text, g.sep, lazy); ; {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var pe *csv.ParseError
		if errors.As(err, &pe) {
			return csvErr(before+pe.Line, pe.Err)
		} else if err != nil {
			return fmt.Errorf("datasets: CSV: %w", err)
		}
		line, _ := r.FieldPos(0)
		line += before
		empty := true
		for i, cell := range rec {
			rec[i] = strings.TrimSpace(cell)
			empty = empty && rec[i] == ""
		}
		if empty { // Excel keeps the separators of deleted lines
			continue
		}
		cells += len(rec)
		switch {
		case len(g.rows) == maxRows:
			return csvErr(line, fmt.Errorf("more than %d rows", maxRows))
		case cells > maxCells:
			return csvErr(line, fmt.Errorf("more than %d cells", maxCells))
		}
		g.rows = append(g.rows, rec)
		g.lines = append(g.lines, line)
	}
}

// align gives all rows the same number of cells, or returns an error that names the first one that
// differs.
func (g *grid) align() error {
	if len(g.rows) == 0 {
		return nil
	}
	n, most, fewest := len(g.rows[0]), 0, 1<<30
	for _, rec := range g.rows[1:] {
		most, fewest = max(most, len(rec)), min(fewest, len(rec))
	}
	switch {
	case n > 1 && most == n+1 && fewest == n+1 && !looksPicture(g.rows[0][0]):
		// R writes no name above the column of row names.
		g.rows[0] = append([]string{""}, g.rows[0]...)
		n++
	case g.importFile() && max(most, n) > min(fewest, n):
		n = max(most, n) // each line has as many labels as it needs
		for i, rec := range g.rows {
			g.rows[i] = append(rec, make([]string, n-len(rec))...)
		}
	}
	for i, rec := range g.rows {
		for len(rec) > n && rec[len(rec)-1] == "" { // separators at the ends of lines
			rec = rec[:len(rec)-1]
		}
		if len(rec) != n {
			return csvErr(g.lines[i], advice.New(fmt.Errorf("%d field(s), want %d as in the first line", len(rec), n), "quote fields that hold the separator"))
		}
		g.rows[i] = rec
	}
	return nil
}

// importFile reports whether the lines are those that Vertex AI and AutoML import: without a
// header, the split (or nothing) first, then the picture, then its labels.
func (g *grid) importFile() bool {
	first := g.rows[0]
	if len(first) > 1 && looksPicture(first[1]) {
		_, ok := splitWord(first[0])
		return ok
	}
	return strings.HasPrefix(first[0], "gs://")
}

// separator returns the separator that gives the lines the same number of cells, at least two, and
// preferably a column of pictures.
func separator(text []byte) rune {
	best, bestScore := ',', 0
	for _, sep := range []rune{',', ';', '\t', '|', ' '} {
		if score := sameWidth(text, sep); score > bestScore {
			best, bestScore = sep, score
		}
	}
	return best
}

// sameWidth scores a separator by the first lines.
func sameWidth(text []byte, sep rune) int {
	const sample = 200
	r := csvReader(text, sep, true)
	var first, width, n int
	equal := true
	pictures := map[int]int{}
	for ; n < sample; n++ {
		rec, err := r.Read()
		if err != nil {
			break
		}
		switch n {
		case 0:
			first, width = len(rec), len(rec)
		case 1:
			width = len(rec)
		}
		equal = equal && (len(rec) == width || len(rec) == first)
		for i, cell := range rec {
			if looksPicture(strings.TrimSpace(cell)) {
				pictures[i]++
			}
		}
	}
	most := 0
	for _, p := range pictures {
		most = max(most, p)
	}
	score := 0
	switch {
	case first < 2:
		return 0
	case equal && (width == first || width == first+1):
		score = 4
	default:
		score = 2
	}
	if 2*most >= n {
		score++
	} else if sep == ' ' {
		return 0
	}
	if sep == ' ' && score < 5 {
		return 0
	}
	return score
}

// looksPicture reports whether a cell ends in the extension of a picture.
func looksPicture(cell string) bool {
	cell, _, _ = strings.Cut(cell, "?")
	return pictureNames[strings.ToLower(path.Ext(cell))]
}
