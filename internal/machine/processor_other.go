//go:build !unix

package machine

import (
	"os"
	"time"
)

// ProcessorTime returns 0: it is unknown on this system.
func ProcessorTime() time.Duration { return 0 }

// PeakOf returns the most memory that a child process had, in bytes, once it has ended; 0 = unknown.
func PeakOf(*os.ProcessState) int64 { return 0 }
