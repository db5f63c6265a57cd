package weights

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"

	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

// source is the opened file. Everything is read through ReadAt and not mapped into memory: a
// file that is truncated while it is open gives an error, whereas a map would kill the process
// with SIGBUS. Opening reads only the header, so it is just as fast.
type source struct {
	name string
	r    io.ReaderAt
	size int64

	budget *budget.Budget // for opening; see open

	files []opened // none in tests that read from memory

	// sibling opens another file of the same folder, for models in several files.
	sibling func(name string) (io.ReaderAt, int64, error)
	known   map[string]bool // those that were opened

	mu       sync.Mutex
	inflated *storage // the deflated record, or packed array, that was read last ...
	// ... and its content: one slot, so that many views of one record do not inflate it again and
	// again
	content []byte
}

// opened is a file as it was when it was opened.
type opened struct {
	file *os.File
	size int64
	mod  time.Time
}

func newOpened(f *os.File) (opened, error) {
	info, err := f.Stat()
	if err != nil {
		return opened{}, err
	}
	return opened{f, info.Size(), info.ModTime()}, nil
}

// beside opens another file of the same folder. Its errors leave the name to the caller.
func (s *source) beside(name string) (io.ReaderAt, int64, error) {
	r, size, err := s.sibling(name)
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if err != nil {
		return nil, 0, err
	}
	if !s.known[name] { // a file counts once
		if s.known == nil {
			s.known = map[string]bool{}
		}
		s.known[name] = true
		s.budget.Grow(size)
	}
	return r, size, nil
}

// unchanged compares size and time with those at opening, so that parts of two checkpoints are
// never mixed.
func (s *source) unchanged() error {
	for _, o := range s.files {
		info, err := o.file.Stat()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if info.Size() != o.size || !info.ModTime().Equal(o.mod) {
			return fmt.Errorf("%s changed while it was being read (%d bytes at opening, now %d): open it again", o.file.Name(), o.size, info.Size())
		}
	}
	return nil
}

// bytes is the size of all files.
func (s *source) bytes() int64 {
	total := int64(0)
	for _, o := range s.files {
		total += o.size
	}
	return max(total, s.size)
}

func (s *source) close() error {
	var failed []error
	for _, o := range s.files {
		failed = append(failed, o.file.Close())
	}
	return errors.Join(failed...)
}

// storage is a run of bytes that one or more tensors use.
type storage struct {
	src  *source
	base int64 // where it begins, for raw bytes
	size int64 // in bytes

	record *zip.File // the record of a zip that holds it, else nil

	part *storage // it is a part of this storage, from base on, or nil
	// its content is not in the file as it is: how to work it out, or nil
	make func() ([]byte, error)

	mu       sync.Mutex
	verified bool // the record's CRC-32 was right
}

