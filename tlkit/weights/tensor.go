package weights

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/tlkit/transfer-learning/internal/words"
)

const (
	maxRank    = 8
	maxTensors = 100_000
	maxName    = 512 // bytes
	chunk      = 256 << 10
)

// Tensor is a named array in a file. Its numbers are read only by Float32 or Bytes, so listing
// a file is cheap. A Tensor can be read until its File is closed, from several goroutines at
// once.
type Tensor struct {
	Name string // the key in the checkpoint
	// DType is "F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U64" ... "U8" or "BOOL".
	// "F8_E4M3", "F8_E5M2", "C64" and "C128" also occur, but Float32 cannot convert them.
	DType string
	Shape []int // empty for a scalar

	st     *storage
	offset int64   // of the first element in st, in elements
	stride []int64 // in elements; nil means row-major without gaps
	data   []float32
	made   *made // by As
}

// made is where the numbers of a tensor come from that [Tensor.As] has made.
type made struct {
	parts []Tensor
	first int64
}

// FromFloat32 makes an F32 tensor from row-major values, for [WriteSafetensors]. It keeps data,
// not a copy. If the length does not fit the shape, using the tensor returns an error.
func FromFloat32(name string, shape []int, data []float32) Tensor {
	return Tensor{Name: name, DType: "F32", Shape: slices.Clone(shape), data: data}
}

// Int64 returns a tensor of [FromFloat32], whose values are whole numbers, with elements of type I64,
// such as the counters that PyTorch keeps.
func (t Tensor) Int64() Tensor {
	t.DType = "I64"
	return t
}

// As returns a tensor with the numbers of t and of more, one tensor behind the other in row-major
// order, from number first on: t in another shape, a part of it, or several tensors as one. Nothing is
// read until its numbers are.
func (t Tensor) As(name string, shape []int, first int, more ...Tensor) Tensor {
	m := &made{parts: append([]Tensor{t}, more...), first: int64(first)}
	dtype := t.DType
	for _, p := range more {
		switch {
		case isFloat(dtype) && isFloat(p.DType) && dtype != p.DType:
			dtype = "F32"
		case dtype != p.DType:
			dtype = dtype + " and " + p.DType // which nothing converts
		}
	}
	return Tensor{Name: name, DType: dtype, Shape: slices.Clone(shape), made: m}
}

// float32s reads the numbers of a tensor of n elements.
func (m *made) float32s(n int64) ([]float32, error) {
	var out []float32
	first := m.first
	for _, p := range m.parts {
		size, err := p.checked()
		if err != nil {
			return nil, err
		}
		if first >= size || int64(len(out)) == n {
			first = max(0, first-size)
			continue
		}
		values, err := p.Float32()
		if err != nil {
			return nil, err
		}
		if first == 0 && size == n && out == nil {
			return values, nil
		}
		if out == nil {
			out = make([]float32, 0, n)
		}
		values = values[first:]
		out = append(out, values[:min(int64(len(values)), n-int64(len(out)))]...)
		first = 0
	}
	return out, nil
}

