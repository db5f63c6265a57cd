package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
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

// Cached returns the path of the file when it is here: in our cache, or in one of Python's. It
// never touches the network.
//
// It goes by what was noted when the file was last read: size, times and inode. That is for lists of
// what is here. Who opens the file calls Get, or [Verify], which read it.
func (f File) Cached() (string, bool) {
	found := f.find(context.Background(), Sum)
	return found.path, found.path != ""
}

// hashing returns the sha256 of a file: Sum, which believes a note, or reread.
type hashing func(ctx context.Context, path string) (string, error)

// found is what there is of a file on this machine.
type found struct {
	path    string   // of the file itself; "" = it is not here
	damaged []string // files in our cache that have its name and another content
	foreign []string // such files in the caches of Python
}

// find looks for the file in our cache and in Python's.
func (f File) find(ctx context.Context, sum hashing) found {
	var all found
	if f.check() != nil {
		return all
	}
	root, err := cachedir.Root()
	if err != nil {
		return all
	}
	f = f.known()
	for _, p := range f.places(root) {
		whole, damaged := f.holds(ctx, p, sum)
		if whole {
			all.path = p
			return all
		}
		if damaged {
			all.damaged = append(all.damaged, p)
		}
	}
	all.path, all.foreign = f.elsewhere(ctx, sum)
	return all
}

// places returns where in our cache the file would be.
func (f File) places(root string) []string {
	files := filepath.Join(root, "files")
	switch {
	case f.SHA256 == "" && f.MD5 == "":
		return nil // nothing of it has ever been here
	case len(f.SHA256) == 64:
		return []string{filepath.Join(files, strings.ToLower(f.SHA256), f.Name)}
	}
	// A published prefix: the folder carries the full hash found at arrival. So it does where only an
	// md5 is published, and the note of that hash was lost.
	all, _ := filepath.Glob(filepath.Join(files, strings.ToLower(f.SHA256)+"*"))
	var out []string
	for _, dir := range all {
		if p := filepath.Join(dir, f.Name); len(filepath.Base(dir)) == 64 && regular(p) {
			out = append(out, p)
		}
	}
	return out
}

// holds reports whether the file at p is whole: its content has the hash that its folder is named
// by. If it can be read and is not, it is damaged.
func (f File) holds(ctx context.Context, p string, sum hashing) (whole, damaged bool) {
	if !regular(p) {
		return false, false
	}
	want := filepath.Base(filepath.Dir(p))
	if !f.sizeFits(p) {
		return false, true
	}
	got, err := sum(ctx, p)
	if err != nil {
		return false, false
	}
	if got != want || !strings.HasPrefix(got, strings.ToLower(f.SHA256)) {
		return false, got != want
	}
	if f.SHA256 == "" {
		if md5, err := md5Of(p); err != nil || md5 != strings.ToLower(f.MD5) {
			return false, false // another file of that name
		}
		if info, err := os.Stat(p); err == nil {
			_ = f.note(record{SHA256: got, Bytes: info.Size()}) // best effort: our cache may be read-only
		}
	}
	return true, false
}

// Damaged returns the path of the file in the cache when its content is not what it should
// be: it arrived intact and was changed since. Get sets it aside and brings another.
func (f File) Damaged() (string, bool) {
	all := f.find(context.Background(), Sum)
	if all.path != "" || len(all.damaged) == 0 {
		return "", false
	}
	return all.damaged[0], true
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
		return s.SHA256, nil
	}
	return Rehash(ctx, p)
}

// Verify reads the file at p and returns a *HashError unless its sha256 is want. Where its CRC-32C
// was noted together with that sha256, only the CRC is computed: 60 ms of a processor for the 200 MB of
// the plugin instead of 190, and each process that opens it pays them.
func Verify(ctx context.Context, p, want string) error {
	got, err := reread(ctx, p)
	if err == nil && got != want {
		err = &HashError{What: p, Want: want, Got: got}
	}
	return err
}

// reread returns the sha256 of a file after reading its content, whatever its size and times say.
func reread(ctx context.Context, p string) (string, error) {
	s, ok := readStamp(p)
	if !ok || s.CRC32C == "" {
		return Rehash(ctx, p)
	}
	crc := crc32.New(castagnoli)
	if _, err := hashFile(ctx, p, crc); err != nil {
		return "", err
	}
	if hex.EncodeToString(crc.Sum(nil)) == s.CRC32C {
		return s.SHA256, nil
	}
	// Not noted: the stamp stays as a witness of what the file was.
	sum, _, err := sumFile(ctx, p)
	return sum, err
}

// Rehash reads the file, whatever was noted about it, notes its sha256 and returns it.
func Rehash(ctx context.Context, p string) (string, error) {
	h := newHashes()
	info, err := hashFile(ctx, p, io.MultiWriter(h.sha256, h.crc))
	if err != nil {
		return "", err
	}
	got := h.sums()
	// Best effort: with a read-only cache the file is hashed each time.
	_ = writeStamp(p, info, got)
	return got.sha256, nil
}

// SetAside renames a file of the cache whose content is wrong, so that it is not used again and can
// be looked at, and returns its new name.
func SetAside(p string) (string, error) {
	aside := p + Aside
	if err := os.Rename(p, aside); err != nil {
		return "", fmt.Errorf("fetch: %s is damaged and cannot be set aside: %w", p, err)
	}
	if note, inCache, err := stampPath(p); err == nil && inCache {
		os.Remove(note) // else it is of no use, and of no harm
	}
	return aside, nil
}

// Aside is the end of the names of files that were set aside.
const Aside = ".damaged"

// hashFile writes a file to the hash h. The facts are taken before reading: a file that is changed
// meanwhile fails the comparison with its stamp the next time.
func hashFile(ctx context.Context, p string, h io.Writer) (fs.FileInfo, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("fetch: %s is not a regular file (%s)", p, info.Mode().Type())
	}
	in, err := os.Open(p)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer in.Close()
	if _, err := copyBuffer(h, &ctxReader{ctx, in}); err != nil {
		return nil, fmt.Errorf("fetch: reading %s: %w", p, err)
	}
	return info, nil
}

// sumFile returns the sha256 of a file, which is not noted.
func sumFile(ctx context.Context, p string) (string, fs.FileInfo, error) {
	h := sha256.New()
	info, err := hashFile(ctx, p, h)
	if err != nil {
		return "", nil, err
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
	if err := writeStamp(p, info, got); err != nil {
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
		for _, victim := range []string{p, p + Aside, note} {
			if err := os.Remove(victim); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("fetch: %w", err)
			}
		}
		os.Remove(d) // succeeds when it is empty, which is what is wanted
	}
	return nil
}
