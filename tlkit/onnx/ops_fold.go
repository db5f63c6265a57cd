package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes/gotype"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Folding: what a file computes from shapes and constants, for example to know how to reshape, is
// computed here while the graph is built. These are a dozen whole numbers at a time. GoMLX would
// compile a program for each, and a division by zero in a stranger's file would end the process
// from one of its workers.

func constOf[T gotype.Supported](g *Graph, values []T, shape []int) *Node {
	return ConstTensor(g, tensors.FromFlatDataAndDimensions(values, shape...))
}

// fold computes a node of the library if all its inputs are known and it is one that shapes are
// made with. It reports whether it did.
func (e *walk) fold(n weights.ONNXNode) bool {
	if _, ok := foldOps[n.Op]; !ok {
		return false
	}
	in := make([]value, len(n.Inputs))
	for k, name := range n.Inputs {
		if name == "" {
			continue
		}
		if _, ok := e.values[name]; !ok {
			if _, ok := e.consts[name]; !ok && n.Op != "Shape" && n.Op != "Size" {
				return false
			}
		}
		in[k] = e.get(name)
	}
	return e.foldValues(n, in)
}

// foldValues computes a node if all its inputs are known. It reports whether it did.
func (e *walk) foldValues(n weights.ONNXNode, in []value) bool {
	f, ok := foldOps[n.Op]
	if !ok || len(in) == 0 || len(n.Outputs) != 1 || !in[0].there() {
		return false
	}
	if n.Op == "Shape" || n.Op == "Size" {
		e.set(n.Outputs[0], value{known: foldShape(n, in[0].dims())})
		return true
	}
	if n.Op == "ConstantOfShape" {
		c := e.constantOfShape(n, in[0].known)
		if c != nil {
			e.set(n.Outputs[0], value{known: c})
		}
		return c != nil
	}
	known := make([]*constant, len(in))
	for i, v := range in {
		if v.there() && v.known == nil {
			return false
		}
		known[i] = v.known
	}
	c, err := f(n, known)
	if errors.Is(err, errNotFolded) {
		return false
	}
	if err != nil {
		panic(err)
	}
	if c.len() > maxConstant {
		panic(fmt.Errorf("%d numbers of a shape", c.len()))
	}
	e.set(n.Outputs[0], value{known: c})
	return true
}

// foldShape computes Shape and Size.
func foldShape(n weights.ONNXNode, dims []int) *constant {
	c := &constant{dtype: "I64", ints: []int64{}}
	size := int64(1)
	for _, d := range dims {
		c.ints = append(c.ints, int64(d))
		size *= int64(d)
	}
	if n.Op == "Size" {
		return &constant{dtype: "I64", ints: []int64{size}, shape: []int{}}
	}
	first := clampAxis(intAttr(n, "start", 0), len(dims))
	last := clampAxis(intAttr(n, "end", math.MaxInt32), len(dims))
	c.ints = c.ints[first:max(first, last)]
	c.shape = []int{len(c.ints)}
	return c
}

// clampAxis counts i from 0 and brings it into [0, n].
func clampAxis(i int64, n int) int {
	if i < 0 {
		i += int64(n)
	}
	return int(min(max(i, 0), int64(n)))
}

var errNotFolded = errors.New("not a computation of whole numbers")

// foldOp computes a node whose inputs are all known. It returns errNotFolded for what it does not
// understand.
type foldOp func(n weights.ONNXNode, in []*constant) (*constant, error)

var foldOps = map[string]foldOp{
	"Shape": nil, "Size": nil, "ConstantOfShape": nil, // see foldValues
	"Identity":  func(_ weights.ONNXNode, in []*constant) (*constant, error) { return in[0], nil },
	"Cast":      foldCast,
	"Gather":    foldGather,
	"Squeeze":   foldSqueeze,
	"Unsqueeze": foldUnsqueeze,
	"Concat":    foldConcat,
	"Slice":     foldSlice,
	"Reshape":   foldReshape,
	"Equal":     foldEqual,
	"Where":     foldWhere,
	"Add":       foldBinary(func(a, b int64) (int64, error) { return a + b, nil }),
	"Sub":       foldBinary(func(a, b int64) (int64, error) { return a - b, nil }),
	"Mul":       foldBinary(func(a, b int64) (int64, error) { return a * b, nil }),
	"Div": foldBinary(func(a, b int64) (int64, error) {
		if b == 0 {
			return 0, errors.New("a division by zero")
		}
		return a / b, nil
	}),
}

