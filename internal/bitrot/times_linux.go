package bitrot

import (
	"io/fs"
	"syscall"
)

// times returns the change time, inode and device of a file.
func times(info fs.FileInfo) (ctime int64, inode, device uint64) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ctim.Nano(), s.Ino, s.Dev
	}
	return 0, 0, 0
}
