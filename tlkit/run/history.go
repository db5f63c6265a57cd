package run

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// historyFile is the name of the history in a run's folder. Further seeds have one each.
const historyFile = "history.jsonl"

// Stored returns the run that a name stands for: that of the name, of a folder, or of a file in the
// folder. The run need not be finished; its Result is nil until it is. It is an error if there is no
// such run, or one without a history.
func (p Place) Stored(name string) (*Stored, error) {
	path, err := p.runFolder(name)
	if err != nil {
		return nil, err
	}
	r, err := (&folder{path: path}).result()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, advice.New(fmt.Errorf("run: %s: result.json cannot be read: %w", path, err), "%s", retrain)
	}
	return &Stored{Folder: path, Result: r}, nil
}

// Histories reads the histories of the run so far, the first seed's first, and the time at which the
// last point was written. The name of each run says its seed if there are several.
func (s *Stored) Histories() (runs []curves.Run, end time.Time, err error) {
	files, err := historyFiles(s.Folder)
	if err != nil {
		return nil, end, err
	}
	for _, file := range files {
		run, err := curves.ReadFile(file.path)
		if err != nil {
			return nil, end, fmt.Errorf("run: %w", err)
		}
		info, err := os.Stat(file.path)
		if err != nil {
			return nil, end, fmt.Errorf("run: %w", err)
		}
		if file.seed > 0 {
			run.Name += fmt.Sprintf(", seed %d", file.seed)
		}
		if info.ModTime().After(end) {
			end = info.ModTime()
		}
		runs = append(runs, run)
	}
	return runs, end, nil
}

// runFolder returns the folder of a run that has a history.
func (p Place) runFolder(name string) (string, error) {
	places := []string{name, filepath.Dir(name)}
	if filepath.Base(name) == name {
		places = []string{filepath.Join(p.Folder, Home, name), name}
	}
	for _, dir := range places {
		if isFile(filepath.Join(dir, historyFile)) {
			return dir, nil
		}
	}
	paths, _ := filepath.Glob(filepath.Join(p.Folder, Home, "*", historyFile)) // only a bad pattern is an error
	var runs []string
	for _, path := range paths {
		runs = append(runs, filepath.Base(filepath.Dir(path)))
	}
	fix := "train one first: tlkit train DIR --name NAME"
	if len(runs) > 0 {
		fix = words.DidYouMean(name, runs) + "the runs here are " + words.Some(runs)
	}
	_, err := os.Stat(places[0])
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("run: %w", err)
	}
	return "", advice.New(fmt.Errorf("run: %s is not a run with a history", name), "%s", fix)
}

type seedFile struct {
	path string
	seed uint64 // 0 = the only one
}

var furtherSeed = regexp.MustCompile(`^history\.seed(\d+)\.jsonl$`)

// historyFiles lists the histories in a run's folder, in the order of their seeds.
func historyFiles(folder string) ([]seedFile, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	out := []seedFile{{path: filepath.Join(folder, historyFile)}}
	for _, e := range entries {
		if m := furtherSeed.FindStringSubmatch(e.Name()); m != nil {
			seed, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				continue // no seed is that large, so it is not a file of ours
			}
			out = append(out, seedFile{filepath.Join(folder, e.Name()), seed})
		}
	}
	slices.SortStableFunc(out, func(a, b seedFile) int { return cmp.Compare(a.seed, b.seed) })
	if len(out) > 1 { // seeds follow each other
		out[0].seed = out[1].seed - 1
	}
	return out, nil
}

// WriteCSV writes the points of all histories into one table at path; see [curves.Run.WriteCSV]. It is
// an error if path is another file than such a table, unless Force.
func (s *Stored) WriteCSV(path string) error {
	runs, _, err := s.Histories()
	if err != nil {
		return err
	}
	err = atomicfile.Replaceable(path, "a history of tlkit", s.Force, func() bool { return isHistory(path) })
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = atomicfile.Write(path, 0o644, func(w io.Writer) error { return runs[0].WriteCSV(w, runs[1:]...) })
	}
	if err != nil {
		return fmt.Errorf("run: cannot write the history: %w", err)
	}
	return nil
}

// isHistory reports whether a file begins as WriteCSV makes it.
func isHistory(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var header bytes.Buffer
	if err := (curves.Run{}).WriteCSV(&header); err != nil {
		return false
	}
	start := make([]byte, header.Len())
	_, err = io.ReadFull(f, start)
	return err == nil && bytes.Equal(start, header.Bytes())
}

// WriteTensorBoard writes event files into dir; see [curves.Run.WriteTensorBoard]. With several
// seeds, each has a folder of its own: dir/run1, dir/run2, and so on. It is an error if a file in the
// way is not of TensorBoard, unless Force.
func (s *Stored) WriteTensorBoard(dir string) error {
	runs, end, err := s.Histories()
	if err != nil {
		return err
	}
	for i, r := range runs {
		to := dir
		if len(runs) > 1 {
			to = filepath.Join(dir, fmt.Sprintf("run%d", i+1))
		}
		if err := r.WriteTensorBoard(to, end, s.Force); err != nil {
			return err
		}
	}
	return nil
}
