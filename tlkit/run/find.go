package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// HeadPath returns the head file that a name stands for: the file itself, that of a run's folder,
// or that of the run of this name. The error says what the name is instead, such as a network, and
// which heads there are.
func (p Place) HeadPath(name string) (string, error) {
	info, err := os.Stat(name)
	if err == nil && info.Mode().IsRegular() {
		return name, nil
	}
	dirs := []string{name}
	if filepath.Base(name) == name {
		dirs = append(dirs, filepath.Join(p.Folder, Home, name))
	}
	for _, dir := range dirs {
		if file := filepath.Join(dir, headFile); isFile(file) {
			return file, nil
		}
	}
	if err == nil && isFile(filepath.Join(name, "spec.json")) {
		return "", advice.New(fmt.Errorf("run: %s is a run without a head: it was not finished", name), "train it again")
	}
	if row, unknown := zoo.Find(name); err != nil && unknown == nil {
		return "", advice.New(fmt.Errorf("run: %s is a network, not a trained head", row.Name), "train a head on it first: tlkit train DIR --model %s%s", row.Name, p.headsHere(""))
	}
	if err == nil {
		return "", advice.New(fmt.Errorf("run: %s is a folder without a head (%s)", name, headFile), "name the head first, then the pictures%s", p.headsHere(""))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", advice.New(fmt.Errorf("run: there is no head file %s", name), "train one: tlkit train DIR%s", p.headsHere(name))
	}
	return "", fmt.Errorf("run: %w", err)
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// headsHere names the newest heads of a folder as the end of an advice, and the one that typed is
// most like.
func (p Place) headsHere(typed string) string {
	heads := p.Heads()
	if len(heads) == 0 {
		return ""
	}
	quoted := make([]string, 0, len(heads))
	byRun := map[string]string{}
	var names []string
	for _, h := range heads {
		quoted = append(quoted, invoke.Quote(h))
		for _, n := range []string{filepath.Base(h), filepath.Base(filepath.Dir(h))} {
			names = append(names, n)
			byRun[n] = h
		}
	}
	if near := words.Nearest(filepath.Base(typed), names); near != "" {
		return ", or did you mean " + invoke.Quote(byRun[near]) + "?"
	}
	return ", or name one of " + words.Some(quoted[:min(len(quoted), 3)])
}

// Heads returns the head files in the working folder and in its runs, the newest first.
func (p Place) Heads() []string {
	type found struct {
		path string
		age  int64
	}
	var all []found
	for _, pattern := range []string{filepath.Join(p.Folder, Home, "*", headFile), filepath.Join(p.Folder, "*.head.safetensors")} {
		paths, _ := filepath.Glob(pattern) // only a bad pattern is an error
		for _, file := range paths {
			if info, err := os.Stat(file); err == nil {
				all = append(all, found{file, info.ModTime().UnixNano()})
			}
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.path, b.path)) })
	out := make([]string, len(all))
	for i, f := range all {
		out[i] = f.path
	}
	return out
}

// readHead reads the head file that a name stands for.
func readHead(place Place, name string) (*export.Head, error) {
	file, err := place.HeadPath(name)
	if err != nil {
		return nil, err
	}
	return export.Read(file)
}