func foldBinary(op func(a, b int64) (int64, error)) foldOp {
	return func(_ weights.ONNXNode, in []*constant) (*constant, error) {
		if len(in) != 2 || in[0] == nil || in[1] == nil || in[0].ints == nil || in[1].ints == nil {
			return nil, errNotFolded
		}
		a, b := in[0], in[1]
		if a.len() != b.len() && a.len() != 1 && b.len() != 1 || len(a.shape) > 1 || len(b.shape) > 1 {
			return nil, errNotFolded
		}
		out := &constant{dtype: a.dtype, shape: a.shape, ints: make([]int64, max(a.len(), b.len()))}
		if b.len() > a.len() || len(b.shape) > len(a.shape) {
			out.shape = b.shape
		}
		for i := range out.ints {
			v, err := op(a.ints[i%a.len()], b.ints[i%b.len()])
			if err != nil {
				return nil, err
			}
			out.ints[i] = v
		}
		return out, nil
	}
}

func foldCast(n weights.ONNXNode, in []*constant) (*constant, error) {
	if len(in) != 1 {
		return nil, errNotFolded
	}
	out := *in[0]
	switch kind := intAttr(n, "to", 0); {
	case kind == 6 || kind == 7:
		out.dtype = map[int64]string{6: "I32", 7: "I64"}[kind]
		if out.floats != nil {
			out.ints, out.floats = make([]int64, len(in[0].floats)), nil
			for i, v := range in[0].floats {
				if math.Abs(float64(v)) > 1<<53 {
					return nil, fmt.Errorf("%g as a whole number", v)
				}
				out.ints[i] = int64(v)
			}
		}
	case kind == 1:
		out.dtype = "F32"
		if out.ints != nil {
			out.floats, out.ints = make([]float32, len(in[0].ints)), nil
			for i, v := range in[0].ints {
				out.floats[i] = float32(v)
			}
		}
	default:
		return nil, errNotFolded
	}
	return &out, nil
}

func foldGather(n weights.ONNXNode, in []*constant) (*constant, error) {
	if len(in) != 2 || in[1] == nil || in[0].ints == nil || in[1].ints == nil || len(in[0].shape) != 1 || intAttr(n, "axis", 0) != 0 {
		return nil, errNotFolded
	}
	out := &constant{dtype: in[0].dtype, shape: in[1].shape}
	for _, i := range in[1].ints {
		if i < 0 {
			i += int64(in[0].len())
		}
		if i < 0 || i >= int64(in[0].len()) {
			return nil, fmt.Errorf("element %d of %d", i, in[0].len())
		}
		out.ints = append(out.ints, in[0].ints[i])
	}
	return out, nil
}

// givenAxes returns the axes of a node: a setting in old files, input number k in new ones.
func givenAxes(n weights.ONNXNode, in []*constant, k int) []int64 {
	if len(in) > k && in[k] != nil {
		return in[k].ints
	}
	return n.Attrs["axes"].Ints
}

func foldSqueeze(_ weights.ONNXNode, in []*constant) (*constant, error) {
	out := *in[0]
	if out.len() != 1 {
		return nil, errNotFolded
	}
	out.shape = []int{}
	return &out, nil
}

func foldUnsqueeze(n weights.ONNXNode, in []*constant) (*constant, error) {
	out := *in[0]
	if axes := givenAxes(n, in, 1); len(out.shape) != 0 || len(axes) != 1 || axes[0] != 0 && axes[0] != -1 {
		return nil, errNotFolded
	}
	out.shape = []int{1}
	return &out, nil
}

