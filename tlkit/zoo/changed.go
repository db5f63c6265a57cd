package zoo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// With returns a copy of the net with other values in some of its tensors, as training leaves them.
// Each has the checkpoint's own key and the file's layout (convolutions [out,in,H,W], matrices
// [out,in]). A change can also be a pair of narrow matrices, named as [backbone.LoRANames] says: the
// matrix of the checkpoint plus the product of NAME.lora_B.weight [out,r] and NAME.lora_A.weight [r,in]
// takes the place of NAME.weight [out,in]. SHA256 remains that of the file; see [Net.Changes] for the
// rest.
func (n *Net) With(changes []weights.Tensor) (*Net, error) {
	out := *n
	out.tensors, out.changed, out.adapters = maps.Clone(n.tensors), maps.Clone(n.changed), maps.Clone(n.adapters)
	if out.changed == nil {
		out.changed, out.adapters = map[string]bool{}, map[string]adapter{}
	}
	wants := map[string]weights.Want{}
	for _, w := range n.declared.Weights {
		wants[w.Name] = w.Want
	}
	changes, adapters := adaptersOf(changes, wants)
	for _, t := range changes {
		want, ok := wants[t.Name]
		if !ok {
			return nil, fmt.Errorf("zoo: %s has no tensor %q to change", n.Row.Name, t.Name)
		}
		if fmt.Sprint(t.Shape) != fmt.Sprint(want.Shape) {
			return nil, fmt.Errorf("zoo: %s: the change of %s has shape %v, want %v", n.Row.Name, t.Name, t.Shape, want.Shape)
		}
		values, err := finiteValues(t)
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
		}
		shape, relaid, err := want.Layout.Apply(want.Shape, values)
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %s: %w", n.Row.Name, t.Name, err)
		}
		out.tensors[t.Name] = weights.Loaded{Shape: shape, Data: relaid}
		out.changed[t.Name] = true
		delete(out.adapters, t.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(adapters)) {
		a := adapters[name]
		merged, err := a.addedTo(out.tensors[name], wants[name])
		if err != nil {
			return nil, fmt.Errorf("zoo: %s: %w", n.Row.Name, err)
		}
		out.tensors[name] = merged
		if !out.changed[name] { // otherwise the pair alone does not say what has changed
			out.adapters[name] = a
		} else {
			delete(out.adapters, name)
		}
		out.changed[name] = true
	}
	return &out, nil
}

// finiteValues returns the numbers of a tensor, all of which must be finite.
func finiteValues(t weights.Tensor) ([]float32, error) {
	values, err := t.Float32()
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("number %d in the change of %s is %v", i, t.Name, v)
		}
	}
	return values, nil
}

// Changes returns what With has put in, in the order of the declaration and in the file's layout: the
// tensors that it has replaced, and the pairs that it has added to matrices; nil for a checkpoint as it
// was published.
func (n *Net) Changes() []weights.Tensor {
	var out []weights.Tensor
	for _, w := range n.declared.Weights {
		if a, ok := n.adapters[w.Name]; ok {
			out = append(out, a.a, a.b)
			continue
		}
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

// Changed returns how many tensors of the checkpoint With has replaced or added something to.
func (n *Net) Changed() int { return len(n.changed) }

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
