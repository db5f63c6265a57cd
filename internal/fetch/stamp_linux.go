package fetch

import (
	"io/fs"
	"syscall"
)

func factsOf(info fs.FileInfo) facts {
	f := facts{Size: info.Size(), Mtime: info.ModTime().UnixNano()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		f.Ctime = s.Ctim.Nano()
		f.Inode = s.Ino
		f.Device = s.Dev
	}
	return f
}
