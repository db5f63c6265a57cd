package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/machine"
)

// tlkit is the command run in processes of its own, in an empty folder, with a cache that has
// weights and plugin and nothing else.
type tlkit struct{ program, dir, cache string }

func (s *session) tlkit(ctx context.Context) (*tlkit, error) {
	program := s.Program
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		program = self
	}
	full, err := cachedir.Dir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tlkit-bench-*")
	if err != nil {
		return nil, err
	}
	t := &tlkit{program: program, dir: dir, cache: filepath.Join(dir, "cache")}
	if err := linkTree(full, t.cache, "features", "compile"); err != nil {
		t.close()
		return nil, err
	}
	// The copied files are new to the cache, which hashes them once, 200 MB: doctor has that
	// done before anything is timed. It compiles no network.
	_, _ = t.run(ctx, nil, "doctor", "--json")
	return t, nil
}

func (t *tlkit) close() { os.RemoveAll(t.dir) }

// run runs one command line, reads the JSON it prints into out (nil = not wanted), and returns
// the seconds that it took, process start included.
func (t *tlkit) run(ctx context.Context, out any, args ...string) (seconds float64, err error) {
	seconds, _, err = t.used(ctx, out, args...)
	return seconds, err
}

// used is run, and also returns the most memory that the process had, in MiB; 0 = unknown.
func (t *tlkit) used(ctx context.Context, out any, args ...string) (seconds, peak float64, err error) {
	cmd := exec.CommandContext(ctx, t.program, args...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), cachedir.EnvVar+"="+t.cache, "TLKIT_PROGRESS=off")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	start := time.Now()
	raw, err := cmd.Output()
	seconds = time.Since(start).Seconds()
	if err != nil {
		return seconds, 0, fmt.Errorf("%s: %w: %s", args[0], err, lastLine(errs.String()))
	}
	peak = float64(machine.PeakOf(cmd.ProcessState)) / (1 << 20)
	if out == nil {
		return seconds, peak, nil
	}
	return seconds, peak, json.Unmarshal(raw, out)
}

// linkTree copies a cache by hard links (by content on another disk), without some of its
// folders.
func linkTree(from, to string, without ...string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if slices.Contains(without, rel) {
			return fs.SkipDir
		}
		target := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			return os.MkdirAll(target, 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		return linkFile(path, target)
	})
}

// linkFile links or copies a file of the cache; one that was removed meanwhile is left out.
func linkFile(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
