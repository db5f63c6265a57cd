package write

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tlkit/transfer-learning/tlkit/onnx/internal/proto"
)

const (
	opset     = 17 // the version of the operators, of 2022
	irVersion = 8  // the version of the format that came with it
)

const metadataField = 14 // of a model: pairs of key and value

// encode writes the model as protobuf, field by field: the weights are written once, straight to
// where they stay. The field numbers are those of onnx.proto:
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
func (m *model) encode(n Network) ([]byte, error) {
	tensors := m.named()
	var head, tail message // of the graph: what comes before and after the tensors
	for _, o := range m.nodes {
		head.Part(1, o.encode())
	}
	head.Text(2, n.Name)
	tail.Part(11, m.input.encode(m.batch))
	for _, w := range m.outputs {
		tail.Part(12, w.encode(m.batch))
	}
	total := len(head) + len(tail)
	for _, w := range tensors {
		total += w.tensorSize()
	}
	var before, after message
	before.Number(1, irVersion)
	before.Text(2, "tlkit")
	after.Part(8, numbered(2, opset))
	for _, key := range slices.Sorted(maps.Keys(n.Metadata)) {
		var pair message
		pair.Text(1, key)
		pair.Text(2, n.Metadata[key])
		after.Part(metadataField, pair)
	}
	out := make(message, 0, len(before)+len(after)+total+16)
	out = append(out, before...)
	out = protowire.AppendTag(out, 7, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(total))
	out = append(out, head...)
	for _, w := range tensors {
		var err error
		out, err = w.appendTensor(out)
		if err != nil {
			return nil, err
		}
	}
	out = append(out, tail...)
	return append(out, after...), nil
}

// named gives every node, value and tensor a name of its own, and returns the tensors. These come
// first, so that a weight keeps the checkpoint's name.
func (m *model) named() (tensors []*wire) {
	taken := map[string]bool{m.input.name: true}
	for _, w := range m.outputs {
		taken[w.name] = true
	}
	free := func(taken map[string]bool, base string) string {
		name := base
		for k := 2; taken[name]; k++ {
			name = fmt.Sprintf("%s_%d", base, k)
		}
		taken[name] = true
		return name
	}
	nodes := map[string]bool{}
	shared := map[string]*wire{}
	for _, o := range m.nodes {
		o.name = free(nodes, o.wishedName())
		for i, w := range o.in {
			if w == nil || w.tensor == nil || w.name != "" {
				continue
			}
			name := w.tensor.name(o, i)
			if other, ok := shared[name]; ok && other.tensor.equal(w.tensor) {
				o.in[i] = other
				continue
			}
			shared[name] = w
			w.name = free(taken, name)
			tensors = append(tensors, w)
		}
	}
	for _, o := range m.nodes {
		if o.out.name == "" {
			o.out.name = free(taken, o.name)
		}
	}
	return tensors
}

// wishedName is that of the layer whose weight the operation uses, "layer1.0.conv1", or says what
// the operation does.
func (o *operation) wishedName() string {
	if len(o.in) > 1 && o.in[1] != nil && o.in[1].tensor != nil && o.in[1].tensor.key != "" {
		key := o.in[1].tensor.key
		if i := strings.LastIndexByte(key, '.'); i > 0 {
			return key[:i]
		}
		return key
	}
	return o.op
}

// name is the checkpoint's own where the tensor is one of its weights, and says what it is
// otherwise.
func (t *tensor) name(o *operation, input int) string {
	switch {
	case t.key != "" && t.scale == nil:
		return t.key
	case t.key != "":
		return t.key + ".scaled"
	case o.op == "Conv" && input == 2:
		return o.name + ".shift"
	}
	switch flat := t.flat.(type) {
	case []int64:
		if len(flat) <= 8 {
			return strings.Trim(strings.ReplaceAll(fmt.Sprint(flat), " ", "_"), "[]") + ".int64"
		}
	case []float32:
		if len(flat) == 1 && len(t.from) == 0 {
			return fmt.Sprintf("%v.float32", flat[0])
		}
	}
	return fmt.Sprintf("%s.constant%d", o.name, input)
}

// message is an encoded protobuf message.
type message = proto.Message

// numbered is a message with one number.
func numbered(field protowire.Number, v uint64) (m message) {
	m.Number(field, v)
	return m
}

// The types of attributes.
const (
	attrFloat  = 1
	attrInt    = 2
	attrString = 3
	attrInts   = 7
)

