// Package proto writes and reads protobuf messages field by field, for the packages that write ONNX
// files. By hand on protowire, because generated code would bring protobuf's reflection into every
// notebook cell that exports.
package proto

import "google.golang.org/protobuf/encoding/protowire"

// Message is an encoded message; its fields are appended one by one.
type Message []byte

// Number appends a whole number.
func (m *Message) Number(field protowire.Number, v uint64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), v)
}

// Text appends a text.
func (m *Message) Text(field protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), s)
}

// Part appends a message, or bytes.
func (m *Message) Part(field protowire.Number, part []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), part)
}

// Field is a field of a message.
type Field struct {
	Number protowire.Number
	Value  []byte // of a text or a message; nil for numbers
	Varint uint64
	Whole  []byte // with its tag
}

// Each calls f for each field of a message, in order, until f returns an error. It is an error if m is
// not a complete message.
func Each(m []byte, f func(Field) error) error {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, m[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		field := Field{Number: number, Whole: m[:n+size]}
		switch kind {
		case protowire.BytesType:
			field.Value, _ = protowire.ConsumeBytes(m[n : n+size])
		case protowire.VarintType:
			field.Varint, _ = protowire.ConsumeVarint(m[n : n+size])
		}
		if err := f(field); err != nil {
			return err
		}
		m = m[n+size:]
	}
	return nil
}
