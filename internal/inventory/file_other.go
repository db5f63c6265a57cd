//go:build !unix

package inventory

import "io/fs"

func fileOf(_ string, info fs.FileInfo) file {
	if info.IsDir() {
		return file{links: 1, folder: true}
	}
	return file{bytes: info.Size(), links: 1}
}
