package machine

import (
	"bufio"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/cpu"
)

// Instructions names the widest vector instructions of this processor, which decide most about the
// speed of a network.
func Instructions() string {
	switch {
	case cpu.X86.HasAVX512F:
		return "AVX-512"
	case cpu.X86.HasAVX2:
		return "AVX2"
	case cpu.X86.HasAVX:
		return "AVX"
	case cpu.X86.HasSSE2:
		return "SSE2"
	case cpu.ARM64.HasSVE:
		return "SVE"
	case cpu.ARM64.HasASIMD || runtime.GOARCH == "arm64":
		return "NEON"
	}
	return runtime.GOARCH + " without known vector instructions"
}

// Processor returns the model of this processor, or what kind it is where the system does not tell.
var Processor = sync.OnceValue(func() string {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if key, value, _ := strings.Cut(s.Text(), ":"); strings.TrimSpace(key) == "model name" && strings.TrimSpace(value) != "" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH + " processor"
})
