package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/export"
)

// unsure is the folder, and the word, for pictures without a label.
const unsure = "unsure"

// sorter puts links to pictures into a folder for each label.
type sorter struct {
	dir  string
	last map[string]int // by path of a link, the number that its name got last
}

// newSorter returns a sorter for a folder, which must not be among the folders of the pictures: the links would be
// predicted next time.
func newSorter(dir string, args []string) (*sorter, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			continue
		}
		folder, err := filepath.Abs(arg)
		if err != nil {
			return nil, fmt.Errorf("predict: %w", err)
		}
		if rel, err := filepath.Rel(folder, abs); err == nil && filepath.IsLocal(rel) {
			return nil, advice.New(fmt.Errorf("predict: --sort-into %s lies in %s, whose pictures are sorted", dir, arg), "name a folder outside of it")
		}
	}
	return &sorter{dir: abs, last: map[string]int{}}, nil
}

// place links a picture into the folders of its labels; one that is unlike the training pictures, where
// those without a label go.
func (s *sorter) place(p export.Prediction) error {
	labels := p.Labels
	if p.Label != "" {
		labels = []string{p.Label}
	}
	if len(labels) == 0 || p.Unlike() {
		labels = []string{unsure}
	}
	target, err := filepath.Abs(p.Path)
	if err != nil {
		return fmt.Errorf("predict: %w", err)
	}
	for _, l := range labels {
		folder := filepath.Join(s.dir, folderOf(l))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("predict: %w", err)
		}
		if err := s.link(target, filepath.Join(folder, filepath.Base(target))); err != nil {
			return err
		}
	}
	return nil
}

// link makes a link to target, with a number in its name if another file has the name already.
func (s *sorter) link(target, name string) error {
	ext := filepath.Ext(name)
	for n := s.last[name] + 1; ; n++ {
		numbered := name
		if n > 1 {
			numbered = strings.TrimSuffix(name, ext) + "-" + strconv.Itoa(n) + ext
		}
		err := os.Symlink(target, numbered)
		if errors.Is(err, fs.ErrExist) {
			if to, e := os.Readlink(numbered); e != nil || to != target {
				continue
			}
			err = nil // it was sorted before
		}
		if err != nil {
			return advice.New(fmt.Errorf("predict: %w", err), "name a folder on a disk that can hold symbolic links")
		}
		s.last[name] = n
		return nil
	}
}

// folderOf returns a label as the name of a folder. It escapes what file systems do not take, and the
// sign of the escape, so that different labels have different names.
func folderOf(label string) string {
	var b strings.Builder
	for i, r := range label {
		if r < ' ' || r == '.' && i == 0 || strings.ContainsRune(`/\:*?"<>|%`, r) {
			fmt.Fprintf(&b, "%%%02X", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
