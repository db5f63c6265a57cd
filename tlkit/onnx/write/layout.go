package write

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// lowering turns a recorded graph into a model.
type lowering struct {
	model  *model
	batch  int
	values map[*node]value

	moved map[move]*wire // transposed values, each made once
	rows  *wire          // the number of pictures, [1]; nil until it is asked for
}

type move struct {
	of   *wire
	perm string
}

// value is a value of the recorded graph and how the file stores it.
type value struct {
	wire  *wire
	dtype dtypes.DType
	shape []int // in the graph

	// perm is the order in which the axes are stored: axis i of the wire is axis perm[i] of shape.
	// A map [N,H,W,C] that is stored as [N,C,H,W] has 0, 3, 1, 2.
	perm []int
	// thin is set for axes that are stored with one place, which stands for all: broadcasting
	// repeats it without being told.
	thin []bool
}

func plain(w *wire, shape []int) value {
	v := value{wire: w, shape: shape, perm: make([]int, len(shape)), thin: make([]bool, len(shape))}
	for i := range v.perm {
		v.perm[i] = i
	}
	if w != nil {
		v.dtype = w.dtype
	}
	return v
}

// like is a result with the axes of v.
func (v value) like(w *wire) value {
	v.wire, v.dtype = w, w.dtype
	return v
}

// stored is the number of places that an axis of the graph has in the file.
func (v value) stored(axis int) int {
	if v.thin[axis] {
		return 1
	}
	return v.shape[axis]
}

// place returns where in the file an axis of the graph is.
func (v value) place(axis int) int { return slices.Index(v.perm, axis) }

// in returns v with its axes stored in that order.
func (l *lowering) in(v value, perm []int) value {
	if slices.Equal(v.perm, perm) {
		return v
	}
	out := v
	out.perm = slices.Clone(perm)
	dims, change := make([]int, len(perm)), make([]int, len(perm))
	for i, axis := range perm {
		dims[i], change[i] = v.stored(axis), v.place(axis)
	}
	switch {
	case v.wire.tensor != nil:
		out.wire = &wire{dims: dims, dtype: v.dtype, tensor: v.wire.tensor.transposed(change)}
	case slices.Equal(v.long(v.perm), v.long(perm)): // only axes of one place move
		out.wire = l.reshaped(v.wire, dims)
	default:
		key := move{v.wire, fmt.Sprint(change)}
		if l.moved == nil {
			l.moved = map[move]*wire{}
		}
		if l.moved[key] == nil {
			l.moved[key] = l.model.add("Transpose", map[string]any{"perm": change}, v.dtype, dims, v.wire)
		}
		out.wire = l.moved[key]
	}
	return out
}

// long returns the axes of an order that have more than one place.
func (v value) long(perm []int) (axes []int) {
	for _, axis := range perm {
		if v.stored(axis) != 1 {
			axes = append(axes, axis)
		}
	}
	return axes
}

// reshaped adds a Reshape of what is stored.
func (l *lowering) reshaped(w *wire, dims []int) *wire {
	if slices.Equal(w.dims, dims) {
		return w
	}
	if w.tensor != nil {
		return &wire{dims: dims, dtype: w.dtype, tensor: w.tensor.reshaped(dims)}
	}
	if w.made != nil && w.made.op == "Reshape" {
		w = w.made.in[0]
		if slices.Equal(w.dims, dims) {
			return w
		}
	}
	target, open := slices.Clone(dims), 0
	for i, d := range dims {
		if l.isBatch(d) {
			target[i] = -1
			open++
		}
	}
	if open > 1 {
		panic(&UnsupportedError{"Reshape", "two axes of the result grow with the number of pictures"})
	}
	return l.model.add("Reshape", nil, w.dtype, dims, w, integers(target...))
}

// full returns v with its axes in that order and all its places stored.
func (l *lowering) full(v value, perm []int) *wire {
	v = l.in(v, perm)
	if !slices.Contains(v.thin, true) {
		return v.wire
	}
	dims := permuted(v.shape, perm)
	if v.wire.tensor != nil && !anyBatch(dims) && size(dims) <= 1<<16 {
		return &wire{dims: dims, dtype: v.dtype, tensor: v.wire.tensor.repeated(dims)}
	}
	return l.model.add("Expand", nil, v.dtype, dims, v.wire, l.shapeOf(dims))
}

