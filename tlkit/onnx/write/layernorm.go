package write

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// normalising is the detail of a layer norm that was recognised. Its operand is node.in[0]; gain and
// shift, where it has them, follow.
type normalising struct {
	axes []int
	eps  float64
}

// recognise finds layer norms among the recorded operations, which engines run in one pass:
//
//	centred = x - mean(x)
//	centred / sqrt(mean(centred²) + eps) * gain + shift
func (f *function) recognise() {
	for _, n := range f.nodes {
		if n.op == compute.OpTypeDiv {
			f.standardised(n)
		}
	}
	for _, n := range f.nodes {
		f.affine(n)
	}
}

// standardised turns n into a layer norm without gain and shift if it is one.
func (f *function) standardised(n *node) {
	centred, root := n.in[0], n.in[1]
	if centred.op != compute.OpTypeSub || root.op != compute.OpTypeSqrt {
		return
	}
	sum := root.in[0]
	if sum.op != compute.OpTypeAdd {
		return
	}
	variance, eps := sum.in[0], sum.in[1]
	if _, ok := eps.number(); !ok {
		variance, eps = eps, variance
	}
	e, ok := eps.number()
	square, axes := variance.meanOf()
	if !ok || square == nil || square.op != compute.OpTypeMul || square.in[0] != centred || square.in[1] != centred {
		return
	}
	x, same := centred.in[1].meanOf()
	if x == nil || x != centred.in[0] || !slices.Equal(axes, same) || x.known {
		return
	}
	n.op, n.detail, n.in = compute.OpTypeFusedLayerNorm, normalising{axes, e}, []*node{x}
}

// affine lets a layer norm in front of n take n's gain or shift.
func (f *function) affine(n *node) {
	if n.op != compute.OpTypeMul && n.op != compute.OpTypeAdd {
		return
	}
	norm, c := n.in[0], n.in[1]
	if c.op == compute.OpTypeFusedLayerNorm {
		norm, c = c, norm
	}
	if norm.op != compute.OpTypeFusedLayerNorm || !c.known || norm.users(f) != 1 {
		return
	}
	want := 1 // inputs of a norm that may take this
	if n.op == compute.OpTypeAdd {
		want = 2
	}
	d := norm.detail.(normalising)
	for axis, size := range c.shape.Dimensions { // one number for each place of the axes
		normal := slices.Contains(d.axes, axis)
		if normal && size != norm.shape.Dimensions[axis] || !normal && size != 1 {
			return
		}
	}
	if len(norm.in) != want || c.shape.Rank() != norm.shape.Rank() {
		return
	}
	n.op, n.detail, n.in = compute.OpTypeFusedLayerNorm, d, append(slices.Clone(norm.in), c)
}

// users counts the operations that use n.
func (n *node) users(f *function) (count int) {
	for _, m := range f.nodes {
		for _, in := range m.in {
			if in == n {
				count++
			}
		}
	}
	if slices.Contains(f.outputs, n) {
		count++
	}
	return count
}

// number returns the value of a constant with one number.
func (n *node) number() (float64, bool) {
	flat, ok := n.flat.([]float32)
	if !ok || len(flat) != 1 {
		return 0, false
	}
	return float64(flat[0]), true
}

// meanOf returns what n is the mean of, and over which axes, if it keeps them. x is nil for anything
// else.
func (n *node) meanOf() (x *node, axes []int) {
	if n.op != compute.OpTypeReshape || n.in[0].op != compute.OpTypeMul {
		return nil, nil
	}
	sum, factor := n.in[0].in[0], n.in[0].in[1]
	if sum.op != compute.OpTypeReduceSum {
		sum, factor = factor, sum
	}
	v, ok := factor.number()
	if !ok || sum.op != compute.OpTypeReduceSum || sum.in[0].shape.Rank() != n.shape.Rank() {
		return nil, nil
	}
	axes, count := slices.Clone(sum.detail.([]int)), 1
	slices.Sort(axes)
	for axis, size := range sum.in[0].shape.Dimensions {
		if slices.Contains(axes, axis) {
			count *= size
			size = 1
		}
		if n.shape.Dimensions[axis] != size {
			return nil, nil
		}
	}
	if !near(v*float64(count), 1) {
		return nil, nil
	}
	return sum.in[0], axes
}

// layerNorm lowers a layer norm. ONNX has the axes of one last.
func (l *lowering) layerNorm(n *node, in []value) value {
	d := n.detail.(normalising)
	x := in[0]
	perm := slices.DeleteFunc(slices.Clone(x.perm), func(axis int) bool { return slices.Contains(d.axes, axis) })
	first := len(perm)
	perm = append(perm, d.axes...)
	dims := permuted(x.shape, d.axes)
	wires := []*wire{l.full(x, perm)}
	for _, v := range in[1:] {
		wires = append(wires, l.reshaped(l.full(v, natural(len(v.shape))), dims))
	}
	if len(in) == 1 {
		wires = append(wires, constant(slices.Repeat([]float32{1}, size(dims)), dtypes.Float32, dims...))
	}
	out := plain(nil, x.shape)
	out.perm, out.dtype = perm, x.dtype
	out.wire = l.model.add("LayerNormalization", map[string]any{"axis": first, "epsilon": float32(d.eps)}, x.dtype, out.storedDims(), wires...)
	return out
}
