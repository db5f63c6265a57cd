package embed

import (
	"cmp"
	"fmt"
	"slices"
)

// Trust returns the trustworthiness of a plane (Venna and Kaski, 2001): how far the k nearest
// neighbours of each picture there are among its nearest ones by the features, 1 = all of them. It is
// an error if k is not below half the number of pictures.
func Trust(r Rows, at [][]float64, k int) (float64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	if len(at) != r.N || k < 1 || 2*k >= r.N {
		return 0, fmt.Errorf("embed: %d places of %d pictures and %d neighbours, want a place each, and fewer neighbours than half of the pictures", len(at), r.N, k)
	}
	plane := rowsOf(at)
	if err := plane.check(); err != nil {
		return 0, err
	}
	features, places := squaredDistances(r), squaredDistances(plane)
	late := make([]float64, r.N)
	inParallel(r.N, func(i int) {
		rank := make([]int, r.N)
		for place, j := range nearest(features[i*r.N:(i+1)*r.N], i) {
			rank[j] = place + 1
		}
		for _, j := range nearest(places[i*r.N:(i+1)*r.N], i)[:k] {
			late[i] += float64(max(rank[j]-k, 0))
		}
	})
	sum := 0.0
	for _, v := range late {
		sum += v
	}
	n, f := float64(r.N), float64(k)
	return 1 - sum*2/(n*f*(2*n-3*f-1)), nil
}

// nearest returns the other pictures by their distance from picture i.
func nearest(distances []float64, i int) []int {
	var out []int
	for j := range distances {
		if j != i {
			out = append(out, j)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(distances[a], distances[b]) })
	return out
}