func foldConcat(_ weights.ONNXNode, in []*constant) (*constant, error) {
	out := &constant{dtype: in[0].dtype, ints: []int64{}}
	for _, c := range in {
		if c == nil || c.ints == nil || len(c.shape) != 1 || out.len()+c.len() > maxConstant {
			return nil, errNotFolded
		}
		out.ints = append(out.ints, c.ints...)
	}
	out.shape = []int{len(out.ints)}
	return out, nil
}

func foldSlice(_ weights.ONNXNode, in []*constant) (*constant, error) {
	if len(in) < 3 || in[0].ints == nil || len(in[0].shape) != 1 {
		return nil, errNotFolded
	}
	bound := func(k int, otherwise int64) (int64, bool) {
		if len(in) <= k || in[k] == nil {
			return otherwise, true
		}
		if len(in[k].ints) != 1 {
			return 0, false
		}
		return in[k].ints[0], true
	}
	first, ok1 := bound(1, 0)
	last, ok2 := bound(2, 0)
	axis, ok3 := bound(3, 0)
	step, ok4 := bound(4, 1)
	if !ok1 || !ok2 || !ok3 || !ok4 || axis != 0 && axis != -1 || step != 1 {
		return nil, errNotFolded
	}
	out := &constant{dtype: in[0].dtype, ints: []int64{}}
	if a, b := clampAxis(first, in[0].len()), clampAxis(last, in[0].len()); a < b {
		out.ints = slices.Clone(in[0].ints[a:b])
	}
	out.shape = []int{len(out.ints)}
	return out, nil
}

func foldReshape(_ weights.ONNXNode, in []*constant) (*constant, error) {
	if len(in) != 2 || in[1] == nil || len(in[1].ints) > 1 || in[0].len() > 1 && len(in[1].ints) == 0 {
		return nil, errNotFolded
	}
	out := *in[0]
	out.shape = []int{out.len()}
	if len(in[1].ints) == 0 {
		out.shape = []int{}
	} else if v := in[1].ints[0]; v != -1 && v != int64(out.len()) {
		return nil, errNotFolded
	}
	return &out, nil
}

// constantOfShape repeats a number, which is a tensor of the file.
func (e *walk) constantOfShape(n weights.ONNXNode, shape *constant) *constant {
	if shape == nil || shape.ints == nil || len(shape.ints) > 1 {
		return nil
	}
	value := constant{dtype: "F32", floats: []float32{0}}
	if a, ok := n.Attrs["value"]; ok && len(a.Strings) == 1 {
		value, ok = e.consts[a.Strings[0]]
		if !ok || value.len() != 1 {
			return nil
		}
	}
	count := int64(1)
	for _, d := range shape.ints {
		count *= d
	}
	if count < 0 || count > maxConstant {
		panic(fmt.Errorf("%d numbers of a shape", count))
	}
	out := &constant{dtype: value.dtype, shape: []int{}}
	for _, d := range shape.ints {
		out.shape = append(out.shape, int(d))
	}
	if value.ints != nil {
		out.ints = slices.Repeat(value.ints, int(count))
	} else {
		out.floats = slices.Repeat(value.floats, int(count))
	}
	return out
}

func foldWhere(_ weights.ONNXNode, in []*constant) (*constant, error) {
	if len(in) != 3 || in[1] == nil || in[2] == nil || in[0].ints == nil || in[1].ints == nil || in[2].ints == nil {
		return nil, errNotFolded
	}
	n := in[0].len()
	if in[1].len() != n || in[2].len() != n || len(in[0].shape) > 1 {
		return nil, errNotFolded
	}
	out := &constant{dtype: in[1].dtype, shape: in[1].shape, ints: make([]int64, n)}
	for i, yes := range in[0].ints {
		out.ints[i] = in[2].ints[i]
		if yes != 0 {
			out.ints[i] = in[1].ints[i]
		}
	}
	return out, nil
}

func foldEqual(n weights.ONNXNode, in []*constant) (*constant, error) {
	out, err := foldBinary(func(a, b int64) (int64, error) {
		if a == b {
			return 1, nil
		}
		return 0, nil
	})(n, in)
	if err == nil {
		out.dtype = "BOOL"
	}
	return out, err
}