// bytes reads the numbers of a tensor of n elements in their own type, or as float32 where the parts
// have several.
func (m *made) bytes(dtype string, n int64) ([]byte, error) {
	if itemSizes[dtype] == 0 {
		return nil, fmt.Errorf("weights: one tensor of %s", dtype)
	}
	var out []byte
	for _, p := range m.parts {
		if p.DType != dtype {
			values, err := p.Float32()
			if err != nil {
				return nil, err
			}
			p = FromFloat32(p.Name, p.Shape, values)
		}
		b, err := p.Bytes()
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	size := int64(itemSizes[dtype])
	return out[m.first*size : (m.first+n)*size], nil
}

// check returns an error if the parts have fewer numbers than a tensor of n elements needs.
func (m *made) check(n int64) error {
	have := -m.first
	for _, p := range m.parts {
		size, err := p.checked()
		if err != nil {
			return err
		}
		have += size
	}
	if m.first < 0 || have < n {
		return fmt.Errorf("%d numbers are wanted from number %d of %d", n, m.first, have+m.first)
	}
	return nil
}

// Len returns the number of elements: the product of Shape, and 1 for a scalar.
func (t Tensor) Len() int {
	n, _ := elements(t.Shape)
	return int(n)
}

// held returns the number of bytes of the tensor once it is read, as float32 or in its own type.
func (t Tensor) held() int64 {
	n, err := elements(t.Shape)
	if err != nil {
		return -1
	}
	return n * int64(max(4, itemSizes[t.DType]))
}

// Float32 reads the values of the tensor in row-major order, whatever strides it has in the
// file. Narrower floats are widened exactly, 64-bit floats and integers beyond 2^24 are rounded
// to the nearest float32, and booleans become 0 and 1. The caller owns the slice.
func (t Tensor) Float32() ([]float32, error) {
	convert := converters[t.DType]
	if convert == nil {
		return nil, fmt.Errorf("weights: tensor %s has elements of type %s, which have no float32 form here: convert it first, in Python with .float()", words.Quote(t.Name), t.DType)
	}
	n, err := t.checked()
	if err != nil {
		return nil, err
	}
	if t.made != nil {
		return t.made.float32s(n)
	}
	if t.st == nil {
		return slices.Clone(t.data), nil
	}
	size := int64(itemSizes[t.DType])
	out := make([]float32, n)
	if !t.contiguous() {
		b, err := t.gather(n)
		if err != nil {
			return nil, err
		}
		convert(out, b)
		return out, nil
	}
	if n == 0 {
		return out, nil
	}
	r, finish, err := t.st.reader(t.offset*size, n*size)
	if err != nil {
		return nil, t.wrap(err)
	}
	buf := make([]byte, min(chunk, n*size))
	for rest := out; len(rest) > 0; {
		k := min(len(rest), len(buf)/int(size))
		if _, err := io.ReadFull(r, buf[:k*int(size)]); err != nil {
			return nil, t.wrap(err)
		}
		convert(rest[:k], buf)
		rest = rest[k:]
	}
	if err := finish(); err != nil {
		return nil, t.wrap(err)
	}
	return out, nil
}

// Bytes reads the tensor as little-endian, row-major bytes of its element type, as safetensors
// stores them and numpy's tobytes returns them.
func (t Tensor) Bytes() ([]byte, error) {
	n, err := t.checked()
	if err != nil {
		return nil, err
	}
	if t.made != nil {
		return t.made.bytes(t.DType, n)
	}
	if t.st == nil {
		out := make([]byte, 0, int64(itemSizes[t.DType])*n)
		for _, v := range t.data {
			if t.DType == "I64" {
				out = binary.LittleEndian.AppendUint64(out, uint64(int64(v)))
				continue
			}
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
		return out, nil
	}
	if !t.contiguous() {
		return t.gather(n)
	}
	return t.span(0, n)
}

// span reads n adjacent elements, starting first elements after t.offset.
func (t Tensor) span(first, n int64) ([]byte, error) {
	size := int64(itemSizes[t.DType])
	if n == 0 {
		return []byte{}, nil
	}
	r, finish, err := t.st.reader((t.offset+first)*size, n*size)
	if err != nil {
		return nil, t.wrap(err)
	}
	out := make([]byte, n*size)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, t.wrap(err)
	}
	if err := finish(); err != nil {
		return nil, t.wrap(err)
	}
	return out, nil
}

// gather reads a strided view (a transposed, sliced, expanded or channels_last tensor) in
// row-major order.
func (t Tensor) gather(n int64) ([]byte, error) {
	if n == 0 {
		return []byte{}, nil
	}
	last := int64(0)
	for i, d := range t.Shape {
		last += int64(d-1) * t.stride[i]
	}
	src, err := t.span(0, last+1)
	if err != nil {
		return nil, err
	}
	size := itemSizes[t.DType]
	out := make([]byte, 0, int(n)*size)
	index := make([]int, len(t.Shape))
	inner := len(t.Shape) - 1
	step := int(t.stride[inner]) * size
	for pos := int64(0); ; {
		p := int(pos) * size
		for range t.Shape[inner] {
			out = append(out, src[p:p+size]...)
			p += step
		}
		d := inner - 1
		for ; d >= 0; d-- {
			if index[d]++; index[d] < t.Shape[d] {
				pos += t.stride[d]
				break
			}
			pos -= int64(t.Shape[d]-1) * t.stride[d]
			index[d] = 0
		}
		if d < 0 {
			return out, nil
		}
	}
}

// contiguous reports whether the elements are adjacent in row-major order.
func (t Tensor) contiguous() bool {
	if t.stride == nil {
		return true
	}
	want := int64(1)
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.Shape[i] == 0 {
			return true
		}
		if t.Shape[i] != 1 && t.stride[i] != want {
			return false
		}
		want *= int64(t.Shape[i])
	}
	return true
}

