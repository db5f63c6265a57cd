package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
)

// Cached returns the path of the file when it is here and verified: in our cache,
// or in one of Python's. It never touches the network.
//
// A file is hashed in full when it arrives, and its size, times and inode are noted. It is
// hashed again only when those differ. A file whose content has changed is not returned, and
// the next Get replaces it.
func (f File) Cached() (string, bool) {
	if f.check() != nil {
		return "", false
	}
	root, err := cachedir.Root()
	if err != nil {
		return "", false
	}
	f = f.known()
	files := filepath.Join(root, "files")
	sums := []string{strings.ToLower(f.SHA256)}
	switch {
	case f.SHA256 == "":
		sums = nil // nothing of it has ever been here
	case len(f.SHA256) < 64:
		// A published prefix: the folder carries the full hash found at arrival.
		dirs, _ := filepath.Glob(filepath.Join(files, sums[0]+"*"))
		sums = sums[:0]
		for _, d := range dirs {
			sums = append(sums, filepath.Base(d))
		}
	}
	for _, sum := range sums {
		p := filepath.Join(files, sum, f.Name)
		if len(sum) == 64 && f.holds(p, sum) {
			return p, true
		}
	}
	return f.elsewhere()
}

// holds reports whether the file at p is the wanted one and hashes to sum.
func (f File) holds(p, sum string) bool {
	if !f.sizeFits(p) {
		return false
	}
	got, err := Sum(context.Background(), p)
	return err == nil && got == sum && strings.HasPrefix(got, strings.ToLower(f.SHA256))
}

// Damaged returns the path of the file in the cache when its content is not what it should
// be: it arrived intact and was changed since. Get replaces it.
func (f File) Damaged() (string, bool) {
	root, err := cachedir.Root()
	if err != nil || len(f.SHA256) < 64 || f.check() != nil {
		return "", false
	}
	p := filepath.Join(root, "files", strings.ToLower(f.SHA256), f.Name)
	if _, err := os.Stat(p); err != nil {
		return "", false
	}
	_, whole := f.Cached()
	return p, !whole
}

func (f File) sizeFits(p string) bool {
	info, err := os.Stat(p)
	return err == nil && (f.Bytes == 0 || info.Size() == f.Bytes)
}

// Sum returns the sha256 of a file (64 hex digits), in the cache or anywhere else. The hash
// noted at the last reading is returned when size, times and inode are still the same;
// otherwise the file is read.
func Sum(ctx context.Context, p string) (string, error) {
	if s, ok := readStamp(p); ok {
		return s, nil
	}
	return Rehash(ctx, p)
}

// Rehash reads the file, whatever was noted about it, notes its sha256 and returns it.
func Rehash(ctx context.Context, p string) (string, error) {
	sum, info, err := hashFile(ctx, p)
	if err != nil {
		return "", err
	}
	// Best effort: with a read-only cache the file is hashed each time.
	_ = writeStamp(p, info, sum)
	return sum, nil
}

// hashFile reads a file through. The facts are taken before reading: a file that
// is changed meanwhile fails the comparison with its stamp the next time.
func hashFile(ctx context.Context, p string) (string, fs.FileInfo, error) {
	info, err := os.Stat(p)
	if err != nil {
		return "", nil, fmt.Errorf("fetch: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("fetch: %s is not a regular file (%s)", p, info.Mode().Type())
	}
	in, err := os.Open(p)
	if err != nil {
		return "", nil, fmt.Errorf("fetch: %w", err)
	}
	defer in.Close()
	h := sha256.New()
	if _, err := copyBuffer(h, &ctxReader{ctx, in}); err != nil {
		return "", nil, fmt.Errorf("fetch: reading %s: %w", p, err)
	}
	return hex.EncodeToString(h.Sum(nil)), info, nil
}

// install streams r into the cache under its hash, and gives it its name only
// when hash and size are right. what names the origin in errors.
func (f File) install(ctx context.Context, what string, r io.Reader, o Options) (string, error) {
	tmpDir, err := tempDir()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmpDir)
	tmp := filepath.Join(tmpDir, f.Name)
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer out.Close()
	limit := int64(maxDownload)
	if f.Bytes > 0 {
		limit = f.Bytes
	}
	h := newHashes()
	n, err := copyBuffer(io.MultiWriter(out, h), io.LimitReader(&ctxReader{ctx, r}, limit+1))
	if err != nil {
		return "", err
	}
	if n > limit {
		return "", fmt.Errorf("%s is larger than the %d bytes it should have: %w", what, limit, ErrHash)
	}
	if err := out.Sync(); err != nil {
		return "", err
	}
	if err := out.Close(); err != nil {
		return "", err
	}
	return f.adopt(what, tmp, h.sums(), n)
}

