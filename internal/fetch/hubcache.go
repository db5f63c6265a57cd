package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"strings"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// hubPlace is where one file belongs in the hub's cache, held under the same lock
// that huggingface_hub takes:
//
//	models--owner--name/blobs/HASH                  its content
//	models--owner--name/snapshots/COMMIT/FILE       a link to it
//	models--owner--name/refs/main                   COMMIT
//	.locks/models--owner--name/HASH.lock
type hubPlace struct {
	h                   *HF
	blob, snapshot, ref string // ref "" = the revision is a commit
	found               hubFile
	lock                *flock.Flock
}

// open makes the folders and takes the lock. It fails where nothing may be written.
func (c hub) open(ctx context.Context, h *HF, found hubFile, o Options, name string) (*hubPlace, error) {
	dir := c.folder(h.Repo)
	p := &hubPlace{h: h, found: found,
		blob:     filepath.Join(dir, "blobs", found.blob),
		snapshot: filepath.Join(dir, "snapshots", found.commit, filepath.FromSlash(h.File)),
	}
	if !isCommit(h.revision()) {
		p.ref = filepath.Join(dir, "refs", filepath.FromSlash(h.revision()))
	}
	lock := filepath.Join(c.cache, ".locks", filepath.Base(dir), found.blob+".lock")
	for _, d := range []string{filepath.Dir(p.blob), filepath.Dir(p.snapshot), filepath.Dir(lock)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	probe, err := os.CreateTemp(filepath.Dir(p.blob), ".tlkit-*")
	if err != nil {
		return nil, err
	}
	probe.Close()
	os.Remove(probe.Name())
	p.lock = flock.New(lock)
	got, err := p.lock.TryLock()
	if err == nil && !got {
		o.report(name, Waiting, 0, 0)
		_, err = p.lock.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *hubPlace) close() { p.lock.Unlock() }

// take uses a blob that is there already, when it is whole.
func (p *hubPlace) take() (path, sum string, n int64, ok bool) {
	if !regular(p.blob) {
		return "", "", 0, false
	}
	sum, info, err := sumFile(context.Background(), p.blob)
	if err != nil || !isBlob(p.blob, sum) || p.found.bytes > 0 && info.Size() != p.found.bytes {
		return "", "", 0, false // damaged: it is replaced
	}
	if path, err = p.show(); err != nil {
		return "", "", 0, false
	}
	return path, sum, info.Size(), true
}

// put gives a verified part its name and links the snapshot to it.
func (p *hubPlace) put(part string) (string, error) {
	// Python makes these files for everybody who shares the cache.
	if err := os.Chmod(part, 0o644); err != nil {
		return "", err
	}
	if err := os.Rename(part, p.blob); err != nil {
		return "", err
	}
	if err := atomicfile.SyncDir(filepath.Dir(p.blob)); err != nil {
		return "", err
	}
	return p.show()
}

// show links the snapshot to the blob and notes which commit the branch means.
func (p *hubPlace) show() (string, error) {
	if err := p.link(); err != nil {
		return "", fmt.Errorf("the hub's cache: %w", err)
	}
	if p.ref != "" {
		if old, err := os.ReadFile(p.ref); err != nil || strings.TrimSpace(string(old)) != p.found.commit {
			if err := os.MkdirAll(filepath.Dir(p.ref), 0o755); err != nil {
				return "", fmt.Errorf("the hub's cache: %w", err)
			}
			if err := atomicfile.WriteBytes(p.ref, []byte(p.found.commit), 0o644); err != nil {
				return "", fmt.Errorf("the hub's cache: %w", err)
			}
		}
	}
	return p.snapshot, nil
}

func (p *hubPlace) link() error {
	to, err := filepath.Rel(filepath.Dir(p.snapshot), p.blob)
	if err != nil {
		return err
	}
	if old, err := os.Readlink(p.snapshot); err == nil && old == to {
		return nil
	}
	tmp := p.snapshot + ".tlkit-new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, tmp); err == nil {
		return os.Rename(tmp, p.snapshot)
	}
	// A file system or a user without links: a copy, as huggingface_hub has it.
	in, err := os.Open(p.blob)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.Write(p.snapshot, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
