package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// checkSame checks operations that work element by element.
func checkSame(c *check) {
	c.out[0] = c.in[0]
	if c.n.Op == "Identity" {
		return
	}
	c.out[0].known = nil
	c.macs += float64(product(c.in[0].shape))
	c.fold(0, func() (*constant, error) { return apply(c.n.Op, c.in[0].known), nil })
}

func checkDropout(c *check) {
	if c.has(2) {
		if known := c.in[2].known; known == nil || len(known.ints) != 1 || known.ints[0] != 0 {
			fail("it is in training mode: export the network in evaluation mode")
		}
	}
	c.out[0] = c.in[0]
}

// kinds are the element types by their numbers in ONNX.
var kinds = map[int]string{1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32", 13: "U64", 16: "BF16"}

func checkCast(c *check) {
	to, ok := kinds[c.int("to", 0)]
	if !ok {
		fail("to type %d", c.int("to", 0))
	}
	c.out[0] = c.in[0].as(to)
	c.fold(0, func() (*constant, error) { return c.in[0].known.cast(to) })
	if c.out[0].known == nil && !slices.Contains([]string{"F32", "F16", "F64", "BF16", "I32", "I64", "BOOL"}, to) {
		fail("to %s", to)
	}
}

// as is f with another type.
func (f fact) as(kind string) fact {
	return fact{kind: kind, shape: f.shape, batch: f.batch, outer: f.outer}
}

func checkIsNaN(c *check) { c.out[0] = c.in[0].as("BOOL") }

func checkGelu(c *check) {
	c.text("approximate", "none", "tanh")
	checkSame(c)
}

func checkAlpha(c *check) {
	c.float("alpha", 0)
	c.float("beta", 0)
	checkSame(c)
}

func checkPRelu(c *check) {
	checkBroadcast(c)
	if !slices.Equal(c.out[0].shape, c.in[0].shape) {
		fail("its slopes are %s for %s", c.in[1], c.in[0])
	}
}

func checkClip(c *check) {
	old := c.survey.net.opset < 11
	if old && len(c.in) > 1 || !old && (c.n.Attrs["min"].Floats != nil || c.n.Attrs["max"].Floats != nil) {
		fail("its bounds are given as in another version of the operators")
	}
	whole := !isFloat(c.in[0].kind)
	if whole && !c.allKnown(-1) {
		fail("it clips %s, only floats are supported", c.in[0])
	}
	if !whole {
		low, high := c.number(1, c.float("min", -math.MaxFloat32)), c.number(2, c.float("max", math.MaxFloat32))
		if old && low > high {
			fail("from %g to %g", low, high)
		}
	}
	for k := 1; k < len(c.in); k++ {
		if c.has(k) && len(c.in[k].shape) > 0 && product(c.in[k].shape) != 1 {
			fail("its bound is %s", c.in[k])
		}
	}
	c.out[0] = c.in[0].result(c.in[0].shape)
	c.macs += float64(product(c.in[0].shape))
	c.fold(0, func() (out *constant, err error) {
		out = c.in[0].known
		for k, op := range []string{"Max", "Min"} {
			bound, name := &constant{dtype: out.dtype, shape: []int{}}, []string{"min", "max"}[k]
			switch _, given := c.n.Attrs[name]; {
			case c.has(k + 1):
				bound = c.in[k+1].known.reshaped([]int{})
			case given:
				bound.floats = []float32{float32(c.float(name, 0))}
			default:
				continue
			}
			if out, err = combine(arithmetics[op], out, bound, c.out[0].shape); out == nil || err != nil {
				return nil, err
			}
		}
		return out.reshaped(c.out[0].shape), nil
	})
}

// broadcast works out the common shape of values; missing axes are added in front.
func (c *check) broadcast(in ...fact) fact {
	rank := 0
	for _, f := range in {
		rank = max(rank, len(f.shape))
	}
	out := fact{kind: in[0].kind, shape: slices.Repeat([]int{1}, rank), batch: none}
	for _, f := range in {
		lead := rank - len(f.shape)
		for i, d := range f.shape {
			switch have := out.shape[lead+i]; {
			case have == d || d == 1:
			case have == 1:
				out.shape[lead+i] = d
			default:
				fail("%s do not fit together", listed(in))
			}
		}
		if f.batch >= 0 {
			if out.batch >= 0 && out.batch != lead+f.batch {
				mixed("%s count pictures along different axes", listed(in))
			}
			if out.batch >= 0 && out.places() != f.places() {
				mixed("%s count pictures in different orders", listed(in))
			}
			out.batch, out.outer = lead+f.batch, f.outer
		}
	}
	for _, f := range in {
		i := out.batch - (rank - len(f.shape))
		if out.batch < 0 || i < 0 {
			continue
		}
		// Along this axis the others have one number for all pictures.
		if f.batch < 0 && f.shape[i] != 1 || f.batch >= 0 && f.shape[i] != out.shape[out.batch] {
			mixed("%s: one of them is made for a certain number of pictures", listed(in))
		}
	}
	return out
}

func listed(in []fact) string {
	var words []string
	for _, f := range in {
		words = append(words, f.String())
	}
	return strings.Join(words, " and ")
}

func checkBroadcast(c *check) {
	for k := range c.in {
		if !c.has(k) {
			fail("its input %d is missing", k)
		}
	}
	if c.n.Op == "Pow" && isFloat(c.in[0].kind) != isFloat(c.in[1].kind) && c.in[1].known == nil {
		fail("%s to the power of %s", c.in[0], c.in[1])
	}
	c.out[0] = c.broadcast(c.in...)
	c.macs += float64(product(c.out[0].shape) * len(c.in))
	c.fold(0, func() (*constant, error) {
		out := c.in[0].known.spread(c.out[0].shape)
		for _, f := range c.in[1:] {
			b := f.known
			if c.n.Op == "Pow" && f.kind != c.in[0].kind {
				var err error
				if b, err = b.cast(c.in[0].kind); err != nil {
					return nil, err
				}
			}
			var err error
			if out, err = combine(arithmetics[c.n.Op], out, b, c.out[0].shape); out == nil || err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	if !isFloat(c.in[0].kind) && c.out[0].known == nil && slices.Contains([]string{"Div", "Pow", "Mod"}, c.n.Op) {
		fail("it computes %s, which depend on the picture", listed(c.in))
	}
}

func checkMod(c *check) {
	if c.flag("fmod", 0) || isFloat(c.in[0].kind) {
		fail("only integers are supported")
	}
	checkBroadcast(c)
}

func checkCompare(c *check) {
	f := c.broadcast(c.in...)
	c.out[0] = f.as("BOOL")
	c.fold(0, func() (*constant, error) { return combine(arithmetics[c.n.Op], c.in[0].known, c.in[1].known, f.shape) })
}

func checkWhere(c *check) {
	if c.in[1].kind != c.in[2].kind {
		fail("its inputs are %s and %s, want one type", c.in[1], c.in[2])
	}
	f := c.broadcast(c.in...)
	c.out[0] = f.as(c.in[1].kind)
	c.fold(0, func() (*constant, error) {
		which, yes, no := c.in[0].known.spread(f.shape), c.in[1].known.spread(f.shape), c.in[2].known.spread(f.shape)
		out := like(yes.dtype, f.shape)
		for i, v := range which.ints {
			if v != 0 {
				out.put(i, yes, i)
			} else {
				out.put(i, no, i)
			}
		}
		return out, nil
	})
}

func checkMatMul(c *check) {
	if !isFloat(c.in[0].kind) {
		fail("it multiplies %s, only floats are supported", c.in[0])
	}
	a, b := c.in[0], c.in[1]
	if len(a.shape) == 0 || len(b.shape) == 0 {
		fail("%s do not fit together", listed(c.in))
	}
	if len(a.shape) == 1 || len(b.shape) == 1 {
		a.apart(0)
		fail("it multiplies %s, only matrices are supported", listed(c.in))
	}
	ra, rb := len(a.shape), len(b.shape)
	m, k, n := a.shape[ra-2], a.shape[ra-1], b.shape[rb-1]
	if b.shape[rb-2] != k {
		fail("%s do not fit together", listed(c.in))
	}
	a.apart(ra - 1)
	b.apart(rb - 2)
	front := func(f fact) fact {
		f.shape = f.shape[:len(f.shape)-2]
		if f.batch >= len(f.shape) {
			f.batch = none
		}
		return f
	}
	out := c.broadcast(front(a), front(b))
	rank := len(out.shape) + 2
	out.shape = append(slices.Clone(out.shape), m, n)
	for axis, f := range map[int]fact{rank - 2: a, rank - 1: b} {
		if f.batch >= 0 && f.batch-len(f.shape) == axis-rank {
			if out.batch >= 0 {
				mixed("%s count pictures along different axes", listed(c.in))
			}
			out.batch, out.outer = axis, f.outer
		}
	}
	c.out[0] = out
	c.macs += float64(product(out.shape)) * float64(k)
}

func checkGemm(c *check) {
	a, b := c.in[0], c.in[1]
	if len(a.shape) != 2 || len(b.shape) != 2 {
		fail("it multiplies %s, want matrices", listed(c.in))
	}
	turned := func(f fact, yes bool) fact {
		if yes {
			f.shape = []int{f.shape[1], f.shape[0]}
			if f.batch >= 0 {
				f.batch = 1 - f.batch
			}
		}
		return f
	}
	a, b = turned(a, c.flag("transA", 0)), turned(b, c.flag("transB", 0))
	if a.shape[1] != b.shape[0] {
		fail("%s do not fit together", listed(c.in))
	}
	a.apart(1)
	b.apart(0)
	out := fact{kind: a.kind, shape: []int{a.shape[0], b.shape[1]}, batch: a.batch, outer: a.outer}
	if b.batch == 1 {
		if out.batch >= 0 {
			mixed("%s count pictures along different axes", listed(c.in))
		}
		out.batch, out.outer = 1, b.outer
	}
	if c.has(2) {
		with := c.broadcast(out, c.in[2])
		if !slices.Equal(with.shape, out.shape) {
			fail("it adds %s to %s", c.in[2], out)
		}
		out.batch, out.outer = with.batch, with.outer
	}
	if c.survey.net.opset < 11 && !c.has(2) {
		fail("version %d of the operators wants a third input", c.survey.net.opset)
	}
	c.float("alpha", 1)
	c.float("beta", 1)
	c.out[0] = out
	c.macs += float64(product(out.shape)) * float64(a.shape[1])
}

// checkEinsum reads the equation of two operands.
func checkEinsum(c *check) {
	equation := strings.ReplaceAll(c.text("equation", c.n.Attrs["equation"].Strings...), " ", "")
	left, right, ok := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if !ok || len(terms) != 2 || len(c.in) != 2 {
		fail("equation %.60q with %d inputs: only two operands with an explicit result are supported", equation, len(c.in))
	}
	size, pictures := map[rune]int{}, rune(0)
	for k, term := range terms {
		f := c.in[k]
		if len(term) != len(f.shape) {
			fail("equation %.60q for %s", equation, listed(c.in))
		}
		for i, letter := range term {
			if !letters(letter) || strings.Count(term, string(letter)) > 1 {
				fail("equation %.60q", equation)
			}
			if have, seen := size[letter]; seen && have != f.shape[i] {
				fail("equation %.60q for %s", equation, listed(c.in))
			}
			size[letter] = f.shape[i]
			if i == f.batch {
				if pictures != 0 && pictures != letter || f.places() > 1 {
					mixed("%s count pictures along different axes", listed(c.in))
				}
				pictures = letter
			}
		}
	}
	out := fact{kind: c.in[0].kind, shape: []int{}, batch: none}
	for i, letter := range right {
		d, seen := size[letter]
		if !seen || strings.Count(right, string(letter)) > 1 {
			fail("equation %.60q", equation)
		}
		out.shape = append(out.shape, d)
		if letter == pictures {
			out.batch = i
		}
	}
	if pictures != 0 {
		if out.batch < 0 {
			mixed("equation %.60q would add up pictures", equation)
		}
		for k, term := range terms {
			if i := strings.IndexRune(term, pictures); i >= 0 && c.in[k].batch != i {
				mixed("%s: one of them is made for a certain number of pictures", listed(c.in))
			}
		}
	}
	total := 1.0
	for _, d := range size {
		total *= float64(d)
	}
	c.out[0] = out
	c.macs += total
}

func letters(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// axesOf returns the axes of a node: input k in newer files, an attribute in older ones.
func (c *check) axesOf(k, since int) []int64 {
	given := c.ints("axes")
	if c.survey.net.opset >= since && given != nil || c.survey.net.opset < since && len(c.in) > k {
		fail("its axes are given as in another version of the operators")
	}
	if c.has(k) {
		return c.numbers(k)
	}
	return given
}

func checkReduce(c *check) {
	since := 18
	if c.n.Op == "ReduceSum" {
		since = 13
	}
	f, rank := c.in[0], len(c.in[0].shape)
	given := c.axesOf(1, since)
	if len(given) == 0 && c.flag("noop_with_empty_axes", 0) {
		if c.n.Op == "ReduceL2" {
			fail("it has no axes")
		}
		c.out[0] = f
		c.params = params{keep: true}
		return
	}
	axes := allAxes(given, rank)
	if len(given) == 0 {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	c.out[0] = c.without(f, axes, c.flag("keepdims", 1))
	c.params = params{axes: axes, keep: c.flag("keepdims", 1)}
	c.macs += float64(product(f.shape))
	for _, a := range axes {
		if f.shape[a] == 0 {
			fail("it reduces %s", f)
		}
	}
	if !isFloat(f.kind) && c.n.Op == "ReduceMean" && !c.allKnown(-1) {
		fail("it is the mean of %s", f)
	}
	c.fold(0, func() (*constant, error) { return reduced(c.n.Op, f.known, axes) })
}

// without returns f without some axes, or with length 1 along them.
func (c *check) without(f fact, axes []int, keep bool) fact {
	f.apart(axes...)
	out := fact{kind: f.kind, shape: []int{}, batch: none}
	for i, d := range f.shape {
		gone := slices.Contains(axes, i)
		if gone && !keep {
			continue
		}
		if i == f.batch {
			out.batch, out.outer = len(out.shape), f.outer
		}
		if gone {
			d = 1
		}
		out.shape = append(out.shape, d)
	}
	return out
}

// reduced computes a reduction of a constant; the result has length 1 along the axes.
func reduced(op string, c *constant, axes []int) (*constant, error) {
	with, ok := map[string]string{"ReduceSum": "Add", "ReduceMean": "Add", "ReduceMax": "Max", "ReduceMin": "Min", "ReduceProd": "Mul"}[op]
	if !ok || op == "ReduceMean" && c.ints != nil {
		return nil, nil
	}
	shape := slices.Clone(c.shape)
	for _, a := range axes {
		shape[a] = 1
	}
	steps := strides(shape)
	var groups [][]int
	groups = make([][]int, product(shape))
	place := make([]int, len(c.shape))
	for k := range c.len() {
		at := 0
		for i, p := range place {
			if shape[i] > 1 {
				at += p * steps[i]
			}
		}
		groups[at] = append(groups[at], k)
		advance(place, c.shape)
	}
	out, f := like(c.dtype, shape), arithmetics[with]
	for i, group := range groups {
		out.put(i, c, group[0])
		for _, k := range group[1:] {
			if c.floats != nil {
				out.floats[i] = f.floats(out.floats[i], c.floats[k])
				continue
			}
			v, err := f.ints(out.ints[i], c.ints[k])
			if err != nil {
				return nil, err
			}
			out.ints[i] = wrapped(v, c.dtype)
		}
		if op == "ReduceMean" {
			out.floats[i] /= float32(len(group))
		}
	}
	return out, nil
}

func checkArg(c *check) {
	f := c.in[0]
	a := axis(int64(c.int("axis", 0)), len(f.shape))
	if c.flag("select_last_index", 0) {
		fail("select_last_index is not supported")
	}
	if f.shape[a] == 0 || !isFloat(f.kind) {
		fail("its input is %s", f)
	}
	c.out[0] = c.without(f, []int{a}, c.flag("keepdims", 1))
	c.out[0].kind = "I64"
	c.params = params{axes: []int{a}, keep: c.flag("keepdims", 1)}
	c.macs += float64(product(f.shape)) * 8
}

func checkTopK(c *check) {
	f := c.in[0]
	a := axis(int64(c.int("axis", -1)), len(f.shape))
	f.apart(a)
	k := c.numbers(1)
	if len(k) != 1 || k[0] < 1 || k[0] > int64(f.shape[a]) || !isFloat(f.kind) {
		fail("the first %v of %s", k, f)
	}
	c.flag("sorted", 1)
	shape := slices.Clone(f.shape)
	shape[a] = int(k[0])
	c.out[0] = f.result(shape)
	if len(c.out) > 1 {
		c.out[1] = f.result(shape).as("I64")
	}
	c.params = params{axes: []int{a}, sizes: []int{int(k[0])}, keep: c.flag("largest", 1)}
	c.macs += float64(product(f.shape)) * 16
}

func checkRange(c *check) {
	for k := range c.in {
		if c.in[k].known == nil {
			fail("input %d, which shapes its result, depends on the picture", k)
		}
		if product(c.in[k].shape) != 1 {
			fail("input %d is %s, want one number", k, c.in[k])
		}
	}
	first, limit, step := c.in[0].known, c.in[1].known, c.in[2].known
	count := 0.0
	if first.floats != nil {
		count = math.Ceil((float64(limit.floats[0]) - float64(first.floats[0])) / float64(step.floats[0]))
	} else if step.ints[0] != 0 {
		count = math.Ceil((float64(limit.ints[0]) - float64(first.ints[0])) / float64(step.ints[0]))
	} else {
		count = math.NaN()
	}
	if !(count <= maxTensor) {
		fail("%g numbers of a shape", count)
	}
	c.out[0] = fact{kind: c.in[0].kind, shape: []int{int(max(0, count))}, batch: none}
	c.fold(0, func() (*constant, error) {
		out := like(c.in[0].kind, c.out[0].shape)
		for i := range out.len() {
			if out.floats != nil {
				out.floats[i] = first.floats[0] + float32(i)*step.floats[0]
			} else {
				out.ints[i] = wrapped(first.ints[0]+int64(i)*step.ints[0], out.dtype)
			}
		}
		return out, nil
	})
}

func checkConstantOfShape(c *check) {
	want := c.numbers(0)
	value := &constant{dtype: "F32", shape: []int{}, floats: []float32{0}}
	if a, ok := c.n.Attrs["value"]; ok {
		if len(a.Strings) != 1 {
			fail("its value is not a tensor")
		}
		v, ok := c.survey.net.consts[a.Strings[0]]
		if !ok || v.len() != 1 {
			fail("its value is not a single number")
		}
		value = &v
	}
	shape, total := []int{}, 1.0
	for _, d := range want {
		if d < 0 {
			fail("shape %v", want)
		}
		total *= float64(d)
		if total > maxTensor || len(shape) == 8 {
			fail("%v: more than %d numbers of a shape", want, maxTensor)
		}
		shape = append(shape, int(d))
	}
	c.out[0] = fact{kind: value.dtype, shape: shape, batch: none}
	c.fold(0, func() (*constant, error) { return value.reshaped([]int{}).spread(shape), nil })
}

func checkTrilu(c *check) {
	f := c.in[0]
	rank := len(f.shape)
	if rank < 2 {
		fail("its input is %s, want a matrix", f)
	}
	f.apart(rank-1, rank-2)
	k := int64(0)
	if c.has(1) {
		v := c.numbers(1)
		if len(v) != 1 || v[0] < -math.MaxInt32 || v[0] > math.MaxInt32 {
			fail("diagonal %v", v)
		}
		k = v[0]
	}
	upper := c.flag("upper", 1)
	c.out[0] = f.result(f.shape)
	c.params = params{sizes: []int{int(k)}, keep: upper}
	c.fold(0, func() (*constant, error) {
		v := f.known
		out := like(v.dtype, v.shape)
		place := make([]int, rank)
		for i := range v.len() {
			if d := int64(place[rank-1] - place[rank-2]); upper && d >= k || !upper && d <= k {
				out.put(i, v, i)
			}
			advance(place, v.shape)
		}
		return out, nil
	})
}

// checkCumSum computes sums along an axis of a constant, as in tables of positions.
func checkCumSum(c *check) {
	f := c.in[0]
	if v := c.in[1].known; v == nil || len(v.ints) != 1 {
		fail("its axis is not a constant number")
	}
	a := axis(c.in[1].known.ints[0], len(f.shape))
	if c.flag("exclusive", 0) || c.flag("reverse", 0) || f.known == nil {
		fail("only plain sums of constants are supported")
	}
	c.out[0] = f.result(f.shape)
	c.fold(0, func() (*constant, error) {
		out, step := f.known.pick(f.shape, shifted(f.shape, a, func(i int) int { return i })), strides(f.shape)[a]
		for k := range out.len() {
			switch {
			case k/step%f.shape[a] == 0:
			case out.floats != nil:
				out.floats[k] += out.floats[k-step]
			default:
				out.ints[k] = wrapped(out.ints[k]+out.ints[k-step], out.dtype)
			}
		}
		return out, nil
	})
	if c.out[0].known == nil {
		fail("more than %d numbers", maxTensor)
	}
}

var errNoScale = errors.New("its scale or zero point is not a constant number")

// checkQuantize checks QuantizeLinear of floats that depend on the picture. Its result stays in
// floats: whole numbers in the range of the type.
func checkQuantize(c *check) {
	to := "U8"
	if c.has(2) {
		to = c.in[2].kind
	}
	if v := c.int("output_dtype", 0); v != 0 && kinds[v] != to {
		fail("it quantises to type %d", v)
	}
	if !within(to, "U8 I8 U16 I16") || !isFloat(c.in[0].kind) {
		fail("it quantises %s to %s", c.in[0], to)
	}
	c.scale()
	c.out[0] = c.in[0].as(to)
	c.macs += float64(product(c.in[0].shape)) * 4
}

func checkDequantize(c *check) {
	if c.has(2) && c.in[2].kind != c.in[0].kind {
		fail("its zero point is %s, its input %s", c.in[2], c.in[0])
	}
	c.scale()
	if c.in[0].kind == "I32" && c.has(2) {
		zero := c.in[2].known
		if zero == nil || slices.ContainsFunc(zero.ints, func(z int64) bool { return z != 0 }) {
			fail("it has a zero point for 32-bit integers")
		}
	}
	c.out[0] = c.in[0].as(c.in[1].kind)
	c.macs += float64(product(c.in[0].shape)) * 2
}

// scale checks scale and zero point: one number, or one per index along an axis.
func (c *check) scale() {
	f, s := c.in[0], c.in[1]
	if !isFloat(s.kind) {
		fail("its scale is %s", s)
	}
	if c.int("block_size", 0) != 0 {
		fail("it has scales for blocks, which are not supported")
	}
	if c.flag("saturate", 1); c.has(2) && product(c.in[2].shape) != product(s.shape) {
		fail("its scale is %s, its zero point %s", s, c.in[2])
	}
	given := int64(c.int("axis", 1))
	c.params = params{axes: nil}
	if product(s.shape) == 1 && len(s.shape) <= 1 {
		return
	}
	a := axis(given, len(f.shape))
	f.apart(a)
	if len(s.shape) != 1 || s.shape[0] != f.shape[a] {
		fail("its scale is %s for %s", s, f)
	}
	if c.has(2) && c.in[2].known == nil {
		panic(fmt.Errorf("%w", errNoScale))
	}
	c.params.axes = []int{a}
}
