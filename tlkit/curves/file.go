package curves

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Read reads JSON lines. A last line that is not finished by a newline and
// cannot be read is the trace of a killed process and is left out; any other
// line that cannot be read is an error with its number.
func Read(r io.Reader) (Run, error) {
	run, _, err := read(r)
	if err != nil {
		return Run{}, fmt.Errorf("curves: %w", err)
	}
	return run, nil
}

// ReadFile reads a file of JSON lines, see [Read].
func ReadFile(path string) (Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return Run{}, fmt.Errorf("curves: %w", err)
	}
	defer f.Close()
	run, _, err := read(f)
	if err != nil {
		return Run{}, fmt.Errorf("curves: %s: %w", path, err)
	}
	return run, nil
}

// tail says how a file ends, for somebody who wants to append.
type tail struct {
	good    int64 // bytes up to the end of the last line that could be read
	newline bool  // that line ends in a newline
	lines   int
}

func read(r io.Reader) (Run, tail, error) {
	var run Run
	var end tail
	in := bufio.NewReaderSize(r, maxLine)
	end.newline = true
	for offset := int64(0); ; {
		b, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return run, end, fmt.Errorf("line %d is longer than %d bytes: not a file of this package; move it away to start a new one", end.lines+1, maxLine)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return run, end, fmt.Errorf("line %d: %w", end.lines+1, err)
		}
		if len(b) == 0 {
			return run, end, nil
		}
		offset += int64(len(b))
		complete := b[len(b)-1] == '\n'
		if text := bytes.TrimSpace(b); len(text) > 0 {
			if bad := run.add(text); bad != nil {
				if !complete && (end.lines > 0 || bytes.HasPrefix(text, []byte(`{"`))) {
					return run, end, nil
				}
				return run, end, fmt.Errorf("line %d: %w: repair or delete that line, or move the file away to start a new one", end.lines+1, bad)
			}
		}
		end.lines++
		end.good, end.newline = offset, complete
		if !complete {
			return run, end, nil
		}
	}
}

// Writer appends points and marks to a file. It is not safe for concurrent
// use; a [Recorder] is.
type Writer struct {
	f   *os.File
	err error
}

// Append opens the file of a run, and makes it with the run's name and axis
// when it is not there. What the file already holds is read first and returned
// with the name and axis of the file; a torn last line is cut off, a corrupt
// one is an error and nothing is changed. One process writes a file at a time;
// the caller holds the lock.
func Append(path, name, axis string) (*Writer, Run, error) {
	fail := func(err error) (*Writer, Run, error) { return nil, Run{}, fmt.Errorf("curves: %s: %w", path, err) }
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, Run{}, fmt.Errorf("curves: %w", err)
	}
	run, end, err := read(f)
	if err != nil {
		f.Close()
		return fail(err)
	}
	w := &Writer{f: f}
	if err := f.Truncate(end.good); err != nil {
		f.Close()
		return fail(err)
	}
	if _, err := f.Seek(end.good, io.SeekStart); err != nil {
		f.Close()
		return fail(err)
	}
	if !end.newline {
		w.write([]byte("\n"))
	}
	if end.lines == 0 {
		run = Run{Name: name, Axis: axis}
		w.line(run.header())
	}
	if w.err != nil {
		f.Close()
		return fail(w.err)
	}
	return w, run, nil
}

// Add appends one point.
func (w *Writer) Add(p Point) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("curves: %w", err)
	}
	return w.line(p.line())
}

// Mark appends one mark.
func (w *Writer) Mark(m Mark) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("curves: %w", err)
	}
	return w.line(m.line())
}

// line writes a whole line in one call to the operating system. After a failed
// write the file may end in half a line, so nothing more is written to it.
func (w *Writer) line(l line) error {
	b, err := encode(l)
	if err != nil {
		return fmt.Errorf("curves: %w", err)
	}
	return w.write(b)
}

func (w *Writer) write(b []byte) error {
	if w.err == nil {
		if _, err := w.f.Write(b); err != nil {
			w.err = fmt.Errorf("curves: %w", err)
		}
	}
	return w.err
}

// Close brings the file to the disk and closes it. The first error that any
// call met is returned again.
func (w *Writer) Close() error {
	return errors.Join(w.err, w.f.Sync(), w.f.Close())
}

// Write writes a whole run as JSON lines.
func Write(to io.Writer, r Run) error {
	out := bufio.NewWriter(to)
	put := func(l line) error {
		b, err := encode(l)
		if err != nil {
			return fmt.Errorf("curves: %w", err)
		}
		_, err = out.Write(b)
		return err
	}
	if err := put(r.header()); err != nil {
		return err
	}
	for i, p := range r.Points {
		if err := p.Check(); err != nil {
			return fmt.Errorf("curves: point %d: %w", i, err)
		}
		if err := put(p.line()); err != nil {
			return err
		}
	}
	for i, m := range r.Marks {
		if err := m.Check(); err != nil {
			return fmt.Errorf("curves: mark %d: %w", i, err)
		}
		if err := put(m.line()); err != nil {
			return err
		}
	}
	return out.Flush()
}
