package engine

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func otherProcessor() cpu {
	c := cpu{name: runtime.GOARCH + " processor"}
	var parts []string
	for _, key := range []string{"machdep.cpu.brand_string", "hw.cputype", "hw.cpusubtype", "hw.cpufamily", "machdep.cpu.features", "machdep.cpu.leaf7_features"} {
		if v, err := unix.Sysctl(key); err == nil {
			parts = append(parts, key+": "+v)
			if key == "machdep.cpu.brand_string" {
				c.name = v
			}
		} else if n, err := unix.SysctlUint32(key); err == nil {
			parts = append(parts, fmt.Sprintf("%s: %d", key, n))
		}
	}
	c.features = strings.Join(parts, "\n")
	return c
}
