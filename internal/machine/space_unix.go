//go:build linux || darwin

package machine

import (
	"math"

	"golang.org/x/sys/unix"
)

// FreeSpace returns how many bytes an ordinary user may still write to the disk of a folder.
// ok is false where the file system does not tell.
func FreeSpace(dir string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Blocks == 0 {
		return 0, false
	}
	free := float64(s.Bavail) * float64(s.Bsize) // of a huge disk: more than an int64 holds
	return int64(math.Min(free, math.MaxInt64/2)), true
}
