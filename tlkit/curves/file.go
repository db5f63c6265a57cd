package curves

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// ReadFile reads the JSON lines of a run. It ignores an incomplete last line, which a killed
// process left; any other line that cannot be read is an error with its number.
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

// tail says how a file ends, for appending to it.
type tail struct {
	good    int64 // bytes up to the end of the last line that could be read
	newline bool  // that line ends in a newline
	lines   int
}

func read(r io.Reader) (Run, tail, error) {
	var run Run
	var end tail
	lines := bufio.NewReaderSize(r, maxLine)
	checked := false // an earlier line has a checksum, so every later one must have one
	end.newline = true
	for offset := int64(0); ; {
		b, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return run, end, advice.New(fmt.Errorf("line %d is longer than %d bytes: not a file of this package", end.lines+1, maxLine), "move it away to start a new one")
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
			found, bad := checkLine(text)
			if bad == nil {
				bad = run.add(text)
			}
			if bad == nil && checked && !found {
				bad = fmt.Errorf("%w: it has no checksum", atomicfile.ErrDamaged)
			} else if bad != nil && !errors.Is(bad, atomicfile.ErrDamaged) {
				bad = fmt.Errorf("%w: %w", atomicfile.ErrDamaged, bad)
			}
			checked = checked || found
			if bad != nil {
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

// Writer appends points and marks to a file (see [Run.AppendTo]). It is not safe for
// concurrent use; a [Recorder] is.
type Writer struct {
	f   *os.File
	err error
}

// AppendTo opens a file to append points and marks, and creates it with the name and axis of r
// if it does not exist. It returns the run that the file already holds; the points and marks
// of r are not written. An incomplete last line is cut off. If another line is corrupt,
// AppendTo returns an error and changes nothing. Only one process may write a file at a time;
// the caller must hold a lock.
func (r Run) AppendTo(path string) (*Writer, Run, error) {
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
		_ = w.write([]byte("\n")) // w.err keeps it
	}
	if end.lines == 0 {
		run = Run{Name: r.Name, Axis: r.Axis}
		_ = w.line(run.header()) // the same
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

// line writes a whole line in one system call. After a failed write, the file may end in half
// a line, so nothing more is written.
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

// Close syncs and closes the file. It also returns the first error of the earlier calls.
func (w *Writer) Close() error {
	return errors.Join(w.err, w.f.Sync(), w.f.Close())
}

// WriteTo writes the whole run as JSON lines.
func (r Run) WriteTo(w io.Writer) (int64, error) {
	var text bytes.Buffer
	put := func(l line) error {
		b, err := encode(l)
		if err != nil {
			return fmt.Errorf("curves: %w", err)
		}
		text.Write(b)
		return nil
	}
	if err := put(r.header()); err != nil {
		return 0, err
	}
	for i, p := range r.Points {
		if err := p.Check(); err != nil {
			return 0, fmt.Errorf("curves: point %d: %w", i, err)
		}
		if err := put(p.line()); err != nil {
			return 0, err
		}
	}
	for i, m := range r.Marks {
		if err := m.Check(); err != nil {
			return 0, fmt.Errorf("curves: mark %d: %w", i, err)
		}
		if err := put(m.line()); err != nil {
			return 0, err
		}
	}
	return text.WriteTo(w)
}
