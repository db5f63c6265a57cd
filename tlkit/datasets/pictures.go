package datasets

import (
	"context"
	"path/filepath"
	"strings"
)

// Pictures returns the paths of all files named like pictures in a folder and the folders below it,
// in order, without labels or splits. Like [Open], it follows links and ignores files that systems
// and editors leave behind. It does not open the files.
func Pictures(ctx context.Context, dir string) ([]string, error) {
	l, err := walk(ctx, dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rel := range l.files {
		if pictureNames[strings.ToLower(filepath.Ext(rel))] {
			out = append(out, filepath.Join(dir, filepath.FromSlash(rel)))
		}
	}
	return out, nil
}
