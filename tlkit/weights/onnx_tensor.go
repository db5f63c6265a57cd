package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tlkit/transfer-learning/internal/words"
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
		beside   outsideData
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
			err = beside.entry(field)
		case 14:
			var n uint64
			n, err = field.integer()
			outside = outside || n == 1
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("tensor %s: %w", words.Quote(name), err)
	}
	t := Tensor{Name: name, DType: onnxTypes[kind], Shape: make([]int, len(shape))}
	size := int64(itemSizes[t.DType])
	if size == 0 {
		return fmt.Errorf("tensor %s has elements of ONNX type %d, which is not read", words.Quote(name), kind)
	}
	for i, d := range shape {
		if d < 0 || d > math.MaxInt32 {
			return fmt.Errorf("tensor %s has shape %v", words.Quote(name), shape)
		}
		t.Shape[i] = int(d)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", words.Quote(name), err)
	}
	switch {
	case outside && (oneByOne || run != nil):
		return fmt.Errorf("tensor %s has its numbers here and in another file", words.Quote(name))
	case outside:
		t.st, err = r.outside(beside, n*size)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", words.Quote(name), err)
		}
	case oneByOne && run != nil:
		return fmt.Errorf("tensor %s has its numbers twice", words.Quote(name))
	case oneByOne:
		if int64(len(single)) != n {
			return fmt.Errorf("tensor %s of shape %v has %d numbers, want %d", words.Quote(name), t.Shape, len(single), n)
		}
		if t.DType == "F32" || t.DType == "F64" || t.DType[0] == 'C' {
			return fmt.Errorf("tensor %s of type %s is stored as integers", words.Quote(name), t.DType)
		}
		t.st = inMemory(name, single, int(size))
	case run == nil && n == 0:
		t.st = inMemory(name, nil, int(size))
	case run == nil:
		return fmt.Errorf("tensor %s of shape %v has no numbers", words.Quote(name), t.Shape)
	default:
		if run.num == 4 && t.DType != "F32" || run.num == 10 && t.DType != "F64" {
			return fmt.Errorf("tensor %s of type %s is stored as another type", words.Quote(name), t.DType)
		}
		if run.size != n*size {
			return fmt.Errorf("tensor %s of shape %v and type %s needs %d bytes, has %d", words.Quote(name), t.Shape, t.DType, n*size, run.size)
		}
		t.st = &storage{src: r.file.src, base: run.pos, size: run.size}
	}
	return r.add(t)
}

// outsideData is the place of a tensor's numbers in another file.
type outsideData struct {
	file         string
	offset, size int64
	sized        bool // the file says how many bytes
}

// entry reads one key-value pair.
func (d *outsideData) entry(field protoField) error {
	var key, value string
	err := field.each(func(field protoField) error {
		text, err := field.bytes(maxName)
		switch field.num {
		case 1:
			key = string(text)
		case 2:
			value = string(text)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch key {
	case "location":
		if d.file != "" {
			return errors.New("it names two files")
		}
		d.file = value
	case "offset":
		d.offset, err = strconv.ParseInt(value, 10, 64)
	case "length":
		d.sized = true
		d.size, err = strconv.ParseInt(value, 10, 64)
	}
	if err != nil || d.offset < 0 || d.size < 0 {
		return fmt.Errorf("its %s in another file is %s", words.Quote(key), words.Quote(value))
	}
	return nil
}

// maxBeside is the largest number of files that a network may be spread over.
const maxBeside = 512

// outside returns the storage of a tensor whose numbers are in another file. Only files in or below
// the folder of the network are opened. Tensors may share numbers, but together they may hold at
// most twice the size of the files.
func (r *onnxReader) outside(d outsideData, want int64) (*storage, error) {
	up := slices.Contains(strings.Split(d.file, "/"), "..")
	if r.file.src.sibling == nil || up || !filepath.IsLocal(d.file) || strings.ContainsAny(d.file, "\\:") {
		return nil, fmt.Errorf("it has its numbers in the file %s, which is not beside the network: only files of its own folder are opened", words.Quote(d.file))
	}
	if d.sized && d.size != want {
		return nil, fmt.Errorf("it needs %d bytes, has %d in %s", want, d.size, words.Quote(d.file))
	}
	if r.beside == nil {
		r.beside = map[string]*source{}
	}
	src := r.beside[d.file]
	if src == nil {
		if len(r.beside) == maxBeside {
			return nil, fmt.Errorf("the network is spread over more than %d files: save it as one, in Python with onnx.save(onnx.load(%q), \"single.onnx\")", maxBeside, r.file.Path)
		}
		reader, size, err := r.file.src.beside(d.file)
		if err != nil {
			return nil, fmt.Errorf("the network has its numbers in the file %s beside it: %w", words.Quote(d.file), err)
		}
		src = &source{name: d.file, r: reader, size: size, files: r.file.src.files}
		r.beside[d.file] = src
		r.besideBytes += size
	}
	if d.offset > src.size || want > src.size-d.offset {
		return nil, fmt.Errorf("it needs bytes %d to %d of %s, which has %d", d.offset, d.offset+want, words.Quote(d.file), src.size)
	}
	if r.besideUsed += want; r.besideUsed > 2*r.besideBytes {
		return nil, fmt.Errorf("the tensors share numbers: together they hold more than twice the %d bytes of the files beside the network", r.besideBytes)
	}
	return &storage{src: src, base: d.offset, size: want}, nil
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
