package wrapper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

// room is the kernel's private temporary folder. It is locked while its kernel runs: a folder that
// another process can lock has lost its kernel.
//
// The name is short, because the paths of sockets and pipes in it have a length limit.
type room struct {
	dir  string
	lock *flock.Flock
}

const (
	roomPrefix = "tlk-"
	lockName   = "lock"
)

func newRoom() (*room, error) {
	sweep(os.TempDir())
	dir, err := os.MkdirTemp("", roomPrefix)
	if err != nil {
		return nil, fmt.Errorf("wrapper: %w", err)
	}
	r := &room{dir: dir, lock: flock.New(filepath.Join(dir, lockName))}
	ok, err := r.lock.TryLock()
	if err == nil && !ok {
		err = errors.New("another process holds the lock")
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("wrapper: cannot lock %s: %w", dir, err)
	}
	return r, nil
}

// leave ends what gonb left behind and removes the folder.
func (r *room) leave() {
	remove(r.dir)
	r.lock.Unlock()
}

// remove ends the helper processes of a locked room and removes the folder. A process that was about
// to end may still write into it, so it tries a few times. The lock file goes last: what cannot be
// removed now is found by the next sweep.
func remove(dir string) {
	for range 5 {
		endHelpers(dir)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != lockName {
				os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
		if entries, _ := os.ReadDir(dir); len(entries) <= 1 && os.RemoveAll(dir) == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// sweep clears up after kernels that were killed: their folders and their helper processes.
// Programs of cells are left to end by themselves: one may be saving what it trained.
func sweep(temp string) {
	dirs, _ := filepath.Glob(filepath.Join(temp, roomPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !mine(info) {
			continue
		}
		path := filepath.Join(dir, lockName)
		if _, err := os.Lstat(path); err != nil {
			continue // not ours, or being made at this moment
		}
		lock := flock.New(path)
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue
		}
		remove(dir)
		lock.Unlock()
	}
}

// helpers are the programs of a kernel that have no reason to outlive it. The go command is
// included because gopls starts it, and a killed gopls leaves it behind.
var helpers = []string{"gonb", "gopls", "go"}

func isHelper(program string) bool { return slices.Contains(helpers, filepath.Base(program)) }
