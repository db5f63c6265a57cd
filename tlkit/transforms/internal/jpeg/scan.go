package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"io"
)

// Encoders write about ten scans. A small hostile file can have many more, each of which passes over
// the whole picture. Their number is limited as libjpeg-turbo's own tests limit it, and their work by
// the length of the file, counted in coefficients: 200 million are about a second, and a photograph
// of 50 megapixels in ten scans has as many.
const (
	maxScans    = 500
	freeWork    = 400_000_000
	workPerByte = 100
)

// work is what a scan of so many blocks costs. A scan that refines looks at every coefficient; any
// other may skip a block, which is not free either.
func (s *scan) work(blocks int) int {
	if s.high > 0 && s.first > 0 {
		return blocks * (5 + s.last - s.first)
	}
	return blocks * 4
}

// unzig maps zigzag order to natural order (row by row).
var unzig = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

// scan is a scan header.
type scan struct {
	comps       []*component
	dc, ac      [4]*huffman // of each component
	first, last int         // zigzag range
	high        uint        // bits already known, 0 in a first pass
	low         uint        // bits still to come
	pred        [4]int32    // the last DC value of each component
	eobRun      int         // blocks that have no more coefficients
	reader
}

// readScan reads a scan header and every component's tables.
func (f *File) readScan() (*scan, error) {
	b, err := f.body()
	if err != nil {
		return nil, err
	}
	if f.scans++; f.scans > maxScans {
		return nil, UnsupportedError(fmt.Sprintf("a picture of more than %d scans", maxScans))
	}
	if len(b) < 1 || b[0] < 1 || int(b[0]) > len(f.comps) || len(b) != 4+2*int(b[0]) {
		return nil, FormatError("a scan header of the wrong length")
	}
	n := int(b[0])
	s := &scan{last: 63}
	if f.progressive {
		s.first, s.last = int(b[1+2*n]), int(b[2+2*n])
		s.high, s.low = uint(b[3+2*n]>>4), uint(b[3+2*n]&15)
		switch {
		case s.first > s.last || s.last > 63 || (s.first == 0) != (s.last == 0) || s.first > 0 && n > 1,
			s.low > 13 || s.high != 0 && s.high != s.low+1:
			return nil, FormatError("a progressive scan of impossible range")
		}
	}
	blocks := 0
	for i := range n {
		id, tables := b[1+2*i], b[2+2*i]
		var c *component
		for j := range f.comps {
			if f.comps[j].id == id {
				c = &f.comps[j]
			}
		}
		for _, other := range s.comps {
			if other == c {
				c = nil
			}
		}
		if c == nil || tables>>4 > 3 || tables&15 > 3 {
			return nil, FormatError("a scan of an unknown component")
		}
		s.dc[i], s.ac[i] = f.dc[tables>>4], f.ac[tables&15]
		if s.first == 0 && s.high == 0 && s.dc[i] == nil || s.last > 0 && s.ac[i] == nil {
			return nil, FormatError("a scan without its Huffman table")
		}
		if c.table == nil {
			c.table = f.quant[c.quant]
			if c.table == nil {
				return nil, FormatError("a component without its quantisation table")
			}
		}
		s.comps = append(s.comps, c)
		blocks += c.h * c.v
	}
	if n > 1 && blocks > 10 {
		return nil, FormatError("more than ten blocks in a unit")
	}
	return s, nil
}

// nextSegment copies the entropy-coded data up to the next marker, without the zero bytes stuffed
// after 0xff, so that the bit reader can take eight bytes at a time.
func (f *File) nextSegment() (r reader, marker uint8) {
	f.clean = f.clean[:0]
	for {
		rest := f.data[f.pos:]
		i := bytes.IndexByte(rest, 0xff)
		if i < 0 || i+1 >= len(rest) {
			f.clean = append(f.clean, rest...)
			f.pos = len(f.data)
			return reader{buf: f.clean}, 0
		}
		switch m := rest[i+1]; m {
		case 0:
			f.clean = append(f.clean, rest[:i+1]...)
			f.pos += i + 2
		case 0xff: // fill
			f.clean = append(f.clean, rest[:i]...)
			f.pos += i + 1
		default:
			f.clean = append(f.clean, rest[:i]...)
			f.pos += i // the marker stays
			return reader{buf: f.clean}, m
		}
	}
}

