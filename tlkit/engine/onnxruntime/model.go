package onnxruntime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Type is the type of a tensor's elements, in Go's words: "float32".
type Type string

// The types that [Session.Run] takes and returns. A model may declare others.
const (
	Float32 Type = "float32"
	Uint8   Type = "uint8"
)

// Value is an input or an output of a model.
type Value struct {
	Name  string
	Type  Type
	Shape []int // -1 = any length, as of the batch; nil = not declared
}

// String returns a value as "pictures float32[?,224,224,3]".
func (v Value) String() string {
	if v.Shape == nil {
		return fmt.Sprintf("%s %s", v.Name, v.Type)
	}
	return fmt.Sprintf("%s %s%s", v.Name, v.Type, axes(v.Shape))
}

// axes writes a shape as "[?,224,224,3]".
func axes(shape []int) string {
	var b strings.Builder
	for i, n := range shape {
		if i > 0 {
			b.WriteByte(',')
		}
		if n < 0 {
			b.WriteByte('?')
		} else {
			fmt.Fprint(&b, n)
		}
	}
	return "[" + b.String() + "]"
}

// fits reports whether a tensor of that shape can be v.
func (v Value) fits(shape []int) bool {
	if v.Shape == nil {
		return true
	}
	return slices.EqualFunc(v.Shape, shape, func(want, got int) bool { return want < 0 || want == got })
}

// signature is what a model takes and returns.
type signature struct {
	inputs, outputs []Value
	reduces         bool // a node adds along an axis of its own choice
}

// byRow reports whether the first axis of the only input and of all outputs is the batch, of any length.
func (m signature) byRow() bool {
	if len(m.inputs) != 1 {
		return false
	}
	for _, v := range append(slices.Clone(m.outputs), m.inputs...) {
		if len(v.Shape) < 2 || v.Shape[0] >= 0 {
			return false
		}
	}
	return true
}

// readSignature reads the signature of an ONNX file. The library tells it only after it has made a
// session, and this binding makes one of its own to ask.
func readSignature(model []byte) (m signature, err error) {
	graphs := 0
	var constants []string
	err = eachField(model, func(field protowire.Number, graph []byte) error {
		if field != 7 { // ModelProto.graph
			return nil
		}
		graphs++
		return eachField(graph, func(field protowire.Number, data []byte) error {
			switch field {
			case 1: // GraphProto.node
				kind, err := textField(data, 4) // NodeProto.op_type
				m.reduces = m.reduces || strings.HasPrefix(kind, "Reduce") || kind == "LpNormalization"
				return err
			case 5: // GraphProto.initializer
				name, err := textField(data, 8) // TensorProto.name
				constants = append(constants, name)
				return err
			case 11, 12: // GraphProto.input, output
				v, err := valueOf(data)
				if err != nil {
					return err
				}
				if field == 11 {
					m.inputs = append(m.inputs, v)
				} else {
					m.outputs = append(m.outputs, v)
				}
			}
			return nil
		})
	})
	if err == nil && graphs != 1 {
		err = fmt.Errorf("it has %d graphs, want one", graphs)
	}
	// Older files list each constant as an input too.
	m.inputs = slices.DeleteFunc(m.inputs, func(v Value) bool { return slices.Contains(constants, v.Name) })
	switch {
	case err != nil:
	case len(m.inputs) == 0:
		err = errors.New("it has no input")
	case len(m.outputs) == 0:
		err = errors.New("it has no output")
	}
	return m, err
}

// valueOf reads a ValueInfoProto.
func valueOf(info []byte) (v Value, err error) {
	v.Type = "?"
	err = eachField(info, func(field protowire.Number, data []byte) error {
		switch field {
		case 1:
			v.Name = string(data)
		case 2: // type
			return eachField(data, func(field protowire.Number, data []byte) error {
				if field != 1 { // TypeProto.tensor_type
					return nil
				}
				return v.tensor(data)
			})
		}
		return nil
	})
	return v, err
}

// tensor reads a TypeProto.Tensor.
func (v *Value) tensor(data []byte) error {
	element, err := numberField(data, 1, 0)
	if err != nil {
		return err
	}
	v.Type = typeOf(element)
	return eachField(data, func(field protowire.Number, shape []byte) error {
		if field != 2 {
			return nil
		}
		v.Shape = []int{}
		return eachField(shape, func(field protowire.Number, dimension []byte) error {
			if field != 1 {
				return nil
			}
			n, err := numberField(dimension, 1, -1) // dim_value; else a name, or nothing
			v.Shape = append(v.Shape, int(n))
			return err
		})
	})
}

var onnxTypes = [...]Type{1: Float32, 2: Uint8, 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}

func typeOf(element int64) Type {
	if element > 0 && int(element) < len(onnxTypes) {
		return onnxTypes[element]
	}
	return Type(fmt.Sprintf("ONNX type %d", element))
}

// eachField calls f for every field of a message that holds bytes: a text or another message.
func eachField(message []byte, f func(field protowire.Number, data []byte) error) error {
	return walk(message, func(field protowire.Number, kind protowire.Type, value []byte) error {
		if kind != protowire.BytesType {
			return nil
		}
		data, _ := protowire.ConsumeBytes(value)
		return f(field, data)
	})
}

func walk(message []byte, f func(field protowire.Number, kind protowire.Type, value []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(field, kind, message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

func textField(message []byte, wanted protowire.Number) (text string, err error) {
	err = eachField(message, func(field protowire.Number, data []byte) error {
		if field == wanted {
			text = string(data)
		}
		return nil
	})
	return text, err
}

func numberField(message []byte, wanted protowire.Number, otherwise int64) (int64, error) {
	err := walk(message, func(field protowire.Number, kind protowire.Type, value []byte) error {
		if field == wanted && kind == protowire.VarintType {
			n, _ := protowire.ConsumeVarint(value)
			otherwise = int64(n)
		}
		return nil
	})
	return otherwise, err
}
