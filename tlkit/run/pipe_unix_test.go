//go:build unix

package run

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A head does not overwrite anything but an ordinary file. The test uses a pipe, because if it
// failed under root, a real device would be lost.
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
