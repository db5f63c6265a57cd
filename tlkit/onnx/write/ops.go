package write

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// The operations that are recorded. What is not here is not implemented, and says so.

type value1 = func(f compute.Function, x compute.Value) (compute.Value, error)
type value2 = func(f compute.Function, a, b compute.Value) (compute.Value, error)
type overAxes = func(f compute.Function, x compute.Value, axes ...int) (compute.Value, error)

func (f *function) unary(op compute.OpType, do value1, x compute.Value) (compute.Value, error) {
	return f.record(op, nil, func(f compute.Function, in []compute.Value) (compute.Value, error) { return do(f, in[0]) }, x)
}

func (f *function) binary(op compute.OpType, do value2, a, b compute.Value) (compute.Value, error) {
	return f.record(op, nil, func(f compute.Function, in []compute.Value) (compute.Value, error) { return do(f, in[0], in[1]) }, a, b)
}

func (f *function) reduce(op compute.OpType, do overAxes, x compute.Value, axes []int) (compute.Value, error) {
	axes = slices.Clone(axes)
	if len(axes) == 0 {
		for i := range x.(*node).shape.Rank() {
			axes = append(axes, i)
		}
	}
	return f.record(op, axes, func(f compute.Function, in []compute.Value) (compute.Value, error) { return do(f, in[0], axes...) }, x)
}

func (f *function) Abs(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeAbs, compute.Function.Abs, x)
}

func (f *function) Ceil(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeCeil, compute.Function.Ceil, x)
}

func (f *function) Cos(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeCos, compute.Function.Cos, x)
}

func (f *function) Erf(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeErf, compute.Function.Erf, x)
}

func (f *function) Exp(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeExp, compute.Function.Exp, x)
}

func (f *function) Expm1(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeExpm1, compute.Function.Expm1, x)
}

func (f *function) Floor(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeFloor, compute.Function.Floor, x)
}

func (f *function) Identity(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeIdentity, compute.Function.Identity, x)
}

func (f *function) IsFinite(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeIsFinite, compute.Function.IsFinite, x)
}

func (f *function) IsNaN(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeIsNaN, compute.Function.IsNaN, x)
}

func (f *function) Log(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLog, compute.Function.Log, x)
}

func (f *function) Log1p(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLog1p, compute.Function.Log1p, x)
}

func (f *function) Logistic(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLogistic, compute.Function.Logistic, x)
}

func (f *function) LogicalNot(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLogicalNot, compute.Function.LogicalNot, x)
}

func (f *function) Neg(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeNeg, compute.Function.Neg, x)
}

func (f *function) Round(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeRound, compute.Function.Round, x)
}

func (f *function) Rsqrt(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeRsqrt, compute.Function.Rsqrt, x)
}

func (f *function) Sign(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeSign, compute.Function.Sign, x)
}

func (f *function) Sin(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeSin, compute.Function.Sin, x)
}

func (f *function) Sqrt(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeSqrt, compute.Function.Sqrt, x)
}

func (f *function) Tanh(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeTanh, compute.Function.Tanh, x)
}

func (f *function) Add(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeAdd, compute.Function.Add, a, b)
}

func (f *function) Div(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeDiv, compute.Function.Div, a, b)
}

func (f *function) Equal(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeEqual, compute.Function.Equal, a, b)
}

func (f *function) GreaterOrEqual(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeGreaterOrEqual, compute.Function.GreaterOrEqual, a, b)
}

func (f *function) GreaterThan(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeGreaterThan, compute.Function.GreaterThan, a, b)
}

func (f *function) LessOrEqual(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLessOrEqual, compute.Function.LessOrEqual, a, b)
}

func (f *function) LessThan(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLessThan, compute.Function.LessThan, a, b)
}

func (f *function) LogicalAnd(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLogicalAnd, compute.Function.LogicalAnd, a, b)
}

func (f *function) LogicalOr(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLogicalOr, compute.Function.LogicalOr, a, b)
}

