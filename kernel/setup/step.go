// Package setup makes a machine ready for notebooks: GoNB and its helpers, JupyterLab, the
// kernel, a warm build cache, and a notebook that shows that all of it works.
//
// Everything is a [Step], which knows whether it is done. So a set-up that was interrupted
// continues where it stopped, and a second one does nothing.
package setup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// Step is one part of a set-up.
type Step struct {
	Name  string // "gonb"
	About string // what it is and what it costs: "the Go kernel, built from source, 15-30 s"
	// Optional steps may fail: that is noted, and the others go on.
	Optional bool
	// Done reports whether there is nothing to do, and why ("gonb v0.11.5"). It is quick and
	// changes nothing.
	Done func(ctx context.Context) (note string, done bool)
	// Do does it and describes the result. What an interrupted Do leaves must not count as done.
	Do func(ctx context.Context, say func(string)) (note string, err error)
}

// State is how a step ended.
type State string

// The states of a step after a run.
const (
	StateDone   State = "done"          // done in this run
	StateHere   State = "already there" // done before
	StateLater  State = "in background" // still going on, in a process of its own
	StateFailed State = "failed"
	StateNot    State = "not reached"
)

// Row is one line of the table that a run prints.
type Row struct {
	Name    string  `json:"name"`
	State   State   `json:"state"`
	Seconds float64 `json:"seconds"`
	Note    string  `json:"note,omitempty"`
}

// String returns the row with its columns aligned.
func (r Row) String() string {
	return fmt.Sprintf("%-14s %6.1f s  %-13s  %s", r.Name, r.Seconds, r.State, r.Note)
}

// Reporter is told how a run goes; each field may be nil.
type Reporter struct {
	Begin func(Step)   // a step begins that takes time
	Say   func(string) // a message from the running step
	End   func(Row)    // a step ended
}

// errLater is returned by a step that goes on in the background after the set-up has ended.
var errLater = errors.New("setup: goes on in the background")

// Run does the steps that are not done, in order, and returns a row for each. Only one run at a
// time works on a cache; a second one waits and then finds the work done.
func Run(ctx context.Context, steps []Step, r Reporter) ([]Row, error) {
	dir, err := cachedir.Dir("kernel")
	if err != nil {
		return nil, err
	}
	say := func(s string) {
		if r.Say != nil {
			r.Say(s)
		}
	}
	lock := flock.New(filepath.Join(dir, "setup.lock"))
	if ok, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("setup: %w", err)
	} else if !ok {
		say("another set-up is running; waiting for it to end")
		if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
			return nil, fmt.Errorf("setup: another set-up holds %s: %w", lock.Path(), err)
		}
	}
	defer lock.Unlock()
	var rows []Row
	var failed error
	for _, s := range steps {
		row := Row{Name: s.Name}
		if failed != nil {
			row.State = StateNot
		} else {
			row = s.run(ctx, r, say)
			if row.State == StateFailed && !s.Optional {
				failed = fmt.Errorf("setup: %s: %s", s.Name, row.Note)
				if ctx.Err() != nil {
					failed = advice.New(fmt.Errorf("setup: %s: %w", s.Name, ctx.Err()), "the same command goes on from here")
				}
			}
		}
		rows = append(rows, row)
		if r.End != nil {
			r.End(row)
		}
	}
	return rows, failed
}

func (s Step) run(ctx context.Context, r Reporter, say func(string)) Row {
	row := Row{Name: s.Name}
	begin := time.Now()
	if note, done := s.Done(ctx); done {
		row.State, row.Note, row.Seconds = StateHere, note, time.Since(begin).Seconds()
		return row
	}
	if r.Begin != nil {
		r.Begin(s)
	}
	note, err := s.Do(ctx, say)
	row.Seconds, row.Note = time.Since(begin).Seconds(), note
	switch {
	case errors.Is(err, errLater):
		row.State = StateLater
	case err != nil:
		row.State, row.Note = StateFailed, err.Error()
	default:
		row.State = StateDone
	}
	return row
}
