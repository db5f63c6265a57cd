package engine

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
)

// cpu describes this machine's processor.
type cpu struct {
	name     string // for a person
	features string // everything that code generation may depend on
}

// processor is read once: a process does not change its processor.
var processor = sync.OnceValue(func() cpu {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		if c := parseCPUInfo(f); c.features != "" {
			return c
		}
	}
	return otherProcessor()
})

// parseCPUInfo reads the first processor of /proc/cpuinfo. Order and spacing of
// the flags do not matter; clock and bogomips, which change, are left out.
func parseCPUInfo(r io.Reader) cpu {
	keep := map[string]bool{
		"vendor_id": true, "cpu family": true, "model": true, "model name": true, "stepping": true, "flags": true,
		"CPU implementer": true, "CPU architecture": true, "CPU variant": true, "CPU part": true, "CPU revision": true, "Features": true,
	}
	var c cpu
	var lines []string
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		if strings.TrimSpace(line) == "" && len(lines) > 0 {
			break // the next processor
		}
		key, value, ok := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || !keep[key] {
			continue
		}
		switch key {
		case "model name":
			c.name = value
		case "flags", "Features":
			flags := strings.Fields(value)
			sort.Strings(flags)
			value = strings.Join(flags, " ")
		}
		lines = append(lines, key+": "+value)
	}
	c.features = strings.Join(lines, "\n")
	if c.name == "" {
		c.name = runtime.GOARCH + " processor"
	}
	return c
}
