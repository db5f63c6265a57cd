//go:build unix

package machine

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// ProcessorTime returns the processor time that this process has used on all cores so far,
// in user and kernel mode; 0 = unknown.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// PeakOf returns the most memory that a child process had, in bytes, once it has ended; 0 = unknown.
func PeakOf(child *os.ProcessState) int64 {
	u, ok := child.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin": // which counts bytes, where others count KiB
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}
