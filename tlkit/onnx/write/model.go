package write

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// model is a network in ONNX's operations.
type model struct {
	nodes   []*operation // in the order of computation
	input   *wire
	outputs []*wire
	batch   int // the number of pictures it was recorded at
}

// operation is a node of the file. All operations written here have one result.
type operation struct {
	op    string
	name  string
	in    []*wire // nil = an optional input that is left out
	out   *wire
	attrs map[string]any // int, float32, string or []int
}

// wire is a value of the file: the input, a tensor, or the result of an operation.
type wire struct {
	name   string
	dims   []int // multiples of the batch stand for the number of pictures
	dtype  dtypes.DType
	made   *operation
	tensor *tensor
}

// tensor is a constant of the file. Its axes are moved, and its rows scaled, while it is written.
type tensor struct {
	key   string    // the weight that it is, "" = computed or made here
	flat  any       // values in the order of from
	from  []int     // dimensions of flat
	perm  []int     // axis i of the tensor is axis perm[i] of flat; nil = as it is
	scale []float32 // factor for each index of the tensor's first axis; nil = none
}

// dims are the dimensions of the tensor in the file.
func (t *tensor) dims() []int {
	if t.perm == nil {
		return t.from
	}
	return permuted(t.from, t.perm)
}

// permuted returns dims in another order.
func permuted(dims, perm []int) []int {
	out := make([]int, len(perm))
	for i, p := range perm {
		out[i] = dims[p]
	}
	return out
}

// transposed is the tensor with its axes in another order.
func (t *tensor) transposed(perm []int) *tensor {
	if isIdentity(perm) {
		return t
	}
	out := *t
	out.perm = perm
	if t.perm != nil {
		out.perm = permuted(t.perm, perm)
	}
	if isIdentity(out.perm) {
		out.perm = nil
	}
	return &out
}

// reshaped is the tensor with other dimensions.
func (t *tensor) reshaped(dims []int) *tensor {
	out := *t
	if t.perm != nil {
		out.flat, out.perm = t.ordered(), nil
	}
	out.from = slices.Clone(dims)
	return &out
}

// ordered returns the values in the order of the tensor's axes, unscaled.
func (t *tensor) ordered() any {
	if t.perm == nil {
		return t.flat
	}
	if flat, ok := t.flat.([]float32); ok {
		out := make([]float32, len(flat))
		t.each(func(to, from int) { out[to] = flat[from] })
		return out
	}
	flat := reflect.ValueOf(t.flat)
	out := reflect.MakeSlice(flat.Type(), flat.Len(), flat.Len())
	t.each(func(to, from int) { out.Index(to).Set(flat.Index(from)) })
	return out.Interface()
}

// each visits the places of the tensor in their order, with the place in flat.
func (t *tensor) each(visit func(to, from int)) {
	dims := t.dims()
	strides := make([]int, len(dims))
	for i := range strides {
		axis := i
		if t.perm != nil {
			axis = t.perm[i]
		}
		strides[i] = 1
		for _, d := range t.from[axis+1:] {
			strides[i] *= d
		}
	}
	n := 1
	for _, d := range dims {
		n *= d
	}
	if len(dims) == 0 {
		visit(0, 0)
		return
	}
	at, from, last := make([]int, len(dims)), 0, len(dims)-1
	for to := 0; to < n; {
		for range dims[last] {
			visit(to, from)
			to++
			from += strides[last]
		}
		from -= dims[last] * strides[last]
		for i := last - 1; i >= 0; i-- {
			at[i]++
			from += strides[i]
			if at[i] < dims[i] {
				break
			}
			from -= dims[i] * strides[i]
			at[i] = 0
		}
	}
}

// number returns the value of a tensor with a single number.
func (w *wire) number() (float64, bool) {
	if w == nil || w.tensor == nil {
		return 0, false
	}
	flat, ok := w.tensor.flat.([]float32)
	if !ok || len(flat) != 1 || w.tensor.scale != nil {
		return 0, false
	}
	return float64(flat[0]), true
}

func isIdentity(perm []int) bool {
	for i, p := range perm {
		if i != p {
			return false
		}
	}
	return true
}

// constant makes a tensor of values.
func constant(flat any, dtype dtypes.DType, dims ...int) *wire {
	return &wire{dims: dims, dtype: dtype, tensor: &tensor{flat: flat, from: dims}}
}

func scalar(v float32) *wire { return constant([]float32{v}, dtypes.Float32) }

func integers(v ...int) *wire {
	flat := make([]int64, len(v))
	for i, n := range v {
		flat[i] = int64(n)
	}
	return constant(flat, dtypes.Int64, len(v))
}

// add appends an operation.
func (m *model) add(op string, attrs map[string]any, dtype dtypes.DType, dims []int, in ...*wire) *wire {
	o := &operation{op: op, in: in, attrs: attrs}
	o.out = &wire{dims: dims, dtype: dtype, made: o}
	m.nodes = append(m.nodes, o)
	return o.out
}

// differs compares two recordings of a network at different numbers of pictures, and says where
// they differ in more than that number; "" = nowhere.
func (m *model) differs(other *model) string {
	if len(m.nodes) != len(other.nodes) || len(m.outputs) != len(other.outputs) {
		return fmt.Sprintf("it has %d operations for %d pictures and %d for %d", len(m.nodes), m.batch, len(other.nodes), other.batch)
	}
	same := map[*wire]*wire{m.input: other.input}
	equal := func(a, b *wire) bool {
		switch {
		case a == nil || b == nil:
			return a == b
		case a.tensor != nil && b.tensor != nil:
			return a.tensor.equal(b.tensor)
		}
		return same[a] == b
	}
	for i, a := range m.nodes {
		b := other.nodes[i]
		if a.op != b.op || !reflect.DeepEqual(a.attrs, b.attrs) || !slices.EqualFunc(a.in, b.in, equal) || !m.sameDims(a.out.dims, other, b.out.dims) {
			return fmt.Sprintf("operation %d, %s", i+1, a.op)
		}
		same[a.out] = b.out
	}
	if !slices.EqualFunc(m.outputs, other.outputs, equal) {
		return "its outputs"
	}
	return ""
}

func (m *model) sameDims(a []int, other *model, b []int) bool {
	return slices.EqualFunc(a, b, func(a, b int) bool {
		if a >= m.batch && a%m.batch == 0 {
			return b%other.batch == 0 && a/m.batch == b/other.batch
		}
		return a == b
	})
}

func (t *tensor) equal(other *tensor) bool {
	if !slices.Equal(t.from, other.from) || !slices.Equal(t.perm, other.perm) || !slices.Equal(t.scale, other.scale) {
		return false
	}
	a, ok := t.flat.([]float32)
	b, also := other.flat.([]float32)
	if ok && also {
		return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
	}
	return reflect.DeepEqual(t.flat, other.flat)
}
