package parts

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// tries is a file that says what became of the tries at a part that did not come to an end. Its lines are
// "try", and in a careful try "preparing PATH" and "prepared" around each picture. A process that
// computes the part at the same time as another one does without.
type tries struct {
	path  string
	lock  *flock.Flock
	file  *os.File       // nil = another process has it
	begun int            // earlier tries
	ended map[string]int // by picture, how many tries did not get past preparing it
}

const (
	triesDir      = "tries"
	tryLine       = "try"
	preparingLine = "preparing "
	preparedLine  = "prepared"

	// mostEnds is how many tries a picture may end before it is left out. A try can end for other
	// reasons while it happens to be prepared.
	mostEnds = 2
)

// triesPath returns the file of the tries at a shard.
func triesPath(shard string) string {
	return filepath.Join(filepath.Dir(shard), triesDir, strings.TrimSuffix(filepath.Base(shard), ending))
}

// startTry notes that a part is begun.
func startTry(shard string) (*tries, error) {
	t := &tries{path: triesPath(shard), ended: map[string]int{}}
	if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	t.lock = flock.New(t.path)
	if mine, err := t.lock.TryLock(); err != nil || !mine {
		return t, err
	}
	sweep(shard)
	if err := t.read(); err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	var err error
	t.file, err = os.OpenFile(t.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	return t, t.line(tryLine)
}

// sweep removes what killed writers of a shard left behind.
func sweep(shard string) {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(shard), "."+filepath.Base(shard)+".tmp-*"))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(path)
		}
	}
}

func (t *tries) read() error {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	last := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := lines.Text()
		if text == tryLine {
			t.begun++
		}
		if text == tryLine && last != "" {
			t.ended[last]++
		}
		last = strings.TrimPrefix(text, preparingLine)
		if last == text {
			last = ""
		}
	}
	if last != "" {
		t.ended[last]++
	}
	return lines.Err()
}

// line writes a line that outlives the process. It need not outlive the machine.
func (t *tries) line(text string) error {
	if _, err := t.file.WriteString(text + "\n"); err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	return nil
}

// careful reports whether an earlier try did not come to an end, so that pictures are taken one by one.
func (t *tries) careful() bool { return t.begun > 0 }

// preparing notes that a picture comes next, and prepared that it is done.
func (t *tries) preparing(path string) error {
	if !t.careful() {
		return nil
	}
	return t.line(preparingLine + path)
}

func (t *tries) prepared() error {
	if !t.careful() {
		return nil
	}
	return t.line(preparedLine)
}

// blamed says why a picture is left out; "" if it is not.
func (t *tries) blamed(path string) string {
	if n := t.ended[path]; n >= mostEnds {
		return fmt.Sprintf("the process ended while it was prepared, %d times", n)
	}
	return ""
}

// end removes the file: the process has come to an end of this part.
func (t *tries) end() error {
	if t.file == nil {
		return t.lock.Close()
	}
	defer t.lock.Close()
	t.file.Close()
	if err := os.Remove(t.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("parts: %w", err)
	}
	return nil
}
