package quantise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The parts of a file that quantising changes, field by field as in onnx.proto:
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. The rest stays as bytes. By hand, because
// generated code would bring protobuf's reflection into every notebook cell that exports.

// The types of tensors in onnx.proto.
const (
	typeFloat = 1
	typeUint8 = 2
	typeInt8  = 3
	typeInt32 = 6
	typeInt64 = 7
)

// node is an operation.
type node struct {
	op, name   string
	in, out    []string
	attributes [][]byte // AttributeProto
}

// tensor is a constant of the file.
type tensor struct {
	name string
	kind int
	dims []int
	raw  []byte
}

// file is an ONNX file in parts.
type file struct {
	before, after message // fields of the model in front of the graph and behind it
	head, tail    message // of the graph, but for nodes, constants and outputs
	nodes         []*node
	tensors       []*tensor
	outputs       [][]byte // ValueInfoProto
	inputs        []string
}

type message []byte

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), s)
}

func (m *message) message(field protowire.Number, part []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), part)
}

func (m *message) number(field protowire.Number, v uint64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), v)
}

// field is a field of a message: its number, its value, and all its bytes.
type field struct {
	number protowire.Number
	value  []byte // of bytes; nil for numbers
	varint uint64
	whole  []byte
}

// each calls f for each field of a message.
func each(m []byte, f func(field) error) error {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, m[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		at := field{number: number, whole: m[:n+size]}
		switch kind {
		case protowire.BytesType:
			at.value, _ = protowire.ConsumeBytes(m[n:])
		case protowire.VarintType:
			at.varint, _ = protowire.ConsumeVarint(m[n:])
		}
		if err := f(at); err != nil {
			return err
		}
		m = m[n+size:]
	}
	return nil
}

// parse takes a file apart.
func parse(data []byte) (*file, error) {
	f := &file{}
	var graph []byte
	err := each(data, func(at field) error {
		switch {
		case at.number == 7 && graph != nil:
			return errors.New("it has two graphs")
		case at.number == 7:
			graph = at.value
		case graph == nil:
			f.before = append(f.before, at.whole...)
		default:
			f.after = append(f.after, at.whole...)
		}
		return nil
	})
	if err == nil && graph == nil {
		err = errors.New("it has no graph")
	}
	if err != nil {
		return nil, err
	}
	return f, each(graph, f.graph)
}

// graph takes a field of the graph.
func (f *file) graph(at field) error {
	switch at.number {
	case 1:
		n, err := parseNode(at.value)
		f.nodes = append(f.nodes, n)
		return err
	case 5:
		t, err := parseTensor(at.value)
		f.tensors = append(f.tensors, t)
		return err
	case 11:
		name, err := nameOf(at.value)
		f.inputs = append(f.inputs, name)
		f.tail = append(f.tail, at.whole...)
		return err
	case 12:
		f.outputs = append(f.outputs, at.value)
	case 2:
		f.head = append(f.head, at.whole...)
	default:
		f.tail = append(f.tail, at.whole...)
	}
	return nil
}

// nameOf returns the name of a ValueInfoProto or AttributeProto.
func nameOf(m []byte) (name string, err error) {
	err = each(m, func(at field) error {
		if at.number == 1 {
			name = string(at.value)
		}
		return nil
	})
	return name, err
}

func parseNode(m []byte) (*node, error) {
	n := &node{}
	err := each(m, func(at field) error {
		switch text := string(at.value); at.number {
		case 1:
			n.in = append(n.in, text)
		case 2:
			n.out = append(n.out, text)
		case 3:
			n.name = text
		case 4:
			n.op = text
		case 5:
			n.attributes = append(n.attributes, at.value)
		case 7:
			if text != "" {
				return fmt.Errorf("node %.40q is of the domain %.40q", n.name, text)
			}
		}
		return nil
	})
	return n, err
}

