package quantise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/onnx/internal/proto"
)

// The parts of a file that quantising changes, field by field as in onnx.proto:
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. The rest stays as bytes.

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

type message = proto.Message

// parse takes a file apart.
func parse(data []byte) (*file, error) {
	f := &file{}
	var graph []byte
	err := proto.Each(data, func(at proto.Field) error {
		switch {
		case at.Number == 7 && graph != nil:
			return errors.New("it has two graphs")
		case at.Number == 7:
			graph = at.Value
		case graph == nil:
			f.before = append(f.before, at.Whole...)
		default:
			f.after = append(f.after, at.Whole...)
		}
		return nil
	})
	if err == nil && graph == nil {
		err = errors.New("it has no graph")
	}
	if err != nil {
		return nil, err
	}
	return f, proto.Each(graph, f.graph)
}

// graph takes a field of the graph.
func (f *file) graph(at proto.Field) error {
	switch at.Number {
	case 1:
		n, err := parseNode(at.Value)
		f.nodes = append(f.nodes, n)
		return err
	case 5:
		t, err := parseTensor(at.Value)
		f.tensors = append(f.tensors, t)
		return err
	case 11:
		name, err := nameOf(at.Value)
		f.inputs = append(f.inputs, name)
		f.tail = append(f.tail, at.Whole...)
		return err
	case 12:
		f.outputs = append(f.outputs, at.Value)
	case 2:
		f.head = append(f.head, at.Whole...)
	default:
		f.tail = append(f.tail, at.Whole...)
	}
	return nil
}

// nameOf returns the name of a ValueInfoProto or AttributeProto.
func nameOf(m []byte) (name string, err error) {
	err = proto.Each(m, func(at proto.Field) error {
		if at.Number == 1 {
			name = string(at.Value)
		}
		return nil
	})
	return name, err
}

func parseNode(m []byte) (*node, error) {
	n := &node{}
	err := proto.Each(m, func(at proto.Field) error {
		switch text := string(at.Value); at.Number {
		case 1:
			n.in = append(n.in, text)
		case 2:
			n.out = append(n.out, text)
		case 3:
			n.name = text
		case 4:
			n.op = text
		case 5:
			n.attributes = append(n.attributes, at.Value)
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
	err := proto.Each(m, func(at proto.Field) error {
		switch at.Number {
		case 1:
			if at.Value != nil { // packed
				return errors.New("a tensor with packed dimensions")
			}
			if at.Varint > 1<<31 || size > math.MaxInt32 {
				return errors.New("a tensor too large for this file")
			}
			t.dims = append(t.dims, int(at.Varint))
			size *= int(at.Varint)
		case 2:
			t.kind = int(at.Varint)
		case 8:
			t.name = string(at.Value)
		case 9:
			t.raw, known = at.Value, true
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
		_ = proto.Each(a, func(at proto.Field) error { // it was parsed before
			switch at.Number {
			case 1:
				is = string(at.Value) == name
			case 3, 8:
				found = append(found, int64(at.Varint))
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
	a.Text(1, name)
	a.Number(3, uint64(v))
	a.Number(20, 2)
	return a
}

func (n *node) encode() (m message) {
	for _, in := range n.in {
		m.Text(1, in)
	}
	for _, out := range n.out {
		m.Text(2, out)
	}
	m.Text(3, n.name)
	m.Text(4, n.op)
	for _, a := range n.attributes {
		m.Part(5, a)
	}
	return m
}

func (t *tensor) encode() (m message) {
	for _, d := range t.dims {
		m.Number(1, uint64(d))
	}
	m.Number(2, uint64(t.kind))
	m.Text(8, t.name)
	m.Part(9, t.raw)
	return m
}

// output is a ValueInfoProto of floats of an unknown shape.
func output(name string) (m message) {
	var kind, of message
	kind.Number(1, typeFloat)
	of.Part(1, kind)
	m.Text(1, name)
	m.Part(2, of)
	return m
}

const metadataField = 14 // of the model

// setMetadata replaces the metadata.
func (f *file) setMetadata(texts map[string]string) {
	var after message
	_ = proto.Each(f.after, func(at proto.Field) error { // it was parsed before
		if at.Number != metadataField {
			after = append(after, at.Whole...)
		}
		return nil
	})
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		var pair message
		pair.Text(1, key)
		pair.Text(2, texts[key])
		after.Part(metadataField, pair)
	}
	f.after = after
}

// encode puts the file together.
func (f *file) encode() []byte {
	var graph message
	for _, n := range f.nodes {
		graph.Part(1, n.encode())
	}
	graph = append(graph, f.head...)
	for _, t := range f.tensors {
		graph.Part(5, t.encode())
	}
	graph = append(graph, f.tail...)
	for _, o := range f.outputs {
		graph.Part(12, o)
	}
	out := slices.Clone(f.before)
	out.Part(7, graph)
	return append(out, f.after...)
}
