package wrapper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
	endHelpers(r.dir)
	os.RemoveAll(r.dir)
	r.lock.Unlock()
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
		endHelpers(dir)
		os.RemoveAll(dir)
		lock.Unlock()
	}
}

// helpers are the programs of a kernel that have no reason to outlive it.
var helpers = []string{"gonb", "gopls"}

func isHelper(program string) bool { return slices.Contains(helpers, filepath.Base(program)) }
