//go:build unix

package run

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A head is not written over what is no ordinary file. A pipe of our own stands for it: a
// real device would be lost on the day this test fails, if root runs it.
func TestOutIsNeverReplacedWhenItIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	if err := (Place{Out: pipe}).ready(); err == nil || !strings.Contains(err.Error(), "ordinary file") {
		t.Errorf("a pipe: %v", err)
	}
	if info, err := os.Stat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is gone: %v, %v", info, err)
	}
}
