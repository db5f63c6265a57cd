package hdf5

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// chunk is a part of an array that is stored separately.
type chunk struct {
	address, n uint64 // n bytes, as they are in the file
	index      uint64 // which piece of the grid, counted row by row
	skipped    uint32 // filters that it did not pass through
}

// grid checks the sizes of chunks and returns how many the array has.
func (d *Dataset) grid(sides []uint64) (uint64, error) {
	d.sides = sides
	size, pieces := uint64(d.Type.Size), uint64(1)
	for i, s := range sides {
		if s == 0 {
			return 0, damaged("chunks of shape %v", sides)
		}
		hi, lo := bits.Mul64(size, s)
		if hi != 0 || lo > 1<<32 {
			return 0, damaged("chunks of shape %v", sides)
		}
		size = lo
		// at most the number of elements, which is below 2^48
		pieces *= (uint64(d.Shape[i]) + s - 1) / s
	}
	hi, lo := bits.Mul64(size, max(pieces, 1))
	if hi != 0 {
		return 0, damaged("chunks of shape %v for an array of shape %v", sides, d.Shape)
	}
	return pieces, d.pay(lo)
}

func (d *Dataset) chunkBytes() uint64 {
	n := uint64(d.Type.Size)
	for _, s := range d.sides {
		n *= s
	}
	return n
}

// add adds a chunk. pieces is the size of the grid.
func (d *Dataset) add(x chunk, pieces uint64) error {
	if x.index >= pieces {
		return damaged("chunk %d of an array that has %d", x.index, pieces)
	}
	if err := d.f.checkRange(x.address, x.n); err != nil {
		return err
	}
	if uint64(len(d.chunks)) == pieces {
		return damaged("more chunks than the array has")
	}
	if err := d.f.spend(readCost, "so many chunks"); err != nil {
		return err
	}
	// Chunks must not share bytes: thousands of chunks with the same part of the file would be read
	// and unpacked again and again.
	if x.n > math.MaxInt64 || int64(x.n) > d.f.stored {
		return fmt.Errorf("hdf5: %w: the chunks have more bytes in total than the file, which has %d", ErrTooLarge, d.f.size)
	}
	d.f.stored -= int64(x.n)
	d.chunks = append(d.chunks, x)
	return nil
}

// unique returns an error if a chunk occurs twice.
func (d *Dataset) unique() error {
	slices.SortFunc(d.chunks, func(a, b chunk) int { return cmp.Compare(a.index, b.index) })
	for i := range d.chunks {
		if i > 0 && d.chunks[i].index == d.chunks[i-1].index {
			return damaged("chunk %d is there twice", d.chunks[i].index)
		}
	}
	return nil
}

// indexOf returns the number of the chunk whose first element is at corner. Chunks outside the
// array, which has shrunk, are left out.
func (d *Dataset) indexOf(corner []uint64) (index uint64, inside bool, err error) {
	for i, s := range d.sides {
		if corner[i]%s != 0 {
			return 0, false, damaged("a chunk at %v, which is on no grid of %v", corner, d.sides)
		}
		if corner[i] >= uint64(d.Shape[i]) {
			return 0, false, nil
		}
		index = index*((uint64(d.Shape[i])+s-1)/s) + corner[i]/s
	}
	return index, true, nil
}

// chunksV3 reads the layout before HDF5 1.10: a B-tree of all chunks.
func (d *Dataset) chunksV3(c *cursor) error {
	rank := len(d.Shape)
	if n := c.uint(1); c.err == nil && n != uint64(rank)+1 {
		return damaged("chunks of %d axes for an array of %d", int(n)-1, rank)
	}
	tree := c.address()
	sides := make([]uint64, rank)
	for i := range sides {
		sides[i] = c.uint(4)
	}
	if c.err != nil {
		return c.err
	}
	pieces, err := d.grid(sides)
	if err != nil || tree == undefined {
		return err
	}
	if err := d.chunkTree(tree, pieces, 0); err != nil {
		return err
	}
	return d.unique()
}

