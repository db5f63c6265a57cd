package wrapper

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// beBound is a bound kernel as far as its cells' programs are concerned: it starts a shell command,
// waits for its end, and ends the rest. TestMain calls it.
func beBound() {
	if script := os.Getenv("TLKIT_TEST_BOUND"); script != "" {
		adopt()
		ctx, stop := context.WithCancel(context.Background())
		go whenOrphaned(ctx, func() { killAll(descendants()) })
		_ = exec.Command("sh", "-c", script).Run()
		stop()
		endOthers(os.Getenv("TLKIT_TEST_DIR"))
		os.Exit(0)
	}
}

// alive returns the processes that have a variable in their environment.
func alive(variable string) (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(filepath.Join(d, "environ"))
		if err == nil && slices.Contains(splitZero(env), variable) {
			pid, _ := strconv.Atoi(filepath.Base(d))
			pids = append(pids, pid)
		}
	}
	return pids
}

func splitZero(env []byte) (all []string) {
	start := 0
	for i, b := range env {
		if b == 0 {
			all = append(all, string(env[start:i]))
			start = i + 1
		}
	}
	return all
}

func TestABoundKernelLeavesNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// A program of a cell that saves for a second after it was told to end.
	saver := filepath.Join(dir, "saver")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("no sleep here")
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(saver, text, 0o755); err != nil {
		t.Fatal(err)
	}
	// The shell goes on when the program has taken its place, and not before.
	runs := func(seconds string) string {
		return saver + " " + seconds + ` & until case $(readlink /proc/$!/exe) in */saver) ;; *) false ;; esac; do :; done;`
	}
	for name, c := range map[string]struct {
		script   string
		quickest time.Duration
		longest  time.Duration
		orphaned bool // its parent is killed
	}{
		"background":      {script: "sleep 600 & sleep 600 &", longest: 3 * time.Second},
		"own session":     {script: "setsid sleep 600 & exec setsid -f sh -c 'sleep 600; :'", longest: 3 * time.Second},
		"saving":          {script: runs("1") + " sleep 600 &", quickest: 900 * time.Millisecond, longest: 3900 * time.Millisecond},
		"saving too long": {script: runs("600"), quickest: saving, longest: saving + 4*time.Second},
		"parent gone":     {script: "setsid sleep 600 & sleep 600", longest: 5 * time.Second, orphaned: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := "TLKIT_TEST_MARK=" + t.Name()
			cmd := exec.Command("sh", "-c", self+"; :")
			cmd.Env = append(os.Environ(), "TLKIT_TEST_BOUND="+c.script, "TLKIT_TEST_DIR="+dir, mark)
			begin := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if c.orphaned {
				for len(alive(mark)) < 4 && time.Since(begin) < 10*time.Second {
					time.Sleep(10 * time.Millisecond)
				}
				begin = time.Now()
				cmd.Process.Kill()
			}
			cmd.Wait()
			for len(alive(mark)) > 0 && time.Since(begin) < 10*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
			took := time.Since(begin)
			if left := alive(mark); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
				killAll(left)
			}
			if took < c.quickest || took > c.longest {
				t.Errorf("took %s, want %s to %s", took, c.quickest, c.longest)
			}
		})
	}
}