func size(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// repeated is the tensor with each axis of one place repeated to dims.
func (t *tensor) repeated(dims []int) *tensor {
	flat, ok := t.ordered().([]float32)
	if !ok {
		panic(errors.New("repeating numbers that are no 32-bit floats"))
	}
	old, out := t.dims(), make([]float32, size(dims))
	for i := range out {
		from, stride, rest := 0, 1, i
		for k := len(dims) - 1; k >= 0; k-- {
			if old[k] > 1 {
				from += rest % dims[k] * stride
			}
			rest /= dims[k]
			stride *= old[k]
		}
		out[i] = flat[from]
	}
	return &tensor{flat: out, from: slices.Clone(dims)}
}

// shapeOf returns a wire with these dimensions, where the number of pictures is read from the input.
func (l *lowering) shapeOf(dims []int) *wire {
	if !slices.ContainsFunc(dims, l.isBatch) {
		return integers(dims...)
	}
	if l.rows == nil {
		l.rows = l.model.add("Shape", map[string]any{"start": 0, "end": 1}, dtypes.Int64, []int{1}, l.model.input)
	}
	var parts []*wire
	for _, d := range dims {
		switch {
		case d == l.batch:
			parts = append(parts, l.rows)
		case l.isBatch(d):
			parts = append(parts, l.model.add("Mul", nil, dtypes.Int64, []int{1}, l.rows, integers(d/l.batch)))
		default:
			parts = append(parts, integers(d))
		}
	}
	return l.model.add("Concat", map[string]any{"axis": 0}, dtypes.Int64, []int{len(dims)}, parts...)
}

// natural is the order in which the graph has the axes.
func natural(rank int) []int {
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	return perm
}

// aligned brings values to one order of axes, that of the largest of them. Of two that are equally
// large, maps keep the order of the first and everything else that of the graph: between the layers
// of a transformer, tokens [N,T,C] are multiplied by matrices. Scalars stay as they are. The result describes what an operation on each place of them gives.
func (l *lowering) aligned(shape []int, in ...value) (wires []*wire, out value) {
	perm, most := natural(len(shape)), -1
	for _, v := range in {
		n := size(v.wire.dims)
		better := n > most || n == most && len(shape) != 4 && isIdentity(v.perm)
		if len(v.shape) == len(shape) && v.wire.tensor == nil && better {
			perm, most = v.perm, n
		}
	}
	out = value{shape: shape, perm: perm, thin: make([]bool, len(shape))}
	for axis := range out.thin {
		out.thin[axis] = shape[axis] > 1
	}
	for _, v := range in {
		if len(v.shape) == 0 {
			wires = append(wires, v.wire)
			continue
		}
		v = l.in(v, perm)
		wires = append(wires, v.wire)
		for axis := range out.thin {
			out.thin[axis] = out.thin[axis] && v.stored(axis) == 1
		}
	}
	return wires, out
}

// storedDims are the dimensions in the file.
func (v value) storedDims() []int {
	dims := make([]int, len(v.perm))
	for i, axis := range v.perm {
		dims[i] = v.stored(axis)
	}
	return dims
}

// places adds an operation that treats each place of its operands alike.
func (l *lowering) places(op string, dtype dtypes.DType, shape []int, in ...value) value {
	wires, out := l.aligned(shape, in...)
	out.wire = l.model.add(op, nil, dtype, out.storedDims(), wires...)
	out.dtype = dtype
	return out
}

// reshape gives v another shape. Adding and taking away axes of size 1 leaves the order of the
// others as it is stored.
func (l *lowering) reshape(v value, shape []int) value {
	var before, after []int // axes of more than one
	for axis, d := range v.shape {
		if d != 1 {
			before = append(before, axis)
		}
	}
	for axis, d := range shape {
		if d != 1 {
			after = append(after, axis)
		}
	}
	same := slices.EqualFunc(before, after, func(a, b int) bool { return v.shape[a] == shape[b] })
	if !same {
		return plain(l.reshaped(l.full(v, natural(len(v.shape))), shape), shape)
	}
	out := value{dtype: v.dtype, shape: shape, thin: make([]bool, len(shape))}
	for _, axis := range v.perm {
		if k := slices.Index(before, axis); k >= 0 {
			out.perm = append(out.perm, after[k])
			out.thin[after[k]] = v.thin[axis]
		}
	}
	// The mean of a map comes back as [N,1,1,C] and is wanted as [N,C,1,1].
	gate := len(shape) == 4 && len(after) == 2 && after[1] == 3 && shape[1]*shape[2] == 1
	if slices.IsSorted(out.perm) && !gate {
		out.perm = natural(len(shape))
	} else {
		for axis, d := range shape {
			if d == 1 {
				out.perm = append(out.perm, axis)
			}
		}
	}
	out.wire = l.reshaped(v.wire, out.storedDims())
	return out
}
