package episodes

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"
)

// A table is a parquet file of the set, opened for reading.
type table struct {
	name string
	file *os.File
	pq   *parquet.File
}

// Limits of a parquet file: what it says of itself is compared with what it weighs, since a page of
// zeros or a run of equal values packs by any factor.
const (
	mostChunk = 1 << 30 // bytes of a column of a row group, unpacked
	mostPacks = 2_000   // times that a row group may grow, beyond slack
	slack     = 64 << 20
)

// openTable opens and checks a parquet file. It must be closed.
func openTable(root *os.Root, name string) (t *table, err error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil { // parquet-go, on damaged files
			t, err = nil, fmt.Errorf("%s: damaged: %v", name, r)
		}
		if err != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	pq, err := parquet.OpenFile(f, st.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t = &table{name, f, pq}
	return t, t.check(st.Size())
}

func (t *table) Close() { t.file.Close() }

// check refuses a file that claims more than it can hold.
func (t *table) check(size int64) error {
	if n := t.pq.NumRows(); n < 0 || n > mostFrames {
		return fmt.Errorf("%s: %d rows, want at most %d", t.name, n, mostFrames)
	}
	var rows int64
	for _, g := range t.pq.Metadata().RowGroups {
		rows += g.NumRows
		var all int64
		for _, c := range g.Columns {
			m := c.MetaData
			if m.NumValues < 0 || m.NumValues > mostFrames || m.TotalUncompressedSize < 0 || m.TotalUncompressedSize > mostChunk {
				return fmt.Errorf("%s: a column claims %d values in %d bytes", t.name, m.NumValues, m.TotalUncompressedSize)
			}
			all += m.TotalUncompressedSize
		}
		if g.NumRows < 0 || all > slack+mostPacks*size {
			return fmt.Errorf("%s: %d bytes claim to unpack to %d", t.name, size, all)
		}
	}
	if rows != t.pq.NumRows() {
		return fmt.Errorf("%s: the row groups have %d rows, the file says %d", t.name, rows, t.pq.NumRows())
	}
	return nil
}

// column finds a leaf by its path; for lists, and where only the first part is given, the only leaf
// below it.
func (t *table) column(path ...string) (int, bool) {
	found, many := -1, false
	for i, p := range t.pq.Schema().Columns() {
		if len(p) < len(path) {
			continue
		}
		match := true
		for k := range path {
			match = match && p[k] == path[k]
		}
		if match {
			many = found >= 0
			found = i
		}
	}
	return found, found >= 0 && !many
}

// rows yields the values of one column, row by row, from a row on. The slice is good until the next.
func (t *table) rows(column int, from int64) iter.Seq2[[]parquet.Value, error] {
	return func(yield func([]parquet.Value, error) bool) {
		err := t.scan(column, from, func(row []parquet.Value) bool { return yield(row, nil) })
		if err != nil {
			yield(nil, fmt.Errorf("%s, column %s: %w", t.name, t.pq.Schema().Columns()[column][0], err))
		}
	}
}

// scan calls each with the values of every row until it returns false.
func (t *table) scan(column int, from int64, each func([]parquet.Value) bool) (err error) {
	defer func() {
		if r := recover(); r != nil { // parquet-go, on damaged files
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	for _, g := range t.pq.RowGroups() {
		if n := g.NumRows(); from >= n {
			from -= n
			continue
		}
		more, err := scanGroup(g.ColumnChunks()[column], from, g.NumRows()-from, each)
		if err != nil || !more {
			return err
		}
		from = 0
	}
	return nil
}

// scanGroup scans a row group from a row on; it reports whether each wants more.
func scanGroup(c parquet.ColumnChunk, from, count int64, each func([]parquet.Value) bool) (more bool, err error) {
	pages := c.Pages()
	defer pages.Close()
	if from > 0 {
		if err := pages.SeekToRow(from); err != nil {
			return false, err
		}
	}
	var row []parquet.Value
	buf := make([]parquet.Value, 512)
	give := func() bool {
		if count--; count < 0 {
			err = errors.New("more rows than it says")
			return false
		}
		ok := each(row)
		row = row[:0]
		return ok
	}
	for {
		page, err2 := pages.ReadPage()
		if err2 == io.EOF {
			break
		}
		if err2 != nil {
			return false, err2
		}
		values := page.Values()
		for {
			n, err3 := values.ReadValues(buf)
			for _, v := range buf[:n] {
				if v.RepetitionLevel() == 0 && len(row) > 0 && !give() {
					parquet.Release(page)
					return false, err
				}
				if row = append(row, v.Clone()); len(row) > 16*mostNumbers {
					parquet.Release(page)
					return false, fmt.Errorf("a list of more than %d values", len(row)-1)
				}
			}
			if err3 == io.EOF || (err3 == nil && n == 0) {
				break
			}
			if err3 != nil {
				parquet.Release(page)
				return false, err3
			}
		}
		parquet.Release(page)
	}
	if len(row) > 0 && !give() {
		return false, err
	}
	if count > 0 {
		return false, fmt.Errorf("%d rows fewer than it says", count)
	}
	return true, nil
}

// numbers reads n rows of a list of dims numbers (or of single numbers), as 32-bit floats.
func (t *table) numbers(name string, from, n int64, dims int) ([][]float32, error) {
	column, ok := t.column(name)
	if !ok {
		return nil, fmt.Errorf("%s: no column %s", t.name, name)
	}
	var all [][]float32
	for row, err := range t.rows(column, from) {
		if err != nil {
			return nil, err
		}
		out := make([]float32, 0, len(row))
		for _, v := range row {
			if f, ok := float(v); ok {
				out = append(out, f)
			}
		}
		if len(out) != dims {
			return nil, fmt.Errorf("%s: row %d of %s has %d numbers, want %d", t.name, from+int64(len(all)), name, len(out), dims)
		}
		if all = append(all, out); int64(len(all)) == n {
			break
		}
	}
	if int64(len(all)) != n {
		return nil, fmt.Errorf("%s: %d rows of %s, want %d", t.name, len(all), name, n)
	}
	return all, nil
}

func float(v parquet.Value) (float32, bool) {
	if v.IsNull() {
		return 0, false
	}
	switch v.Kind() {
	case parquet.Float:
		return v.Float(), true
	case parquet.Double:
		return float32(v.Double()), true
	case parquet.Int32:
		return float32(v.Int32()), true
	case parquet.Int64:
		return float32(v.Int64()), true
	case parquet.Boolean:
		if v.Boolean() {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// ints reads a column of whole numbers, from a row on; n < 0 = all that follow.
func (t *table) ints(name string, from, n int64) ([]int64, error) {
	column, ok := t.column(name)
	if !ok {
		return nil, fmt.Errorf("%s: no column %s", t.name, name)
	}
	var all []int64
	for row, err := range t.rows(column, from) {
		if err != nil {
			return nil, err
		}
		v := row[0]
		switch {
		case len(row) == 1 && !v.IsNull() && v.Kind() == parquet.Int64:
			all = append(all, v.Int64())
		case len(row) == 1 && !v.IsNull() && v.Kind() == parquet.Int32:
			all = append(all, int64(v.Int32()))
		default:
			return nil, fmt.Errorf("%s: row %d of %s is not a whole number", t.name, from+int64(len(all)), name)
		}
		if int64(len(all)) == n {
			break
		}
	}
	return all, nil
}

// texts reads a column of strings, each with those of its row.
func (t *table) texts(column int) (all [][]string, err error) {
	for row, err := range t.rows(column, 0) {
		if err != nil {
			return nil, err
		}
		var out []string
		for _, v := range row {
			if !v.IsNull() && (v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray) {
				out = append(out, string(v.ByteArray()))
			}
		}
		all = append(all, out)
	}
	return all, nil
}
