package wrapper

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startBound starts cmd so that it ends when this process is killed. The kernel's signal is
// sent when the *thread* that started it ends, so that thread waits here as long as cmd runs.
func startBound(cmd *exec.Cmd) (<-chan error, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}
