package kernelspec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// HomeDir returns tlkit's own data folder, for what must stay when caches are cleared:
// $XDG_DATA_HOME/tlkit, else ~/.local/share/tlkit (on Windows below %LOCALAPPDATA%).
func HomeDir() (string, error) {
	if runtime.GOOS == "windows" {
		if app := os.Getenv("LOCALAPPDATA"); app != "" {
			return filepath.Join(app, "tlkit"), nil
		}
	}
	if xdg := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "tlkit"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", advice.New(fmt.Errorf("kernelspec: no home folder for the kernel's binary: %w", err), "set XDG_DATA_HOME to a folder you can write to")
	}
	return filepath.Join(home, ".local", "share", "tlkit"), nil
}

const keptPrefix = "tlkit-"

// KeptPath returns the path at which [Keep] puts a binary, without putting it there.
func KeptPath(binary string) (string, error) {
	dir, err := HomeDir()
	if err != nil {
		return "", err
	}
	f, err := os.Open(binary)
	if err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	name := keptPrefix + hex.EncodeToString(h.Sum(nil))[:16]
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, "bin", name), nil
}

// Keep copies a binary into tlkit's data folder under a name made of its hash, and returns the
// path of the copy. A copy that is there already is kept.
func Keep(binary string) (string, error) {
	path, err := KeptPath(binary)
	if err != nil {
		return "", err
	}
	from, err := os.Stat(binary)
	if err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	// The name has the hash of the content; another size means that the content has changed.
	if have, err := os.Stat(path); err == nil && have.Mode().IsRegular() && have.Size() == from.Size() {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // it is what the sources of now give
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", advice.New(fmt.Errorf("kernelspec: %w", err), "set XDG_DATA_HOME to a folder you can write to")
	}
	err = atomicfile.Write(path, 0o755, func(w io.Writer) error {
		f, err := os.Open(binary)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("kernelspec: %w", err)
	}
	return path, nil
}

// Use marks a copy as in use, for as long as this process lives or until release is called: a
// running kernel needs its binary for every cell.
func Use(binary string) (release func()) {
	lock := flock.New(binary, flock.SetFlag(os.O_RDONLY))
	if ok, err := lock.TryRLock(); err != nil || !ok {
		return func() {} // the kernel runs without the mark, but Forget may remove its binary
	}
	return func() { lock.Unlock() }
}

// InUse reports whether some process has marked a binary with [Use].
func InUse(binary string) bool {
	lock := flock.New(binary, flock.SetFlag(os.O_RDONLY))
	ok, err := lock.TryLock()
	if ok {
		lock.Unlock()
	}
	return err == nil && !ok
}

// Forget removes the copies that [Keep] made, except one ("" for none) and those in use, and
// returns what it removed.
func Forget(except string) (gone []string, err error) {
	dir, err := HomeDir()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "bin")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("kernelspec: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if path == except || !strings.HasPrefix(e.Name(), keptPrefix) || !e.Type().IsRegular() {
			continue
		}
		if !InUse(path) && os.Remove(path) == nil {
			gone = append(gone, path)
		}
	}
	return gone, nil
}
