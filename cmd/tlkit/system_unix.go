//go:build unix

package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

var endSignal os.Signal = syscall.SIGTERM

// ownGroup keeps the terminal's Ctrl-C from a child that is ended in another way.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// openers are the programs that show a URL, where there is a screen.
var openers = func() [][]string {
	if runtime.GOOS == "darwin" {
		return [][]string{{"open"}}
	}
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return [][]string{{"wslview"}}
	}
	return [][]string{{"xdg-open"}, {"wslview"}}
}()
