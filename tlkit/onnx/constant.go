package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes/gotype"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// constant is a tensor that is known before the graph is built and may determine its shapes: an
// axis, a size, a bound.
type constant struct {
	dtype  string // "I64", "F32" ...
	shape  []int
	ints   []int64   // of integers and booleans
	floats []float32 // of everything else
}

func (c constant) len() int { return max(len(c.ints), len(c.floats)) }

// like allocates a constant of the same type and a given shape.
func like(dtype string, shape []int) *constant {
	c := &constant{dtype: dtype, shape: shape}
	if isFloat(dtype) {
		c.floats = make([]float32, product(shape))
	} else {
		c.ints = make([]int64, product(shape))
	}
	return c
}

// put copies element i of another constant of the same type to place k.
func (c *constant) put(k int, from *constant, i int) {
	if c.floats != nil {
		c.floats[k] = from.floats[i]
	} else {
		c.ints[k] = from.ints[i]
	}
}

// product returns the number of elements of a shape.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// strides are the steps between neighbours along each axis.
func strides(shape []int) []int {
	out := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = step
		step *= shape[i]
	}
	return out
}

// pick makes a constant of a given shape whose elements are those of c at the offsets that at
// returns.
func (c *constant) pick(shape []int, at func(place []int) int) *constant {
	out := like(c.dtype, shape)
	place := make([]int, len(shape))
	for k := range out.len() {
		out.put(k, c, at(place))
		advance(place, shape)
	}
	return out
}

// advance moves place to the next element of a shape.
func advance(place, shape []int) {
	for i := len(shape) - 1; i >= 0; i-- {
		place[i]++
		if place[i] < shape[i] {
			return
		}
		place[i] = 0
	}
}

// spread broadcasts c to a larger shape.
func (c *constant) spread(shape []int) *constant {
	if slices.Equal(c.shape, shape) {
		return c
	}
	steps, lead := strides(c.shape), len(shape)-len(c.shape)
	return c.pick(shape, func(place []int) int {
		at := 0
		for i, d := range c.shape {
			if d > 1 {
				at += steps[i] * place[lead+i]
			}
		}
		return at
	})
}

// reshaped returns c in another shape with as many elements.
func (c *constant) reshaped(shape []int) *constant {
	out := *c
	out.shape = shape
	return &out
}

// cast converts c as ONNX does. Numbers that do not fit are an error, because the standard does not
// define their result.
func (c *constant) cast(to string) (*constant, error) {
	out := like(to, c.shape)
	for i := range c.len() {
		switch {
		case c.floats != nil && out.floats != nil:
			out.floats[i] = c.floats[i]
		case c.floats != nil && to == "BOOL":
			out.ints[i] = truth(c.floats[i] != 0)
		case c.floats != nil:
			v := math.Trunc(float64(c.floats[i]))
			if !(math.Abs(v) < 1<<62) || wrapped(int64(v), to) != int64(v) {
				return nil, fmt.Errorf("%g as %s", c.floats[i], to)
			}
			out.ints[i] = int64(v)
		case out.floats != nil:
			out.floats[i] = float32(c.ints[i])
		case to == "BOOL":
			out.ints[i] = truth(c.ints[i] != 0)
		default:
			out.ints[i] = wrapped(c.ints[i], to)
		}
	}
	return out, nil
}