func (o *operation) encode() (m message) {
	for _, w := range o.in {
		name := ""
		if w != nil {
			name = w.name
		}
		m.Text(1, name)
	}
	m.Text(2, o.out.name)
	m.Text(3, o.name)
	m.Text(4, o.op)
	for _, name := range slices.Sorted(maps.Keys(o.attrs)) {
		var a message
		a.Text(1, name)
		switch v := o.attrs[name].(type) {
		case int:
			a.Number(3, uint64(v))
			a.Number(20, attrInt)
		case float32:
			a = protowire.AppendFixed32(protowire.AppendTag(a, 2, protowire.Fixed32Type), math.Float32bits(v))
			a.Number(20, attrFloat)
		case string:
			a.Text(4, v)
			a.Number(20, attrString)
		case []int:
			for _, n := range v {
				a.Number(8, uint64(n))
			}
			a.Number(20, attrInts)
		default:
			panic(fmt.Errorf("attribute %s of %s is a %T", name, o.op, v)) // a mistake of this package
		}
		m.Part(5, a)
	}
	return m
}

// encode writes what an input or output is.
func (w *wire) encode(batch int) (m message) {
	var shape message
	for _, d := range w.dims {
		var dim message
		if d == batch {
			dim.Text(2, "N")
		} else {
			dim.Number(1, uint64(d))
		}
		shape.Part(1, dim)
	}
	var tensor, kind message
	tensor.Number(1, uint64(onnxType(w.dtype)))
	tensor.Part(2, shape)
	kind.Part(1, tensor)
	m.Text(1, w.name)
	m.Part(2, kind)
	return m
}

// tensorHead is a tensor without its numbers.
func (w *wire) tensorHead() (m message) {
	for _, d := range w.dims {
		m.Number(1, uint64(d))
	}
	m.Number(2, uint64(onnxType(w.dtype)))
	m.Text(8, w.name)
	return m
}

func (w *wire) bytes() int { return size(w.dims) * w.dtype.Size() }

// tensorSize is the size of the tensor as a field of the graph.
func (w *wire) tensorSize() int {
	raw := protowire.SizeTag(9) + protowire.SizeBytes(w.bytes())
	return protowire.SizeTag(5) + protowire.SizeBytes(len(w.tensorHead())+raw)
}

func (w *wire) appendTensor(out message) (message, error) {
	head, n := w.tensorHead(), w.bytes()
	out = protowire.AppendTag(out, 5, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(len(head)+protowire.SizeTag(9)+protowire.SizeBytes(n)))
	out = append(out, head...)
	out = protowire.AppendTag(out, 9, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(n))
	at := len(out)
	out = slices.Grow(out, n)[:at+n]
	return out, w.tensor.write(out[at:])
}

// write puts the numbers where they belong.
func (t *tensor) write(to []byte) error {
	switch flat := t.flat.(type) {
	case []float32:
		t.writeFloats(to, flat)
	case []int64:
		for i, v := range t.ordered().([]int64) {
			binary.LittleEndian.PutUint64(to[8*i:], uint64(v))
		}
	case []int32:
		for i, v := range t.ordered().([]int32) {
			binary.LittleEndian.PutUint32(to[4*i:], uint32(v))
		}
	case []float64:
		for i, v := range t.ordered().([]float64) {
			binary.LittleEndian.PutUint64(to[8*i:], math.Float64bits(v))
		}
	case []bool:
		for i, v := range t.ordered().([]bool) {
			if v {
				to[i] = 1
			}
		}
	case []uint8:
		copy(to, t.ordered().([]uint8))
	default:
		return &UnsupportedError{"Constant", fmt.Sprintf("numbers of type %T", flat)}
	}
	return nil
}

func (t *tensor) writeFloats(to []byte, flat []float32) {
	put := func(at int, v float32) { binary.LittleEndian.PutUint32(to[4*at:], math.Float32bits(v)) }
	row := len(flat)
	if t.scale != nil {
		row /= len(t.scale)
	}
	switch {
	case t.perm == nil && t.scale == nil:
		for i, v := range flat {
			put(i, v)
		}
	case t.scale == nil:
		t.each(func(at, from int) { put(at, flat[from]) })
	default:
		t.each(func(at, from int) { put(at, flat[from]*t.scale[at/row]) })
	}
}

// Metadata returns the pairs of [Network.Metadata] in the content of an .onnx file, whoever wrote it.
// The error says that the bytes are not a complete protobuf message.
func Metadata(file []byte) (map[string]string, error) {
	out := map[string]string{}
	err := fields(file, func(field protowire.Number, pair []byte) error {
		if field != metadataField {
			return nil
		}
		var texts [3]string // by field: the key is 1, the value 2
		err := fields(pair, func(field protowire.Number, text []byte) error {
			if field < 3 {
				texts[field] = string(text)
			}
			return nil
		})
		out[texts[1]] = texts[2]
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write: not the content of a complete .onnx file: %w", err)
	}
	return out, nil
}

// fields calls f for each field of a message that is a text or another message.
func fields(m message, f func(field protowire.Number, content []byte) error) error {
	return proto.Each(m, func(p proto.Field) error {
		if p.Value == nil {
			return nil
		}
		return f(p.Number, p.Value)
	})
}
