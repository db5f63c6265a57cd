package onnx

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// weight is a tensor that is loaded as a weight of the architecture.
type weight struct {
	kind   string // type of its numbers in the file
	shape  []int  // in the file
	layout weights.Layout
	fixed  bool // not trained: a statistic of a batch norm
	same   bool // its first axis repeats one row for each picture of the batch
}

// readTensors sorts the tensors into weights, which are loaded later, and constants, which are read
// now.
func (a *Net) readTensors(f *weights.File) error {
	for _, i := range a.sequence {
		n := a.nodes[i]
		if v := n.Attrs["value"].Strings; n.Op == "ConstantOfShape" && len(v) == 1 {
			if t, ok := f.Tensor(v[0]); ok {
				if err := a.readConst(t, isFloat(t.DType)); err != nil {
					return err
				}
			}
		}
		for k, name := range n.Inputs {
			name = a.behindIdentity(name)
			t, ok := f.Tensor(name)
			if !ok {
				continue
			}
			float := isFloat(t.DType)
			if !float || t.Len() <= 1 || staticInput(n.Op, k) {
				if err := a.readConst(t, float); err != nil {
					return err
				}
				continue
			}
			w, seen := a.weights[name]
			kernel := n.Op == "Conv" && k == 1 && len(t.Shape) == 4
			if !seen {
				w = weight{kind: t.DType, shape: t.Shape}
				if kernel {
					w.layout = weights.OIHWtoHWIO
				}
			} else if kernel != (w.layout == weights.OIHWtoHWIO) {
				w.layout = weights.Same // kernel here, something else there
			}
			w.fixed = w.fixed || n.Op == "BatchNormalization" && k >= 3
			a.weights[name] = w
		}
	}
	for name := range a.consts {
		delete(a.weights, name)
	}
	if err := a.findRepeated(f); err != nil {
		return err
	}
	keys := map[string]string{}
	for name := range a.weights {
		if other, twice := keys[graphKey(name)]; twice {
			return fmt.Errorf("tensors %.100q and %.100q differ in a slash only", name, other)
		}
		keys[graphKey(name)] = name
	}
	return nil
}

// findRepeated finds weights that repeat the same numbers for each picture of the exported batch,
// such as the class token of a transformer. One row of them is enough.
func (a *Net) findRepeated(f *weights.File) error {
	if a.fixed < 2 {
		return nil
	}
	other := map[string]bool{} // used where the repetition matters
	for _, i := range a.sequence {
		n := a.nodes[i]
		for _, name := range n.Inputs {
			if !slices.Contains([]string{"Concat", "Add", "Sub", "Mul", "Div", "Where", "Identity"}, n.Op) {
				other[a.behindIdentity(name)] = true
			}
		}
	}
	for name, w := range a.weights {
		if other[name] || len(w.shape) < 2 || w.shape[0] != a.fixed {
			continue
		}
		t, _ := f.Tensor(name)
		values, err := t.Float32()
		if err != nil {
			return err
		}
		w.same = true
		row := len(values) / a.fixed
		for i, v := range values {
			w.same = w.same && v == values[i%max(1, row)]
		}
		a.weights[name] = w
	}
	return nil
}

// staticInput reports whether an operation takes a few floats as settings at that input.
func staticInput(op string, input int) bool {
	switch op {
	case "CumSum", "ScatterND":
		return true
	case "Resize", "Clip", "Pad", "Pow", "Range":
		return input >= 1
	}
	return false
}

// readConst reads a constant.
func (a *Net) readConst(t weights.Tensor, float bool) error {
	if _, done := a.consts[t.Name]; done {
		return nil
	}
	n := t.Len()
	most := maxTensor
	if t.DType == "I64" || t.DType == "I32" { // large tables of positions
		most = maxIndices
	}
	if n > most {
		return fmt.Errorf("tensor %.100q has %d numbers of type %s: quantised networks are not read, export it with 32-bit floats", t.Name, n, t.DType)
	}
	c := constant{dtype: t.DType, shape: t.Shape}
	if float {
		values, err := t.Float32()
		if err != nil {
			return err
		}
		c.floats = append([]float32{}, values...)
		for _, v := range values {
			// The bounds of a clip may be infinite; nothing may be NaN.
			if v != v {
				return fmt.Errorf("tensor %.100q holds NaN", t.Name)
			}
		}
	} else {
		var err error
		c.ints, err = wholeNumbers(t)
		if err != nil {
			return err
		}
	}
	a.consts[t.Name] = c
	return nil
}

// wholeNumbers reads a tensor of integers or booleans.
func wholeNumbers(t weights.Tensor) ([]int64, error) {
	b, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	out := make([]int64, t.Len())
	for i := range out {
		switch t.DType {
		case "I64", "U64":
			out[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		case "I32":
			out[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		case "U32":
			out[i] = int64(binary.LittleEndian.Uint32(b[4*i:]))
		case "I16":
			out[i] = int64(int16(binary.LittleEndian.Uint16(b[2*i:])))
		case "U16":
			out[i] = int64(binary.LittleEndian.Uint16(b[2*i:]))
		case "I8":
			out[i] = int64(int8(b[i]))
		case "U8", "BOOL":
			out[i] = int64(b[i])
		default:
			return nil, fmt.Errorf("tensor %.100q has elements of type %s", t.Name, t.DType)
		}
	}
	return out, nil
}
