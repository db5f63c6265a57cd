package machine

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestInstructions(t *testing.T) {
	kinds := map[string][]string{"amd64": {"AVX-512", "AVX2", "AVX", "SSE2"}, "arm64": {"SVE", "NEON"}}
	got := Instructions()
	if known := kinds[runtime.GOARCH]; known != nil && !slices.Contains(known, got) {
		t.Errorf("%s has %q, want one of %q", runtime.GOARCH, got, known)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("no list of flags to compare with")
	}
	if !strings.Contains(string(info), Processor()) {
		t.Errorf("%q is not in /proc/cpuinfo", Processor())
	}
	// A processor may be made to look smaller than it is, never larger.
	if got == "AVX-512" && !strings.Contains(string(info), "avx512f") || got == "AVX2" && !strings.Contains(string(info), "avx2") {
		t.Errorf("%s is not among the flags of /proc/cpuinfo", got)
	}
}
