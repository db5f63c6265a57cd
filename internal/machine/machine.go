// Package machine asks the operating system about this process and its disk: processor time,
// memory, free space. Where a system does not tell, the answer is zero.
package machine

import (
	"fmt"
	"os"
	"strings"
)

// PeakMemory returns the most memory that this process has had, in bytes; 0 = unknown (only
// Linux tells).
func PeakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
