//go:build !linux && !darwin

package fetch

import "io/fs"

// factsOf has size and time only: what every system tells.
func factsOf(info fs.FileInfo) facts {
	return facts{Size: info.Size(), Mtime: info.ModTime().UnixNano()}
}