// checked returns the number of elements of a tensor, or an error if a tensor made by hand
// cannot be read.
func (t Tensor) checked() (int64, error) {
	n, err := elements(t.Shape)
	if err != nil {
		return 0, t.wrap(err)
	}
	if n > math.MaxInt/16 {
		return 0, t.wrap(fmt.Errorf("shape %v is more than this machine can address", t.Shape))
	}
	if t.made != nil {
		if err := t.made.check(n); err != nil {
			return 0, t.wrap(err)
		}
		return n, nil
	}
	if t.st == nil && (t.DType != "F32" && (t.DType != "I64" || t.data == nil) || int64(len(t.data)) != n) {
		return 0, fmt.Errorf("weights: tensor %s of shape %v and type %s needs %d values, got %d: make it with FromFloat32", words.Quote(t.Name), t.Shape, t.DType, n, len(t.data))
	}
	return n, nil
}

func (t Tensor) wrap(err error) error {
	return fmt.Errorf("weights: tensor %s: %w", words.Quote(t.Name), err)
}

// elements returns the product of a shape, or an error if it would overflow.
func elements(shape []int) (int64, error) {
	n := uint64(1)
	zero := false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative size in shape %v", shape)
		}
		if d == 0 {
			// Continue: the other sizes must be valid too.
			zero = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt64/16 {
			return 0, fmt.Errorf("shape %v has more elements than any file", shape)
		}
		n = lo
	}
	if zero {
		return 0, nil
	}
	return int64(n), nil
}

// newView makes a tensor after checking that it is inside its storage.
func newView(st *storage, dtype string, offset int64, shape []int, stride []int64) (Tensor, error) {
	size, ok := itemSizes[dtype]
	if !ok {
		return Tensor{}, fmt.Errorf("element type %s is not known", words.Quote(dtype))
	}
	have := st.size / int64(size)
	if len(shape) > maxRank {
		return Tensor{}, fmt.Errorf("%d axes, at most %d are read", len(shape), maxRank)
	}
	if len(stride) != len(shape) {
		return Tensor{}, fmt.Errorf("%d sizes but %d strides", len(shape), len(stride))
	}
	n, err := elements(shape)
	if err != nil {
		return Tensor{}, err
	}
	if offset < 0 || offset > have {
		return Tensor{}, fmt.Errorf("begins at element %d of a storage of %d", offset, have)
	}
	last := uint64(offset)
	for i, d := range shape {
		if stride[i] < 0 {
			return Tensor{}, fmt.Errorf("negative stride in %v", stride)
		}
		if n == 0 || d == 1 {
			continue
		}
		hi, lo := bits.Mul64(uint64(d-1), uint64(stride[i]))
		last += lo
		if hi != 0 || lo > math.MaxInt64 || last > math.MaxInt64 {
			return Tensor{}, fmt.Errorf("shape %v with strides %v leaves its storage of %d elements", shape, stride, have)
		}
	}
	if n > 0 && last >= uint64(have) {
		return Tensor{}, fmt.Errorf("shape %v with strides %v needs element %d of a storage of %d", shape, stride, last, have)
	}
	// An expanded view repeats elements; a small file must not become a huge slice.
	if n > 4*have+65536 {
		return Tensor{}, fmt.Errorf("shape %v repeats a storage of %d elements into %d", shape, have, n)
	}
	return Tensor{DType: dtype, Shape: shape, st: st, offset: offset, stride: stride}, nil
}
