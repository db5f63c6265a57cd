//go:build unix

package setup

import (
	"fmt"
	"io/fs"
	"syscall"
)

// identity tells a folder from one made later under the same name.
func identity(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(s.Ino)
	}
	return ""
}
