package hdf5

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
)

// Dataset is an array whose description has been read and checked.
type Dataset struct {
	Shape []int
	Type  Type

	f       *File
	n       uint64 // elements
	bytes   uint64 // of all elements
	fill    []byte // the value of elements that were never written
	inline  []byte // the numbers, if they are in the description
	pos     uint64 // where they are, if they are contiguous
	chunks  []chunk
	sides   []uint64 // of a chunk
	filters []filter
	form    byte
}

const (
	formEmpty = iota // never written: the fill value everywhere
	formInline
	formWhole
	formChunks
)

// Dataset reads the description of an array.
func (o *Object) Dataset() (*Dataset, error) {
	d := &Dataset{f: o.f}
	var layout []byte
	var err error
	typed, spaced := false, false
	for _, m := range o.messages {
		switch m.kind {
		case msgDataspace, msgDatatype, msgFill, msgFilters, msgLayout:
			if m.flags&2 != 0 {
				return nil, unsupported("a dataset shares its description with others")
			}
		}
		switch m.kind {
		case msgDataspace:
			spaced = true
			d.Shape, d.n, err = o.f.parseSpace(m.data)
		case msgDatatype:
			typed = true
			d.Type, err = o.f.parseType(m.data)
		case msgFill:
			d.fill, err = o.f.parseFill(m.data)
		case msgFilters:
			d.filters, err = o.f.parseFilters(m.data)
		case msgLayout:
			layout = m.data
		case msgExternal:
			err = fmt.Errorf("hdf5: %w: its numbers are in another file, which is not opened", ErrOutside)
		}
		if err != nil {
			return nil, err
		}
	}
	if !typed || !spaced || layout == nil {
		return nil, damaged("a dataset without type, shape or place")
	}
	hi, lo := bits.Mul64(d.n, uint64(d.Type.Size))
	if hi != 0 || lo > 1<<48 {
		return nil, damaged("%v elements of %d bytes", d.Shape, d.Type.Size)
	}
	d.bytes = lo
	if len(d.fill) != d.Type.Size || allZero(d.fill) {
		d.fill = nil
	}
	if err := d.parseLayout(layout); err != nil {
		return nil, err
	}
	if d.form == formEmpty {
		err = d.pay(d.bytes)
	}
	return d, err
}

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

// pay subtracts unpacked bytes from the budget of the file.
func (d *Dataset) pay(n uint64) error {
	if n > math.MaxInt64 || int64(n) > d.f.unpacked {
		return fmt.Errorf("hdf5: %w: it would unpack to many times its size: a bomb, not weights", ErrTooLarge)
	}
	d.f.unpacked -= int64(n)
	return nil
}

func (d *Dataset) parseLayout(b []byte) error {
	c := d.f.cursor(b)
	version, class := c.uint(1), c.uint(1)
	// Version 5 (HDF5 2.0) differs from 4 in the width of some numbers of an index, which the index
	// also states.
	if c.err == nil && (version < 3 || version > 5) {
		return unsupported("a data layout of version %d", version)
	}
	switch class {
	case 0:
		d.form = formInline
		n := c.uint(2)
		d.inline = c.take(int(n))
		if c.err == nil && n < d.bytes {
			return damaged("%d bytes for %d elements of %d", n, d.n, d.Type.Size)
		}
	case 1:
		d.pos = c.address()
		n := c.length()
		if c.err != nil || d.pos == undefined {
			return c.err
		}
		d.form = formWhole
		if n < d.bytes {
			return damaged("%d bytes for %d elements of %d", n, d.n, d.Type.Size)
		}
		return d.f.checkRange(d.pos, d.bytes)
	case 2:
		d.form = formChunks
		if version == 3 {
			return d.chunksV3(c)
		}
		return d.chunksV4(c)
	case 3:
		return fmt.Errorf("hdf5: %w: a virtual dataset, made of parts of others", ErrOutside)
	default:
		c.fail("a data layout of class %d", class)
	}
	return c.err
}

func (f *File) parseFill(b []byte) ([]byte, error) {
	c := f.cursor(b)
	version := c.uint(1)
	if version < 3 {
		c.take(2)
		defined := c.uint(1)
		if version > 1 && defined == 0 {
			return nil, c.err
		}
	} else if c.uint(1)&0x20 == 0 {
		return nil, c.err
	}
	n := c.uint(4)
	if int32(n) <= 0 {
		return nil, c.err
	}
	return c.take(int(n)), c.err
}

// Place returns where the numbers are in the file; ok is false unless they are unpacked, row by
// row and contiguous.
func (d *Dataset) Place() (offset int64, ok bool) {
	return int64(d.f.base + d.pos), d.form == formWhole
}

// Bytes returns the number of bytes of all elements.
func (d *Dataset) Bytes() int64 { return int64(d.bytes) }

// Read returns the elements row by row as bytes of the file's type. It is safe for concurrent use.
func (d *Dataset) Read() ([]byte, error) {
	if d.bytes > math.MaxInt/2 {
		return nil, fmt.Errorf("hdf5: %w: %d bytes are more than this machine can address", ErrTooLarge, d.bytes)
	}
	switch d.form {
	case formInline:
		return slices.Clone(d.inline[:d.bytes]), nil
	case formWhole:
		return d.f.data(d.pos, d.bytes)
	}
	out := make([]byte, d.bytes)
	if d.fill != nil {
		for pos := 0; pos < len(out); pos += len(d.fill) {
			copy(out[pos:], d.fill)
		}
	}
	u := &unpacker{}
	for _, x := range d.chunks {
		if err := d.readChunk(x, out, u); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// data reads numbers at a place that was checked.
func (f *File) data(address, n uint64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(f.base+address)); err != nil && !(err == io.EOF && n == 0) {
		return nil, fmt.Errorf("hdf5: %w", err)
	}
	return b, nil
}