func parseTensor(m []byte) (*tensor, error) {
	t := &tensor{}
	size, known := 1, false
	err := each(m, func(at field) error {
		switch at.number {
		case 1:
			if at.value != nil { // packed
				return errors.New("a tensor with packed dimensions")
			}
			if at.varint > 1<<31 || size > math.MaxInt32 {
				return errors.New("a tensor too large for this file")
			}
			t.dims = append(t.dims, int(at.varint))
			size *= int(at.varint)
		case 2:
			t.kind = int(at.varint)
		case 8:
			t.name = string(at.value)
		case 9:
			t.raw, known = at.value, true
		default:
			return fmt.Errorf("tensor %.40q keeps its numbers in another way than as raw bytes", t.name)
		}
		return nil
	})
	width := map[int]int{typeFloat: 4, typeUint8: 1, typeInt8: 1, typeInt32: 4, typeInt64: 8, 9: 1}[t.kind]
	if err == nil && (!known && size > 0 || width == 0 || size*width != len(t.raw)) {
		err = fmt.Errorf("tensor %.40q has %d bytes for %v numbers of type %d", t.name, len(t.raw), t.dims, t.kind)
	}
	return t, err
}

// floats are the numbers of a tensor of floats.
func (t *tensor) floats() []float32 {
	out := make([]float32, len(t.raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.raw[4*i:]))
	}
	return out
}

func floatTensor(name string, values []float32, dims ...int) *tensor {
	t := &tensor{name: name, kind: typeFloat, dims: dims}
	for _, v := range values {
		t.raw = binary.LittleEndian.AppendUint32(t.raw, math.Float32bits(v))
	}
	return t
}

// attribute returns the integers of an attribute; nil if the node does not have it.
func (n *node) attribute(name string) (ints []int64) {
	for _, a := range n.attributes {
		var is bool
		var found []int64
		_ = each(a, func(at field) error { // it was parsed before
			switch at.number {
			case 1:
				is = string(at.value) == name
			case 3, 8:
				found = append(found, int64(at.varint))
			}
			return nil
		})
		if is {
			return found
		}
	}
	return nil
}

// intAttribute is an AttributeProto of one integer.
func intAttribute(name string, v int) (a message) {
	a.text(1, name)
	a.number(3, uint64(v))
	a.number(20, 2)
	return a
}

func (n *node) encode() (m message) {
	for _, in := range n.in {
		m.text(1, in)
	}
	for _, out := range n.out {
		m.text(2, out)
	}
	m.text(3, n.name)
	m.text(4, n.op)
	for _, a := range n.attributes {
		m.message(5, a)
	}
	return m
}

func (t *tensor) encode() (m message) {
	for _, d := range t.dims {
		m.number(1, uint64(d))
	}
	m.number(2, uint64(t.kind))
	m.text(8, t.name)
	m.message(9, t.raw)
	return m
}

// output is a ValueInfoProto of floats of an unknown shape.
func output(name string) (m message) {
	var kind, of message
	kind.number(1, typeFloat)
	of.message(1, kind)
	m.text(1, name)
	m.message(2, of)
	return m
}

const metadataField = 14 // of the model

// setMetadata replaces the metadata.
func (f *file) setMetadata(texts map[string]string) {
	var after message
	_ = each(f.after, func(at field) error { // it was parsed before
		if at.number != metadataField {
			after = append(after, at.whole...)
		}
		return nil
	})
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		var pair message
		pair.text(1, key)
		pair.text(2, texts[key])
		after.message(metadataField, pair)
	}
	f.after = after
}

// encode puts the file together.
func (f *file) encode() []byte {
	var graph message
	for _, n := range f.nodes {
		graph.message(1, n.encode())
	}
	graph = append(graph, f.head...)
	for _, t := range f.tensors {
		graph.message(5, t.encode())
	}
	graph = append(graph, f.tail...)
	for _, o := range f.outputs {
		graph.message(12, o)
	}
	out := slices.Clone(f.before)
	out.message(7, graph)
	return append(out, f.after...)
}
