package write

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// simplify joins operations into those that engines run in one pass.
func (m *model) simplify() {
	s := &simplifier{model: m, users: map[*wire][]*operation{}}
	for _, o := range m.nodes {
		s.uses(o)
	}
	for _, o := range m.nodes {
		s.kept = append(s.kept, o)
		for s.once(o) {
		}
	}
	m.nodes = s.kept
	m.sweep()
	for _, o := range m.nodes {
		settleClip(o)
	}
}

// simplifier goes through the operations in the order of computation. What is in front of the one
// at hand is simplified already.
type simplifier struct {
	*model
	users map[*wire][]*operation
	kept  []*operation
}

func (s *simplifier) uses(o *operation) {
	for _, w := range o.in {
		if w != nil {
			s.users[w] = append(s.users[w], o)
		}
	}
}

// forget ends the use of o's operands. What nothing uses any more stops using its own.
func (s *simplifier) forget(o *operation, in []*wire) {
	for _, w := range in {
		i := slices.Index(s.users[w], o)
		if w == nil || i < 0 {
			continue
		}
		s.users[w] = slices.Delete(s.users[w], i, i+1)
		if len(s.users[w]) == 0 && w.made != nil && !slices.Contains(s.outputs, w) {
			s.forget(w.made, w.made.in)
		}
	}
}

// become turns o into another operation with the same result.
func (s *simplifier) become(o *operation, op string, attrs map[string]any, in ...*wire) bool {
	old := o.in
	o.op, o.attrs, o.in = op, attrs, in
	s.uses(o)
	s.forget(o, old)
	return true
}

// passOn puts w in the place of o's result. It is false where both are outputs of the network.
func (s *simplifier) passOn(o *operation, w *wire) bool {
	if i := slices.Index(s.outputs, o.out); i >= 0 {
		if w.made == nil || slices.Contains(s.outputs, w) {
			return false
		}
		w.name = o.out.name
		s.outputs[i] = w
	}
	for _, user := range s.users[o.out] {
		for i, in := range user.in {
			if in == o.out {
				user.in[i] = w
			}
		}
	}
	s.users[w] = append(s.users[w], s.users[o.out]...)
	s.users[o.out] = nil
	s.forget(o, o.in)
	o.in, o.op = nil, ""
	return true
}

// sole returns the operation that makes w if nothing but one operation uses it.
func (s *simplifier) sole(w *wire, ops ...string) *operation {
	if w == nil || w.made == nil || len(s.users[w]) != 1 || slices.Contains(s.outputs, w) || !slices.Contains(ops, w.made.op) {
		return nil
	}
	return w.made
}

// once applies the first rule that fits and reports whether there was one.
func (s *simplifier) once(o *operation) bool {
	switch o.op {
	case "Mul":
		return s.scaleConv(o) || s.mean(o) || s.joinFactors(o) || s.hardSwish(o)
	case "Add":
		return s.shiftConv(o) || s.gemm(o) || s.lonelyNorm(o)
	case "Sub":
		return s.minus(o)
	case "Div":
		return s.mean(o)
	case "Max", "Min":
		return s.clip(o)
	case "Clip":
		return s.clipTwice(o) || s.hardSigmoid(o)
	case "Conv", "MaxPool", "AveragePool":
		return s.padded(o)
	case "ReduceMean":
		return s.globalAverage(o)
	case "Reshape":
		return s.reshapeTwice(o)
	case "Transpose":
		return s.padLater(o)
	}
	return false
}

// split returns the constant and the other operand of an operation with two.
func split(o *operation) (x, constant *wire) {
	a, b := o.in[0], o.in[1]
	switch {
	case a.tensor == nil && b.tensor != nil:
		return a, b
	case b.tensor == nil && a.tensor != nil:
		return b, a
	}
	return nil, nil
}

// perChannel returns a constant as one number for each of the channels of x [N,C,...]; nil if it is
// something else.
func perChannel(c, x *wire) []float32 {
	if len(x.dims) < 3 {
		return nil
	}
	channels := x.dims[1]
	flat, ok := c.tensor.ordered().([]float32)
	switch {
	case !ok || c.tensor.scale != nil:
		return nil
	case len(flat) == 1:
		return slices.Repeat(flat, channels)
	case len(flat) != channels || len(c.dims) > len(x.dims):
		return nil
	}
	if from := len(x.dims) - len(c.dims); from > 1 || c.dims[1-from] != channels {
		return nil
	}
	return flat
}

