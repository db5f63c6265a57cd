package zoo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// With returns a copy of the net with other values in some of its tensors, as training leaves them.
// Each has the checkpoint's own key and the file's layout (convolutions [out,in,H,W], matrices
// [out,in]). SHA256 remains that of the file; see [Net.Changes] for the rest.
func (n *Net) With(changes []weights.Tensor) (*Net, error) {
	out := *n
	out.tensors, out.changed = maps.Clone(n.tensors), maps.Clone(n.changed)
	if out.changed == nil {
		out.changed = map[string]bool{}
	}
	wants := map[string]weights.Want{}
	for _, w := range n.declared.Weights {
		wants[w.Name] = w.Want
	}
	for _, t := range changes {
		want, ok := wants[t.Name]
		if !ok {
			return nil, fmt.Errorf("zoo: %s has no tensor %q to change", n.Row.Name, t.Name)
		}
		if fmt.Sprint(t.Shape) != fmt.Sprint(want.Shape) {
			return nil, fmt.Errorf("zoo: %s: the change of %s has shape %v, want %v", n.Row.Name, t.Name, t.Shape, want.Shape)
		}
		values, err := t.Float32()
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
		}
		for i, v := range values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("zoo: %s: number %d in the change of %s is %v", n.Row.Name, i, t.Name, v)
			}
		}
		shape, relaid, err := want.Layout.Apply(want.Shape, values)
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %s: %w", n.Row.Name, t.Name, err)
		}
		out.tensors[t.Name] = weights.Loaded{Shape: shape, Data: relaid}
		out.changed[t.Name] = true
	}
	return &out, nil
}

// Changes returns the tensors that With has replaced, in the order of the declaration and in the
// file's layout; nil for a checkpoint as it was published.
func (n *Net) Changes() []weights.Tensor {
	var out []weights.Tensor
	for _, w := range n.declared.Weights {
		if !n.changed[w.Name] {
			continue
		}
		values, err := w.Layout.Undo(w.Shape, n.tensors[w.Name].Data)
		if err != nil {
			panic(err) // cannot be: With applied this layout
		}
		out = append(out, weights.FromFloat32(w.Name, w.Shape, values))
	}
	return out
}

// Identity names what the network computes, for caches: the sha256 of the file, the place where an
// ONNX network is cut, where in a checkpoint the weights are, and one sha256 of all changed tensors.
func (n *Net) Identity() string {
	file := n.SHA256
	if a, ok := n.Row.arch.(*onnx.Net); ok {
		file += " cut at " + a.Cut()
	}
	if n.Entry != "" {
		file += " under " + n.Entry
	}
	if len(n.changed) == 0 {
		return file
	}
	h := sha256.New()
	for _, w := range n.declared.Weights {
		if n.changed[w.Name] {
			fmt.Fprintf(h, "%s %v\n", w.Name, w.Shape)
			_ = binary.Write(h, binary.LittleEndian, n.tensors[w.Name].Data)
		}
	}
	return file + " with changes " + hex.EncodeToString(h.Sum(nil))
}