// decodeScan reads a scan's blocks.
func (f *File) decodeScan() error {
	s, err := f.readScan()
	if err != nil {
		return err
	}
	// A scan of one component has its blocks in rows, without those that only pad the
	// last units; a scan of several has them unit by unit.
	single := len(s.comps) == 1
	unitsX, unitsY := f.mcusX, f.mcusY
	if single {
		unitsX, unitsY = roundUp(s.comps[0].size.w, 8), roundUp(s.comps[0].size.h, 8)
	}
	perUnit := 0
	for _, c := range s.comps {
		perUnit += c.h * c.v
	}
	if single {
		perUnit = 1
	}
	if f.progressive {
		if f.work += s.work(unitsX * unitsY * perUnit); f.work > freeWork+workPerByte*len(f.data) {
			return UnsupportedError(fmt.Sprintf("so many scans (%d so far) of so large a picture in so short a file", f.scans))
		}
	}
	marker := uint8(0)
	s.reader, marker = f.nextSegment()
	left := f.restart
	expect := uint8(markerRST0)
	var block [64]int32
	for uy := range unitsY {
		for ux := range unitsX {
			if f.restart > 0 && left == 0 {
				if s.exhausted() {
					return f.ended(marker)
				}
				if marker != expect {
					return f.ended(marker)
				}
				f.pos += 2
				s.reader, marker = f.nextSegment()
				s.pred, s.eobRun = [4]int32{}, 0
				left = f.restart
				expect = markerRST0 | (expect+1)&7
			}
			left--
			for i, c := range s.comps {
				h, v := c.h, c.v
				if single {
					h, v = 1, 1
				}
				for k := range h * v {
					bx, step := ux*h+k%h, uy*v+k/h
					var ok bool
					if f.progressive {
						ok = s.progressiveBlock(i, &c.coefs[step*c.blocks.w+bx])
					} else {
						var last int
						block = [64]int32{}
						last, ok = s.block(i, c.table, &block)
						if ok && (image.Point{bx, step}).In(c.need) {
							stride := 8 * c.blocks.w
							idct(&block, last, c.pix[8*(step*stride+bx):], stride)
						}
					}
					if !ok {
						if s.exhausted() {
							return f.ended(marker)
						}
						return FormatError("a Huffman code that does not exist")
					}
				}
			}
		}
		// Checked once per row: until then zeros are decoded, which does no harm.
		if s.exhausted() {
			return f.ended(marker)
		}
	}
	for _, c := range s.comps {
		c.done = true
	}
	return nil
}

// ended returns why the data ended: at the end of the file, or at a marker.
func (f *File) ended(marker uint8) error {
	if marker == 0 {
		return io.ErrUnexpectedEOF
	}
	return FormatError("a part of the picture's data is missing")
}

// block decodes and dequantises a block of a sequential file into natural order. It
// returns the zigzag place of the last coefficient.
func (s *scan) block(i int, q *[64]int32, b *[64]int32) (last int, ok bool) {
	size, ok := s.code(s.dc[i])
	if !ok {
		return 0, false
	}
	if size > 0 {
		s.pred[i] += extend(s.bits(uint(size)), int(size))
	}
	b[0] = s.pred[i] * q[0]

	h := s.ac[i]
	buf, pos, acc, have := s.buf, s.pos, s.acc, s.have // in registers
	for k := 1; k < 64; k++ {
		if have < 32 {
			if pos+8 <= len(buf) {
				r := buf[pos : pos+8 : pos+8]
				acc |= (uint64(r[0])<<56 | uint64(r[1])<<48 | uint64(r[2])<<40 | uint64(r[3])<<32 |
					uint64(r[4])<<24 | uint64(r[5])<<16 | uint64(r[6])<<8 | uint64(r[7])) >> (have & 63)
				n := (63 - have) >> 3
				pos += int(n)
				have += n << 3
			} else {
				s.pos, s.acc, s.have = pos, acc, have
				s.refillSlow()
				pos, acc, have = s.pos, s.acc, s.have
			}
		}
		e := h.look[acc>>(64-lookBits)]
		if v := int32(e) >> 16; v != 0 { // code and value at once
			n := uint(e & 63)
			acc <<= n
			have -= n
			k += int(e>>12) & 15
			if k > 63 {
				return 0, false
			}
			b[unzig[k]&63] = v * q[k]
			last = k
			continue
		}
		symbol, n := uint8(e>>8), uint(e&63)
		if n == 0 {
			symbol, n = h.long(uint32(acc >> 48))
			if n == 0 {
				return 0, false
			}
		}
		acc <<= n & 63
		have -= n
		run, size := int(symbol>>4), uint(symbol&15)
		if size == 0 {
			if run < 15 {
				break // end of block
			}
			k += 15
			continue
		}
		k += run
		if k > 63 {
			return 0, false
		}
		v := extend(uint32(acc>>32>>(32-size)), int(size))
		acc <<= size
		have -= size
		b[unzig[k]&63] = v * q[k&63]
		last = k
	}
	s.pos, s.acc, s.have = pos, acc, have
	return last, true
}