// scaleConv multiplies the weights of a convolution instead of its result.
func (s *simplifier) scaleConv(o *operation) bool {
	x, c := split(o)
	conv := s.sole(x, "Conv")
	if conv == nil || conv.in[1].tensor == nil {
		return false
	}
	factor := perChannel(c, conv.out)
	if _, ok := conv.in[1].tensor.flat.([]float32); !ok || factor == nil || !s.passOn(o, conv.out) {
		return false
	}
	kernel := *conv.in[1].tensor
	kernel.scale = times(kernel.scale, factor)
	conv.in[1] = &wire{dims: conv.in[1].dims, dtype: conv.in[1].dtype, tensor: &kernel}
	if len(conv.in) == 3 {
		conv.in[2] = vector(times(conv.in[2].tensor.flat.([]float32), factor))
	}
	return true
}

func times(a, b []float32) []float32 {
	if a == nil {
		return b
	}
	out := make([]float32, len(b))
	for i := range out {
		out[i] = a[i] * b[i]
	}
	return out
}

func vector(v []float32) *wire { return constant(v, dtypes.Float32, len(v)) }

// shiftConv adds to the bias of a convolution.
func (s *simplifier) shiftConv(o *operation) bool {
	x, c := split(o)
	conv := s.sole(x, "Conv")
	if conv == nil {
		return false
	}
	shift := perChannel(c, conv.out)
	if shift == nil || !s.passOn(o, conv.out) {
		return false
	}
	bias := &wire{dims: []int{len(shift)}, dtype: dtypes.Float32, tensor: c.tensor.reshaped([]int{len(shift)})}
	if len(shift) != size(c.dims) {
		bias = vector(shift)
	}
	if len(conv.in) == 3 {
		sum := slices.Clone(shift)
		for i, v := range conv.in[2].tensor.flat.([]float32) {
			sum[i] += v
		}
		bias = vector(sum)
	}
	conv.in = append(conv.in[:2:2], bias)
	return true
}

// minus turns a constant that is taken away into one that is added.
func (s *simplifier) minus(o *operation) bool {
	c := o.in[1]
	if o.in[0].tensor != nil || c.tensor == nil || c.tensor.scale != nil {
		return false
	}
	flat, ok := c.tensor.ordered().([]float32)
	if !ok {
		return false
	}
	negative := make([]float32, len(flat))
	for i, v := range flat {
		negative[i] = -v
	}
	return s.become(o, "Add", nil, o.in[0], constant(negative, dtypes.Float32, c.dims...))
}

// lonelyNorm is a norm without a convolution in front.
func (s *simplifier) lonelyNorm(o *operation) bool {
	x, shift := split(o)
	mul := s.sole(x, "Mul")
	if mul == nil || len(o.out.dims) != 4 {
		return false
	}
	y, factor := split(mul)
	if y == nil || !slices.Equal(y.dims, o.out.dims) || size(shift.dims) == 1 && size(factor.dims) == 1 {
		return false
	}
	gain, bias := perChannel(factor, y), perChannel(shift, y)
	if gain == nil || bias == nil {
		return false
	}
	zero, one := make([]float32, len(gain)), slices.Repeat([]float32{1}, len(gain))
	return s.become(o, "BatchNormalization", map[string]any{"epsilon": float32(0)}, y, vector(gain), vector(bias), vector(zero), vector(one))
}

// mean is a sum divided by the number of its terms.
func (s *simplifier) mean(o *operation) bool {
	x, c := o.in[0], o.in[1]
	if o.op == "Mul" {
		x, c = split(o)
	}
	sum := s.sole(x, "ReduceSum")
	factor, ok := c.number()
	if sum == nil || !ok {
		return false
	}
	if o.op == "Div" {
		factor = 1 / factor
	}
	axes, count := []int{}, 1
	for _, axis := range sum.in[1].tensor.flat.([]int64) {
		axes = append(axes, int(axis))
		count *= sum.in[0].dims[axis]
	}
	if !near(factor*float64(count), 1) {
		return false
	}
	return s.become(o, "ReduceMean", map[string]any{"axes": axes, "keepdims": 0}, sum.in[0])
}

