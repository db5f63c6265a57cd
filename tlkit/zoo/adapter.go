package zoo

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// adapter is a pair of narrow matrices, a [r,in] and b [out,r], whose product b a is added to a matrix
// [out,in] of the checkpoint.
type adapter struct{ a, b weights.Tensor }

// adaptersOf takes the pairs out of changes, by the matrix that each belongs to. A tensor of the
// checkpoint that happens to have such a name is not half of a pair.
func adaptersOf(changes []weights.Tensor, wants map[string]weights.Want) (others []weights.Tensor, pairs map[string]adapter) {
	pairs = map[string]adapter{}
	for _, t := range changes {
		of, ok := backbone.BesideOf(t.Name)
		_, own := wants[t.Name]
		if _, known := wants[of]; !ok || own || !known {
			others = append(others, t)
			continue
		}
		pair := pairs[of]
		if a, _ := backbone.LoRANames(of); t.Name == a {
			pair.a = t
		} else {
			pair.b = t
		}
		pairs[of] = pair
	}
	return others, pairs
}

// addedTo returns the matrix with the product added. It is computed in float64, term by term, so that
// every processor gets the same bits.
func (p adapter) addedTo(matrix weights.Loaded, want weights.Want) (weights.Loaded, error) {
	if want.Layout != weights.OItoIO {
		return matrix, fmt.Errorf("a pair of narrow matrices for %s, which is no matrix of a linear layer", want.Name)
	}
	a, b, out, in := p.a, p.b, want.Shape[0], want.Shape[1]
	if len(a.Shape) != 2 || len(b.Shape) != 2 || a.Shape[1] != in || b.Shape[0] != out || a.Shape[0] != b.Shape[1] || a.Shape[0] < 1 || a.Shape[0] > min(in, out) {
		return matrix, fmt.Errorf("the pair of narrow matrices for %s has shapes %v and %v, want [r,%d] and [%d,r] with r at most %d", want.Name, a.Shape, b.Shape, in, out, min(in, out))
	}
	left, err := finiteValues(b)
	if err != nil {
		return matrix, err
	}
	right, err := finiteValues(a)
	if err != nil {
		return matrix, err
	}
	rank, sum := a.Shape[0], make([]float32, len(matrix.Data)) // [in,out], as in the graph
	for i := range in {
		for o := range out {
			v := float64(matrix.Data[i*out+o])
			for r := range rank {
				v += float64(left[o*rank+r]) * float64(right[r*in+i]) // exact, so fused or not is the same
			}
			sum[i*out+o] = float32(v)
		}
	}
	return weights.Loaded{Shape: matrix.Shape, Data: sum}, nil
}
