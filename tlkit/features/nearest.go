package features

import (
	"cmp"
	"math"
	"slices"
)

// Neighbour is a row of a [Matrix] and how similar it is to another one.
type Neighbour struct {
	Row    int
	Cosine float64 // of the angle between both: 1 = the same direction; 0 where a row is zero
}

// Nearest returns the k rows that are most similar to features, the nearest first; of equally near
// ones, the first row comes first. There are fewer if m has fewer rows. It panics if features has not
// as many numbers as a row.
func (m *Matrix) Nearest(features []float32, k int) []Neighbour {
	all := make([]Neighbour, m.Rows())
	for i := range all {
		all[i] = Neighbour{i, cosine(m.Row(i), features)}
	}
	slices.SortStableFunc(all, func(a, b Neighbour) int { return cmp.Compare(b.Cosine, a.Cosine) })
	return all[:max(0, min(k, len(all)))]
}

func cosine(a, b []float32) float64 {
	if len(a) != len(b) {
		panic("features: rows of different length have no angle")
	}
	dot, aa, bb := 0.0, 0.0, 0.0
	for i, v := range a {
		x, y := float64(v), float64(b[i])
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	// The same row twice gives 1, not a bit less or more.
	return max(-1, min(1, dot/math.Sqrt(aa*bb)))
}
