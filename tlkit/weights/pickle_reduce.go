package weights

import (
	"errors"
	"fmt"
)

// reduce replaces Python's call of a function. It knows the few by which torch describes
// tensors, and returns an inert object for every other.
func reduce(callee, arguments any, depth int) (any, error) {
	args, ok := arguments.(tuple)
	if !ok {
		return nil, fmt.Errorf("a call with %s instead of a tuple of arguments", kind(arguments))
	}
	g, ok := callee.(global)
	if !ok {
		return nil, fmt.Errorf("a call of %s", kind(callee))
	}
	switch g {
	case global{"collections", "OrderedDict"}, global{"builtins", "dict"}, global{"__builtin__", "dict"}:
		return newDict(args), nil
	case global{"builtins", "set"}, global{"__builtin__", "set"}, global{"builtins", "frozenset"}, global{"__builtin__", "frozenset"}:
		s := &set{}
		if len(args) == 1 {
			if l, ok := args[0].(*list); ok {
				s.values = l.values
			}
		}
		return s, nil
	case global{"torch._utils", "_rebuild_tensor"}:
		return rebuildTensor(args, 4, 4, -1)
	case global{"torch._utils", "_rebuild_tensor_v2"}:
		return rebuildTensor(args, 6, 7, -1)
	case global{"torch._utils", "_rebuild_tensor_v3"}:
		return rebuildTensor(args, 7, 8, 6)
	case global{"torch._utils", "_rebuild_parameter"}, global{"torch._utils", "_rebuild_parameter_with_state"}:
		if len(args) < 1 {
			return nil, fmt.Errorf("%s without a tensor", g)
		}
		if t, ok := args[0].(*pickledTensor); ok {
			return t, nil
		}
		return &object{class: g, args: args}, nil // a quantised or meta parameter
	case global{"torch._tensor", "_rebuild_from_type_v2"}:
		// (function, type, its arguments, state): a subclass of Tensor.
		if len(args) != 4 || depth > 8 {
			return nil, fmt.Errorf("%s with %d arguments", g, len(args))
		}
		return reduce(args[0], args[2], depth+1)
	case global{"torch", "Size"}:
		if len(args) == 1 {
			if t, ok := args[0].(tuple); ok {
				return t, nil
			}
		}
		return nil, errors.New("torch.Size without a tuple of sizes")
	case global{"_codecs", "encode"}:
		// Python 2's protocol stores bytes as text in latin-1.
		if len(args) == 2 {
			if s, ok := args[0].(string); ok {
				return latin1(s)
			}
		}
		return nil, errors.New("_codecs.encode without text and encoding")
	}
	return &object{class: g, args: args}, nil
}

// newDict makes a dict from no arguments, or from a list of pairs as Python 2 writes an
// OrderedDict.
func newDict(args tuple) *dict {
	d := &dict{}
	if len(args) != 1 {
		return d
	}
	pairs, ok := args[0].(*list)
	if !ok {
		return d
	}
	for _, p := range pairs.values {
		switch p := p.(type) {
		case tuple:
			if len(p) == 2 {
				d.put(p[0], p[1])
			}
		case *list:
			if len(p.values) == 2 {
				d.put(p.values[0], p.values[1])
			}
		}
	}
	return d
}

func latin1(s string) (any, error) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 255 {
			return nil, errors.New("_codecs.encode of text that is not latin-1")
		}
		b = append(b, byte(r))
	}
	return b, nil
}

// rebuildTensor reads (storage, offset, sizes, strides, ...). dtypeAt is the index of the
// argument with the element type, or -1 if the storage has it.
func rebuildTensor(args tuple, least, most, dtypeAt int) (any, error) {
	if len(args) < least || len(args) > most {
		return nil, fmt.Errorf("a tensor described by %d values, expected %d to %d", len(args), least, most)
	}
	st, ok := args[0].(*pickledStorage)
	if !ok {
		return nil, fmt.Errorf("a tensor in %s instead of a storage", kind(args[0]))
	}
	offset, ok := args[1].(int64)
	if !ok {
		return nil, fmt.Errorf("a tensor whose offset is %s", kind(args[1]))
	}
	shape, err := integers(args[2])
	if err != nil {
		return nil, fmt.Errorf("the sizes of a tensor: %w", err)
	}
	stride, err := integers(args[3])
	if err != nil {
		return nil, fmt.Errorf("the strides of a tensor: %w", err)
	}
	t := &pickledTensor{storage: st, dtype: st.dtype, offset: offset, shape: shape, stride: stride}
	if dtypeAt >= 0 {
		g, _ := args[dtypeAt].(global)
		t.dtype = torchDTypes[g.name]
		if g.module != "torch" || t.dtype == "" {
			return nil, fmt.Errorf("a tensor whose type is %s", kind(args[dtypeAt]))
		}
	}
	return t, nil
}

func integers(v any) ([]int64, error) {
	t, ok := v.(tuple)
	if !ok {
		return nil, fmt.Errorf("%s instead of a tuple", kind(v))
	}
	if len(t) > maxRank {
		return nil, fmt.Errorf("%d axes, at most %d are read", len(t), maxRank)
	}
	out := make([]int64, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok {
			return nil, fmt.Errorf("%s instead of an integer", kind(x))
		}
		out[i] = n
	}
	return out, nil
}

// torchDTypes maps torch.float32 and so on; torchStorages maps torch.FloatStorage.
var (
	torchDTypes = map[string]string{
		"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
		"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
		"bool": "BOOL", "complex64": "C64", "complex128": "C128",
	}
	torchStorages = map[string]string{
		"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
		"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
		"BoolStorage": "BOOL", "ComplexFloatStorage": "C64", "ComplexDoubleStorage": "C128", "UntypedStorage": "U8",
		// Quantised tensors are skipped later, but the size of their bytes matters.
		"QInt8Storage": "I8", "QUInt8Storage": "U8", "QInt32Storage": "I32", "QUInt4x2Storage": "U8", "QUInt2x4Storage": "U8",
	}
)
