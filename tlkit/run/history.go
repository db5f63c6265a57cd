package run

import (
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

// Histories are the histories of a run.
type Histories struct {
	Folder string       // of the run
	Runs   []curves.Run // one for each seed, the first seed first
	End    time.Time    // when the last point was written
	Done   bool         // the run is finished; if false, it may still be going on
}

// Histories reads the histories of a run, given by its name, its folder or a file in that folder.
// The run need not be finished. It is an error if there is no such run.
func (p Place) Histories(name string) (*Histories, error) {
	folder, err := p.runFolder(name)
	if err != nil {
		return nil, err
	}
	files, err := historyFiles(folder)
	if err != nil {
		return nil, err
	}
	out := &Histories{Folder: folder, Done: isFile(filepath.Join(folder, "result.json"))}
	for _, file := range files {
		run, err := curves.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
		info, err := os.Stat(file.path)
		if err != nil {
			return nil, fmt.Errorf("run: %w", err)
		}
		if file.seed > 0 {
			run.Name += fmt.Sprintf(", seed %d", file.seed)
		}
		if info.ModTime().After(out.End) {
			out.End = info.ModTime()
		}
		out.Runs = append(out.Runs, run)
	}
	return out, nil
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

// WriteCSV writes all points into one table at path; see [curves.Run.WriteCSV].
func (h *Histories) WriteCSV(path string) error {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = atomicfile.Write(path, 0o644, func(w io.Writer) error { return h.Runs[0].WriteCSV(w, h.Runs[1:]...) })
	}
	if err != nil {
		return fmt.Errorf("run: cannot write the history: %w", err)
	}
	return nil
}

// WriteTensorBoard writes event files into dir; see [curves.Run.WriteTensorBoard]. With several
// seeds, each has a folder of its own: dir/run1, dir/run2, and so on.
func (h *Histories) WriteTensorBoard(dir string) error {
	for i, r := range h.Runs {
		to := dir
		if len(h.Runs) > 1 {
			to = filepath.Join(dir, fmt.Sprintf("run%d", i+1))
		}
		if err := r.WriteTensorBoard(to, h.End); err != nil {
			return err
		}
	}
	return nil
}