func (f *function) LogicalXor(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLogicalXor, compute.Function.LogicalXor, a, b)
}

func (f *function) Max(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeMax, compute.Function.Max, a, b)
}

func (f *function) Min(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeMin, compute.Function.Min, a, b)
}

func (f *function) Mul(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeMul, compute.Function.Mul, a, b)
}

func (f *function) NotEqual(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeNotEqual, compute.Function.NotEqual, a, b)
}

func (f *function) Pow(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypePow, compute.Function.Pow, a, b)
}

func (f *function) Rem(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeRem, compute.Function.Rem, a, b)
}

func (f *function) Sub(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeSub, compute.Function.Sub, a, b)
}

func (f *function) ReduceMax(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceMax, compute.Function.ReduceMax, x, axes)
}

func (f *function) ReduceMin(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceMin, compute.Function.ReduceMin, x, axes)
}

func (f *function) ReduceProduct(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceProduct, compute.Function.ReduceProduct, x, axes)
}

func (f *function) ReduceSum(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceSum, compute.Function.ReduceSum, x, axes)
}

// The settings of operations, as node.detail.
type (
	conversion   struct{ to dtypes.DType }
	broadcasting struct{ axes []int } // the axis of the result for each axis of the operand
	joining      struct{ axis int }
	cutting      struct{ starts, limits, strides []int }
	padding      struct{ axes []compute.PadAxis }
	permutation  struct{ axes []int }
	softmaxing   struct{ axis int }
	geluing      struct{ exact bool }
	convolving   struct {
		axes                  compute.ConvolveAxesConfig
		strides               []int
		pads                  [][2]int
		inDilation, dilation  []int
		groups, batchedGroups int
	}
	windowing struct {
		kind                 compute.ReduceOpType
		size, strides        []int
		inDilation, dilation []int
		pads                 [][2]int
	}
	contracting struct {
		lhs, lhsBatch, rhs, rhsBatch []int
	}
	gathering struct {
		vectorAxis                      int
		offset, collapsed, index, sizes []int
	}
	arg struct {
		axis int
		min  bool
	}
)

func (f *function) ConvertDType(x compute.Value, to dtypes.DType) (compute.Value, error) {
	return f.record(compute.OpTypeConvertDType, conversion{to}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.ConvertDType(in[0], to)
	}, x)
}

func (f *function) BroadcastInDim(x compute.Value, shape shapes.Shape, axes []int) (compute.Value, error) {
	axes = slices.Clone(axes)
	return f.record(compute.OpTypeBroadcastInDim, broadcasting{axes}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.BroadcastInDim(in[0], shape, axes)
	}, x)
}

func (f *function) Clamp(low, x, high compute.Value) (compute.Value, error) {
	return f.record(compute.OpTypeClamp, nil, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Clamp(in[0], in[1], in[2])
	}, low, x, high)
}

func (f *function) Concatenate(axis int, parts ...compute.Value) (compute.Value, error) {
	return f.record(compute.OpTypeConcatenate, joining{axis}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Concatenate(axis, in...)
	}, parts...)
}

func (f *function) ConvGeneral(x, kernel compute.Value, axes compute.ConvolveAxesConfig, strides []int, pads [][2]int,
	inDilation, dilation []int, groups, batchedGroups int) (compute.Value, error) {
	c := convolving{axes.Clone(), slices.Clone(strides), slices.Clone(pads), slices.Clone(inDilation), slices.Clone(dilation), groups, batchedGroups}
	return f.record(compute.OpTypeConvGeneral, c, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.ConvGeneral(in[0], in[1], c.axes, c.strides, c.pads, c.inDilation, c.dilation, groups, batchedGroups)
	}, x, kernel)
}

