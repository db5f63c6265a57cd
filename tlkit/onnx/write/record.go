package write

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
)

// recorder is a backend that computes nothing and keeps the operations of a graph. A second backend
// in its shadow is told the same and says the shapes.
type recorder struct {
	notimplemented.Backend
	shadow compute.Backend
	main   *function
}

func (r *recorder) Name() string { return "onnx writer" }

// Capabilities are those of the backend that says the shapes.
func (r *recorder) Capabilities() compute.Capabilities { return r.shadow.Capabilities() }

// NativeWindows tells package backbone to use convolutions and pools of their own.
func (r *recorder) NativeWindows() {}

func (r *recorder) Builder(name string) compute.Builder {
	b := &builder{backend: r.shadow, shadow: r.shadow.Builder(name)}
	b.main = &function{builder: b, shadow: b.shadow.Main()}
	b.main.ErrFn = func(op compute.OpType) error { return unsupported(op, "") }
	r.main = b.main
	return b
}

// unsupported says that an operation cannot be written. GoMLX takes the long form of a fused
// operation that is not implemented.
func unsupported(op compute.OpType, reason string) error {
	return &notWritten{UnsupportedError{Op: op.String(), Reason: reason}}
}

type notWritten struct{ UnsupportedError }

func (e *notWritten) Unwrap() []error { return []error{&e.UnsupportedError, compute.ErrNotImplemented} }

type builder struct {
	notimplemented.Builder
	backend compute.Backend
	shadow  compute.Builder
	main    *function
}

func (b *builder) Name() string           { return b.shadow.Name() }
func (b *builder) Main() compute.Function { return b.main }

func (b *builder) NewFunction(string) (compute.Function, error) {
	return nil, &UnsupportedError{Op: "Function"}
}

func (b *builder) OpShape(v compute.Value) (shapes.Shape, error) { return b.main.Shape(v) }
func (b *builder) Compile() (compute.Executable, error)          { return program{}, nil }

// program stands for the compiled graph, which nobody runs.
type program struct{ compute.Executable }

func (program) Finalize() {}

// node is a recorded operation.
type node struct {
	op     compute.OpType
	in     []*node
	detail any // of the operation, see ops.go
	shape  shapes.Shape
	again  replay

	known bool   // its value depends on weights and constants alone
	name  string // of a parameter
	flat  any    // values of a weight, of a constant, or of what was computed from them

	shadow compute.Value
}

const (
	opParameter = compute.OpTypeParameter
	opConstant  = compute.OpTypeConstant
)

// replay adds an operation to another function.
type replay func(f compute.Function, in []compute.Value) (compute.Value, error)

// function records the operations of a graph.
type function struct {
	notimplemented.Function
	builder *builder
	shadow  compute.Function
	nodes   []*node
	outputs []*node
	network *Network
}

func (f *function) Builder() compute.Builder { return f.builder }

// Closure makes a function inside this one. What takes it, such as Sort, cannot be written, and the
// error names that.
func (f *function) Closure() (compute.Function, error) {
	shadow, err := f.shadow.Closure()
	if err != nil {
		return nil, err
	}
	return &function{Function: f.Function, builder: f.builder, shadow: shadow}, nil
}

func (f *function) Shape(v compute.Value) (shapes.Shape, error) { return v.(*node).shape, nil }

func (f *function) Return(outputs []compute.Value, _ []*compute.ShardingSpec) error {
	for _, v := range outputs {
		f.outputs = append(f.outputs, v.(*node))
	}
	return nil
}

// record keeps an operation.
func (f *function) record(op compute.OpType, detail any, again replay, in ...compute.Value) (compute.Value, error) {
	n := &node{op: op, detail: detail, again: again, known: true}
	shadows := make([]compute.Value, len(in))
	for i, v := range in {
		x, ok := v.(*node)
		if !ok {
			return nil, fmt.Errorf("write: an input of %s is a %T of another backend", op, v)
		}
		n.in = append(n.in, x)
		n.known = n.known && x.known
		shadows[i] = x.shadow
	}
	return f.keep(n, func() (compute.Value, error) { return again(f.shadow, shadows) })
}

// keep adds a node; shadow adds it to the backend that says its shape.
func (f *function) keep(n *node, shadow func() (compute.Value, error)) (compute.Value, error) {
	var err error
	n.shadow, err = shadow()
	if err != nil {
		if compute.IsNotImplemented(err) {
			return nil, unsupported(n.op, "")
		}
		return nil, err
	}
	n.shape, err = f.builder.shadow.OpShape(n.shadow)
	if err != nil {
		return nil, err
	}
	// A value of many rows is not computed before the number of pictures is known.
	n.known = n.known && !anyBatch(n.shape.Dimensions)
	f.nodes = append(f.nodes, n)
	return n, nil
}

func (f *function) Parameter(name string, shape shapes.Shape, sharding *compute.ShardingSpec) (compute.Value, error) {
	n := &node{op: opParameter, name: name, known: len(f.nodes) > 0} // the first one is the input
	return f.keep(n, func() (compute.Value, error) { return f.shadow.Parameter(name, shape, sharding) })
}

func (f *function) Constant(flat any, dims ...int) (compute.Value, error) {
	n := &node{op: opConstant, flat: flat, known: true}
	n.again = func(f compute.Function, _ []compute.Value) (compute.Value, error) { return f.Constant(flat, dims...) }
	return f.keep(n, func() (compute.Value, error) { return f.shadow.Constant(flat, dims...) })
}
