package parts

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/picturefile"
)

// stdin is the source of paths on standard input.
const stdin = "-"

// rootOf returns the folder that the paths of a source are below.
func rootOf(source string) (string, error) {
	dir := source
	if source == stdin {
		dir = "."
	} else if info, err := os.Stat(source); err != nil {
		return "", advice.New(fmt.Errorf("parts: %w", err), "name a folder of pictures, a CSV file, or - for paths on standard input")
	} else if !info.IsDir() {
		dir = filepath.Dir(source)
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("parts: %w", err)
	}
	return root, nil
}

// List calls add for the pictures of a source, without reading them and without holding them:
//
//   - a folder: train/LABEL/PICTURE, or LABEL/PICTURE; a picture that is in no folder has no label;
//   - a CSV file with the columns path and, as far as known, label and split;
//   - "-": a path on each line of standard input, in the folders LABEL or SPLIT/LABEL or in none.
//
// Paths are below the folder, the folder of the CSV file, or the current one. A folder of up to 100,000
// files is listed in the order of their names, a larger one as the file system gives them.
func List(ctx context.Context, source string, add func(Picture) error) error {
	if source == stdin {
		return fromLines(ctx, os.Stdin, add)
	}
	info, err := os.Stat(source)
	if err != nil {
		return advice.New(fmt.Errorf("parts: %w", err), "name a folder of pictures, a CSV file, or - for paths on standard input")
	}
	if info.IsDir() {
		return folder{root: source, add: add}.list(ctx, "", nil)
	}
	return fromCSV(ctx, source, add)
}

// sorted is the number of files in a folder up to which their names are sorted.
const sorted = 100_000

// folder is a folder that is listed.
type folder struct {
	root string
	add  func(Picture) error
}

// list lists the pictures of a folder below root, files first. above are the folders that it is in.
func (f folder) list(ctx context.Context, below string, above []os.FileInfo) error {
	path := filepath.Join(f.root, filepath.FromSlash(below))
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	if slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, info) }) {
		return nil // a link to a folder that this one is in
	}
	folders, err := f.files(ctx, path, below)
	if err != nil {
		return err
	}
	slices.Sort(folders)
	for _, name := range folders {
		if err := f.list(ctx, join(below, name), append(above, info)); err != nil {
			return err
		}
	}
	return nil
}

// files adds the pictures of one folder, and returns the names of the folders in it.
func (f folder) files(ctx context.Context, path, below string) (folders []string, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	defer dir.Close()
	var names []string
	for large := false; ; {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			switch name := e.Name(); {
			case picturefile.Debris(name) != "":
			case isFolder(filepath.Join(path, name), e):
				folders = append(folders, name)
			case picturefile.Extensions[strings.ToLower(filepath.Ext(name))]:
				names = append(names, name)
			}
		}
		end := errors.Is(err, io.EOF)
		if err == nil || end {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("parts: %w", err)
		}
		if large = large || len(names) > sorted; large || end {
			slices.Sort(names)
			for _, name := range names {
				if err := f.add(located(join(below, name))); err != nil {
					return nil, err
				}
			}
			names = names[:0]
		}
		if end {
			return folders, nil
		}
	}
}

func join(below, name string) string {
	if below == "" {
		return name
	}
	return below + "/" + name
}

// isFolder follows a link to a folder.
func isFolder(path string, e os.DirEntry) bool {
	if e.Type()&os.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// located reads label and split from a path.
func located(path string) Picture {
	p := Picture{Path: path}
	folders := strings.Split(path, "/")
	folders = folders[:len(folders)-1]
	if len(folders) > 0 {
		if split, ok := data.SplitNamed(folders[0]); ok {
			p.Split, folders = split, folders[1:]
		}
	}
	if len(folders) > 0 {
		p.Label = folders[0]
	}
	return p
}

// fromLines lists the paths on the lines of r.
func fromLines(ctx context.Context, r io.Reader, add func(Picture) error) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := strings.TrimRight(lines.Text(), "\r")
		if path == "" {
			continue
		}
		clean := filepath.ToSlash(filepath.Clean(path))
		if !filepath.IsLocal(filepath.FromSlash(clean)) {
			return advice.New(fmt.Errorf("parts: line %d: %q is not below the current folder", n, path), "change into the folder of the pictures, and list paths below it")
		}
		if err := add(located(clean)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("parts: standard input: %w", err)
	}
	return nil
}

// fromCSV lists the rows of a CSV file.
func fromCSV(ctx context.Context, path string, add func(Picture) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	defer f.Close()
	rows := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return fmt.Errorf("parts: %s: %w", path, err)
	}
	at := map[string]int{}
	for i, name := range head {
		at[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	where, ok := at["path"]
	if !ok {
		return advice.New(fmt.Errorf("parts: %s has the columns %q, want path and, if known, label and split", path, head), "rename the columns")
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("parts: %s: %w", path, err)
		}
		line, _ := rows.FieldPos(where)
		p := Picture{Path: filepath.ToSlash(filepath.Clean(strings.Clone(row[where])))}
		if !filepath.IsLocal(filepath.FromSlash(p.Path)) || p.Path == "." {
			return advice.New(fmt.Errorf("parts: line %d of %s: the path %q is not below the folder of the file", line, path, row[where]), "write paths below it")
		}
		if i, ok := at["label"]; ok {
			p.Label = strings.Clone(row[i])
		}
		if i, ok := at["split"]; ok && row[i] != "" {
			if p.Split, ok = data.SplitNamed(row[i]); !ok {
				return advice.New(fmt.Errorf("parts: line %d of %s: no split %q", line, path, row[i]), "write train, valid or test")
			}
		}
		if err := add(p); err != nil {
			return err
		}
	}
}
