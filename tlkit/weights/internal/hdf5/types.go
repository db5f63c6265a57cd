package hdf5

import (
	"fmt"
	"math/bits"
)

// Type is the element type of a dataset or attribute.
type Type struct {
	// Name is "F64", "F32", "F16", "BF16", "I64" ... "I8", "U64" ... "U8", "BOOL" or
	// "opaque" (uninterpreted bytes: h5py's form of bfloat16); "" for anything that is not a
	// number, which What then describes.
	Name      string
	What      string
	Size      int // bytes of one element in the file
	BigEndian bool

	text, varying, padded bool
}

const maxRank = 32

func (f *File) parseType(b []byte) (Type, error) {
	c := f.cursor(b)
	class := c.uint(1) & 15
	flags := c.uint(3)
	t := Type{Size: int(c.uint(4)), BigEndian: flags&1 != 0}
	if c.err != nil {
		return t, c.err
	}
	if t.Size < 1 || t.Size > 1<<30 {
		return t, damaged("elements of %d bytes", t.Size)
	}
	whole := func(letter string) bool { // not a number in which only some bits count
		pos, n := c.uint(2), c.uint(2)
		if pos != 0 || n != uint64(8*t.Size) || bits.OnesCount(uint(t.Size)) != 1 || t.Size > 8 {
			t.What = fmt.Sprintf("integers of %d bits in %d bytes", n, t.Size)
			return false
		}
		t.Name = fmt.Sprint(letter, 8*t.Size)
		return true
	}
	switch class {
	case 0:
		letter := "U"
		if flags&8 != 0 {
			letter = "I"
		}
		whole(letter)
	case 1:
		pos, n, exponentAt, exponent, fractionAt, fraction, bias := c.uint(2), c.uint(2), c.uint(1), c.uint(1), c.uint(1), c.uint(1), c.uint(4)
		sign := flags >> 8 & 0xff
		t.What = fmt.Sprintf("floating-point numbers of %d bits", n)
		for _, k := range []struct {
			name               string
			exponent, fraction uint64
		}{{"F64", 11, 52}, {"F32", 8, 23}, {"F16", 5, 10}, {"BF16", 8, 7}} {
			if total := 1 + k.exponent + k.fraction; n == total && uint64(t.Size)*8 == total && pos == 0 && sign == total-1 && fractionAt == 0 && fraction == k.fraction &&
				exponentAt == k.fraction && exponent == k.exponent && bias == 1<<(k.exponent-1)-1 && flags>>4&3 == 2 && flags&0x40 == 0 {
				t.Name, t.What = k.name, ""
			}
		}
	case 3:
		t.What, t.text, t.padded = "text", true, flags&15 == 2
	case 5:
		t.Name = "opaque"
	case 8: // an enumeration; h5py's booleans are one of FALSE and TRUE
		t.What = "an enumeration"
		n := flags & 0xffff
		base, err := f.parseType(b[8:])
		if err == nil && n == 2 && t.Size == 1 && base.Size == 1 {
			t.Name, t.What = "BOOL", ""
		}
	case 9:
		t.What, t.text, t.varying = "lists of varying length", flags&15 == 1, true
		if t.text {
			t.What = "text"
		}
	case 6:
		t.What = "records"
	case 7:
		t.What = "references"
	default:
		t.What = fmt.Sprintf("elements of class %d", class)
	}
	return t, c.err
}

// parseSpace reads a dataspace: the shape of an array and the number of its elements.
func (f *File) parseSpace(b []byte) (shape []int, n uint64, err error) {
	c := f.cursor(b)
	version, rank := c.uint(1), int(c.uint(1))
	c.take(1)
	kind := uint64(0)
	switch version {
	case 1:
		c.take(5)
	case 2:
		kind = c.uint(1)
	default:
		c.fail("a dataspace of version %d", version)
	}
	if rank > maxRank {
		c.fail("%d axes", rank)
	}
	if c.err != nil {
		return nil, 0, c.err
	}
	if kind == 2 {
		return []int{0}, 0, nil
	}
	n, empty := 1, false
	shape = make([]int, rank)
	for i := range shape {
		d := c.length()
		if d > 1<<40 {
			return nil, 0, damaged("an axis of %d elements", d)
		}
		shape[i] = int(d)
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(n, d)
		if hi != 0 || lo > 1<<48 {
			return nil, 0, damaged("shape %v", shape[:i+1])
		}
		n = lo
	}
	if empty {
		n = 0
	}
	return shape, n, c.err
}
