package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/words"
)

// dequantise replaces each DequantizeLinear node whose input is a tensor of the file with the float
// tensor that it computes, under the name of its output, so that a quantised network has ordinary
// weights.
func (r *onnxReader) dequantise() error {
	if !slices.ContainsFunc(r.graph.Nodes, func(n ONNXNode) bool { return n.Op == "DequantizeLinear" }) {
		return nil
	}
	tensors := make(map[string]Tensor, len(r.file.tensors))
	for _, t := range r.file.tensors {
		tensors[t.Name] = t
	}
	var rest []ONNXNode
	total := int64(0)
	for _, n := range r.graph.Nodes {
		q, ok := quantisedTensor(n, tensors)
		if _, axis := n.Attrs["axis"]; axis && r.graph.Opset < 13 {
			ok = false
		}
		if !ok {
			rest = append(rest, n)
			continue
		}
		// Tensors may be shared, but not without limit.
		if total += int64(q.packed.Len()); total > 2*r.file.src.bytes() {
			return fmt.Errorf("its DequantizeLinear nodes share tensors: they produce more than %d numbers from a file of %d bytes", 2*r.file.src.bytes(), r.file.src.bytes())
		}
		t := Tensor{Name: n.Outputs[0], DType: "F32", Shape: q.packed.Shape}
		t.st = &storage{src: r.file.src, size: 4 * int64(q.packed.Len()), make: q.unpack}
		if err := r.add(t); err != nil {
			return err
		}
	}
	r.graph.Nodes = rest
	return nil
}

// quantised is a tensor of integers with its scale and zero point.
type quantised struct {
	packed, scale Tensor
	zero          *Tensor
	inner         int // consecutive numbers with the same scale
}

// quantisedTensor reports whether a node dequantises a tensor of the file. Nodes that violate the
// standard are left to the reader of the graph, which refuses them.
func quantisedTensor(n ONNXNode, tensors map[string]Tensor) (q quantised, ok bool) {
	if n.Op != "DequantizeLinear" || n.Domain != "" || len(n.Inputs) < 2 || len(n.Inputs) > 3 || len(n.Outputs) != 1 || n.Outputs[0] == "" {
		return q, false
	}
	for name := range n.Attrs {
		if name != "axis" {
			return q, false
		}
	}
	var packed, scaled bool
	q.packed, packed = tensors[n.Inputs[0]]
	q.scale, scaled = tensors[n.Inputs[1]]
	if !packed || !scaled || q.scale.DType != "F32" || !slices.Contains([]string{"U8", "I8", "U16", "I16", "I32"}, q.packed.DType) {
		return q, false
	}
	if len(n.Inputs) == 3 && n.Inputs[2] != "" {
		zero, ok := tensors[n.Inputs[2]]
		if !ok || zero.DType != q.packed.DType || zero.Len() != q.scale.Len() {
			return q, false
		}
		q.zero = &zero
	}
	q.inner = q.packed.Len()
	if q.scale.Len() == 1 && len(q.scale.Shape) <= 1 {
		return q, true
	}
	axis := int64(1)
	if a, ok := n.Attrs["axis"]; ok {
		if len(a.Ints) != 1 || a.List {
			return q, false
		}
		axis = a.Ints[0]
	}
	rank := int64(len(q.packed.Shape))
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank || len(q.scale.Shape) != 1 || q.scale.Shape[0] != q.packed.Shape[axis] {
		return q, false
	}
	q.inner = 1
	for _, d := range q.packed.Shape[axis+1:] {
		q.inner *= d
	}
	return q, true
}

// unpack computes the floats: (number - zero) * scale.
func (q quantised) unpack() ([]byte, error) {
	whole, err := q.packed.integers()
	if err != nil {
		return nil, err
	}
	scale, err := q.scale.Float32()
	if err != nil {
		return nil, err
	}
	zero := make([]int32, len(scale))
	if q.zero != nil {
		if zero, err = q.zero.integers(); err != nil {
			return nil, err
		}
		if q.packed.DType == "I32" && slices.ContainsFunc(zero, func(z int32) bool { return z != 0 }) {
			return nil, fmt.Errorf("weights: %s has a nonzero zero point, which 32-bit integers must not have", words.Quote(q.packed.Name))
		}
	}
	out := make([]byte, 4*len(whole))
	for i, v := range whole {
		k := i / max(1, q.inner) % len(scale)
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(float32(int64(v)-int64(zero[k]))*scale[k]))
	}
	return out, nil
}

// integers returns the numbers of a quantised tensor.
func (t Tensor) integers() ([]int32, error) {
	b, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	out := make([]int32, t.Len())
	for i := range out {
		switch t.DType {
		case "U8":
			out[i] = int32(b[i])
		case "I8":
			out[i] = int32(int8(b[i]))
		case "U16":
			out[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
		case "I16":
			out[i] = int32(int16(binary.LittleEndian.Uint16(b[2*i:])))
		case "I32":
			out[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		default:
			return nil, fmt.Errorf("weights: %s is of type %s", words.Quote(t.Name), t.DType)
		}
	}
	return out, nil
}
