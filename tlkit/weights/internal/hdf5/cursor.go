package hdf5

import (
	"encoding/binary"
	"math/bits"
)

// cursor reads little-endian numbers from bytes. After the first error all reads return zeros,
// so that err can be checked once after several reads.
type cursor struct {
	f   *File
	b   []byte
	pos int
	err error
}

func (f *File) cursor(b []byte) *cursor { return &cursor{f: f, b: b} }

// take returns the next n bytes, or zeros after an error.
func (c *cursor) take(n int) []byte {
	if c.err == nil && (n < 0 || n > len(c.b)-c.pos) {
		c.err = damaged("a structure of %d bytes ends before its content", len(c.b))
	}
	if c.err != nil {
		if n <= 0 || n > 64 {
			return nil
		}
		return make([]byte, n)
	}
	c.pos += n
	return c.b[c.pos-n : c.pos : c.pos]
}

func (c *cursor) uint(n int) uint64 {
	v := uint64(0)
	if n > 8 {
		c.fail("a number of %d bytes", n)
		return 0
	}
	for i, x := range c.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

func (c *cursor) address() uint64 {
	v := c.uint(c.f.offsets)
	if c.f.offsets < 8 && v == 1<<(8*c.f.offsets)-1 {
		return undefined
	}
	return v
}

func (c *cursor) length() uint64 { return c.uint(c.f.lengths) }

func (c *cursor) rest() []byte { return c.take(len(c.b) - c.pos) }

func (c *cursor) left() int { return len(c.b) - c.pos }

func (c *cursor) fail(format string, a ...any) {
	if c.err == nil {
		c.err = damaged(format, a...)
	}
}

// signature checks four letters and a version.
func (c *cursor) signature(letters string, version uint64) {
	if got := string(c.take(4)); c.err == nil && got != letters {
		c.fail("%q where %s should be", got, letters)
	}
	if v := c.uint(1); c.err == nil && v != version {
		c.err = unsupported("%s of version %d", letters, v)
	}
}

// checksum compares the next four bytes with the checksum of the first n.
func (c *cursor) checksum(n int) {
	want := uint32(c.uint(4))
	if c.err == nil && !c.f.anyChecksum && lookup3(c.b[:n]) != want {
		c.fail("a checksum is wrong: the file was changed or damaged on its way")
	}
}

// lookup3 is Bob Jenkins' hash, the checksum of HDF5's descriptions.
func lookup3(b []byte) uint32 {
	x := uint32(0xdeadbeef) + uint32(len(b))
	p, q, r := x, x, x
	for len(b) > 12 {
		p += binary.LittleEndian.Uint32(b)
		q += binary.LittleEndian.Uint32(b[4:])
		r += binary.LittleEndian.Uint32(b[8:])
		p = (p - r) ^ bits.RotateLeft32(r, 4)
		r += q
		q = (q - p) ^ bits.RotateLeft32(p, 6)
		p += r
		r = (r - q) ^ bits.RotateLeft32(q, 8)
		q += p
		p = (p - r) ^ bits.RotateLeft32(r, 16)
		r += q
		q = (q - p) ^ bits.RotateLeft32(p, 19)
		p += r
		r = (r - q) ^ bits.RotateLeft32(q, 4)
		q += p
		b = b[12:]
	}
	if len(b) == 0 {
		return r
	}
	var last [12]byte
	copy(last[:], b)
	p += binary.LittleEndian.Uint32(last[:])
	q += binary.LittleEndian.Uint32(last[4:])
	r += binary.LittleEndian.Uint32(last[8:])
	r = (r ^ q) - bits.RotateLeft32(q, 14)
	p = (p ^ r) - bits.RotateLeft32(r, 11)
	q = (q ^ p) - bits.RotateLeft32(p, 25)
	r = (r ^ q) - bits.RotateLeft32(q, 16)
	p = (p ^ r) - bits.RotateLeft32(r, 4)
	q = (q ^ p) - bits.RotateLeft32(p, 14)
	r = (r ^ q) - bits.RotateLeft32(q, 24)
	return r
}
