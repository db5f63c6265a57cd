package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// Stored is a run on disk.
type Stored struct {
	Folder string  // .tlkit/NAME
	Result *Result // nil if the run is not finished
	Force  bool    // WriteCSV and WriteTensorBoard replace files that are no histories
}

// History reads every step of the training from history.jsonl. An incomplete file of a finished run is
// an error: the curve of half a training would be misleading.
func (s *Stored) History() (curves.Run, error) {
	f := &folder{path: s.Folder}
	run, err := curves.ReadFile(f.file("history.jsonl"))
	if s.Result == nil {
		return run, err
	}
	if want := s.Result.Steps; err == nil && want > 0 && len(run.Points) != want {
		err = fmt.Errorf("run: %s has %d of its %d points", f.file("history.jsonl"), len(run.Points), want)
	}
	if err != nil {
		return run, advice.New(fmt.Errorf("%w; the head is not affected", err), "to get the curve, %s; features are kept", retrain)
	}
	return run, nil
}

// Head returns the path of the run's head file.
func (s *Stored) Head() string { return filepath.Join(s.Folder, "head.safetensors") }

// ErrNoRun reports that there is no finished run of a name. The errors of [Find] wrap it.
var ErrNoRun = errors.New("no finished run of that name")

// Find reads the finished run called name below the folder workDir; "" stands for the current one.
// The error wraps ErrNoRun if there is no such run.
func Find(workDir, name string) (*Stored, error) {
	f := &folder{path: filepath.Join(workDir, Home, name)}
	r, err := f.result()
	if errors.Is(err, os.ErrNotExist) {
		return nil, advice.New(fmt.Errorf("run: %s: %w", f.path, ErrNoRun), "train it first")
	}
	if err != nil {
		return nil, advice.New(fmt.Errorf("run: %s: result.json cannot be read: %w", f.path, err), "train again")
	}
	return &Stored{Folder: f.path, Result: r}, nil
}

// FirstOf returns the first data set of a list such as "hymenoptera|insects" that is available, and
// reports a sentence if it is not the first one of the list. A single name is returned as it is,
// without a check.
//
// If a run of the place's name has already learnt from one of them, FirstOf returns that one,
// whatever is available now, so that data that becomes available later does not change the run.
func FirstOf(ctx context.Context, names string, place Place, p Progress) (string, error) {
	all := strings.Split(names, "|")
	if taken := place.taken(all); taken != "" {
		if first := strings.TrimSpace(all[0]); taken != first {
			p.Say(fmt.Sprintf("%s continues with %s, which it has learnt from; to use %s, choose another name or set Retrain", place.Name, taken, first))
		}
		return taken, nil
	}
	offline := place.Offline
	var why error
	for i, name := range all {
		name = strings.TrimSpace(name)
		if len(all) == 1 {
			return name, nil
		}
		_, err := datasets.Open(ctx, name, datasets.Options{Offline: offline, Report: p.State})
		if err == nil {
			if i > 0 {
				p.Say(fmt.Sprintf("%s is not available here, so this uses %s (%v)", strings.TrimSpace(all[0]), name, firstLine(why)))
			}
			return name, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		why = errors.Join(why, err)
	}
	return "", why
}

// taken returns which of several data sets a run of the place's name has learnt from; "" if it has
// learnt from none of them, or if there is no choice.
func (p Place) taken(names []string) string {
	f := &folder{path: filepath.Join(p.Folder, Home, p.Name)}
	text, err := os.ReadFile(f.file("spec.json"))
	if err != nil || p.Name == "" || len(names) < 2 || f.bare() {
		return ""
	}
	var before Spec
	if json.Unmarshal(text, &before) != nil {
		return "" // reported when the run is opened
	}
	for _, n := range names {
		n = strings.TrimSpace(n)
		if n == before.Data {
			return n
		}
	}
	return ""
}

// firstLine is what went wrong first, without what to do about it.
func firstLine(err error) string {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) && len(several.Unwrap()) > 0 {
		err = several.Unwrap()[0]
	}
	why, _ := advice.Split(err)
	line, _, _ := strings.Cut(why, "\n")
	return line
}
