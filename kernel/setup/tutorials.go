package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/kernel/kernelspec"
)

// Tutorials returns the folder with the notebooks of the tlkit that cells compile against: in the
// checkout, or in Go's module cache for a release.
func Tutorials(ctx context.Context, m kernelspec.Module) (string, error) {
	dir := m.Root
	if dir == "" {
		env := append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := output(ctx, os.TempDir(), env, "go", "mod", "download", "-json", kernelspec.ModulePath+"@"+m.Version)
		if err != nil {
			return "", fmt.Errorf("setup: no tutorials of %s: %w", m, err)
		}
		var found struct{ Dir string }
		if err := json.Unmarshal([]byte(out), &found); err != nil || found.Dir == "" {
			return "", fmt.Errorf("setup: no tutorials of %s: go says %.200s", m, out)
		}
		dir = found.Dir
	}
	dir = filepath.Join(dir, "notebooks")
	if names, _ := filepath.Glob(filepath.Join(dir, "*.ipynb")); len(names) == 0 {
		return "", fmt.Errorf("setup: %s has no tutorials in %s", m, dir)
	}
	return dir, nil
}

// CopyTutorials copies the notebooks of a folder to another one, which it creates. A notebook that
// is there already may hold the user's work and is kept. It returns all their names and how many it
// copied.
func CopyTutorials(from, to string) (names []string, copied int, err error) {
	paths, err := filepath.Glob(filepath.Join(from, "*.ipynb"))
	if err != nil {
		return nil, 0, fmt.Errorf("setup: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, 0, fmt.Errorf("setup: %w", err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		names = append(names, name)
		if _, err := os.Lstat(filepath.Join(to, name)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = atomicfile.WriteBytes(filepath.Join(to, name), text, 0o644)
		}
		if err != nil {
			return nil, copied, fmt.Errorf("setup: %w", err)
		}
		copied++
	}
	return names, copied, nil
}
