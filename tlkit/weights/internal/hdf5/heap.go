package hdf5

import (
	"fmt"
	"math/bits"
)

// fractalHeap contains the links or attributes of an object with many of them.
type fractalHeap struct {
	f                    *File
	idSize               int
	width                uint64 // blocks in a row
	first, largest       uint64 // bytes of the smallest and the largest direct block
	offsetSize, sizeSize int
	root                 uint64
	rows                 int
	indirect             map[uint64][]uint64 // addresses of children, by address of the block
}

func (f *File) fractalHeap(address uint64) (*fractalHeap, error) {
	if h := f.fractal[address]; h != nil {
		return h, nil
	}
	c, err := f.cursorAt(address, uint64(26+12*f.lengths+3*f.offsets))
	if err != nil {
		return nil, err
	}
	h := &fractalHeap{f: f, indirect: map[uint64][]uint64{}}
	c.signature("FRHP", 0)
	h.idSize = int(c.uint(2))
	filters := c.uint(2)
	c.take(1)
	longest := c.uint(4)
	c.length()
	c.address()
	c.length()
	c.address()
	for range 8 {
		c.length()
	}
	h.width = c.uint(2)
	h.first, h.largest = c.length(), c.length()
	maxBits := c.uint(2)
	c.take(2)
	h.root = c.address()
	h.rows = int(c.uint(2))
	if c.err == nil && filters != 0 {
		return nil, unsupported("a compressed heap")
	}
	c.checksum(c.pos)
	if c.err != nil {
		return nil, c.err
	}
	power := func(v uint64) bool { return bits.OnesCount64(v) == 1 }
	if !power(h.width) || !power(h.first) || !power(h.largest) || h.first > h.largest || h.largest > 1<<32 || h.width > 1<<12 || maxBits > 64 || h.idSize < 1 || h.idSize > 64 || h.rows > 64 {
		return nil, damaged("a heap of blocks of %d to %d bytes, %d in a row", h.first, h.largest, h.width)
	}
	h.offsetSize = int(maxBits+7) / 8
	h.sizeSize = min((bits.Len64(h.largest)-1+7)/8, bytesFor(longest))
	f.fractal[address] = h
	return h, nil
}

// object returns the bytes of an identifier.
func (h *fractalHeap) object(id []byte) ([]byte, error) {
	c := h.f.cursor(id)
	kind := c.uint(1)
	switch kind >> 4 & 3 {
	case 0:
		pos, n := c.uint(h.offsetSize), c.uint(h.sizeSize)
		if c.err != nil {
			return nil, c.err
		}
		return h.managed(pos, n)
	case 2: // in the identifier itself
		return c.take(int(kind&15) + 1), c.err
	}
	return nil, unsupported("an object of a heap that is larger than its blocks (64 KB)")
}

// rowSize returns how many bytes each block of a row has.
func (h *fractalHeap) rowSize(row int) uint64 {
	if row == 0 {
		return h.first
	}
	return h.first << min(row-1, 40)
}

func (h *fractalHeap) managed(pos, n uint64) ([]byte, error) {
	if h.rows == 0 {
		if n > h.first || pos > h.first-n {
			return nil, damaged("an object outside its heap")
		}
		return h.f.read(h.root+pos, n)
	}
	// Rows of blocks that double in size; beyond the largest direct block they are tables of
	// blocks.
	direct := bits.Len64(h.largest) - bits.Len64(h.first) + 2
	block, rows, begin := h.root, h.rows, uint64(0)
	for range maxDepth {
		children, err := h.children(block, rows, direct)
		if err != nil {
			return nil, err
		}
		found := false
		position := begin
		for row := range rows { // not block by block: there can be hundreds of thousands
			size := h.rowSize(row)
			if pos < position || size == 0 {
				break
			}
			if (pos-position)/size >= h.width {
				position += size * h.width
				continue
			}
			i := (pos - position) / size
			child := children[uint64(row)*h.width+i]
			position += i * size
			if child == undefined {
				return nil, damaged("an object in a part of a heap that does not exist")
			}
			if row < direct {
				if n > size-(pos-position) {
					return nil, damaged("an object longer than its heap's block")
				}
				return h.f.read(child+(pos-position), n)
			}
			found, block, begin = true, child, position
			rows = bits.Len64(size) - bits.Len64(h.first) - (bits.Len64(h.width) - 1) + 1
			break
		}
		if !found || rows < 1 {
			break
		}
	}
	return nil, damaged("an object outside its heap")
}

func (h *fractalHeap) children(address uint64, rows, direct int) ([]uint64, error) {
	if c, ok := h.indirect[address]; ok {
		return c, nil
	}
	n := uint64(rows) * h.width
	c, err := h.f.cursorAt(address, uint64(9+h.f.offsets+h.offsetSize)+n*uint64(h.f.offsets))
	if err != nil {
		return nil, err
	}
	c.signature("FHIB", 0)
	c.address()
	c.take(h.offsetSize)
	children := make([]uint64, n)
	for i := range children {
		children[i] = c.address()
	}
	c.checksum(c.pos)
	if c.err != nil {
		return nil, c.err
	}
	h.indirect[address] = children
	return children, nil
}

// global reads an object of a global heap, which contains strings of variable length.
func (f *File) global(address, index uint64) ([]byte, error) {
	objects, known := f.globalHeap[address]
	if !known {
		c, err := f.cursorAt(address, uint64(8+f.lengths))
		if err != nil {
			return nil, err
		}
		c.signature("GCOL", 1)
		c.take(3)
		n := c.length()
		if c.err != nil {
			return nil, c.err
		}
		if n < uint64(c.pos) {
			return nil, damaged("a global heap of %d bytes", n)
		}
		begin := c.pos
		c, err = f.cursorAt(address, n)
		if err != nil {
			return nil, err
		}
		c.take(begin)
		objects = map[uint64][]byte{}
		for c.left() >= 8+f.lengths {
			i := c.uint(2)
			c.take(6)
			n := c.length()
			if i == 0 {
				break // the free space
			}
			if c.err == nil && n > uint64(c.left()) {
				c.fail("an object of %d bytes in a heap with %d left", n, c.left())
			}
			b := c.take(int(n))
			c.take(min(int(-n&7), c.left()))
			if c.err != nil {
				return nil, c.err
			}
			objects[i] = b
		}
		f.globalHeap[address] = objects
	}
	b, ok := objects[index]
	if !ok {
		return nil, fmt.Errorf("hdf5: %w: object %d of a global heap that has %d", ErrDamaged, index, len(objects))
	}
	return b, nil
}