func (f *function) ReduceWindow(x compute.Value, kind compute.ReduceOpType, size, strides, inDilation, dilation []int, pads [][2]int) (compute.Value, error) {
	w := windowing{kind, slices.Clone(size), slices.Clone(strides), slices.Clone(inDilation), slices.Clone(dilation), slices.Clone(pads)}
	return f.record(compute.OpTypeReduceWindow, w, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.ReduceWindow(in[0], w.kind, w.size, w.strides, w.inDilation, w.dilation, w.pads)
	}, x)
}

func (f *function) DotGeneral(lhs compute.Value, lhsAxes, lhsBatch []int, rhs compute.Value, rhsAxes, rhsBatch []int, config compute.DotGeneralConfig) (compute.Value, error) {
	c := contracting{slices.Clone(lhsAxes), slices.Clone(lhsBatch), slices.Clone(rhsAxes), slices.Clone(rhsBatch)}
	return f.record(compute.OpTypeDotGeneral, c, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.DotGeneral(in[0], c.lhs, c.lhsBatch, in[1], c.rhs, c.rhsBatch, config)
	}, lhs, rhs)
}

func (f *function) Pad(x, fill compute.Value, axes ...compute.PadAxis) (compute.Value, error) {
	axes = slices.Clone(axes)
	return f.record(compute.OpTypePad, padding{axes}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Pad(in[0], in[1], axes...)
	}, x, fill)
}

func (f *function) Reshape(x compute.Value, dims ...int) (compute.Value, error) {
	dims = slices.Clone(dims)
	return f.record(compute.OpTypeReshape, nil, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Reshape(in[0], dims...)
	}, x)
}

func (f *function) Slice(x compute.Value, starts, limits, strides []int) (compute.Value, error) {
	c := cutting{slices.Clone(starts), slices.Clone(limits), slices.Clone(strides)}
	return f.record(compute.OpTypeSlice, c, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Slice(in[0], c.starts, c.limits, c.strides)
	}, x)
}

func (f *function) Transpose(x compute.Value, axes ...int) (compute.Value, error) {
	axes = slices.Clone(axes)
	return f.record(compute.OpTypeTranspose, permutation{axes}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Transpose(in[0], axes...)
	}, x)
}

func (f *function) Where(condition, onTrue, onFalse compute.Value) (compute.Value, error) {
	return f.record(compute.OpTypeWhere, nil, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Where(in[0], in[1], in[2])
	}, condition, onTrue, onFalse)
}

func (f *function) Iota(shape shapes.Shape, axis int) (compute.Value, error) {
	return f.record(compute.OpTypeIota, nil, func(f compute.Function, _ []compute.Value) (compute.Value, error) {
		return f.Iota(shape, axis)
	})
}

func (f *function) Gather(x, indices compute.Value, vectorAxis int, offset, collapsed, index, sizes []int, sorted bool) (compute.Value, error) {
	g := gathering{vectorAxis, slices.Clone(offset), slices.Clone(collapsed), slices.Clone(index), slices.Clone(sizes)}
	return f.record(compute.OpTypeGather, g, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.Gather(in[0], in[1], g.vectorAxis, g.offset, g.collapsed, g.index, g.sizes, sorted)
	}, x, indices)
}

func (f *function) ArgMinMax(x compute.Value, axis int, dtype dtypes.DType, isMin bool) (compute.Value, error) {
	return f.record(compute.OpTypeArgMinMax, arg{axis, isMin}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.ArgMinMax(in[0], axis, dtype, isMin)
	}, x)
}

func (f *function) FusedSoftmax(x compute.Value, axis int) (compute.Value, error) {
	return f.record(compute.OpTypeFusedSoftmax, softmaxing{axis}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.FusedSoftmax(in[0], axis)
	}, x)
}

func (f *function) FusedGelu(x compute.Value, exact bool) (compute.Value, error) {
	return f.record(compute.OpTypeFusedGelu, geluing{exact}, func(f compute.Function, in []compute.Value) (compute.Value, error) {
		return f.FusedGelu(in[0], exact)
	}, x)
}
