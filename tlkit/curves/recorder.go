package curves

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Recorder collects the points and marks of a running training. It can append them to a file
// and pass the run to a callback from time to time. It is safe for concurrent use, and a
// training loop never waits for the callback.
type Recorder struct {
	mu     sync.Mutex
	run    Run
	file   *Writer
	closed bool

	wake chan struct{} // holds at most one notice: frames are dropped, not queued
	stop chan struct{}
	done chan struct{}
}

// share bounds the time that notify may take: one part in share.
const share = 50

// NewRecorder continues run, whose points are already in file. file may be nil: then the run
// is kept in memory only.
//
// notify may be nil. Otherwise it is called with a copy of the run at most once in every, and
// at Close if there is something new. All calls come from one goroutine of the recorder. A
// slow notify is called less often: it may use a fiftieth of the time, so that drawing slows
// training down by at most 2 %. The first call comes after every has passed, so a short run is
// drawn only once.
func NewRecorder(run Run, file *Writer, every time.Duration, notify func(Run)) *Recorder {
	r := &Recorder{run: run.Clone(), file: file,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	if notify == nil {
		close(r.done)
		return r
	}
	go r.tell(every, notify)
	return r
}

func (r *Recorder) tell(every time.Duration, notify func(Run)) {
	defer close(r.done)
	for wait := every; ; {
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-r.stop:
			pause.Stop()
		}
		select {
		case <-r.wake:
		case <-r.stop:
			select {
			case <-r.wake:
				notify(r.Run())
			default:
			}
			return
		}
		start := time.Now()
		notify(r.Run())
		wait = max(every, (share-1)*time.Since(start))
	}
}

// Add records points. If one of them fails [Point.Check], none is recorded. If writing to the
// file fails, Add returns the error and still keeps the points in memory.
func (r *Recorder) Add(points ...Point) error {
	for _, p := range points {
		if err := p.Check(); err != nil {
			return fmt.Errorf("curves: %w", err)
		}
	}
	return r.record(func() (err error) {
		r.run.Points = append(r.run.Points, points...)
		if r.file != nil {
			for _, p := range points {
				err = errors.Join(err, r.file.Add(p))
			}
		}
		return err
	})
}

// Mark records an event.
func (r *Recorder) Mark(m Mark) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("curves: %w", err)
	}
	return r.record(func() error {
		r.run.Marks = append(r.run.Marks, m)
		if r.file != nil {
			return r.file.Mark(m)
		}
		return nil
	})
}

func (r *Recorder) record(what func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("curves: the recorder is closed: open a new one with Run.AppendTo and NewRecorder to go on")
	}
	err := what()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return err
}

// Run returns a copy of the run so far.
func (r *Recorder) Run() Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.run.Clone()
}

// Close waits for the last callback and closes the file. A second call does
// nothing.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	close(r.stop)
	<-r.done
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
