//go:build unix

package wrapper

import (
	"io/fs"
	"os"
	"syscall"
)

// mine reports whether a folder in the shared temporary folder belongs to this user.
func mine(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}
