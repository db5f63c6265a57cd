// Package bitrot lets a file rot for tests: one bit of it changes, and what the cache noted about it
// stays true, as when a disk loses a bit and the file system does not notice.
package bitrot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Flip changes the lowest bit of the byte at an offset; a negative one counts from the end. If the
// cache has a stamp beside the file, its size, times and inode are corrected.
func Flip(path string, offset int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	if offset < 0 {
		offset += info.Size()
	}
	b := []byte{0}
	if _, err := f.ReadAt(b, offset); err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, offset); err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	return restamp(path)
}

// restamp makes the noted facts of a file true again, and leaves the noted hashes alone.
func restamp(path string) error {
	dir, name := filepath.Split(path)
	note := filepath.Join(dir, "."+name+".stamp")
	text, err := os.ReadFile(note)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	var stamp map[string]any
	if err := json.Unmarshal(text, &stamp); err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	stamp["size"], stamp["mtime_ns"] = info.Size(), info.ModTime().UnixNano()
	stamp["ctime_ns"], stamp["inode"], stamp["device"] = times(info)
	if text, err = json.Marshal(stamp); err != nil {
		return fmt.Errorf("bitrot: %w", err)
	}
	return os.WriteFile(note, text, 0o600)
}
