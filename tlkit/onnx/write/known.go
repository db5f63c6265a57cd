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
	b := f.builder.backend.Builder("known")
	r := &replayer{backend: f.builder.backend, to: b.Main(), added: map[*node]compute.Value{}}
	defer func() {
		for _, buffer := range r.inputs {
			_ = buffer.Finalize()
		}
	}()
	results := make([]compute.Value, len(wanted))
	for i, n := range wanted {
		v, err := r.add(n)
		if err != nil {
			return fmt.Errorf("write: computing %s of weights: %w", n.op, err)
		}
		results[i] = v
	}
	if err := r.to.Return(results, nil); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	program, err := b.Compile()
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	defer program.Finalize()
	values, err := program.Execute(r.inputs, nil, 0)
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

// replayer adds recorded operations to a function that is run.
type replayer struct {
	backend compute.Backend
	to      compute.Function
	added   map[*node]compute.Value
	inputs  []compute.Buffer // the weights that are needed
}

func (r *replayer) add(n *node) (v compute.Value, err error) {
	if v, ok := r.added[n]; ok {
		return v, nil
	}
	if n.op == opParameter {
		buffer, err := r.backend.BufferFromFlatData(0, n.flat, n.shape)
		if err != nil {
			return nil, err
		}
		r.inputs = append(r.inputs, buffer)
		v, err = r.to.Parameter(fmt.Sprint("weight", len(r.inputs)), n.shape, nil)
		if err != nil {
			return nil, err
		}
		r.added[n] = v
		return v, nil
	}
	in := make([]compute.Value, len(n.in))
	for i, x := range n.in {
		in[i], err = r.add(x)
		if err != nil {
			return nil, err
		}
	}
	v, err = n.again(r.to, in)
	r.added[n] = v
	return v, err
}

// flatOf reads a buffer and frees it.
func flatOf(b compute.Buffer, shape shapes.Shape) (any, error) {
	flat := reflect.MakeSlice(reflect.SliceOf(shape.DType.GoType()), shape.Size(), shape.Size()).Interface()
	if err := b.ToFlatData(flat); err != nil {
		return nil, err
	}
	return flat, b.Finalize()
}
