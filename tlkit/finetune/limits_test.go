//go:build linux

package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/optim"
)

// limited runs a function under a soft limit of this process.
func limited(t *testing.T, resource int, to uint64, do func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(resource, &before); err != nil {
		t.Skipf("no limits here: %v", err)
	}
	if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: min(to, before.Max), Max: before.Max}); err != nil {
		t.Skipf("limits cannot be set here: %v", err)
	}
	defer func() {
		if err := syscall.Setrlimit(resource, &before); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

// A full disk is an error of the training at its next checkpoint. The previous checkpoint stays
// intact, no half-written file remains, and with free space again the training ends with the same
// result as an uninterrupted one.
func TestFullDisk(t *testing.T) {
	e := xla(t)
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit is then an error, as on a full disk
	defer signal.Reset(syscall.SIGXFSZ)
	d := job(t, e, formulaNet(t, "resnet20_cifar10", 0.8), t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := small("plain")
	straight, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Folder, d.Every = t.TempDir(), 3
	kept := checkpoints{filepath.Join(d.Folder, "checkpoints")}
	seen := 0
	full := make(chan struct{})
	room := make(chan struct{})
	d.State = func(what string, _, _ int) {
		if what == "fine-tuning" {
			if seen++; seen == 7 { // the checkpoints of steps 3 and 6 exist
				close(full)
				<-room
			}
		}
	}
	done := make(chan error)
	go func() {
		_, err := Train(context.Background(), d, p, nil)
		done <- err
	}()
	<-full
	limited(t, syscall.RLIMIT_FSIZE, 10_000, func() {
		close(room)
		err = <-done
	})
	if err == nil || !strings.Contains(err.Error(), "the previous one is intact") || !strings.Contains(err.Error(), "step 9") {
		t.Fatalf("a full disk: %v", err)
	}
	entries, err := os.ReadDir(kept.dir)
	if err != nil || len(entries) != keptCheckpoints {
		t.Errorf("%d files are left, want the %d checkpoints from before: %v, %v", len(entries), keptCheckpoints, entries, err)
	}
	of, err := d.identity(p)
	if err != nil {
		t.Fatal(err)
	}
	if s, skipped, err := kept.newest(of); err != nil || s == nil || s.Cursor.Step != 6 || len(skipped) != 0 {
		t.Fatalf("no good state of step 6 is left: skipped %v, %v", skipped, err)
	}
	d.State, d.Resume = nil, true
	got, err := Train(context.Background(), d, p, nil)
	if err != nil || fingerprint(t, got) != fingerprint(t, straight) {
		t.Errorf("with room again: %v", err)
	}
}

const memoryDir = "TLKIT_MEMORY_CHILD"

// TestMemoryChild is the process that TestOutOfMemory starts.
func TestMemoryChild(t *testing.T) {
	if os.Getenv(memoryDir) == "" {
		t.Skip("only for TestOutOfMemory")
	}
	e := xla(t)
	net := formulaNet(t, "resnet20_cifar10", 0.8)
	p := Plan{Name: "large", Epochs: 1, Batch: 4096, Norms: FrozenNorms, Mix: 1, Rule: optim.Rule{Name: optim.SGD}, Schedule: optim.Schedule{Kind: optim.Constant},
		Groups: []Group{{Name: "everything", Stages: append(stages(net), HeadStage), Rate: 1e-3}}}
	err := MeasureSteps(net, e, p, func(step func() error, _ time.Duration) error {
		raw, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Fatal(err)
		}
		var pages uint64
		fmt.Sscan(string(raw), &pages)
		limited(t, syscall.RLIMIT_AS, pages*uint64(os.Getpagesize())+2<<30, func() {
			err = step()
		})
		return err
	})
	var m *memoryError
	if !errors.As(err, &m) || m.Batch != 4096 {
		t.Fatalf("a step that cannot fit: %v", err)
	}
	size := wanted.FindStringSubmatch(err.Error())
	if size == nil {
		t.Fatalf("it does not say how much it wanted: %v", err)
	}
	wants, _ := strconv.ParseFloat(size[1], 64)
	if wants < 2<<30 {
		t.Errorf("it wanted %v bytes, which it could have had", wants)
	}
	if m, ok := outOfMemory(m.Cause, 4096, wants/2); !ok || m.Fits < 1500 || m.Fits > 2048 || !strings.Contains(m.Error(), fmt.Sprintf("use a batch of %d, which fits", m.Fits)) {
		t.Errorf("with room for half of it: %v", m)
	}
	if m, ok := outOfMemory(m.Cause, 4096, 0); !ok || m.Fits != 0 || !strings.Contains(m.Error(), "use half as many") {
		t.Errorf("with an unknown amount of room: %v", m)
	}
	if _, ok := outOfMemory(errors.New("a disk that is full"), 8, 1e9); ok {
		t.Error("another error is taken for it")
	}
	if freeMemory("xla:cpu") < 1<<20 || freeMemory("xla:cuda") != 0 {
		t.Errorf("%v bytes are free", freeMemory("xla:cpu"))
	}
}

// An out-of-memory error names the batch that fits. It needs its own process, because its memory is
// limited.
func TestOutOfMemory(t *testing.T) {
	xla(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestMemoryChild$", "-test.v")
	cmd.Env = append(os.Environ(), memoryDir+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}
