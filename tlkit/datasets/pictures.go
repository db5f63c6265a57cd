package datasets

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pictures returns the paths of all files named like pictures in a folder and the folders below it,
// in order, without labels or splits. Like [Open], it follows links and ignores files that systems
// and editors leave behind. It does not open the files: links that lead nowhere are among them.
func Pictures(ctx context.Context, dir string) ([]string, error) {
	l, err := walk(ctx, dir)
	if err != nil {
		return nil, err
	}
	files := l.files
	for _, b := range slices.Concat(l.broken, l.unnamed) {
		files = append(files, b.Rel)
	}
	slices.SortFunc(files, byComponents)
	var out []string
	for _, rel := range files {
		if pictureNames[strings.ToLower(filepath.Ext(rel))] {
			out = append(out, filepath.Join(dir, filepath.FromSlash(rel)))
		}
	}
	return out, nil
}

// Inspect reads the file at i.Path to its end, as [Open] does, without decoding it, and sets i.SHA256.
// The error says why the file is no picture, or cannot be read; it does not name it.
func (i *Item) Inspect() error {
	f := inspect(asNamed{}, i.Path)
	if f.kind != picture {
		return errors.New(f.why)
	}
	i.SHA256 = f.sum
	return nil
}

// asNamed opens files by the paths that a person gave.
type asNamed struct{}

func (asNamed) Name() string                          { return "files" }
func (asNamed) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (asNamed) Open(name string) (*os.File, error)    { return os.Open(name) }
