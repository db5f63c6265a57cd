package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// replaceableFolder returns an error unless files of these names can be written into dir. ours reports
// whether a file that exists is one of such an export.
func replaceableFolder(dir string, names []string, force bool, ours func(path string) bool) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("export: %w", err)
	case !info.IsDir():
		return advice.New(fmt.Errorf("export: %s is not a folder", dir), "name a folder that does not exist yet")
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := atomicfile.Replaceable(path, "of such an export", force, func() bool { return ours(path) }); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

// writeTogether writes files into a folder, and removes those of names that are not among them. The last
// one is there only while all are.
func writeTogether(dir string, names []string, files map[string][]byte) (err error) {
	info, err := os.Stat(dir)
	exists := err == nil && info.IsDir()
	parent := dir
	if !exists {
		parent = filepath.Dir(filepath.Clean(dir))
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	temporary, err := os.MkdirTemp(parent, ".tlkit-export-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	made := filepath.Join(temporary, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	for name := range files {
		if err := atomicfile.WriteBytes(filepath.Join(made, name), files[name], 0o644); err != nil {
			return err
		}
	}
	if !exists {
		if err := os.Rename(made, filepath.Clean(dir)); err != nil {
			return err
		}
		return atomicfile.SyncDir(parent)
	}
	if err := os.Remove(filepath.Join(dir, names[len(names)-1])); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if files[name] == nil {
			err = os.Remove(path)
		} else {
			err = os.Rename(filepath.Join(made, name), path)
		}
		if err != nil && (files[name] != nil || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return atomicfile.SyncDir(dir)
}
