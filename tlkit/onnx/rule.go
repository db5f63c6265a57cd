package onnx

import (
	"slices"
	"strings"
)

// rule holds the requirements of the ONNX standard on an operation.
type rule struct {
	since    int    // version that introduced it
	settings string // names that a node may use, with spaces between them
	least    int    // inputs
	most     int    // 0 = as many as least; -1 = any number
	types    string // of the first input: see types
	same     int    // that many inputs have one type; -1 = all
	outputs  int    // 0 = 1; -1 = any number
	check    func(c *check)
}

// Sets of element types.
const (
	anyType  = ""
	floats   = "F16 F32 F64 BF16"
	signed   = floats + " I8 I16 I32 I64"
	numbers  = signed + " U8 U16 U32 U64"
	integers = "I8 I16 I32 I64 U8 U16 U32 U64"
	booleans = "BOOL"
)

func isFloat(kind string) bool {
	return kind == "F32" || kind == "F16" || kind == "F64" || kind == "BF16"
}

func within(kind, types string) bool {
	return types == anyType || slices.Contains(strings.Fields(types), kind)
}

// since has the versions that introduced attributes, for those newer than their operation or than
// the oldest supported version.
var since = map[string]int{
	"QuantizeLinear.axis": 13, "DequantizeLinear.axis": 13, "QuantizeLinear.saturate": 19, "Cast.saturate": 19,
	"QuantizeLinear.block_size": 21, "DequantizeLinear.block_size": 21, "QuantizeLinear.output_dtype": 21, "DequantizeLinear.output_dtype": 23, "QuantizeLinear.precision": 23,
	"Reshape.allowzero": 14, "Shape.start": 15, "Shape.end": 15, "BatchNormalization.training_mode": 14, "Dropout.seed": 12,
	"Resize.antialias": 18, "Resize.axes": 18, "Resize.keep_aspect_ratio_policy": 18, "Resize.coordinate_transformation_mode": 11, "Resize.cubic_coeff_a": 11,
	"Resize.exclude_outside": 11, "Resize.extrapolation_value": 11, "Resize.nearest_mode": 11, "Split.num_outputs": 18, "TopK.largest": 11, "TopK.sorted": 11,
	"ReduceSum.noop_with_empty_axes": 13, "ReduceMean.noop_with_empty_axes": 18, "ReduceMax.noop_with_empty_axes": 18, "ReduceMin.noop_with_empty_axes": 18,
	"ReduceProd.noop_with_empty_axes": 18, "ReduceL2.noop_with_empty_axes": 18, "ArgMax.select_last_index": 12, "ArgMin.select_last_index": 12,
	"MaxPool.ceil_mode": 10, "MaxPool.dilations": 10, "AveragePool.ceil_mode": 10, "AveragePool.dilations": 19, "GatherND.batch_dims": 12, "ScatterND.reduction": 16, "Cast.round_mode": 24,
}

// until has the last versions of attributes that became inputs or were removed.
var until = map[string]int{
	"Clip.min": 10, "Clip.max": 10, "Pad.pads": 10, "Pad.value": 10, "Slice.axes": 9, "Slice.starts": 9, "Slice.ends": 9, "Dropout.ratio": 11,
	"Squeeze.axes": 12, "Unsqueeze.axes": 12, "Split.split": 12, "ReduceSum.axes": 12, "ReduceMean.axes": 17, "ReduceMax.axes": 17,
	"ReduceMin.axes": 17, "ReduceProd.axes": 17, "ReduceL2.axes": 17, "BatchNormalization.spatial": 8, "Reshape.shape": 4,
}

// judge makes the checks that all rules have in common.
func (r rule) judge(c *check, opset int) {
	if opset < r.since {
		fail("version %d of the operators does not have it, want version %d or later", opset, r.since)
	}
	for name, a := range c.n.Attrs {
		if !slices.Contains(strings.Fields(r.settings), name) {
			fail("it has a setting %.40q, which is not in the standard", name)
		}
		if v := since[c.n.Op+"."+name]; opset < v {
			fail("it has the setting %s, which needs version %d of the operators", name, v)
		}
		if v, ok := until[c.n.Op+"."+name]; ok && opset > v {
			fail("it has the setting %s, which ended with version %d of the operators", name, v)
		}
		if a.Other != "" {
			fail("its setting %.40q is a %s", name, a.Other)
		}
	}
	most := r.most
	if most == 0 {
		most = r.least
	}
	if len(c.in) < r.least || most > 0 && len(c.in) > most {
		fail("it has %d inputs, want %d to %d", len(c.in), r.least, most)
	}
	for k := range r.least {
		if !c.has(k) {
			fail("its input %d is missing", k)
		}
	}
	if most := max(1, r.outputs); r.outputs >= 0 && len(c.n.Outputs) > most || len(c.n.Outputs) == 0 {
		fail("it has %d outputs, want 1 to %d", len(c.n.Outputs), most)
	}
	if len(c.in) > 0 && c.has(0) && !within(c.in[0].kind, r.types) {
		fail("its input is %s, want one of %s", c.in[0], r.types)
	}
	for k := range c.in {
		if (r.same < 0 || k < r.same) && c.has(k) && c.has(0) && c.in[k].kind != c.in[0].kind {
			fail("its inputs are %s and %s, want one type", c.in[0], c.in[k])
		}
	}
}

