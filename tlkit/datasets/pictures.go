package datasets

import (
	"context"
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
