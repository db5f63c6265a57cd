//go:build unix

package machine

import (
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
