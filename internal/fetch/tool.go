package fetch

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// toolIdle is how long pip or npm may go without a byte arriving before it is
// given up. Both have time limits of their own; this one catches the rest, like
// a name lookup that nobody answers.
const toolIdle = 60 * time.Second

// answeredWords are what pip and npm say when a server has said something.
var answeredWords = regexp.MustCompile(`" [1-5]\d\d |Fetched page|http (fetch|cache) `)

// runTool runs pip or npm in an empty folder, watches that folder grow for the
// progress, and returns what it said on both streams.
//
// The working folder matters: `python -m` imports from it, and pip and npm read
// settings in it, so it must be ours and empty.
func runTool(ctx context.Context, dir string, env []string, f File, total int64, o Options, name string, args ...string) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = env
	out := &tail{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 3 * time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	watch := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		began := folderBytes(dir)
		last, grew := int64(-1), time.Now()
		// Time to start a program on a busy machine is not the server's.
		var asking time.Time
		answered := o.Answer == 0
		for {
			select {
			case <-watch:
				return
			case <-tick.C:
			}
			size := folderBytes(dir)
			if said := out.String(); !answered && said != "" {
				if asking.IsZero() {
					asking = time.Now()
				}
				answered = size > began || answeredWords.MatchString(said)
			}
			if !answered && !asking.IsZero() && time.Since(asking) > o.Answer {
				cancel(unanswered("no answer in %s", o.Answer))
				return
			}
			if size != last {
				last, grew = size, time.Now()
				o.report(f.Name, Downloading, size, max(total, size))
			} else if time.Since(grew) > toolIdle {
				cancel(unanswered("nothing arrived for %s", toolIdle))
				return
			}
		}
	})
	err := cmd.Wait()
	close(watch)
	wg.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return out.String(), cause
	}
	return out.String(), err
}

func folderBytes(dir string) int64 {
	var sum int64
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// tail keeps the last bytes written to it: a tool's last words.
type tail struct {
	mu  sync.Mutex
	buf []byte
	max int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.ToValidUTF8(t.buf, []byte("?")))
}

// environment is ours without the named variables, plus some.
func environment(without []string, plus ...string) []string {
	var env []string
next:
	for _, kv := range os.Environ() {
		for _, w := range without {
			if strings.HasPrefix(strings.ToUpper(kv), w+"=") {
				continue next
			}
		}
		env = append(env, kv)
	}
	return append(env, plus...)
}

// lastLine picks the line that says most from a tool's output: the last one
// that starts with prefix, else the last one.
func lastLine(out, prefix string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(lines[i]); strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
