package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// compiled returns how long "go tool" or "go run" worked before it started this program; 0 when
// neither did, or when that is unknown.
func compiled() time.Duration {
	name, parent, ok := born(os.Getppid())
	_, self, ok2 := born(os.Getpid())
	if !ok || !ok2 || name != "go" || self < parent {
		return 0
	}
	return self - parent
}

// born returns the name of a process and its start, counted from the start of the machine.
func born(pid int) (name string, at time.Duration, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0, false
	}
	// pid (name) state ...: the name may hold anything, so count from the last parenthesis.
	begin, end := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	if begin < 0 || end < begin {
		return "", 0, false
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return "", 0, false
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	// The unit is 1/100 s on every Linux that Go runs on.
	return string(text[begin+1 : end]), time.Duration(ticks) * 10 * time.Millisecond, err == nil
}
