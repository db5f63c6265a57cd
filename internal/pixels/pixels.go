// Package pixels holds the largest picture that this process decodes.
package pixels

import (
	"os"
	"strconv"
	"sync/atomic"
)

// EnvVar sets the limit where there is no command line, as in a notebook.
const EnvVar = "TLKIT_MAX_PIXELS"

var allowed atomic.Int64

// Allow sets the limit, as --max-pixels does; 0 removes it.
func Allow(n int) { allowed.Store(int64(n)) }

// Allowed returns the limit that was set by Allow, else by EnvVar; 0 = none.
func Allowed() int {
	if n := allowed.Load(); n > 0 {
		return int(n)
	}
	if n, err := strconv.Atoi(os.Getenv(EnvVar)); err == nil && n > 0 {
		return n
	}
	return 0
}
