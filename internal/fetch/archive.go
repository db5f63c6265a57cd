package fetch

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// member is one entry of an archive.
type member struct {
	name string // as written in the archive
	dir  bool
	size int64 // as claimed; the reader is cut off there and checked
	kind string
	open func() (io.Reader, func(), error)
}

// localName reports whether a name in an archive may become a path below a folder.
func localName(name string) bool {
	return name != "" && !strings.ContainsAny(name, "\\\x00:") && !strings.HasPrefix(name, "/") &&
		path.Clean(name) == name && name != "." && filepath.IsLocal(filepath.FromSlash(name))
}

// openMember calls use with the content of one file in a zip or tgz on disk.
func openMember(archive, inner string, use func(r io.Reader, size int64) error) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	found := errors.New("found")
	err = eachMember(in, info.Size(), maxDownload, func(m member) error {
		if m.name != inner || m.dir || m.kind != "" {
			return nil
		}
		r, done, err := m.open()
		if err != nil {
			return err
		}
		defer done()
		if err := use(r, m.size); err != nil {
			return err
		}
		return found
	})
	if errors.Is(err, found) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it holds no %s", inner)
	}
	return fmt.Errorf("%s: %w", filepath.Base(archive), err)
}

// eachMember walks a zip or tgz in order. through bounds what a tgz may unpack
// to on the way; a zip is read by entry and needs no such bound.
func eachMember(in *os.File, size, through int64, use func(member) error) error {
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return fmt.Errorf("too short for an archive (%d bytes)", size)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch {
	case string(magic[:2]) == "PK":
		return eachZip(in, size, use)
	case magic[0] == 0x1f && magic[1] == 0x8b:
		return eachTar(in, through, use)
	}
	return fmt.Errorf("neither zip nor gzip: it begins with % x", magic)
}

func eachZip(in io.ReaderAt, size int64, use func(member) error) error {
	z, err := zip.NewReader(in, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	for _, e := range z.File {
		m := member{name: e.Name, dir: strings.HasSuffix(e.Name, "/"), size: int64(min(e.UncompressedSize64, 1<<62)),
			open: func() (io.Reader, func(), error) {
				r, err := e.Open()
				if err != nil {
					return nil, nil, err
				}
				return r, func() { r.Close() }, nil
			}}
		if mode := e.Mode(); !m.dir && !mode.IsRegular() {
			m.kind = kindOf(mode)
		}
		if e.Flags&1 != 0 {
			m.kind = "password-protected file"
		}
		if err := use(m); err != nil {
			return err
		}
	}
	return nil
}

func eachTar(in io.Reader, through int64, use func(member) error) error {
	zipped, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	gz := &bounded{r: zipped, left: through}
	t := tar.NewReader(gz)
	for {
		h, err := t.Next()
		if err == io.EOF {
			// Read on to the end, so that a cut or damaged tail is noticed.
			_, err := io.Copy(io.Discard, gz)
			return err
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		m := member{name: h.Name, size: h.Size, open: func() (io.Reader, func(), error) { return t, func() {}, nil }}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
		case tar.TypeDir:
			m.dir = true
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeLink:
			m.kind = "hard link"
		default:
			m.kind = kindOf(h.FileInfo().Mode())
		}
		if err := use(m); err != nil {
			return err
		}
	}
}

// bounded fails, instead of ending like io.LimitReader, when too much comes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("it unpacks to more than its size and the limits allow")
	}
	return n, err
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode&os.ModeSymlink != 0:
		return "symbolic link"
	case mode&os.ModeDevice != 0:
		return "device"
	case mode&os.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "special file"
}