// near reports whether numbers are equal up to the rounding of a 32-bit float or two.
func near(a, b float64) bool { return math.Abs(a-b) < 3e-7*math.Abs(b) }

// joinFactors multiplies two constant factors. Factors that give one vanish.
func (s *simplifier) joinFactors(o *operation) bool {
	x, c := split(o)
	inner := s.sole(x, "Mul")
	outer, ok := c.number()
	if inner == nil || !ok {
		return false
	}
	y, d := split(inner)
	factor, ok := d.number()
	if !ok {
		return false
	}
	if near(factor*outer, 1) && slices.Equal(y.dims, o.out.dims) {
		return s.passOn(o, y)
	}
	return s.become(o, "Mul", nil, y, scalar(float32(factor*outer)))
}

// bounds are the settings of a Clip while it is being simplified.
type bounds struct{ low, high float64 }

func (b bounds) clip(v float64) float64 { return min(max(v, b.low), b.high) }

const boundsKey = "bounds"

// clip is the larger or the smaller of x and a number.
func (s *simplifier) clip(o *operation) bool {
	if o.out.dtype != dtypes.Float32 || len(o.in) != 2 {
		return false
	}
	x, c := split(o)
	v, ok := c.number()
	if !ok || !slices.Equal(x.dims, o.out.dims) {
		return false
	}
	b := bounds{v, math.Inf(1)}
	if o.op == "Min" {
		b = bounds{math.Inf(-1), v}
	}
	return s.become(o, "Clip", map[string]any{boundsKey: b}, x)
}

func (s *simplifier) clipTwice(o *operation) bool {
	inner := s.sole(o.in[0], "Clip")
	if inner == nil {
		return false
	}
	first, second := inner.attrs[boundsKey].(bounds), o.attrs[boundsKey].(bounds)
	return s.become(o, "Clip", map[string]any{boundsKey: bounds{second.clip(first.low), second.clip(first.high)}}, inner.in[0])
}

// settleClip gives a Clip the form of the standard, or that of Relu.
func settleClip(o *operation) {
	b, ok := o.attrs[boundsKey].(bounds)
	if !ok {
		return
	}
	o.attrs = nil
	if b == (bounds{0, math.Inf(1)}) {
		o.op = "Relu"
		return
	}
	o.in = append(o.in[:1:1], nil, nil)
	if !math.IsInf(b.low, -1) {
		o.in[1] = scalar(float32(b.low))
	}
	if !math.IsInf(b.high, 1) {
		o.in[2] = scalar(float32(b.high))
	}
	if o.in[2] == nil {
		o.in = o.in[:2]
	}
}

// hardSigmoid is a x + b, clipped to 0 and 1.
func (s *simplifier) hardSigmoid(o *operation) bool {
	add := s.sole(o.in[0], "Add")
	if add == nil || o.attrs[boundsKey] != (bounds{0, 1}) {
		return false
	}
	x, c := split(add)
	mul := s.sole(x, "Mul")
	beta, ok := c.number()
	if mul == nil || !ok {
		return false
	}
	y, d := split(mul)
	alpha, ok := d.number()
	if !ok || !slices.Equal(y.dims, o.out.dims) {
		return false
	}
	return s.become(o, "HardSigmoid", map[string]any{"alpha": float32(alpha), "beta": float32(beta)}, y)
}

// hardSwish is x times its own hard sigmoid.
func (s *simplifier) hardSwish(o *operation) bool {
	for i, w := range o.in {
		x, gate := o.in[1-i], s.sole(w, "HardSigmoid")
		if gate == nil || gate.in[0] != x {
			continue
		}
		if near(float64(gate.attrs["alpha"].(float32)), 1.0/6) && gate.attrs["beta"] == float32(0.5) {
			return s.become(o, "HardSwish", nil, x)
		}
	}
	return false
}

