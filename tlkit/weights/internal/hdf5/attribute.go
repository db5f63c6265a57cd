package hdf5

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// Attribute is a named value of an object.
type Attribute struct {
	f    *File
	typ  Type
	n    uint64
	data []byte
}

// Attribute returns the attribute with this name, or nil.
func (o *Object) Attribute(name string) (*Attribute, error) {
	var found *Attribute
	look := func(b []byte) error {
		// Searching costs time too: thousands of attributes, searched for thousands of names.
		if err := o.f.spend(64, "too many attributes"); err != nil {
			return err
		}
		a, err := o.f.attribute(b, name)
		if a != nil {
			found = a
		}
		return err
	}
	for _, m := range o.messages {
		switch m.kind {
		case msgAttribute:
			if err := look(m.data); err != nil {
				return nil, err
			}
		case msgAttrInfo:
			c := o.f.cursor(m.data)
			c.take(1)
			if c.uint(1)&1 != 0 {
				c.take(2)
			}
			heap, tree := c.address(), c.address()
			if c.err != nil {
				return nil, c.err
			}
			if heap == undefined || tree == undefined {
				continue
			}
			if err := o.f.dense(heap, tree, 0, look); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// attribute reads the message of an attribute with this name; for another name it returns nil.
func (f *File) attribute(b []byte, name string) (*Attribute, error) {
	c := f.cursor(b)
	version, flags := c.uint(1), c.uint(1)
	nameSize, typeSize, spaceSize := int(c.uint(2)), int(c.uint(2)), int(c.uint(2))
	if c.err == nil && (version < 1 || version > 3) {
		return nil, damaged("an attribute of version %d", version)
	}
	if version == 3 {
		c.take(1)
	}
	field := func(n int) []byte {
		if version > 1 {
			return c.take(n)
		}
		padded := c.take((n + 7) &^ 7)
		if c.err != nil {
			return nil
		}
		return padded[:n]
	}
	got := string(bytes.TrimRight(field(nameSize), "\x00"))
	if c.err != nil || got != name {
		return nil, c.err
	}
	if version > 1 && flags&3 != 0 {
		return nil, unsupported("attribute %s shares its type with others", name)
	}
	t, s := field(typeSize), field(spaceSize)
	if c.err != nil {
		return nil, c.err
	}
	a := &Attribute{f: f}
	var err error
	a.typ, err = f.parseType(t)
	if err != nil {
		return nil, err
	}
	_, a.n, err = f.parseSpace(s)
	if err != nil {
		return nil, err
	}
	a.data = c.rest()
	if have := uint64(len(a.data)); a.n > have/uint64(a.typ.Size) {
		return nil, damaged("attribute %s has %d bytes for %d elements of %d", name, have, a.n, a.typ.Size)
	}
	return a, nil
}

// Strings returns the strings of an attribute, of fixed or variable length.
func (a *Attribute) Strings() ([]string, error) {
	if a.n == 0 {
		return nil, nil // an empty list of any type
	}
	if !a.typ.text {
		return nil, fmt.Errorf("hdf5: an attribute has %s, text was expected", cmp.Or(a.typ.Name, a.typ.What))
	}
	out := make([]string, 0, a.n)
	c := a.f.cursor(a.data)
	for range a.n {
		if !a.typ.varying {
			s := c.take(a.typ.Size)
			if end := bytes.IndexByte(s, 0); end >= 0 {
				s = s[:end]
			}
			text := string(s)
			if a.typ.padded {
				text = strings.TrimRight(text, " ")
			}
			out = append(out, text)
			continue
		}
		n, address, index := c.uint(4), c.address(), c.uint(4)
		if c.err != nil {
			return nil, c.err
		}
		if n == 0 || address == undefined || address == 0 && index == 0 {
			out = append(out, "")
			continue
		}
		b, err := a.f.global(address, index)
		if err != nil {
			return nil, err
		}
		if uint64(len(b)) < n {
			return nil, damaged("a text of %d bytes in %d", n, len(b))
		}
		// Copies cost memory: many elements may refer to one long string.
		if err := a.f.spend(int64(n)+16, "texts that repeat each other"); err != nil {
			return nil, err
		}
		out = append(out, strings.TrimRight(string(b[:n]), "\x00"))
	}
	return out, c.err
}