// rules has every operation that is supported.
var rules map[string]rule

func init() { // not in the declaration, because some checks refer to it
	one := func(types string) rule { return rule{least: 1, types: types, check: checkSame} }
	rules = map[string]rule{
		"Identity": {least: 1, check: checkSame}, "Dropout": {settings: "ratio seed", least: 1, most: 3, outputs: 2, check: checkDropout},
		"Cast": {settings: "to saturate round_mode", least: 1, check: checkCast},

		"Relu": one(signed), "Sigmoid": one(floats), "Tanh": one(floats), "Softplus": one(floats), "Exp": one(floats), "Log": one(floats),
		"Sqrt": one(floats), "Erf": one(numbers), "Abs": one(numbers), "Neg": one(signed), "Reciprocal": one(floats),
		"Ceil": one(floats), "Floor": one(floats), "Sin": one(floats), "Cos": one(floats), "Sign": one(numbers), "Not": one(booleans),
		"Round":       {since: 11, least: 1, types: floats, check: checkSame},
		"IsNaN":       {since: 9, least: 1, types: floats, check: checkIsNaN},
		"HardSwish":   {since: 14, least: 1, types: floats, check: checkSame},
		"Mish":        {since: 18, least: 1, types: floats, check: checkSame},
		"Gelu":        {since: 20, settings: "approximate", least: 1, types: floats, check: checkGelu},
		"LeakyRelu":   {settings: "alpha", least: 1, types: floats, check: checkAlpha},
		"Elu":         {settings: "alpha", least: 1, types: floats, check: checkAlpha},
		"HardSigmoid": {settings: "alpha beta", least: 1, types: floats, check: checkAlpha},
		"PRelu":       {least: 2, types: numbers, same: 2, check: checkPRelu},
		"Clip":        {settings: "min max", least: 1, most: 3, types: numbers, same: -1, check: checkClip},

		"Add": {least: 2, types: numbers, same: 2, check: checkBroadcast}, "Sub": {least: 2, types: numbers, same: 2, check: checkBroadcast},
		"Mul": {least: 2, types: numbers, same: 2, check: checkBroadcast}, "Div": {least: 2, types: numbers, same: 2, check: checkBroadcast},
		"Max": {least: 1, most: -1, types: numbers, same: -1, check: checkBroadcast}, "Min": {least: 1, most: -1, types: numbers, same: -1, check: checkBroadcast},
		"Sum": {least: 1, most: -1, types: floats, same: -1, check: checkBroadcast},
		"Mod": {since: 10, settings: "fmod", least: 2, types: numbers, same: 2, check: checkMod},
		"Pow": {least: 2, types: floats + " I32 I64", check: checkBroadcast},
		"And": {least: 2, types: booleans, same: 2, check: checkBroadcast}, "Or": {least: 2, types: booleans, same: 2, check: checkBroadcast}, "Xor": {least: 2, types: booleans, same: 2, check: checkBroadcast},
		"Equal": {least: 2, same: 2, check: checkCompare}, "Less": {least: 2, types: numbers, same: 2, check: checkCompare}, "Greater": {least: 2, types: numbers, same: 2, check: checkCompare},
		"LessOrEqual": {since: 12, least: 2, types: numbers, same: 2, check: checkCompare}, "GreaterOrEqual": {since: 12, least: 2, types: numbers, same: 2, check: checkCompare},
		"Where": {since: 9, least: 3, types: booleans, check: checkWhere},

		"Conv":              {settings: "auto_pad dilations group kernel_shape pads strides", least: 2, most: 3, types: floats, same: -1, check: checkConv},
		"MaxPool":           {settings: "auto_pad ceil_mode dilations kernel_shape pads storage_order strides", least: 1, types: floats, outputs: 2, check: checkPool},
		"AveragePool":       {settings: "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides", least: 1, types: floats, check: checkPool},
		"GlobalAveragePool": {least: 1, types: floats, check: checkGlobalPool}, "GlobalMaxPool": {least: 1, types: floats, check: checkGlobalPool},
		"BatchNormalization":    {settings: "epsilon momentum training_mode spatial", least: 5, types: floats, outputs: 5, check: checkBatchNorm},
		"InstanceNormalization": {settings: "epsilon", least: 3, types: floats, same: 3, check: checkInstanceNorm},
		"LayerNormalization":    {since: 17, settings: "axis epsilon stash_type", least: 2, most: 3, types: floats, outputs: 3, check: checkLayerNorm},
		"Softmax":               {settings: "axis", least: 1, types: floats, check: checkSoftmax}, "LogSoftmax": {settings: "axis", least: 1, types: floats, check: checkSoftmax},
		"MatMul": {least: 2, types: floats + " I32 I64 U32 U64", same: 2, check: checkMatMul},
		"Gemm":   {settings: "alpha beta transA transB", least: 2, most: 3, types: floats, same: -1, check: checkGemm},
		"Einsum": {since: 12, settings: "equation", least: 1, most: -1, types: numbers, same: -1, check: checkEinsum},
		"Resize": {since: 10, settings: "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode", least: 1, most: 4, types: numbers, check: checkResize},

		"QuantizeLinear":   {since: 10, settings: "axis saturate block_size output_dtype precision", least: 2, most: 3, types: floats + " I32", check: checkQuantize},
		"DequantizeLinear": {since: 10, settings: "axis block_size output_dtype", least: 2, most: 3, types: "U8 I8 U16 I16 I32", check: checkDequantize},

		"Shape": {settings: "start end", least: 1, check: checkShape}, "Size": {least: 1, check: checkShape},
		"Reshape": {settings: "shape allowzero", least: 1, most: 2, check: checkReshape}, "Flatten": {settings: "axis", least: 1, check: checkFlatten},
		"Squeeze": {settings: "axes", least: 1, most: 2, check: checkSqueeze}, "Unsqueeze": {settings: "axes", least: 1, most: 2, check: checkUnsqueeze},
		"Transpose": {settings: "perm", least: 1, check: checkTranspose},
		"Concat":    {settings: "axis", least: 1, most: -1, same: -1, check: checkConcat},
		"Split":     {settings: "axis split num_outputs", least: 1, most: 2, outputs: -1, check: checkSplit},
		"Slice":     {settings: "axes starts ends", least: 1, most: 5, check: checkSlice},
		"Pad":       {settings: "mode pads value", least: 1, most: 4, types: numbers, check: checkPad},
		"Expand":    {least: 2, check: checkExpand}, "Tile": {least: 2, check: checkTile},
		"Gather": {settings: "axis", least: 2, check: checkGather}, "GatherElements": {since: 11, settings: "axis", least: 2, check: checkGatherElements},
		"GatherND":        {since: 11, settings: "batch_dims", least: 2, check: checkGatherND},
		"ScatterND":       {since: 11, settings: "reduction", least: 3, check: checkScatterND},
		"TopK":            {since: 10, settings: "axis largest sorted", least: 2, outputs: 2, check: checkTopK},
		"Range":           {since: 11, least: 3, types: "F32 F64 I16 I32 I64", same: 3, check: checkRange},
		"ConstantOfShape": {since: 9, settings: "value", least: 1, types: "I64", check: checkConstantOfShape},
		"CumSum":          {since: 11, settings: "exclusive reverse", least: 2, types: "F32 F64 I32 I64", check: checkCumSum},
		"Trilu":           {since: 14, settings: "upper", least: 1, most: 2, check: checkTrilu},

		"ReduceMean": reducing(numbers), "ReduceSum": reducing(numbers), "ReduceMax": reducing(numbers), "ReduceMin": reducing(numbers),
		"ReduceProd": reducing(numbers), "ReduceL2": reducing(numbers),
		"ArgMax": {settings: "axis keepdims select_last_index", least: 1, types: numbers, check: checkArg}, "ArgMin": {settings: "axis keepdims select_last_index", least: 1, types: numbers, check: checkArg},
	}
}

func reducing(types string) rule {
	return rule{settings: "axes keepdims noop_with_empty_axes", least: 1, most: 2, types: types, check: checkReduce}
}