func truth(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// wrapped returns v wrapped to a type with fewer bits.
func wrapped(v int64, dtype string) int64 {
	switch dtype {
	case "I32":
		return int64(int32(v))
	case "U32":
		return int64(uint32(v))
	case "I16":
		return int64(int16(v))
	case "U16":
		return int64(uint16(v))
	case "I8":
		return int64(int8(v))
	case "U8":
		return int64(uint8(v))
	}
	return v
}

// arithmetic is an operation on two numbers, defined for integers, floats or both.
type arithmetic struct {
	ints   func(a, b int64) (int64, error)
	floats func(a, b float32) float32
	truth  func(less, equal bool) bool // a comparison
}

func whole(f func(a, b int64) int64) func(a, b int64) (int64, error) {
	return func(a, b int64) (int64, error) { return f(a, b), nil }
}

var arithmetics = map[string]arithmetic{
	"Add": {ints: whole(func(a, b int64) int64 { return a + b }), floats: func(a, b float32) float32 { return a + b }},
	"Sum": {floats: func(a, b float32) float32 { return a + b }},
	"Sub": {ints: whole(func(a, b int64) int64 { return a - b }), floats: func(a, b float32) float32 { return a - b }},
	"Mul": {ints: whole(func(a, b int64) int64 { return a * b }), floats: func(a, b float32) float32 { return a * b }},
	"Div": {ints: quotient, floats: func(a, b float32) float32 { return a / b }},
	"Mod": {ints: rest},
	"Max": {ints: whole(func(a, b int64) int64 { return max(a, b) }), floats: func(a, b float32) float32 { return max(a, b) }},
	"Min": {ints: whole(func(a, b int64) int64 { return min(a, b) }), floats: func(a, b float32) float32 { return min(a, b) }},
	"Pow": {ints: power, floats: func(a, b float32) float32 { return float32(math.Pow(float64(a), float64(b))) }},
	"And": {ints: whole(func(a, b int64) int64 { return a & b })},
	"Or":  {ints: whole(func(a, b int64) int64 { return a | b })},
	"Xor": {ints: whole(func(a, b int64) int64 { return a ^ b })},

	"Equal":          {truth: func(_, equal bool) bool { return equal }},
	"Less":           {truth: func(less, _ bool) bool { return less }},
	"LessOrEqual":    {truth: func(less, equal bool) bool { return less || equal }},
	"Greater":        {truth: func(less, equal bool) bool { return !less && !equal }},
	"GreaterOrEqual": {truth: func(less, _ bool) bool { return !less }},
}

// quotient divides as ONNX does. The smallest integer divided by -1 overflows, which crashes a C++
// program.
func quotient(a, b int64) (int64, error) {
	if b == 0 {
		return 0, errors.New("a division by zero")
	}
	if a == math.MinInt64 && b == -1 {
		return 0, errors.New("a division of the smallest integer by -1")
	}
	return a / b, nil
}

// rest has the sign of b.
func rest(a, b int64) (int64, error) {
	if b == 0 {
		return 0, errors.New("a division by zero")
	}
	if b == -1 {
		return 0, nil
	}
	if r := a % b; r != 0 && (r < 0) != (b < 0) {
		return r + b, nil
	} else {
		return r, nil
	}
}

func power(a, b int64) (int64, error) {
	if b < 0 || b > 63 {
		return 0, fmt.Errorf("%d to the power of %d", a, b)
	}
	out := int64(1)
	for range b {
		out *= a
	}
	return out, nil
}

// combine computes an operation of two constants of one type, element by element. It returns nil if
// the operation is not defined for that type.
func combine(op arithmetic, a, b *constant, shape []int) (*constant, error) {
	a, b = a.spread(shape), b.spread(shape)
	switch {
	case op.truth != nil:
		out := like("BOOL", shape)
		for i := range out.ints {
			if a.floats != nil {
				x, y := a.floats[i], b.floats[i]
				out.ints[i] = truth(x == x && y == y && op.truth(x < y, x == y))
			} else {
				out.ints[i] = truth(op.truth(a.ints[i] < b.ints[i], a.ints[i] == b.ints[i]))
			}
		}
		return out, nil
	case a.floats != nil && b.floats != nil && op.floats != nil:
		out := like(a.dtype, shape)
		for i := range out.floats {
			out.floats[i] = op.floats(a.floats[i], b.floats[i])
		}
		return out, nil
	case a.ints != nil && b.ints != nil && op.ints != nil:
		out := like(a.dtype, shape)
		for i := range out.ints {
			v, err := op.ints(a.ints[i], b.ints[i])
			if err != nil {
				return nil, err
			}
			out.ints[i] = wrapped(v, a.dtype)
		}
		return out, nil
	}
	return nil, nil
}

// functions are the operations on one number that occur in the computation of position tables.
var functions = map[string]func(float64) float64{
	"Sqrt": math.Sqrt, "Exp": math.Exp, "Log": math.Log, "Sin": math.Sin, "Cos": math.Cos, "Floor": math.Floor, "Ceil": math.Ceil,
	"Abs": math.Abs, "Neg": func(x float64) float64 { return -x }, "Reciprocal": func(x float64) float64 { return 1 / x },
	"Round": math.RoundToEven, "Relu": func(x float64) float64 { return max(x, 0) }, "Tanh": math.Tanh,
	"Sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
}

// apply computes an operation on one number. It returns nil if the operation is not one of
// functions.
func apply(op string, c *constant) *constant {
	out := like(c.dtype, c.shape)
	switch f := functions[op]; {
	case c.floats != nil && f != nil:
		for i, v := range c.floats {
			out.floats[i] = float32(f(float64(v)))
		}
	case c.ints != nil && slices.Contains([]string{"Abs", "Neg", "Not"}, op):
		for i, v := range c.ints {
			switch {
			case op == "Not":
				out.ints[i] = 1 - v
			case op == "Neg" || v < 0:
				out.ints[i] = wrapped(-v, c.dtype)
			default:
				out.ints[i] = v
			}
		}
	default:
		return nil
	}
	return out
}

func constOf[T gotype.Supported](g *Graph, values []T, shape []int) *Node {
	return ConstTensor(g, tensors.FromFlatDataAndDimensions(values, shape...))
}

// node returns the constant as a node of g. Counts and indices keep their type.
func (c constant) node(g *Graph) *Node {
	switch {
	case c.floats != nil || isFloat(c.dtype):
		return constOf(g, c.floats, c.shape)
	case c.dtype == "BOOL":
		v := make([]bool, len(c.ints))
		for i := range v {
			v[i] = c.ints[i] != 0
		}
		return constOf(g, v, c.shape)
	case c.dtype == "I32":
		v := make([]int32, len(c.ints))
		for i := range v {
			v[i] = int32(c.ints[i])
		}
		return constOf(g, v, c.shape)
	}
	return constOf(g, c.ints, c.shape)
}
