package head

import (
	"fmt"
	"math"
)

// KNN predicts from the k training samples (at least 1; all if there are fewer) with the highest
// cosine similarity, each weighted by exp(similarity/0.07), the usual temperature in the
// self-supervised literature. Nothing is trained, so it is a quick measure of how good the features
// are.
//
// x is [N, C] row-major. The result is [N, K]: for classes, vote shares that sum to 1 in each row;
// for several labels, the share of votes for each label; for real values, their weighted mean.
func KNN(train Samples, x []float32, k int) ([]float32, error) {
	if err := train.Check(); err != nil {
		return nil, err
	}
	if k < 1 || len(x)%train.Features != 0 {
		return nil, fmt.Errorf("head: k-NN with k %d on %d feature values, want k of at least 1 and rows of %d features", k, len(x), train.Features)
	}
	k = min(k, train.Len())
	norm := make([]float64, train.Len())
	for i := range norm {
		norm[i] = length(train.Row(i))
	}
	n := len(x) / train.Features
	out := make([]float32, n*train.Classes)
	inParts(n, train.Len()*train.Features, func(from, to int) {
		near := make([]neighbour, 0, k)
		for i := from; i < to; i++ {
			row := x[i*train.Features : (i+1)*train.Features]
			l := length(row)
			near = near[:0]
			for j := range norm {
				near = nearest(near, neighbour{float64(dot(row, train.Row(j))) / (l * norm[j]), j}, k)
			}
			vote(out[i*train.Classes:(i+1)*train.Classes], train, near)
		}
	})
	return out, nil
}

// length is the Euclidean norm, but never 0, so that a row of zeros has similarity 0.
func length(row []float32) float64 {
	var s float64
	for _, v := range row {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s) + math.SmallestNonzeroFloat32
}

// neighbour is a training sample.
type neighbour struct {
	similarity float64
	row        int
}

// nearest adds one to the k nearest, which are in order. Of equal ones, the first stays in front.
func nearest(near []neighbour, one neighbour, k int) []neighbour {
	at := len(near)
	for at > 0 && one.similarity > near[at-1].similarity {
		at--
	}
	if at == k {
		return near
	}
	if len(near) < k {
		near = append(near, neighbour{})
	}
	copy(near[at+1:], near[at:])
	near[at] = one
	return near
}

// vote writes what the neighbours say into out, [K].
func vote(out []float32, train Samples, near []neighbour) {
	var sum float64
	votes := make([]float64, train.Classes)
	for _, v := range near {
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
		out[c] = float32(v / sum)
	}
}