// reader returns a reader of n bytes from off on. finish must be called after the last byte: it
// reports a wrong CRC-32.
func (s *storage) reader(off, n int64) (r io.Reader, finish func() error, err error) {
	if off < 0 || n < 0 || off > s.size || n > s.size-off {
		return nil, nil, fmt.Errorf("%s: bytes %d to %d of a storage of %d", s.src.name, off, off+n, s.size)
	}
	if err := s.src.unchanged(); err != nil {
		return nil, nil, err
	}
	nothing := func() error { return nil }
	switch {
	case s.part != nil:
		return s.part.reader(s.base+off, n)
	case s.make != nil:
		b, err := s.made()
		if err != nil {
			return nil, nil, err
		}
		return bytes.NewReader(b[off : off+n]), nothing, nil
	case s.record == nil:
		return io.NewSectionReader(s.src.r, s.base+off, n), nothing, nil
	case s.record.Method == zip.Deflate:
		b, err := s.inflate()
		if err != nil {
			return nil, nil, err
		}
		return bytes.NewReader(b[off : off+n]), nothing, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verified || s.size == 0 {
		r, err := s.raw(off, n)
		return r, nothing, err
	}
	if n == s.size {
		// The usual case, one tensor that is the whole record: check while reading.
		r, finish, err := openRecord(s.record)
		if err != nil {
			return nil, nil, s.recordError(err)
		}
		return r, func() error {
			if err := finish(); err != nil {
				return s.recordError(err)
			}
			s.mu.Lock()
			s.verified = true
			s.mu.Unlock()
			return nil
		}, nil
	}
	if err := s.verify(); err != nil {
		return nil, nil, err
	}
	r, err = s.raw(off, n)
	return r, nothing, err
}

// raw reads a stored (not deflated) record without checking its checksum.
func (s *storage) raw(off, n int64) (io.Reader, error) {
	base, err := s.record.DataOffset()
	if err != nil {
		return nil, s.recordError(err)
	}
	return io.NewSectionReader(s.src.r, base+off, n), nil
}

// verify reads a stored record once to check its checksum.
func (s *storage) verify() error {
	r, finish, err := openRecord(s.record)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(r, s.size))
	}
	if err == nil {
		err = finish()
	}
	if err != nil {
		return s.recordError(err)
	}
	s.verified = true
	return nil
}

func (s *storage) inflate() ([]byte, error) {
	return s.src.once(s, func() ([]byte, error) {
		b, err := readRecord(s.record)
		if err != nil {
			return nil, s.recordError(err)
		}
		return b, nil
	})
}

func (s *storage) made() ([]byte, error) {
	return s.src.once(s, func() ([]byte, error) {
		b, err := s.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.src.name, err)
		}
		if int64(len(b)) != s.size {
			return nil, fmt.Errorf("%s: %d bytes where %d were announced", s.src.name, len(b), s.size)
		}
		return b, nil
	})
}

// once returns the content of a storage, and keeps the last one.
func (s *source) once(st *storage, work func() ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inflated == st {
		return s.content, nil
	}
	s.inflated, s.content = nil, nil
	b, err := work()
	if err != nil {
		return nil, err
	}
	s.inflated, s.content = st, b
	return b, nil
}

func (s *storage) recordError(err error) error {
	return fmt.Errorf("%s: record %s is damaged: %w", s.src.name, words.Quote(s.record.Name), err)
}

// openRecord returns the content of a record. finish, called after its last byte, compares
// length and CRC-32. The check of archive/zip is not used: it rejects a checksum of zero, which
// torch.serialization.set_crc32_options(False) writes.
func openRecord(f *zip.File) (r io.Reader, finish func() error, err error) {
	r, err = f.OpenRaw()
	if err != nil {
		return nil, nil, err
	}
	if f.Method == zip.Deflate {
		r = flate.NewReader(r)
	}
	sum := crc32.NewIEEE()
	counter := &counter{w: sum}
	r = io.TeeReader(r, counter)
	return r, func() error {
		// Try one byte more: a record that unpacks to more than its size is refused.
		var one [1]byte
		n, err := io.ReadFull(r, one[:])
		if n > 0 || counter.n != f.UncompressedSize64 {
			return fmt.Errorf("its length is not the %d bytes it announces", f.UncompressedSize64)
		}
		if err != io.EOF {
			return err // the packed data continues, or is truncated
		}
		if f.CRC32 != 0 && sum.Sum32() != f.CRC32 {
			return zip.ErrChecksum
		}
		return nil
	}, nil
}

type counter struct {
	w io.Writer
	n uint64
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += uint64(len(b))
	return c.w.Write(b)
}

// readRecord reads a whole record. checkRecord must have accepted its sizes.
func readRecord(f *zip.File) ([]byte, error) {
	if f.UncompressedSize64 > math.MaxInt/2 {
		return nil, fmt.Errorf("%d bytes are more than this machine can address", f.UncompressedSize64)
	}
	r, finish, err := openRecord(f)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.UncompressedSize64)
	if _, err := io.ReadFull(r, b); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, finish()
}
