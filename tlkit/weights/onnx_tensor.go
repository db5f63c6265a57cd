package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// onnxTypes are the supported element types of TensorProto.DataType. Text and floats of 4 and 8
// bits are not supported.
var onnxTypes = map[uint64]string{
	1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32",
	13: "U64", 14: "C64", 15: "C128", 16: "BF16",
}

// tensor reads a TensorProto up to the place of its numbers. name is the output of a Constant
// node, or "" for the tensor's own name.
func (r *onnxReader) tensor(m protoMessage, name string) error {
	own := name == ""
	var (
		shape    []int64
		kind     uint64
		run      *protoField // the run of bytes with the numbers
		single   []int64     // or integers one by one
		oneByOne bool
		outside  bool
		where    string
	)
	err := m.each(func(field protoField) (err error) {
		switch field.num {
		case 1:
			shape, err = field.integers(shape, maxRank)
		case 2:
			kind, err = field.integer()
		case 3:
			err = errors.New("it is one segment of a tensor, which is not read")
		case 4, 9, 10:
			_, err = field.message()
			if err == nil && run != nil {
				err = errors.New("its numbers come in several pieces, which is not read: save the file anew with a present version of the onnx package")
			}
			run = &field
		case 5, 7, 11:
			oneByOne = true
			single, err = field.integers(single, maxONNXNumbers)
		case 6:
			err = errors.New("it holds text, not numbers")
		case 8:
			if own {
				name, err = r.text(field)
			}
		case 13:
			outside = true
			err = field.each(func(field protoField) error {
				if field.num != 2 {
					return nil
				}
				text, err := field.bytes(maxName)
				if where == "" {
					where = string(text)
				}
				return err
			})
		case 14:
			var n uint64
			n, err = field.integer()
			outside = outside || n == 1
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("tensor %s: %w", printable(name), err)
	}
	if outside {
		return fmt.Errorf("tensor %s keeps its numbers in another file, %s, and no other file is opened for a network: save it as one file, in Python with onnx.save(onnx.load(%q), \"single.onnx\"), or export with external_data=False",
			printable(name), printable(where), r.file.Path)
	}
	t := Tensor{Name: name, DType: onnxTypes[kind], Shape: make([]int, len(shape))}
	size := int64(itemSizes[t.DType])
	if size == 0 {
		return fmt.Errorf("tensor %s has elements of ONNX type %d, which is not read", printable(name), kind)
	}
	for i, d := range shape {
		if d < 0 || d > math.MaxInt32 {
			return fmt.Errorf("tensor %s has shape %v", printable(name), shape)
		}
		t.Shape[i] = int(d)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", printable(name), err)
	}
	switch {
	case oneByOne && run != nil:
		return fmt.Errorf("tensor %s has its numbers twice", printable(name))
	case oneByOne:
		if int64(len(single)) != n {
			return fmt.Errorf("tensor %s of shape %v has %d numbers, want %d", printable(name), t.Shape, len(single), n)
		}
		if t.DType == "F32" || t.DType == "F64" || t.DType[0] == 'C' {
			return fmt.Errorf("tensor %s of type %s is stored as integers", printable(name), t.DType)
		}
		t.st = inMemory(name, single, int(size))
	case run == nil && n == 0:
		t.st = inMemory(name, nil, int(size))
	case run == nil:
		return fmt.Errorf("tensor %s of shape %v has no numbers", printable(name), t.Shape)
	default:
		if run.num == 4 && t.DType != "F32" || run.num == 10 && t.DType != "F64" {
			return fmt.Errorf("tensor %s of type %s is stored as another type", printable(name), t.DType)
		}
		if run.size != n*size {
			return fmt.Errorf("tensor %s of shape %v and type %s needs %d bytes, has %d", printable(name), t.Shape, t.DType, n*size, run.size)
		}
		t.st = &storage{src: r.file.src, base: run.pos, size: run.size}
	}
	return r.add(t)
}

func (r *onnxReader) add(t Tensor) error {
	if len(r.file.tensors) == maxTensors {
		return fmt.Errorf("more than %d tensors", maxTensors)
	}
	if t.Name == "" {
		return errors.New("a tensor without a name")
	}
	r.held += 160
	if r.held > maxONNXMemory {
		return r.tooMuch()
	}
	r.file.tensors = append(r.file.tensors, t)
	return nil
}

func wholeNumbers(name string, shape []int, values []int64) Tensor {
	return Tensor{Name: name, DType: "I64", Shape: shape, st: inMemory(name, values, 8)}
}

// inMemory returns a storage of integers that the file stores in another form, as size
// little-endian bytes each.
func inMemory(name string, values []int64, size int) *storage {
	b := make([]byte, 0, len(values)*size)
	for _, v := range values {
		b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(v))[:size]...)
	}
	return &storage{src: &source{name: name, r: bytes.NewReader(b), size: int64(len(b))}, size: int64(len(b))}
}
