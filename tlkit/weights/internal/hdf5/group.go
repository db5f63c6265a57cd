package hdf5

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// Object is a group or a dataset.
type Object struct {
	f        *File
	messages []message
}

// Link is a named member of a group.
type Link struct {
	Name    string
	outside string // what it is, if it does not lead to an object of this file
	address uint64
}

const (
	maxLinks = 100_000
	maxName  = 4096
)

// Root returns the group that contains all others.
func (f *File) Root() (*Object, error) { return f.object(f.root) }

func (f *File) object(address uint64) (*Object, error) {
	messages, err := f.header(address)
	if err != nil {
		return nil, err
	}
	return &Object{f, messages}, nil
}

// Follow opens the object of a link. An object can be opened only once: a second link to it
// would be a cycle, or the same numbers under two names.
func (f *File) Follow(l Link) (*Object, error) {
	if l.outside != "" {
		return nil, fmt.Errorf("hdf5: %w: %.80q is %s, which is not followed", ErrOutside, l.Name, l.outside)
	}
	if l.address == f.root || f.seen[l.address] {
		return nil, damaged("%.80q leads to an object that another name leads to", l.Name)
	}
	f.seen[l.address] = true
	return f.object(l.address)
}

// IsDataset reports whether the object is a dataset, and not a group.
func (o *Object) IsDataset() bool {
	return slices.ContainsFunc(o.messages, func(m message) bool { return m.kind == msgLayout })
}

// Links returns the members of a group, sorted by name.
func (o *Object) Links() ([]Link, error) {
	var links []Link
	for _, m := range o.messages {
		c := o.f.cursor(m.data)
		switch m.kind {
		case msgSymbolTable:
			tree, heap := c.address(), c.address()
			if c.err != nil {
				return nil, c.err
			}
			names, err := o.f.localHeap(heap)
			if err != nil {
				return nil, err
			}
			links, err = o.f.symbols(tree, names, links, 0)
			if err != nil {
				return nil, err
			}
		case msgLink:
			l, err := o.f.link(m.data)
			if err != nil {
				return nil, err
			}
			links = append(links, l)
		case msgLinkInfo:
			c.take(1)
			if c.uint(1)&1 != 0 {
				c.take(8) // the order of creation is kept
			}
			heap, tree := c.address(), c.address()
			if c.err != nil {
				return nil, c.err
			}
			if heap == undefined || tree == undefined {
				continue
			}
			err := o.f.dense(heap, tree, 4, func(b []byte) error {
				l, err := o.f.link(b)
				links = append(links, l)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		if len(links) > maxLinks {
			return nil, fmt.Errorf("hdf5: %w: a group of more than %d members", ErrTooLarge, maxLinks)
		}
	}
	slices.SortFunc(links, func(a, b Link) int { return cmp.Compare(a.Name, b.Name) })
	for i := range links {
		if i > 0 && links[i].Name == links[i-1].Name {
			return nil, damaged("two members are named %.80q", links[i].Name)
		}
	}
	return links, nil
}

// localHeap reads the names of an old-style group.
func (f *File) localHeap(address uint64) ([]byte, error) {
	c, err := f.cursorAt(address, uint64(8+2*f.lengths+f.offsets))
	if err != nil {
		return nil, err
	}
	c.signature("HEAP", 0)
	c.take(3)
	n := c.length()
	c.length()
	data := c.address()
	if c.err != nil {
		return nil, c.err
	}
	return f.read(data, n)
}

// symbols walks the B-tree of an old-style group.
func (f *File) symbols(address uint64, names []byte, links []Link, depth int) ([]Link, error) {
	if depth > maxDepth {
		return nil, damaged("a B-tree deeper than %d levels", maxDepth)
	}
	if address == undefined {
		return links, nil
	}
	head := uint64(8 + 2*f.offsets)
	c, err := f.cursorAt(address, min(head, f.room(address)))
	if err != nil {
		return nil, err
	}
	if string(c.b[:min(4, len(c.b))]) == "SNOD" {
		return f.symbolNode(address, names, links)
	}
	if got := string(c.take(4)); c.err == nil && got != "TREE" {
		return nil, damaged("%q where TREE should be", got)
	}
	if kind := c.uint(1); c.err == nil && kind != 0 {
		return nil, damaged("a B-tree of type %d in a group", kind)
	}
	c.take(1)
	n := c.uint(2)
	if c.err != nil {
		return nil, c.err
	}
	c, err = f.cursorAt(address+head, n*uint64(f.lengths+f.offsets))
	if err != nil {
		return nil, err
	}
	for range n {
		c.length()
		child := c.address()
		if c.err != nil {
			return nil, c.err
		}
		links, err = f.symbols(child, names, links, depth+1)
		if err != nil {
			return nil, err
		}
	}
	return links, nil
}

func (f *File) symbolNode(address uint64, names []byte, links []Link) ([]Link, error) {
	c, err := f.cursorAt(address, 8)
	if err != nil {
		return nil, err
	}
	c.signature("SNOD", 1)
	c.take(1)
	n := c.uint(2)
	if c.err != nil {
		return nil, c.err
	}
	c, err = f.cursorAt(address+8, n*uint64(2*f.offsets+24))
	if err != nil {
		return nil, err
	}
	for range n {
		pos := c.address() // of the name, in the heap
		l := Link{address: c.address()}
		kind := c.uint(4)
		c.take(20)
		if c.err != nil {
			return nil, c.err
		}
		if pos >= uint64(len(names)) {
			return nil, damaged("a name outside its heap")
		}
		end := bytes.IndexByte(names[pos:min(pos+maxName, uint64(len(names)))], 0)
		if end <= 0 {
			return nil, damaged("a name without end")
		}
		if err := f.spend(int64(end)+readCost, "the names of a group"); err != nil {
			return nil, err
		}
		l.Name = string(names[pos:][:end])
		if kind == 2 {
			l.outside = "a soft link"
		}
		links = append(links, l)
		if len(links) > maxLinks {
			return nil, fmt.Errorf("hdf5: %w: a group of more than %d members", ErrTooLarge, maxLinks)
		}
	}
	return links, nil
}

// link reads a message with a new-style link.
func (f *File) link(b []byte) (Link, error) {
	c := f.cursor(b)
	if v := c.uint(1); c.err == nil && v != 1 {
		return Link{}, unsupported("a link of version %d", v)
	}
	flags, kind := c.uint(1), uint64(0)
	if flags&8 != 0 {
		kind = c.uint(1)
	}
	l := Link{}
	if flags&4 != 0 {
		c.take(8) // the order of creation
	}
	if flags&16 != 0 {
		c.take(1) // of the characters
	}
	n := c.uint(1 << (flags & 3))
	if n == 0 || n > maxName {
		c.fail("a name of %d bytes", n)
	}
	name := c.take(int(min(n, maxName)))
	if err := f.spend(int64(len(name))+readCost, "the names of a group"); err != nil {
		return l, err
	}
	l.Name = string(name)
	switch kind {
	case 0:
		l.address = c.address()
	case 1:
		l.outside = "a soft link"
	case 64:
		l.outside = "a link to another file"
	default:
		l.outside = fmt.Sprintf("a link of type %d", kind)
	}
	return l, c.err
}
