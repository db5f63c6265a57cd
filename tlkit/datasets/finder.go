package datasets

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
)

// A finder finds the pictures that a table names: at the path as written, or among the pictures
// below its folder if the table leaves out the folder or the extension, or was written on another
// machine.
type finder struct {
	ctx   context.Context
	tree  tree
	table string // base name of the table

	files  []string         // below the folder, once they are listed
	byName map[string][]int // base name in lower case -> files
	byStem map[string][]int // the same without the extension
	byNum  map[string][]int // stems of digits, without leading zeros
	listed bool
	err    error
}

// exists reports whether a file is where a cell says.
func (f *finder) exists(cell string) bool {
	_, ok := f.written(cell)
	return ok
}

// written returns the path, below the root, of the file that a cell names literally. If no file has
// exactly that name, backslashes are taken as separators, as on Windows.
func (f *finder) written(cell string) (string, bool) {
	if f == nil || cell == "" {
		return "", false
	}
	for _, name := range []string{cell, strings.ReplaceAll(cell, `\`, "/")} {
		if filepath.IsAbs(name) {
			rel, err := filepath.Rel(f.tree.dir, name)
			if err != nil {
				continue
			}
			name = filepath.ToSlash(rel)
		}
		local := filepath.FromSlash(name)
		if !filepath.IsLocal(local) {
			continue
		}
		if info, err := f.tree.Stat(local); err == nil && !info.IsDir() {
			return path.Clean(name), true
		}
	}
	return "", false
}

// known reports whether a picture below the folder has the name in the cell, with or without folder
// and extension.
func (f *finder) known(cell string) bool { return len(f.candidates(cell, false)) > 0 }

// numbered reports whether the name of a picture is the number in the cell, apart from leading
// zeros: spreadsheets turn 007 into 7.
func (f *finder) numbered(cell string) bool { return len(f.candidates(cell, true)) > 0 }

// list lists the files below the root, once.
func (f *finder) list() {
	if f.listed {
		return
	}
	f.listed = true
	l, err := walk(f.ctx, f.tree.dir)
	if err != nil {
		f.err = err
		return
	}
	f.byName, f.byStem, f.byNum = map[string][]int{}, map[string][]int{}, map[string][]int{}
	for _, rel := range l.files {
		if !looksPicture(rel) && path.Ext(rel) != "" {
			continue
		}
		i := len(f.files)
		f.files = append(f.files, rel)
		base := folded(path.Base(rel))
		stem := stemOf(base)
		f.byName[base] = append(f.byName[base], i)
		f.byStem[stem] = append(f.byStem[stem], i)
		if n, ok := numberOf(stem); ok {
			f.byNum[n] = append(f.byNum[n], i)
		}
	}
}

// folded normalizes a name for comparison: macOS writes é as e and an accent, other systems as one
// letter.
func folded(name string) string { return strings.ToLower(norm.NFC.String(name)) }

// stemOf removes the extension of a picture.
func stemOf(base string) string {
	if looksPicture(base) {
		return strings.TrimSuffix(base, path.Ext(base))
	}
	return base
}

func numberOf(stem string) (string, bool) {
	if stem == "" || strings.Trim(stem, "0123456789") != "" {
		return "", false
	}
	return strings.TrimLeft(stem, "0"), true
}

// plainCell turns a cell into a path: a URL into its path, a Windows path into one with slashes.
// The result is in lower case, for comparison.
func plainCell(cell string) string {
	name := strings.ReplaceAll(cell, `\`, "/")
	if scheme, rest, ok := strings.Cut(name, "://"); ok && !strings.Contains(scheme, "/") {
		_, name, _ = strings.Cut(rest, "/")
	}
	if before, query, ok := strings.Cut(name, "?"); ok {
		name = before
		if inside, ok := strings.CutPrefix(query, "d="); ok { // Label Studio's local files
			name = inside
		}
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	if len(name) > 1 && name[1] == ':' {
		name = name[2:]
	}
	return folded(strings.Trim(path.Clean("/"+name), "/"))
}

// candidates returns the files that a cell may mean: those with its name, or else those with its
// name and another extension. Of several, it returns those that share the most folders with the
// cell.
func (f *finder) candidates(cell string, byNumber bool) []int {
	if f == nil || cell == "" {
		return nil
	}
	f.list()
	name := plainCell(cell)
	base := path.Base(name)
	found := f.byName[base]
	if len(found) == 0 {
		found = f.byStem[stemOf(base)]
	}
	if n, ok := numberOf(stemOf(base)); ok && len(found) == 0 && byNumber {
		found = f.byNum[n]
	}
	if len(found) < 2 {
		return found
	}
	want := strings.Split(path.Dir(name), "/")
	most, best := 0, []int(nil)
	for _, i := range found {
		have := strings.Split(folded(path.Dir(f.files[i])), "/")
		n := 0
		for n < len(want) && n < len(have) && want[len(want)-1-n] == have[len(have)-1-n] {
			n++
		}
		if n > most {
			most, best = n, nil
		}
		if n == most {
			best = append(best, i)
		}
	}
	return best
}

// A change is the folder and extension that a cell lacks to be the path of its picture.
type change struct{ folder, ending string }

func (f *finder) changeOf(cell string, file int) change {
	rel := f.files[file]
	dir := path.Dir(rel)
	if below := path.Dir(plainCell(cell)); below != "." && strings.HasSuffix(strings.ToLower(dir), below) {
		dir = strings.TrimSuffix(dir[:len(dir)-len(below)], "/")
	}
	ch := change{folder: dir}
	if ch.folder == "." || ch.folder == "" {
		ch.folder = ""
	}
	if !strings.EqualFold(path.Ext(cell), path.Ext(rel)) {
		ch.ending = path.Ext(rel)
	}
	return ch
}

// found is where resolve found the pictures.
type found struct {
	rels    []string // by row; as written where there is no such file
	changes map[change]int
	example [2]string // a cell and where its picture is
	moved   int       // rows whose pictures are not where the cell says
}

// resolve returns the paths of the pictures that the rows name. The other cells of a row help to
// choose between pictures of the same name. The error names the line.
func (f *finder) resolve(g grid, column int) (found, error) {
	out := found{rels: make([]string, len(g.rows)), changes: map[change]int{}}
	var open []int
	for i, rec := range g.rows {
		rel, ok := f.written(rec[column])
		if ok {
			out.rels[i] = rel
			continue
		}
		if err := f.leaves(rec[column]); err != nil {
			return out, csvErr(g.lines[i], err)
		}
		open = append(open, i)
	}
	if len(open) == 0 {
		return out, nil
	}
	f.list()
	if f.err != nil {
		return out, f.err
	}
	may := make([][]int, len(open))
	votes := map[change]int{}
	for k, i := range open {
		may[k] = f.candidates(g.rows[i][column], true)
		if 2*len(open) < len(g.rows) {
			// The table says where its pictures are: one of the same name elsewhere is not meant.
			may[k] = slices.DeleteFunc(slices.Clone(may[k]), func(file int) bool { return f.changeOf(g.rows[i][column], file).folder != "" })
		}
		for _, file := range may[k] {
			votes[f.changeOf(g.rows[i][column], file)]++
		}
	}
	if len(votes) == 0 && len(open) == len(g.rows) {
		return out, csvErr(g.lines[0], advice.New(fmt.Errorf("none of the %d pictures, such as %q, is in %s, the folder of the table, or below", len(open), g.rows[0][column], f.tree.dir), "put the table into the folder above its pictures"))
	}
	for k, i := range open {
		rec := g.rows[i]
		cell := rec[column]
		if len(may[k]) == 0 {
			if outside(cell) {
				return out, csvErr(g.lines[i], leavesErr(cell))
			}
			out.rels[i] = path.Clean(strings.ReplaceAll(cell, `\`, "/"))
			continue
		}
		file, err := f.choose(rec, column, may[k], votes)
		if err != nil {
			return out, csvErr(g.lines[i], err)
		}
		out.rels[i] = f.files[file]
		out.changes[f.changeOf(cell, file)]++
		if out.moved++; out.moved == 1 {
			out.example = [2]string{cell, f.files[file]}
		}
	}
	return out, nil
}

// choose picks one of several pictures: the one in a folder that the row names, the one with the
// folder and extension that most rows agree on, or the one in a folder named like the table.
func (f *finder) choose(rec []string, column int, may []int, votes map[change]int) (int, error) {
	if len(may) == 1 {
		return may[0], nil
	}
	cell := rec[column]
	may = prefer(may, func(i int) bool {
		for folder := range strings.SplitSeq(path.Dir(f.files[i]), "/") {
			for k, other := range rec {
				if k != column && other != "" && strings.EqualFold(folder, other) {
					return true
				}
			}
		}
		return false
	})
	most := 0
	for _, i := range may {
		most = max(most, votes[f.changeOf(cell, i)])
	}
	may = prefer(may, func(i int) bool { return votes[f.changeOf(cell, i)] == most })
	may = prefer(may, func(i int) bool {
		top, _, _ := strings.Cut(f.files[i], "/")
		return slices.ContainsFunc(nameWords(top), func(w string) bool { return slices.Contains(nameWords(stemOf(f.table)), w) })
	})
	if len(may) > 1 {
		return 0, advice.New(fmt.Errorf("%q may be %s or %s", cell, words.Printable(f.files[may[0]]), words.Printable(f.files[may[1]])), "write the folder and the extension of each picture into the table, or move it into the folder of its pictures")
	}
	return may[0], nil
}

// outside reports whether a cell is an absolute path of any system, or a URL.
func outside(cell string) bool {
	cell = strings.ReplaceAll(cell, `\`, "/")
	return path.IsAbs(cell) || len(cell) > 2 && cell[1:3] == ":/" || strings.Contains(cell, "://")
}

// leaves is the error for a path to a file outside the table's folder.
func (f *finder) leaves(cell string) error {
	slash := strings.ReplaceAll(cell, `\`, "/")
	if !outside(cell) && !filepath.IsLocal(filepath.FromSlash(slash)) {
		return leavesErr(cell)
	}
	if filepath.IsAbs(cell) && !strings.HasPrefix(slash, "//") { // no requests to other machines
		if _, err := os.Lstat(cell); err == nil {
			return leavesErr(cell)
		}
	}
	return nil
}

func leavesErr(cell string) error {
	return advice.New(fmt.Errorf("path %q leaves the folder of the CSV file", cell), "put the CSV file above the pictures and write paths from there")
}
