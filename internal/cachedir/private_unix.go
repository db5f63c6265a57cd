//go:build unix

package cachedir

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// private refuses a cache root that other users can write to: they could swap
// a plugin between its check and its use. Sticky folders (like /tmp) protect
// existing entries, but not names we have yet to create, so they are refused too.
func private(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return fmt.Errorf("cachedir: %w", err)
	}
	if !info.IsDir() {
		return advice.New(fmt.Errorf("cachedir: %s is a %s, want a folder", root, describe(info.Mode())), "set %s to a folder", EnvVar)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return advice.New(fmt.Errorf("cachedir: everybody can write to %s (mode %04o), and tlkit loads machine code from it", root, info.Mode().Perm()), "run: chmod o-w %s", root)
	}
	return nil
}

func describe(m fs.FileMode) string {
	if m.IsRegular() {
		return "file"
	}
	return m.Type().String()
}
