//go:build unix

package setup

import (
	"os/exec"
	"syscall"
)

// detach lets a process live on after this one and its terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
