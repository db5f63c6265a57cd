//go:build unix

package worker

import (
	"os/exec"
	"syscall"
)

// detach gives a worker a session of its own: a signal to the cell does not reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
