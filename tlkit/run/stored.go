package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
)

// Stored is a finished run as it lies on disk.
type Stored struct {
	Folder string // .tlkit/NAME
	Result *Result
}

// History is every step of the training, from history.jsonl. A file that lost its end is an
// error: the curve of half a training looks like that of another one.
func (s *Stored) History() (curves.Run, error) {
	f := &folder{path: s.Folder}
	run, err := curves.ReadFile(f.file("history.jsonl"))
	if want := s.Result.Steps; err == nil && want > 0 && len(run.Points) != want {
		err = fmt.Errorf("run: %s has %d of its %d points", f.file("history.jsonl"), len(run.Points), want)
	}
	if err != nil {
		return run, fmt.Errorf("%w; the head is not touched by that; for the curve delete %s and train again: features are kept", err, s.Folder)
	}
	return run, nil
}

// Head is the run's head file.
func (s *Stored) Head() string { return filepath.Join(s.Folder, "head.safetensors") }

// ErrNoRun says that there is no finished run of that name.
var ErrNoRun = errors.New("no finished run of that name")

// Find reads the finished run called name below the working folder in ("" = the current one).
// The error wraps ErrNoRun when there is none.
func Find(in, name string) (*Stored, error) {
	f := &folder{path: filepath.Join(in, Home, name)}
	r, err := f.result()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("run: %s: %w: train it first", f.path, ErrNoRun)
	}
	if err != nil {
		return nil, fmt.Errorf("run: %s: result.json cannot be read: %w; train again", f.path, err)
	}
	return &Stored{Folder: f.path, Result: r}, nil
}

// FirstOf takes "hymenoptera|insects" and gives the first data set that can be had, with a
// sentence when it is not the first one named. A single name comes back as it is.
//
// A run of the place's name that has learnt from one of them stays with that one, whatever
// can be had by now: photographs that arrive later do not make what was trained another job.
func FirstOf(ctx context.Context, names string, place Place, p Progress) (string, error) {
	all := strings.Split(names, "|")
	if taken := place.taken(all); taken != "" {
		if first := strings.TrimSpace(all[0]); taken != first {
			p.Say(fmt.Sprintf("%s goes on with %s, which it has learnt from; another name begins with %s, where that can be had", place.Name, taken, first))
		}
		return taken, nil
	}
	offline := place.Offline
	var why error
	for i, name := range all {
		if name = strings.TrimSpace(name); len(all) == 1 {
			return name, nil
		}
		_, err := datasets.Open(ctx, name, datasets.Options{Offline: offline, Report: p.State})
		if err == nil {
			if i > 0 {
				p.Say(fmt.Sprintf("%s cannot be had here, so this uses %s (%v)", strings.TrimSpace(all[0]), name, firstLine(why)))
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

// taken is the one of several data sets that a run of the place's name has learnt from; "" =
// none of them, or there is no choice.
func (p Place) taken(names []string) string {
	f := &folder{path: filepath.Join(p.Folder, Home, p.Name)}
	text, err := os.ReadFile(f.file("spec.json"))
	if err != nil || p.Name == "" || len(names) < 2 || f.bare() {
		return ""
	}
	var before Spec
	if json.Unmarshal(text, &before) != nil {
		return "" // said by whoever opens the run
	}
	for _, n := range names {
		if n = strings.TrimSpace(n); n == before.Data {
			return n
		}
	}
	return ""
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	line, _, _ = strings.Cut(line, ";")
	return line
}
