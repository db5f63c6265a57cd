//go:build linux || darwin

package fetch

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// enoughSpace refuses a download that would fill the disk: 10 % above its size
// must be free.
func enoughSpace(dir string, need int64) error {
	if need <= 0 {
		return nil
	}
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Blocks == 0 {
		return nil // a file system that does not tell
	}
	free := float64(s.Bavail) * float64(s.Bsize)
	if float64(need)*1.1 > free {
		return fmt.Errorf("%s has %s free, need %s; free some space or set TLKIT_CACHE to another disk",
			dir, humanBytes(int64(math.Min(free, math.MaxInt64))), humanBytes(need))
	}
	return nil
}
