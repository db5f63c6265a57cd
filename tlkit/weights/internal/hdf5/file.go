package hdf5

import (
	"errors"
	"fmt"
	"io"

	"github.com/tlkit/transfer-learning/tlkit/weights/internal/budget"
)

// Errors that reading wraps.
var (
	// ErrDamaged means that the file contradicts itself or the format.
	ErrDamaged = errors.New("damaged or not HDF5")
	// ErrOutside means that an object is in another file, or behind a soft link.
	ErrOutside = errors.New("points outside its file")
	// ErrUnsupported means a part of HDF5 that files of Keras do not need.
	ErrUnsupported = errors.New("not supported")
	// ErrTooLarge means that the description would cost more than is allowed for a file of this size.
	ErrTooLarge = errors.New("too large")
)

func damaged(format string, a ...any) error {
	return fmt.Errorf("hdf5: %w: %s", ErrDamaged, fmt.Sprintf(format, a...))
}

func unsupported(format string, a ...any) error {
	return fmt.Errorf("hdf5: %w: %s", ErrUnsupported, fmt.Sprintf(format, a...))
}

const (
	undefined = ^uint64(0) // the address of something that does not exist
	maxDepth  = 32         // groups in groups, and levels of a B-tree
	readCost  = 64         // bytes that a read counts in addition to its own
)

// File is an HDF5 file opened for reading. It is not safe for concurrent use,
// except for Dataset's Read.
type File struct {
	r          io.ReaderAt
	size       uint64 // of the file
	base       uint64 // what addresses count from
	offsets    int    // bytes of an address
	lengths    int    // bytes of a length
	root       uint64
	budget     *budget.Budget // for descriptions
	unpacked   int64          // remaining bytes of unpacked datasets
	stored     int64          // remaining bytes of chunks in the file
	globalHeap map[uint64]map[uint64][]byte
	fractal    map[uint64]*fractalHeap
	seen       map[uint64]bool // objects that a link has reached

	anyChecksum bool // for tests with broken files
}

const signature = "\x89HDF\r\n\x1a\n"

// Open reads the superblock. It may be after a user block, at 512, 1024, ... bytes.
// What describes the content is drawn from b.
func Open(r io.ReaderAt, size int64, b *budget.Budget) (*File, error) {
	return open(r, size, b, false)
}

func open(r io.ReaderAt, size int64, b *budget.Budget, anyChecksum bool) (*File, error) {
	if size < 0 {
		return nil, damaged("a file of %d bytes", size)
	}
	f := &File{
		r: r, size: uint64(size), anyChecksum: anyChecksum,
		budget:     b,
		unpacked:   min(200*min(size, 1<<40), 4*min(size, 1<<40)+96<<20) + 4<<20,
		stored:     2*min(size, 1<<40) + 1<<16,
		globalHeap: map[uint64]map[uint64][]byte{},
		fractal:    map[uint64]*fractalHeap{},
		seen:       map[uint64]bool{},
		offsets:    8, lengths: 8,
	}
	pos := uint64(0)
	for ; ; pos = max(512, pos*2) {
		if pos+16 > f.size {
			return nil, damaged("no HDF5 signature")
		}
		b, err := f.read(pos, 8)
		if err != nil {
			return nil, err
		}
		if string(b) == signature {
			break
		}
	}
	if err := f.superblock(pos); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) superblock(pos uint64) error {
	const longest = 100
	b, err := f.read(pos, min(longest, f.size-pos))
	if err != nil {
		return err
	}
	c := f.cursor(b)
	c.take(8)
	version := c.uint(1)
	switch {
	case version <= 1:
		c.take(4)
		f.offsets, f.lengths = int(c.uint(1)), int(c.uint(1))
		c.take(9)
		if version == 1 {
			c.take(4)
		}
	case version <= 3:
		f.offsets, f.lengths = int(c.uint(1)), int(c.uint(1))
		c.take(1)
	default:
		return unsupported("superblock version %d", version)
	}
	if c.err == nil && (f.offsets != 4 && f.offsets != 8 || f.lengths != 4 && f.lengths != 8) {
		return damaged("addresses of %d and lengths of %d bytes", f.offsets, f.lengths)
	}
	base := c.address()
	c.address() // free space, or the extension of the superblock
	end := c.address()
	if version <= 1 {
		c.address() // driver information
		c.length()  // the root's name
	}
	f.root = c.address()
	if version > 1 {
		c.checksum(c.pos)
	}
	if c.err != nil {
		return c.err
	}
	if base != 0 && base != pos {
		return damaged("addresses count from byte %d, the superblock is at %d", base, pos)
	}
	f.base = pos
	if end == undefined || end > f.size {
		return damaged("it ends at byte %d, but the file has %d bytes: it was cut off", end, f.size)
	}
	return nil
}

// read returns n bytes at an address. It is for descriptions only; Dataset reads numbers.
func (f *File) read(address, n uint64) ([]byte, error) {
	if err := f.checkRange(address, n); err != nil {
		return nil, err
	}
	if err := f.spend(int64(n)+readCost, "its structures go round in circles"); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(f.base+address)); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, damaged("it was cut off while being read")
		}
		return nil, fmt.Errorf("hdf5: %w", err)
	}
	return b, nil
}

// spend draws from the budget of the file.
func (f *File) spend(n int64, what string) error {
	if err := f.budget.Describe(n); err != nil {
		return fmt.Errorf("hdf5: %w: %s: %w", ErrTooLarge, what, err)
	}
	return nil
}

// checkRange returns an error unless n bytes at an address are inside the file.
func (f *File) checkRange(address, n uint64) error {
	if address > f.size-f.base || n > f.size-f.base-address {
		return damaged("%d bytes at address %d, the file has %d", n, address, f.size-f.base)
	}
	return nil
}

func (f *File) cursorAt(address, n uint64) (*cursor, error) {
	b, err := f.read(address, n)
	if err != nil {
		return nil, err
	}
	return f.cursor(b), nil
}