// adopt moves a finished temporary file, whose hashes were computed while it was
// written, to its name in the cache.
func (f File) adopt(what, tmp string, got sums, size int64) (string, error) {
	if err := f.verify(what, tmp, got, size); err != nil {
		return "", err
	}
	dir, err := cachedir.Dir("files", got.sha256)
	if err != nil {
		return "", err
	}
	// First noted, then visible: a file without a note would be taken for unknown.
	if err := f.note(record{SHA256: got.sha256, Bytes: size}); err != nil {
		return "", err
	}
	p := filepath.Join(dir, f.Name)
	if err := os.Rename(tmp, p); err != nil {
		return "", err
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return "", err
	}
	info, err := os.Stat(p)
	if err != nil {
		return "", err
	}
	if err := writeStamp(p, info, got.sha256); err != nil {
		return "", err
	}
	return p, nil
}

// tempDir makes a private folder on the cache's own disk, so that finished
// files move by rename. Folders that a killed process left are swept after a day.
func tempDir() (string, error) {
	dir, err := cachedir.Dir("tmp")
	if err != nil {
		return "", err
	}
	if old, err := os.ReadDir(dir); err == nil {
		for _, e := range old {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
				os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
	return os.MkdirTemp(dir, "fetch-*")
}

// lock lets one process fetch a file while others wait for it.
func lock(ctx context.Context, f File, o Options) (func(), error) {
	dir, err := cachedir.Dir("locks")
	if err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, f.id()+".lock"))
	locked, err := l.TryLock()
	if err == nil && !locked {
		o.report(f.Name, Waiting, 0, 0)
		_, err = l.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch: %s: waiting for another process that fetches it: %w", f.Name, err)
	}
	// The lock file stays: removing it would let two processes lock two files of one name.
	return func() { l.Unlock() }, nil
}

func regular(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}

// ctxReader stops reading when the context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// progress reports what passes through it, a few times a second.
type progress struct {
	r           io.Reader
	o           Options
	name, state string
	done, total int64
	last        time.Time
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.last) > 100*time.Millisecond || errors.Is(err, io.EOF) {
		p.last = now
		p.o.report(p.name, p.state, p.done, p.total)
	}
	return n, err
}

func copyBuffer(w io.Writer, r io.Reader) (int64, error) {
	// Hide WriterTo and ReaderFrom: the context must be looked at between blocks.
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 1<<18))
}

// Remove drops a file from the cache, with its note. Missing is fine.
func (f File) Remove() error {
	if err := f.check(); err != nil {
		return err
	}
	root, err := cachedir.Root()
	if err != nil {
		return err
	}
	if f = f.known(); f.SHA256 == "" {
		return nil // it has never been here
	}
	dirs, _ := filepath.Glob(filepath.Join(root, "files", strings.ToLower(f.SHA256)+"*"))
	for _, d := range dirs {
		p := filepath.Join(d, f.Name)
		note, _, err := stampPath(p)
		if err != nil {
			return err
		}
		for _, victim := range []string{p, note} {
			if err := os.Remove(victim); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("fetch: %w", err)
			}
		}
		os.Remove(d) // succeeds when it is empty, which is what is wanted
	}
	return nil
}
