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

// processorTime is what this process has used so far, in seconds.
func processorTime() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
