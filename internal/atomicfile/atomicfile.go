// Package atomicfile writes files that are either complete or not there at all.
//
// The bytes go to a temporary file in the same folder, are synced to disk, and then take the
// wanted name. A reader sees the old content or the new one, even after a crash, a full disk or
// Ctrl-C.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrDamaged is wrapped by errors about a file that was whole and is not any more: its content does
// not match its checksum, or cannot be read as what it was.
var ErrDamaged = errors.New("damaged")

// Write creates or replaces path with what fill writes. When fill or the disk fails, nothing
// visible changes: an older file at path stays as it was and the temporary file is removed.
//
// perm is set exactly, whatever the umask. fill gets a buffered writer and must not keep it.
func Write(path string, perm os.FileMode, fill func(io.Writer) error) (err error) {
	dir, base := filepath.Split(path)
	if base == "" {
		return fmt.Errorf("atomicfile: path %q has no file name", path)
	}
	if dir == "" {
		dir = "."
	}
	// A leading dot and the pid-free random part of CreateTemp: leftovers of a
	// killed process are invisible to directory listings and never reused.
	f, err := os.CreateTemp(dir, "."+base+".tmp-*")
	if err != nil {
		return fmt.Errorf("atomicfile: cannot write in %s: %w", dir, err)
	}
	// Also runs when fill panics: the panic goes on, the file does not stay.
	done := false
	defer func() {
		if !done {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := fill(w); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	if err := f.Chmod(perm); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	done = true
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	return nil
}

// WriteBytes is [Write] for bytes already in memory.
func WriteBytes(path string, data []byte, perm os.FileMode) error {
	return Write(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
