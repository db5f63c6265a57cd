package head

import (
	"fmt"
	"math"
	"sort"
)

// KNN votes among the k most similar training samples (cosine similarity), each vote
// weighted by exp(similarity/0.07), the habit of the self-supervised literature. It has
// nothing to train, so it tells in a moment what the features are worth.
//
// x is [N, C] row-major; the result is [N, K]: the vote shares of classes, each row adding
// up to 1, the share of votes for each of several labels, the weighted mean of values.
func KNN(train Samples, x []float32, k int) ([]float32, error) {
	if err := train.Check(); err != nil {
		return nil, err
	}
	if k < 1 || len(x)%train.Features != 0 {
		return nil, fmt.Errorf("head: k-NN with k %d on %d values, want k at least 1 and rows of %d features", k, len(x), train.Features)
	}
	k = min(k, train.Len())
	norm := make([]float64, train.Len())
	for i := range norm {
		norm[i] = length(train.Row(i))
	}
	type neighbour struct {
		similarity float64
		row        int
	}
	n := len(x) / train.Features
	out := make([]float32, n*train.Classes)
	near := make([]neighbour, train.Len())
	for i := range n {
		row := x[i*train.Features : (i+1)*train.Features]
		l := length(row)
		for j := range near {
			near[j] = neighbour{float64(dot(row, train.Row(j))) / (l * norm[j]), j}
		}
		sort.SliceStable(near, func(a, b int) bool { return near[a].similarity > near[b].similarity })
		var sum float64
		votes := make([]float64, train.Classes)
		for _, v := range near[:k] {
			w := math.Exp((v.similarity - near[0].similarity) / 0.07)
			sum += w
			if train.Targets == nil {
				votes[train.Y[v.row]] += w
				continue
			}
			for c, t := range train.Targets[v.row*train.Classes : (v.row+1)*train.Classes] {
				votes[c] += w * t
			}
		}
		for c, v := range votes {
			out[i*train.Classes+c] = float32(v / sum)
		}
	}
	return out, nil
}

// length is never 0, so that a dark picture's all-zero features divide to similarity 0.
func length(row []float32) float64 {
	var s float64
	for _, v := range row {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s) + math.SmallestNonzeroFloat32
}
