package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
)

// UnpackLimits bound what an archive may do to the disk. Zero fields take the
// default in parentheses.
type UnpackLimits struct {
	Entries    int     // files and folders (100,000)
	EntryBytes int64   // size of one file, unpacked (4 GiB)
	TotalBytes int64   // size of all files, unpacked (16 GiB)
	Ratio      float64 // unpacked bytes per packed byte of the whole archive (200), above a free 16 MiB
	// Keep reports which files to write; nil = all. Names are slash paths as in
	// the archive. Skipped files count against Entries only.
	Keep func(name string) bool
}

func (l UnpackLimits) withDefaults() UnpackLimits {
	if l.Entries == 0 {
		l.Entries = 100_000
	}
	if l.EntryBytes == 0 {
		l.EntryBytes = 4 << 30
	}
	if l.TotalBytes == 0 {
		l.TotalBytes = 16 << 30
	}
	if l.Ratio == 0 {
		l.Ratio = 200
	}
	return l
}

// freeRatio is unpacked without looking at the ratio: small archives of
// repetitive text are honest and pack very well.
const freeRatio = 16 << 20

// Unpack writes the files of a zip (also a wheel) or tgz below intoDir, which must be empty or
// not exist yet. The first bytes tell which of the two it is.
//
// Either all files arrive or none: they are unpacked beside intoDir, which is renamed at the end.
// Links, devices, names that leave the folder, two files of one name, and more than the limits
// allow are errors. Files get mode 0600, folders 0700, whatever the archive says.
func Unpack(ctx context.Context, archivePath, intoDir string, limits UnpackLimits) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fetch: unpacking %s: %w", archivePath, err)
		}
	}()
	if entries, err := os.ReadDir(intoDir); err == nil && len(entries) > 0 {
		return advice.New(fmt.Errorf("%s is not empty", intoDir), "want a folder that does not exist yet")
	}
	parent := filepath.Dir(filepath.Clean(intoDir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(intoDir)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // after the rename there is nothing left to remove
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return err
	}
	defer root.Close()
	in, err := os.Open(archivePath)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	u := &unpacker{ctx: ctx, root: root, limits: limits.withDefaults(), packed: info.Size()}
	// Headers and skipped files of a tgz pass through the decompressor too.
	through := min(u.limits.TotalBytes, int64(u.limits.Ratio*float64(u.packed))+freeRatio) + 4096*int64(u.limits.Entries)
	if err := eachMember(in, info.Size(), through, u.member); err != nil {
		return err
	}
	if err := root.Close(); err != nil {
		return err
	}
	// An empty folder is in the way of a rename on some systems.
	if err := os.Remove(intoDir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, intoDir); err != nil {
		return err
	}
	return atomicfile.SyncDir(parent)
}

type unpacker struct {
	ctx    context.Context
	root   *os.Root
	limits UnpackLimits
	packed int64
	count  int
	total  int64
}

func (u *unpacker) member(m member) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	if u.count++; u.count > u.limits.Entries {
		return fmt.Errorf("more than %d entries", u.limits.Entries)
	}
	name := strings.TrimSuffix(m.name, "/")
	if m.dir && (name == "." || name == "") {
		return nil
	}
	name = strings.TrimPrefix(name, "./")
	if !localName(name) {
		return fmt.Errorf("entry %q: its name leaves the folder", m.name)
	}
	if m.kind != "" {
		return advice.New(fmt.Errorf("entry %q is a %s", m.name, m.kind), "want files and folders only")
	}
	if m.dir {
		return u.mkdir(name)
	}
	if u.limits.Keep != nil && !u.limits.Keep(name) {
		return nil
	}
	if m.size > u.limits.EntryBytes {
		return fmt.Errorf("entry %q has %d bytes, more than %d", m.name, m.size, u.limits.EntryBytes)
	}
	if dir := path.Dir(name); dir != "." {
		if err := u.mkdir(dir); err != nil {
			return err
		}
	}
	r, done, err := m.open()
	if err != nil {
		return fmt.Errorf("entry %q: %w", m.name, err)
	}
	defer done()
	out, err := u.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("entry %q is there twice", m.name)
	}
	if err != nil {
		return fmt.Errorf("entry %q: %w", m.name, err)
	}
	defer out.Close()
	room := min(u.limits.EntryBytes, u.limits.TotalBytes-u.total,
		int64(u.limits.Ratio*float64(u.packed))+freeRatio-u.total)
	n, err := copyBuffer(out, io.LimitReader(&ctxReader{u.ctx, r}, room+1))
	if err != nil {
		return fmt.Errorf("entry %q: %w", m.name, err)
	}
	if u.total += n; n > room {
		return fmt.Errorf("entry %q makes it too large: %d bytes from an archive of %d (limits: %d a file, %d in all, %g times the archive)",
			m.name, u.total, u.packed, u.limits.EntryBytes, u.limits.TotalBytes, u.limits.Ratio)
	}
	return out.Close()
}

func (u *unpacker) mkdir(name string) error {
	if err := u.root.MkdirAll(filepath.FromSlash(name), 0o700); err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	return nil
}
