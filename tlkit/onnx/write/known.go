package write

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// settle computes what depends on weights and constants alone, such as the scale of a batch norm.
// Moving axes of a weight needs no computing: the lowering does it while it writes.
func (f *function) settle() error {
	wanted, order := map[*node]bool{}, []*node{} // to be computed
	seen := map[*node]bool{}
	var need func(n *node)
	need = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		switch {
		case !n.known || moves(n.op):
			for _, in := range n.in {
				need(in)
			}
		case n.flat == nil:
			wanted[n] = true
			order = append(order, n)
		}
	}
	for _, n := range f.outputs {
		need(n)
	}
	if len(order) == 0 {
		return nil
	}
	return f.compute(order)
}

// moves reports whether an operation only moves and repeats values.
func moves(op compute.OpType) bool {
	return op == compute.OpTypeReshape || op == compute.OpTypeTranspose || op == compute.OpTypeBroadcastInDim || op == compute.OpTypeIdentity
}

// compute runs the operations in front of some nodes and keeps their values.
func (f *function) compute(wanted []*node) error {
	backend := f.builder.backend
	b := backend.Builder("known")
	main := b.Main()
	added := map[*node]compute.Value{}
	var inputs []compute.Buffer
	defer func() {
		for _, buffer := range inputs {
			_ = buffer.Finalize()
		}
	}()
	var add func(n *node) (compute.Value, error)
	add = func(n *node) (v compute.Value, err error) {
		if v, ok := added[n]; ok {
			return v, nil
		}
		defer func() { added[n] = v }()
		if n.op == opParameter {
			buffer, err := backend.BufferFromFlatData(0, n.flat, n.shape)
			if err != nil {
				return nil, err
			}
			inputs = append(inputs, buffer)
			return main.Parameter(fmt.Sprint("weight", len(inputs)), n.shape, nil)
		}
		in := make([]compute.Value, len(n.in))
		for i, x := range n.in {
			in[i], err = add(x)
			if err != nil {
				return nil, err
			}
		}
		return n.again(main, in)
	}
	results := make([]compute.Value, len(wanted))
	var err error
	for i, n := range wanted {
		results[i], err = add(n)
		if err != nil {
			return fmt.Errorf("write: computing %s of weights: %w", n.op, err)
		}
	}
	if err := main.Return(results, nil); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	program, err := b.Compile()
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	defer program.Finalize()
	values, err := program.Execute(inputs, nil, 0)
	if err != nil {
		return fmt.Errorf("write: computing with the weights: %w", err)
	}
	for i, n := range wanted {
		n.flat, err = flatOf(values[i], n.shape)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// flatOf reads a buffer and frees it.
func flatOf(b compute.Buffer, shape shapes.Shape) (any, error) {
	flat := reflect.MakeSlice(reflect.SliceOf(shape.DType.GoType()), shape.Size(), shape.Size()).Interface()
	if err := b.ToFlatData(flat); err != nil {
		return nil, err
	}
	return flat, b.Finalize()
}
