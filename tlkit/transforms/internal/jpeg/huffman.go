package jpeg

import "encoding/binary"

// lookBits is how many bits are looked up at once. Most codes in photos are shorter, and many
// leave room for the bits of the value after them.
const lookBits = 10

// huffman decodes one code table.
//
// An entry of look, indexed by the next lookBits bits:
//
//	bits 0-7    how many bits to consume, 0 if the code is longer than lookBits
//	bits 8-15   the symbol: a run of zeros in the high half, the value's size in the low
//	bits 16-31  the value itself if it fitted; then it is not zero
type huffman struct {
	look   [1 << lookBits]uint32
	limit  [17]uint32 // the first 16-bit prefix that is beyond codes of this length
	offset [17]int32  // from a code of this length to its symbol
	symbol []uint8
}

// huffman reads tables.
func (f *File) huffman(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 {
			return FormatError("a Huffman table is cut off")
		}
		class, id := b[0]>>4, b[0]&15
		if class > 1 || id > 3 {
			return FormatError("an unknown Huffman table")
		}
		n := 0
		for _, c := range b[1:17] {
			n += int(c)
		}
		if n > 256 || len(b) < 17+n {
			return FormatError("a Huffman table has too many codes")
		}
		h, err := newHuffman(b[1:17], b[17:17+n])
		if err != nil {
			return err
		}
		if class == 0 {
			for _, s := range h.symbol {
				if s > 15 {
					return FormatError("a Huffman table with an impossible size")
				}
			}
			f.dc[id] = h
		} else {
			f.ac[id] = h
		}
		b = b[17+n:]
	}
	return nil
}

func newHuffman(counts, symbols []uint8) (*huffman, error) {
	h := &huffman{symbol: symbols}
	code, k := uint32(0), 0
	for length := 1; length <= 16; length++ {
		h.offset[length] = int32(k) - int32(code)
		for range counts[length-1] {
			if code >= 1<<length {
				return nil, FormatError("a Huffman table with more codes than bits allow")
			}
			if length <= lookBits {
				h.enter(code, length, symbols[k])
			}
			code++
			k++
		}
		h.limit[length] = code << (16 - length)
		code <<= 1
	}
	return h, nil
}

// enter fills all entries that begin with a code.
func (h *huffman) enter(code uint32, length int, symbol uint8) {
	free := lookBits - length
	size := int(symbol & 15)
	for rest := range uint32(1) << free {
		e := uint32(symbol)<<8 | uint32(length)
		if size > 0 && size <= free {
			v := extend(rest>>(free-size), size)
			e = uint32(uint16(v))<<16 | uint32(symbol)<<8 | uint32(length+size)
		}
		h.look[code<<free|rest] = e
	}
}

// extend converts the size bits after a symbol to the value: the upper half of the range is
// positive, the lower half negative.
func extend(bits uint32, size int) int32 {
	v := int32(bits)
	if v < 1<<(size-1) {
		v += -1<<size + 1
	}
	return v
}

// long finds the symbol of a code that is longer than lookBits. A length of 0 means that no code
// matches.
func (h *huffman) long(next16 uint32) (symbol uint8, length uint) {
	for l := lookBits + 1; l <= 16; l++ {
		if next16 < h.limit[l] {
			i := int(h.offset[l] + int32(next16>>(16-l)))
			if i < 0 || i >= len(h.symbol) {
				return 0, 0
			}
			return h.symbol[i], uint(l)
		}
	}
	return 0, 0
}

// reader reads bits from an entropy-coded segment without stuffing, most significant first.
// Beyond the end it returns zeros; exhausted reports that.
type reader struct {
	buf  []uint8
	pos  int    // of the next byte that is not in acc
	acc  uint64 // the next bits, left-aligned
	have uint   // how many of them are valid
}

// refill ensures that at least 56 bits are available.
func (r *reader) refill() {
	if r.pos+8 <= len(r.buf) {
		r.acc |= binary.BigEndian.Uint64(r.buf[r.pos:]) >> r.have
		n := (63 - r.have) >> 3
		r.pos += int(n)
		r.have += n << 3
		return
	}
	r.refillSlow()
}

func (r *reader) refillSlow() {
	for r.have <= 56 {
		if r.pos < len(r.buf) {
			r.acc |= uint64(r.buf[r.pos]) << (56 - r.have)
		}
		r.pos++
		r.have += 8
	}
}

// exhausted reports whether more bits were used than there are.
func (r *reader) exhausted() bool { return r.pos*8-int(r.have) > len(r.buf)*8 }

// bits reads n <= 16 bits.
func (r *reader) bits(n uint) uint32 {
	if r.have < n {
		r.refill()
	}
	v := uint32(r.acc >> 32 >> (32 - n))
	r.acc <<= n
	r.have -= n
	return v
}

// code reads a Huffman symbol; ok is false if no code matches.
func (r *reader) code(h *huffman) (symbol uint8, ok bool) {
	if r.have < 16 {
		r.refill()
	}
	e := h.look[r.acc>>(64-lookBits)]
	if e != 0 {
		// The entry may already count the value's bits; only the code matters here.
		symbol = uint8(e >> 8)
		n := uint(e & 255)
		if e>>16 != 0 {
			n -= uint(symbol & 15)
		}
		r.acc <<= n
		r.have -= n
		return symbol, true
	}
	symbol, n := h.long(uint32(r.acc >> 48))
	r.acc <<= n
	r.have -= n
	return symbol, n > 0
}
