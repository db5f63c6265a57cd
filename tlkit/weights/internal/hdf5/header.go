package hdf5

// The supported messages of an object header.
const (
	msgDataspace    = 0x01
	msgLinkInfo     = 0x02
	msgDatatype     = 0x03
	msgFill         = 0x05
	msgLink         = 0x06
	msgExternal     = 0x07
	msgLayout       = 0x08
	msgFilters      = 0x0b
	msgAttribute    = 0x0c
	msgContinuation = 0x10
	msgSymbolTable  = 0x11
	msgAttrInfo     = 0x15
)

type message struct {
	kind  int
	flags byte
	data  []byte
}

// header reads all messages of the object at an address.
func (f *File) header(address uint64) ([]message, error) {
	first, err := f.cursorAt(address, min(16, f.room(address)))
	if err != nil {
		return nil, err
	}
	if string(first.b[:min(4, len(first.b))]) == "OHDR" {
		return f.headerV2(address)
	}
	if v := first.uint(1); first.err == nil && v != 1 {
		return nil, damaged("no object header at address %d", address)
	}
	first.take(7)
	n := first.uint(4)
	if first.err != nil {
		return nil, first.err
	}
	blocks := []span{{address + 16, n}}
	var messages []message
	for i := 0; i < len(blocks); i++ {
		c, err := f.cursorAt(blocks[i].address, blocks[i].n)
		if err != nil {
			return nil, err
		}
		for c.left() >= 8 {
			m := message{kind: int(c.uint(2))}
			n := int(c.uint(2))
			m.flags = byte(c.uint(1))
			c.take(3)
			m.data = c.take(n)
			if c.err != nil {
				return nil, c.err
			}
			messages, blocks, err = f.collect(messages, blocks, m)
			if err != nil {
				return nil, err
			}
		}
	}
	return messages, nil
}

type span struct{ address, n uint64 }

// room returns how many bytes of the file follow an address.
func (f *File) room(address uint64) uint64 {
	if address > f.size-f.base {
		return 1 // so that reading fails with the address
	}
	return f.size - f.base - address
}

func (f *File) headerV2(address uint64) ([]message, error) {
	c, err := f.cursorAt(address, min(34, f.room(address)))
	if err != nil {
		return nil, err
	}
	c.signature("OHDR", 2)
	flags := c.uint(1)
	if flags&0x20 != 0 {
		c.take(16) // times
	}
	if flags&0x10 != 0 {
		c.take(4)
	}
	n := c.uint(1 << (flags & 3))
	prefix := uint64(c.pos)
	if c.err != nil {
		return nil, c.err
	}
	if n > f.size {
		return nil, damaged("an object header of %d bytes", n)
	}
	c, err = f.cursorAt(address, prefix+n+4)
	if err != nil {
		return nil, err
	}
	c.pos = len(c.b) - 4
	c.checksum(len(c.b) - 4)
	if c.err != nil {
		return nil, c.err
	}
	c.b, c.pos = c.b[:len(c.b)-4], int(prefix)
	head := 4
	if flags&4 != 0 {
		head = 6 // messages are numbered
	}
	var messages []message
	var blocks []span
	for done := 0; ; done++ {
		for c.left() >= head {
			m := message{kind: int(c.uint(1))}
			n := int(c.uint(2))
			m.flags = byte(c.uint(1))
			c.take(head - 4)
			m.data = c.take(n)
			if c.err != nil {
				return nil, c.err
			}
			messages, blocks, err = f.collect(messages, blocks, m)
			if err != nil {
				return nil, err
			}
		}
		if done == len(blocks) {
			return messages, nil
		}
		b := blocks[done]
		if b.n < 8 {
			return nil, damaged("a continuation of %d bytes", b.n)
		}
		c, err = f.cursorAt(b.address, b.n)
		if err != nil {
			return nil, err
		}
		c.pos = len(c.b) - 4
		c.checksum(len(c.b) - 4)
		c.b, c.pos = c.b[:len(c.b)-4], 0
		if got := string(c.take(4)); c.err == nil && got != "OCHK" {
			c.fail("%q where OCHK should be", got)
		}
		if c.err != nil {
			return nil, c.err
		}
	}
}

// collect keeps a message, or the block in which the header continues. The budget of reads ends
// cycles of blocks.
func (f *File) collect(messages []message, blocks []span, m message) ([]message, []span, error) {
	if m.kind != msgContinuation {
		// An empty message has 8 bytes in the file and more in memory.
		if err := f.spend(48, "an object header without end"); err != nil {
			return nil, nil, err
		}
		return append(messages, m), blocks, nil
	}
	c := f.cursor(m.data)
	b := span{c.address(), c.length()}
	return messages, append(blocks, b), c.err
}