// padded moves padding into a convolution or a pool.
func (s *simplifier) padded(o *operation) bool {
	pad := o.in[0].made
	if pad == nil || pad.op != "Pad" {
		return false
	}
	fill, ok := pad.in[2].number()
	want := 0.0
	if o.op == "MaxPool" {
		want = math.Inf(-1)
	}
	if !ok || fill != want {
		return false
	}
	more, rank := pad.in[1].tensor.flat.([]int64), len(pad.out.dims)
	pads, kernel := slices.Clone(o.attrs["pads"].([]int)), o.attrs["kernel_shape"].([]int)
	for axis := range rank {
		for end := range 2 {
			n := int(more[end*rank+axis])
			switch {
			case axis < 2 && n != 0 || n < 0:
				return false
			case axis >= 2:
				k := end*(rank-2) + axis - 2
				pads[k] += n
				if o.op != "Conv" && pads[k] >= kernel[axis-2] {
					return false // engines refuse it
				}
			}
		}
	}
	attrs := map[string]any{}
	for k, v := range o.attrs {
		attrs[k] = v
	}
	attrs["pads"] = pads
	return s.become(o, o.op, attrs, append([]*wire{pad.in[0]}, o.in[1:]...)...)
}

// padLater transposes before padding, so that a convolution can take the padding in.
func (s *simplifier) padLater(o *operation) bool {
	pad, perm := s.sole(o.in[0], "Pad"), o.attrs["perm"].([]int)
	if pad == nil {
		return false
	}
	x := pad.in[0]
	first := &operation{op: "Transpose", in: []*wire{x}, attrs: o.attrs}
	first.out = &wire{dims: permuted(x.dims, perm), dtype: x.dtype, made: first}
	s.uses(first)
	s.kept = append(s.kept[:len(s.kept)-1], first, o)
	rank, pads := len(perm), make([]int, 2*len(perm))
	for i, v := range pad.in[1].tensor.flat.([]int64) {
		pads[slices.Index(perm, i%rank)+i/rank*rank] = int(v)
	}
	return s.become(o, "Pad", pad.attrs, first.out, integers(pads...), pad.in[2])
}

// globalAverage is a mean over the picture.
func (s *simplifier) globalAverage(o *operation) bool {
	x := o.in[0]
	if len(x.dims) != 4 || !slices.Equal(o.attrs["axes"].([]int), []int{2, 3}) {
		return false
	}
	pool := &operation{op: "GlobalAveragePool", in: []*wire{x}}
	pool.out = &wire{dims: []int{x.dims[0], x.dims[1], 1, 1}, dtype: x.dtype, made: pool}
	s.uses(pool)
	s.kept = append(s.kept[:len(s.kept)-1], pool, o)
	return s.become(o, "Flatten", map[string]any{"axis": 1}, pool.out)
}

// reshapeTwice joins two reshapes, of which the last one counts.
func (s *simplifier) reshapeTwice(o *operation) bool {
	x := o.in[0]
	if slices.Equal(x.dims, o.out.dims) {
		return s.passOn(o, x)
	}
	if x.made == nil || x.made.op != "Reshape" && x.made.op != "Flatten" {
		return false
	}
	return s.become(o, "Reshape", nil, x.made.in[0], o.in[1])
}

// gemm is a product with a matrix of weights, and a bias.
func (s *simplifier) gemm(o *operation) bool {
	x, bias := split(o)
	product := s.sole(x, "MatMul")
	if product == nil || len(product.in[0].dims) != 2 || product.in[1].tensor == nil || len(product.in[1].dims) != 2 {
		return false
	}
	if n := product.out.dims[1]; len(bias.dims) == 0 || size(bias.dims) != n || bias.dims[len(bias.dims)-1] != n {
		return false
	}
	flat := &wire{dims: []int{size(bias.dims)}, dtype: bias.dtype, tensor: bias.tensor.reshaped([]int{size(bias.dims)})}
	return s.become(o, "Gemm", nil, product.in[0], product.in[1], flat)
}

// sweep removes what no output needs.
func (m *model) sweep() {
	needed := map[*wire]bool{}
	for _, w := range m.outputs {
		needed[w] = true
	}
	var kept []*operation
	for i := len(m.nodes) - 1; i >= 0; i-- {
		o := m.nodes[i]
		if o.op == "" || !needed[o.out] {
			continue
		}
		kept = append(kept, o)
		for _, in := range o.in {
			needed[in] = true
		}
	}
	slices.Reverse(kept)
	m.nodes = kept
}
