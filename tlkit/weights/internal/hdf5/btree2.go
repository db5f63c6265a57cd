package hdf5

import "math/bits"

// bytesFor returns how many bytes HDF5 uses for numbers up to v.
func bytesFor(v uint64) int {
	if v == 0 {
		return 1
	}
	return (bits.Len64(v)-1)/8 + 1
}

// tree2 visits the records of a version 2 B-tree in order.
func (f *File) tree2(address uint64, visit func(record []byte) error) error {
	c, err := f.cursorAt(address, uint64(22+f.offsets+f.lengths))
	if err != nil {
		return err
	}
	c.signature("BTHD", 0)
	c.take(1)
	node, record, depth := c.uint(4), c.uint(2), int(c.uint(2))
	c.take(2)
	root := c.address()
	n := c.uint(2)
	c.length()
	c.checksum(c.pos)
	if c.err != nil {
		return c.err
	}
	const overhead = 10 // signature, version, type and checksum
	if record == 0 || node < overhead+record || node > 1<<24 || depth > maxDepth {
		return damaged("a B-tree with nodes of %d and records of %d bytes in %d levels", node, record, depth)
	}
	// Pointers have two counts, each with as many bytes as its largest possible value needs, which
	// follows from the level below.
	most := (node - overhead) / record
	countSize, total, totalSizes := bytesFor(most), most, []int{0}
	for level := 1; level <= depth; level++ {
		pointer := uint64(f.offsets + countSize)
		if level > 1 {
			pointer += uint64(totalSizes[level-1])
		}
		if node < overhead+pointer+record+pointer {
			return damaged("a B-tree with nodes of %d and records of %d bytes", node, record)
		}
		m := (node - overhead - pointer) / (record + pointer)
		hi, lo := bits.Mul64(m+1, total)
		if hi != 0 || lo > 1<<62 {
			return damaged("a B-tree of %d levels", depth)
		}
		total = lo + m
		totalSizes = append(totalSizes, bytesFor(total))
	}
	var walk func(address, n uint64, level int) error
	walk = func(address, n uint64, level int) error {
		if n > most {
			return damaged("a B-tree node with %d records", n)
		}
		size := overhead + n*record
		letters := "BTLF"
		pointer := f.offsets + countSize
		if level > 0 {
			letters = "BTIN"
			if level > 1 {
				pointer += totalSizes[level-1]
			}
			size += (n + 1) * uint64(pointer)
		}
		c, err := f.cursorAt(address, size)
		if err != nil {
			return err
		}
		c.pos = len(c.b) - 4
		c.checksum(len(c.b) - 4)
		c.b, c.pos = c.b[:len(c.b)-4], 0
		c.signature(letters, 0)
		c.take(1)
		records := c.take(int(n * record))
		if c.err != nil {
			return c.err
		}
		for i := range n + 1 {
			if level > 0 {
				child := f.cursor(c.take(pointer))
				pos, count := child.address(), child.uint(countSize)
				if child.err != nil {
					return child.err
				}
				if err := walk(pos, count, level-1); err != nil {
					return err
				}
			}
			if i < n {
				if err := visit(records[i*record:][:record]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if root == undefined || n == 0 {
		return nil
	}
	return walk(root, n, depth)
}

// dense visits the objects of a fractal heap that a B-tree lists. A record has other data
// before (links) or after (attributes) the identifier in the heap.
func (f *File) dense(heap, tree uint64, skip int, visit func([]byte) error) error {
	h, err := f.fractalHeap(heap)
	if err != nil {
		return err
	}
	return f.tree2(tree, func(record []byte) error {
		if len(record) < skip+h.idSize {
			return damaged("a B-tree record of %d bytes", len(record))
		}
		b, err := h.object(record[skip:][:h.idSize])
		if err != nil {
			return err
		}
		return visit(b)
	})
}
