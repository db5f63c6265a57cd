package explain

import (
	"errors"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
)

// ErrFlat says that a head has no gradient, as a vote of neighbours.
var ErrFlat = errors.New("explain: the answer of this head does not change with small changes of the picture")

// constant returns the gradient of an output of a linear head on the features: its weights. ok is false
// for other heads.
func constant(m heads.Model, output int) (direction []float32, ok bool) {
	l, ok := m.(*head.Linear)
	if !ok {
		return nil, false
	}
	return l.Weight[output*l.Features : (output+1)*l.Features], true
}

// gradient returns the gradient of an output of any head at features x: exactly for a cosine head, by
// central differences for others.
func gradient(m heads.Model, x []float32, output int) ([]float32, error) {
	if c, ok := m.(*heads.Cosine); ok {
		return ofCosine(c.Weight[output*c.Features:(output+1)*c.Features], x), nil
	}
	_, outputs := m.Size()
	moved := make([]float32, 0, 2*len(x)*len(x))
	steps := make([]float32, len(x))
	for i, v := range x {
		steps[i] = float32(math.Max(1e-2*math.Abs(float64(v)), 1e-3))
		for _, sign := range []float32{1, -1} {
			moved = append(moved, x...)
			moved[len(moved)-len(x)+i] += sign * steps[i]
		}
	}
	logits := m.Logits(moved)
	out, flat := make([]float32, len(x)), true
	for i := range out {
		up, down := logits[2*i*outputs+output], logits[(2*i+1)*outputs+output]
		out[i] = (up - down) / (2 * steps[i])
		flat = flat && out[i] == 0
	}
	if flat {
		return nil, advice.New(ErrFlat, "train a linear one: --head logistic")
	}
	return out, nil
}

// ofCosine is the gradient of w·x/|x|.
func ofCosine(w, x []float32) []float32 {
	var squares, along float64
	for i, v := range x {
		squares += float64(v) * float64(v)
		along += float64(w[i]) * float64(v)
	}
	out := make([]float32, len(x))
	if squares == 0 {
		return out
	}
	length := math.Sqrt(squares)
	for i, v := range x {
		out[i] = float32((float64(w[i]) - along*float64(v)/squares) / length)
	}
	return out
}
