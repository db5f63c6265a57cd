package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// protoWindow is the piece of the file that is being read, so that a gigabyte of numbers
// between two names is skipped and never loaded.
type protoWindow struct {
	src   *source
	pos   int64 // of the first byte in bytes
	bytes []byte
	room  []byte
}

const windowSize = 64 << 10

// get returns n bytes from pos on, or fewer at the end of the file. They are valid until the
// next call.
func (w *protoWindow) get(pos int64, n int) ([]byte, error) {
	if skip := pos - w.pos; skip < 0 || skip+int64(n) > int64(len(w.bytes)) {
		if w.room == nil {
			w.room = make([]byte, windowSize)
		}
		got, err := w.src.r.ReadAt(w.room[:min(int64(windowSize), w.src.size-pos)], pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.pos, w.bytes = pos, w.room[:got]
	}
	rest := w.bytes[pos-w.pos:]
	return rest[:min(n, len(rest))], nil
}

// protoMessage is the part of the file with the fields of one message. Use each to read them.
type protoMessage struct {
	window   *protoWindow
	pos, end int64
}

// protoField is one field: a number, or a part of the file.
type protoField struct {
	window *protoWindow
	num    protowire.Number
	typ    protowire.Type
	value  uint64 // of numbers
	pos    int64  // of stretches
	size   int64
}

// next returns the next field; ok is false at the end of the message.
func (m *protoMessage) next() (field protoField, ok bool, err error) {
	if m.pos >= m.end {
		return protoField{}, false, nil
	}
	const longest = 2 * 10 // a tag and a number
	head, err := m.window.get(m.pos, int(min(longest, m.end-m.pos)))
	if err != nil {
		return field, false, err
	}
	num, typ, used := protowire.ConsumeTag(head)
	if used < 0 {
		return field, false, fmt.Errorf("byte %d: %w", m.pos, protowire.ParseError(used))
	}
	field = protoField{window: m.window, num: num, typ: typ}
	head, pos := head[used:], m.pos+int64(used)
	switch typ {
	case protowire.VarintType:
		field.value, used = protowire.ConsumeVarint(head)
	case protowire.Fixed32Type:
		var v uint32
		v, used = protowire.ConsumeFixed32(head)
		field.value = uint64(v)
	case protowire.Fixed64Type:
		field.value, used = protowire.ConsumeFixed64(head)
	case protowire.BytesType:
		var n uint64
		n, used = protowire.ConsumeVarint(head)
		if used >= 0 {
			field.pos = pos + int64(used)
			if n > uint64(m.end-field.pos) {
				return field, false, fmt.Errorf("byte %d: a field of %d bytes where %d are left", m.pos, n, m.end-field.pos)
			}
			field.size = int64(n)
		}
	default:
		return field, false, fmt.Errorf("byte %d: a field of wire type %d", m.pos, typ)
	}
	if used < 0 {
		return field, false, fmt.Errorf("byte %d: %w", m.pos, protowire.ParseError(used))
	}
	m.pos = pos + int64(used) + field.size
	return field, true, nil
}

func (f protoField) message() (protoMessage, error) {
	if f.typ != protowire.BytesType {
		return protoMessage{}, fmt.Errorf("field %d is a number where a message was expected", f.num)
	}
	return protoMessage{f.window, f.pos, f.pos + f.size}, nil
}

// each calls do with every field of a message, up to the first error.
func (m protoMessage) each(do func(protoField) error) error {
	for {
		field, ok, err := m.next()
		if err != nil {
			return fmt.Errorf("the file is cut off or damaged: %w", err)
		}
		if !ok {
			return nil
		}
		if err := do(field); err != nil {
			return err
		}
	}
}

// each calls do with every field of the message in this field.
func (f protoField) each(do func(protoField) error) error {
	m, err := f.message()
	if err != nil {
		return err
	}
	return m.each(do)
}

// bytes returns the bytes of the field. More than most are an error.
func (f protoField) bytes(most int) ([]byte, error) {
	if f.typ != protowire.BytesType {
		return nil, fmt.Errorf("field %d is a number where text was expected", f.num)
	}
	if f.size > int64(most) {
		return nil, fmt.Errorf("a name of %d bytes, at most %d are read", f.size, most)
	}
	b, err := f.window.get(f.pos, int(f.size))
	if err == nil && int64(len(b)) != f.size {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (f protoField) integer() (uint64, error) {
	if f.typ != protowire.VarintType {
		return 0, fmt.Errorf("field %d is not an integer", f.num)
	}
	return f.value, nil
}

// integers appends one integer or a packed list.
func (f protoField) integers(dst []int64, most int) ([]int64, error) {
	add := func(v uint64) error {
		if len(dst) == most {
			return fmt.Errorf("more than %d integers", most)
		}
		dst = append(dst, int64(v))
		return nil
	}
	if f.typ == protowire.VarintType {
		return dst, add(f.value)
	}
	if f.typ != protowire.BytesType {
		return nil, fmt.Errorf("field %d is not a list of integers", f.num)
	}
	for pos, end := f.pos, f.pos+f.size; pos < end; {
		b, err := f.window.get(pos, int(min(10, end-pos)))
		if err != nil {
			return nil, err
		}
		v, used := protowire.ConsumeVarint(b)
		if used < 0 {
			return nil, fmt.Errorf("byte %d: %w", pos, protowire.ParseError(used))
		}
		if err := add(v); err != nil {
			return nil, err
		}
		pos += int64(used)
	}
	return dst, nil
}

// floats appends one float or a packed list.
func (f protoField) floats(dst []float32) ([]float32, error) {
	if f.typ == protowire.Fixed32Type {
		return append(dst, math.Float32frombits(uint32(f.value))), nil
	}
	b, err := f.bytes(windowSize)
	if err != nil || len(b)%4 != 0 {
		return nil, errors.Join(fmt.Errorf("field %d is not a list of floats", f.num), err)
	}
	for ; len(b) > 0; b = b[4:] {
		dst = append(dst, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return dst, nil
}
