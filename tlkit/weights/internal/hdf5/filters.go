package hdf5

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
)

type filter struct{ id, size int }

const maxFilters = 8 // of an array; three are usual

var filterNames = map[int]string{4: "szip", 5: "n-bit", 6: "scale-offset", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32015: "Zstandard"}

func (f *File) parseFilters(b []byte) ([]filter, error) {
	c := f.cursor(b)
	version, n := c.uint(1), int(c.uint(1))
	if version == 1 {
		c.take(6)
	} else if version != 2 {
		c.fail("filters of version %d", version)
	}
	if n > maxFilters { // each passes over all the numbers
		c.fail("%d filters", n)
	}
	var filters []filter
	for i := 0; i < n && c.err == nil; i++ {
		x := filter{id: int(c.uint(2))}
		name := 0
		if version == 1 || x.id >= 256 {
			name = int(c.uint(2))
		}
		c.take(2)
		values := int(c.uint(2))
		if version == 1 {
			name = (name + 7) &^ 7
		}
		c.take(name)
		for j := 0; j < values && c.err == nil; j++ {
			if v := int(c.uint(4)); j == 0 {
				x.size = v
			}
		}
		if version == 1 && values%2 == 1 {
			c.take(4)
		}
		switch x.id {
		case 1, 2, 3:
		default:
			if c.err == nil {
				name := filterNames[x.id]
				if name == "" {
					name = fmt.Sprintf("filter %d", x.id)
				}
				return nil, unsupported("numbers packed with %s (gzip, shuffle and fletcher32 are read): save the file anew without it", name)
			}
		}
		filters = append(filters, x)
	}
	return filters, c.err
}

// unpacker keeps the 40 kB of a decompressor from one chunk to the next.
type unpacker struct{ z io.Reader }

func (u *unpacker) reader(b []byte) (io.Reader, error) {
	if again, ok := u.z.(zlib.Resetter); ok {
		return u.z, again.Reset(bytes.NewReader(b), nil)
	}
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err == nil {
		u.z = z
	}
	return z, err
}

// unfilter reverses the filters of a chunk, the last one first.
func (d *Dataset) unfilter(b []byte, skipped uint32, u *unpacker) ([]byte, error) {
	want := d.chunkBytes()
	for i := len(d.filters) - 1; i >= 0; i-- {
		if skipped>>i&1 == 1 {
			continue
		}
		switch d.filters[i].id {
		case 1:
			z, err := u.reader(b)
			if err != nil {
				return nil, damaged("a chunk: %v", err)
			}
			// A checksum may follow the numbers, but nothing more.
			out := bytes.NewBuffer(make([]byte, 0, min(want+5, uint64(len(b))*1040+64)))
			if _, err := io.Copy(out, io.LimitReader(z, int64(want)+5)); err != nil {
				return nil, damaged("a chunk: %v", err)
			}
			b = out.Bytes()
		case 2:
			b = unshuffle(b, d.Type.Size)
		case 3:
			if len(b) < 4 {
				return nil, damaged("a chunk of %d bytes", len(b))
			}
			n := len(b) - 4
			sum := fletcher32(b[:n])
			// Files from before HDF5 1.6.3 have the bytes of the halves in the other order.
			if got := binary.LittleEndian.Uint32(b[n:]); got != sum && got != sum>>8&0x00ff00ff|sum<<8&0xff00ff00 && !d.f.anyChecksum {
				return nil, damaged("the checksum of a chunk is wrong")
			}
			b = b[:n]
		}
	}
	if uint64(len(b)) != want {
		return nil, damaged("a chunk of %d bytes, expected %d", len(b), want)
	}
	return b, nil
}

// unshuffle reverses the shuffle filter, which groups the bytes of numbers by significance.
func unshuffle(b []byte, size int) []byte {
	if size < 2 {
		return b
	}
	n := len(b) / size
	out := make([]byte, len(b))
	for j := range size {
		for k, x := range b[j*n : (j+1)*n] {
			out[k*size+j] = x
		}
	}
	copy(out[n*size:], b[n*size:])
	return out
}

func fletcher32(b []byte) uint32 {
	low, high := uint32(0), uint32(0)
	for len(b) > 1 {
		n := min(len(b)/2, 360)
		for i := range n {
			low += uint32(b[2*i])<<8 | uint32(b[2*i+1])
			high += low
		}
		b = b[2*n:]
		low, high = low&0xffff+low>>16, high&0xffff+high>>16
	}
	if len(b) == 1 {
		low += uint32(b[0]) << 8
		high += low
		low, high = low&0xffff+low>>16, high&0xffff+high>>16
	}
	low, high = low&0xffff+low>>16, high&0xffff+high>>16
	return high<<16 | low
}
