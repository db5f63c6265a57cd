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

// toolIdle ends pip or npm after so long without a byte. Both have time limits of their own;
// this one catches the rest, like a name lookup without an answer.
const toolIdle = 60 * time.Second

// answeredWords are what pip and npm print once a server has answered.
var answeredWords = regexp.MustCompile(`" [1-5]\d\d |Fetched page|http (fetch|cache) `)

// tool is a call of pip or npm.
type tool struct {
	name string   // the program
	args []string // its arguments
	// dir is where it runs. `python -m` imports from its folder, and pip and npm read settings
	// in it, so it must be ours and empty.
	dir   string
	env   []string
	file  string // what it fetches, for the progress
	total int64  // bytes that are to arrive in dir; 0 = unknown
}

// run runs the program, reports how its folder grows, and returns what it printed on both
// streams.
func (t tool) run(ctx context.Context, o Options) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, t.name, t.args...)
	cmd.Dir, cmd.Env = t.dir, t.env
	out := &tail{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 3 * time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := t.watch(ended, out, o); err != nil {
			cancel(err)
		}
	})
	err := cmd.Wait()
	close(ended)
	wg.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return out.String(), cause
	}
	return out.String(), err
}

// watch reports what arrives until ended is closed. It returns an error when no server answers
// or nothing arrives any more.
func (t tool) watch(ended <-chan struct{}, out *tail, o Options) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	began := folderBytes(t.dir)
	last, grew := int64(-1), time.Now()
	// Counted from the first output: starting a program can take long on a busy machine.
	var asking time.Time
	answered := o.Answer == 0
	for {
		select {
		case <-ended:
			return nil
		case <-tick.C:
		}
		size := folderBytes(t.dir)
		if text := out.String(); !answered && text != "" {
			if asking.IsZero() {
				asking = time.Now()
			}
			answered = size > began || answeredWords.MatchString(text)
		}
		if !answered && !asking.IsZero() && time.Since(asking) > o.Answer {
			return unanswered("no answer in %s", o.Answer)
		}
		if size != last {
			last, grew = size, time.Now()
			o.report(t.file, Downloading, size, max(t.total, size))
		} else if time.Since(grew) > toolIdle {
			return unanswered("nothing arrived for %s", toolIdle)
		}
	}
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

// tail keeps the last bytes written to it.
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

// environment is this process's environment without some variables, plus others.
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

// lastLine picks the most telling line of a tool's output: the last one that starts with
// prefix, else the last one.
func lastLine(out, prefix string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if l := strings.TrimSpace(lines[i]); strings.HasPrefix(l, prefix) {
			return redact(l)
		}
	}
	return redact(strings.TrimSpace(lines[len(lines)-1]))
}