func (d *Dataset) chunkTree(address, pieces uint64, depth int) error {
	if depth > maxDepth {
		return damaged("a B-tree deeper than %d levels", maxDepth)
	}
	f, rank := d.f, len(d.Shape)
	head := uint64(8 + 2*f.offsets)
	c, err := f.cursorAt(address, head)
	if err != nil {
		return err
	}
	if got := string(c.take(4)); c.err == nil && got != "TREE" {
		return damaged("%q where TREE should be", got)
	}
	if kind := c.uint(1); c.err == nil && kind != 1 {
		return damaged("a B-tree of type %d in an array", kind)
	}
	level, n := c.uint(1), c.uint(2)
	if c.err != nil {
		return c.err
	}
	c, err = f.cursorAt(address+head, n*uint64(8+8*(rank+1)+f.offsets))
	if err != nil {
		return err
	}
	corner := make([]uint64, rank)
	for range n {
		x := chunk{n: c.uint(4), skipped: uint32(c.uint(4))}
		for i := range corner {
			corner[i] = c.uint(8)
		}
		c.uint(8)
		x.address = c.address()
		if c.err != nil {
			return c.err
		}
		if level > 0 {
			if err := d.chunkTree(x.address, pieces, depth+1); err != nil {
				return err
			}
			continue
		}
		inside := false
		x.index, inside, err = d.indexOf(corner)
		if err != nil {
			return err
		}
		if inside {
			if err := d.add(x, pieces); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunksV4 reads the layout since HDF5 1.10, which has several kinds of indexes.
func (d *Dataset) chunksV4(c *cursor) error {
	f, rank := d.f, len(d.Shape)
	flags, axes, wide := c.uint(1), c.uint(1), int(c.uint(1))
	if c.err == nil && axes != uint64(rank)+1 {
		return damaged("chunks of %d axes for an array of %d", int(axes)-1, rank)
	}
	if c.err == nil && flags&1 != 0 && len(d.filters) > 0 {
		return unsupported("chunks at the border that are not compressed")
	}
	sides := make([]uint64, rank)
	for i := range sides {
		sides[i] = c.uint(wide)
	}
	c.uint(wide) // the element
	index := c.uint(1)
	if c.err != nil {
		return c.err
	}
	pieces, err := d.grid(sides)
	if err != nil {
		return err
	}
	size := d.chunkBytes()
	switch index {
	case 1: // one
		x := chunk{n: size}
		if flags&2 != 0 {
			x.n, x.skipped = c.length(), uint32(c.uint(4))
		}
		x.address = c.address()
		if c.err != nil || x.address == undefined || pieces == 0 {
			return c.err
		}
		return d.add(x, pieces)
	case 2: // one after the other
		pos := c.address()
		if c.err != nil || pos == undefined {
			return c.err
		}
		if hi, lo := bits.Mul64(pieces, size); hi != 0 || f.checkRange(pos, lo) != nil {
			return damaged("%d chunks of %d bytes at address %d", pieces, size, pos)
		}
		for i := range pieces {
			if err := d.add(chunk{address: pos + i*size, n: size, index: i}, pieces); err != nil {
				return err
			}
		}
		return nil
	case 3:
		c.take(1)
		pos := c.address()
		if c.err != nil || pos == undefined {
			return c.err
		}
		return d.fixedArray(pos, pieces)
	case 5:
		c.take(6)
		pos := c.address()
		if c.err != nil || pos == undefined {
			return c.err
		}
		corner := make([]uint64, rank)
		err := f.tree2(pos, func(record []byte) error {
			c := f.cursor(record)
			x := chunk{address: c.address(), n: size}
			if len(d.filters) > 0 {
				x.n, x.skipped = c.uint(len(record)-f.offsets-4-8*rank), uint32(c.uint(4))
			}
			for i := range corner {
				scaled := c.uint(8)
				if scaled > 1<<48 {
					c.fail("a chunk at %d", scaled)
				}
				corner[i] = scaled * sides[i]
			}
			if c.err != nil {
				return c.err
			}
			inside := false
			var err error
			x.index, inside, err = d.indexOf(corner)
			if err != nil || !inside {
				return err
			}
			return d.add(x, pieces)
		})
		if err != nil {
			return err
		}
		return d.unique()
	}
	return unsupported("an array whose size was left open when it was written (chunk index %d)", index)
}

// fixedArray lists the chunks of an array whose size is final.
func (d *Dataset) fixedArray(address, pieces uint64) error {
	f := d.f
	c, err := f.cursorAt(address, uint64(12+f.lengths+f.offsets))
	if err != nil {
		return err
	}
	c.signature("FAHD", 0)
	c.take(1)
	wide, pageBits := int(c.uint(1)), c.uint(1)
	n := c.length()
	block := c.address()
	c.checksum(c.pos)
	if c.err != nil || block == undefined {
		return c.err
	}
	size := d.chunkBytes()
	if n != pieces || pageBits > 32 || wide < f.offsets || wide > f.offsets+12 || len(d.filters) > 0 && wide <= f.offsets+4 {
		return damaged("an index of %d chunks of an array that has %d", n, pieces)
	}
	index := uint64(0)
	elements := func(c *cursor, n uint64) error {
		for range n {
			x := chunk{address: c.address(), n: size, index: index}
			index++
			if len(d.filters) > 0 {
				x.n, x.skipped = c.uint(wide-f.offsets-4), uint32(c.uint(4))
			}
			if c.err != nil {
				return c.err
			}
			if x.address == undefined {
				continue
			}
			if err := d.add(x, pieces); err != nil {
				return err
			}
		}
		return nil
	}
	head := uint64(6 + f.offsets)
	page := uint64(1) << pageBits
	if n <= page {
		if n > f.size {
			return damaged("an index of %d chunks", n)
		}
		c, err = f.cursorAt(block, head+n*uint64(wide)+4)
		if err != nil {
			return err
		}
		c.signature("FADB", 0)
		c.take(1)
		c.address()
		if err := elements(c, n); err != nil {
			return err
		}
		c.checksum(c.pos)
		return c.err
	}
	// Pages follow, each with its checksum; a bit for each says whether it was written.
	pages := (n + page - 1) / page
	if pages > f.size {
		return damaged("an index of %d pages", pages)
	}
	prefix := head + (pages+7)/8 + 4
	c, err = f.cursorAt(block, prefix)
	if err != nil {
		return err
	}
	c.signature("FADB", 0)
	c.take(1)
	c.address()
	written := c.take(int(pages+7) / 8)
	c.checksum(c.pos)
	if c.err != nil {
		return c.err
	}
	pos := block + prefix
	for p := range pages {
		k := min(page, n-p*page)
		if written[p/8]&(0x80>>(p%8)) == 0 {
			index += k
		} else {
			c, err = f.cursorAt(pos, k*uint64(wide)+4)
			if err != nil {
				return err
			}
			if err := elements(c, k); err != nil {
				return err
			}
			c.checksum(c.pos)
			if c.err != nil {
				return c.err
			}
		}
		pos += page*uint64(wide) + 4
	}
	return nil
}

// readChunk unpacks a chunk and copies its elements to their places in out.
func (d *Dataset) readChunk(x chunk, out []byte, u *unpacker) error {
	raw, err := d.f.data(x.address, x.n)
	if err != nil {
		return err
	}
	raw, err = d.unfilter(raw, x.skipped, u)
	if err != nil {
		return err
	}
	rank, size := len(d.sides), uint64(d.Type.Size)
	if rank == 0 {
		copy(out, raw)
		return nil
	}
	corner := make([]uint64, rank)
	rest := x.index
	for i := rank - 1; i >= 0; i-- {
		across := (uint64(d.Shape[i]) + d.sides[i] - 1) / d.sides[i]
		corner[i] = rest % across * d.sides[i]
		rest /= across
	}
	// Row by row. At the border, a chunk may extend beyond the array.
	run := min(d.sides[rank-1], uint64(d.Shape[rank-1])-corner[rank-1]) * size
	inner := make([]uint64, rank)
	for {
		start, end := uint64(0), uint64(0)
		for k := range rank {
			start = start*d.sides[k] + inner[k]
			end = end*uint64(d.Shape[k]) + corner[k] + inner[k]
		}
		copy(out[end*size:end*size+run], raw[start*size:])
		k := rank - 2
		for ; k >= 0; k-- {
			if inner[k]++; inner[k] < d.sides[k] && corner[k]+inner[k] < uint64(d.Shape[k]) {
				break
			}
			inner[k] = 0
		}
		if k < 0 {
			return nil
		}
	}
}
