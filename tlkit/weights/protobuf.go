package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// protoWindow is the piece of the file around the place that is being read, so that a gigabyte of numbers between two
// names is stepped over and never loaded.
type protoWindow struct {
	src   *source
	at    int64 // of the first byte in bytes
	bytes []byte
	room  []byte
}

const windowSize = 64 << 10

// get gives up to n bytes from at on, fewer only at the end of the file. They are valid until the next call.
func (w *protoWindow) get(at int64, n int) ([]byte, error) {
	if skip := at - w.at; skip < 0 || skip+int64(n) > int64(len(w.bytes)) {
		if w.room == nil {
			w.room = make([]byte, windowSize)
		}
		got, err := w.src.r.ReadAt(w.room[:min(int64(windowSize), w.src.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.at, w.bytes = at, w.room[:got]
	}
	rest := w.bytes[at-w.at:]
	return rest[:min(n, len(rest))], nil
}

// protoMessage is a stretch of the file that holds the fields of one message. It is walked with each.
type protoMessage struct {
	window  *protoWindow
	at, end int64
}

// protoField is one field: a number, or a stretch of the file.
type protoField struct {
	window *protoWindow
	num    protowire.Number
	typ    protowire.Type
	value  uint64 // of numbers
	at     int64  // of stretches
	size   int64
}

// next gives the next field; ok is false at the end of the message.
func (m *protoMessage) next() (field protoField, ok bool, err error) {
	if m.at >= m.end {
		return protoField{}, false, nil
	}
	const longest = 2 * 10 // a tag and a number
	head, err := m.window.get(m.at, int(min(longest, m.end-m.at)))
	if err != nil {
		return field, false, err
	}
	num, typ, used := protowire.ConsumeTag(head)
	if used < 0 {
		return field, false, fmt.Errorf("byte %d: %w", m.at, protowire.ParseError(used))
	}
	field = protoField{window: m.window, num: num, typ: typ}
	head, at := head[used:], m.at+int64(used)
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
		if n, used = protowire.ConsumeVarint(head); used >= 0 {
			field.at = at + int64(used)
			if n > uint64(m.end-field.at) {
				return field, false, fmt.Errorf("byte %d: a field of %d bytes where %d are left", m.at, n, m.end-field.at)
			}
			field.size = int64(n)
		}
	default:
		return field, false, fmt.Errorf("byte %d: a field of wire type %d", m.at, typ)
	}
	if used < 0 {
		return field, false, fmt.Errorf("byte %d: %w", m.at, protowire.ParseError(used))
	}
	m.at = at + int64(used) + field.size
	return field, true, nil
}

func (f protoField) message() (protoMessage, error) {
	if f.typ != protowire.BytesType {
		return protoMessage{}, fmt.Errorf("field %d is a number where a message was expected", f.num)
	}
	return protoMessage{f.window, f.at, f.at + f.size}, nil
}

// each walks the fields of a message, up to the first error.
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

// each walks the message that is the field.
func (f protoField) each(do func(protoField) error) error {
	m, err := f.message()
	if err != nil {
		return err
	}
	return m.each(do)
}

// bytes gives at most that many bytes; more are an error.
func (f protoField) bytes(most int) ([]byte, error) {
	if f.typ != protowire.BytesType {
		return nil, fmt.Errorf("field %d is a number where text was expected", f.num)
	}
	if f.size > int64(most) {
		return nil, fmt.Errorf("a name of %d bytes, at most %d are read", f.size, most)
	}
	b, err := f.window.get(f.at, int(f.size))
	if err == nil && int64(len(b)) != f.size {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (f protoField) integer() (uint64, error) {
	if f.typ != protowire.VarintType {
		return 0, fmt.Errorf("field %d is no integer", f.num)
	}
	return f.value, nil
}

// integers appends one integer, or a packed list of them.
func (f protoField) integers(to []int64, most int) ([]int64, error) {
	add := func(v uint64) error {
		if len(to) == most {
			return fmt.Errorf("more than %d integers", most)
		}
		to = append(to, int64(v))
		return nil
	}
	if f.typ == protowire.VarintType {
		return to, add(f.value)
	}
	if f.typ != protowire.BytesType {
		return nil, fmt.Errorf("field %d is no list of integers", f.num)
	}
	for at, end := f.at, f.at+f.size; at < end; {
		b, err := f.window.get(at, int(min(10, end-at)))
		if err != nil {
			return nil, err
		}
		v, used := protowire.ConsumeVarint(b)
		if used < 0 {
			return nil, fmt.Errorf("byte %d: %w", at, protowire.ParseError(used))
		}
		if err := add(v); err != nil {
			return nil, err
		}
		at += int64(used)
	}
	return to, nil
}

// floats appends one float, or a packed list of them.
func (f protoField) floats(to []float32) ([]float32, error) {
	if f.typ == protowire.Fixed32Type {
		return append(to, math.Float32frombits(uint32(f.value))), nil
	}
	b, err := f.bytes(windowSize)
	if err != nil || len(b)%4 != 0 {
		return nil, errors.Join(fmt.Errorf("field %d is no list of floats", f.num), err)
	}
	for ; len(b) > 0; b = b[4:] {
		to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return to, nil
}
