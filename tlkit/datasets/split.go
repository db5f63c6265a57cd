package datasets

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// groups returns the indices of items by content: exact duplicates form a group, and so does each
// item without a hash. The order of the groups depends only on contents and paths, not on the
// order of the items.
func groups(items []Item) [][]int {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(items[a].SHA256, items[b].SHA256), strings.Compare(items[a].Rel, items[b].Rel), cmp.Compare(a, b))
	})
	var gs [][]int
	for k, i := range order {
		if k > 0 && items[i].SHA256 != "" && items[i].SHA256 == items[order[k-1]].SHA256 {
			gs[len(gs)-1] = append(gs[len(gs)-1], i)
			continue
		}
		gs = append(gs, []int{i})
	}
	return gs
}

// stratum returns a function that says which stratum an item belongs to: its class, or the rarest
// of its labels, since common ones are spread evenly anyway. With values there is only one.
func stratum(items []Item) func(Item) int {
	if len(items) == 0 || items[0].Targets == nil {
		return func(it Item) int { return it.Class }
	}
	count := make([]int, len(items[0].Targets))
	for _, it := range items {
		for k, v := range it.Targets {
			switch v {
			case 1:
				count[k]++
			case 0:
			default:
				return func(Item) int { return 0 }
			}
		}
	}
	return func(it Item) int {
		rarest := Unlabelled
		for k, v := range it.Targets {
			if v == 1 && (rarest < 0 || count[k] < count[rarest]) {
				rarest = k
			}
		}
		return rarest
	}
}

// byClass returns the groups of each stratum, which is that of a group's first item, shuffled by
// the seed.
func byClass(items []Item, seed uint64) [][][]int {
	classes := map[int][][]int{}
	var names []int
	class := stratum(items)
	for _, g := range groups(items) {
		c := class(items[g[0]])
		if _, ok := classes[c]; !ok {
			names = append(names, c)
		}
		classes[c] = append(classes[c], g)
	}
	slices.Sort(names)
	out := make([][][]int, len(names))
	for i, c := range names {
		gs := classes[c]
		// each class has its own random numbers
		r := rand.New(rand.NewPCG(seed, uint64(c)+0x746c6b6974))
		r.Shuffle(len(gs), func(a, b int) { gs[a], gs[b] = gs[b], gs[a] })
		out[i] = gs
	}
	return out
}

// stratify assigns about fraction of each class to Valid and the rest to Train, by the seed.
// Exact duplicates stay together. A class with two or more distinct pictures has at least one in
// each split; a class with one stays in Train.
//
// With groups, whole groups are assigned, so that the shares are only as near as the groups allow; a
// class in one group stays in Train.
func stratify(items []Item, fraction float64, seed uint64) {
	if grouped(items) {
		for i, part := range deal(items, []float64{1 - fraction, fraction}, seed) {
			items[i].Split = []Split{Train, Valid}[part]
		}
		return
	}
	for _, gs := range byClass(items, seed) {
		total := 0
		for _, g := range gs {
			total += len(g)
			for _, i := range g {
				items[i].Split = Train
			}
		}
		if len(gs) < 2 {
			continue
		}
		room := min(max(int(math.Round(fraction*float64(total))), 1), total-1)
		var chosen [][]int
		for _, g := range gs {
			if len(g) <= room {
				chosen = append(chosen, g)
				room -= len(g)
			}
		}
		if chosen == nil { // every group is larger than the share: take the smallest
			chosen = append(chosen, slices.MinFunc(gs, func(a, b []int) int { return cmp.Compare(len(a), len(b)) }))
		}
		for _, g := range chosen {
			for _, i := range g {
				items[i].Split = Valid
			}
		}
	}
}

// Folds divides items into k folds for cross-validation and returns the indices of each, in
// ascending order: fold i is held out while the others are trained on.
//
// The folds are stratified: each class is spread as evenly as possible, pictures with several
// labels by the rarest of them, and pictures with values at random. Exact duplicates stay in one
// fold, and so do the pictures of a group; with groups, each label is spread as evenly as they allow.
// The same items and seed give the same folds, in whatever order the items come.
//
// With fewer than k distinct pictures, or groups, there are as many folds as those. With fewer than
// two, or k below 2, the result is nil. No fold is empty.
func Folds(items []Item, k int, seed uint64) [][]int {
	k = min(k, len(units(items)))
	if k < 2 {
		return nil
	}
	folds := make([][]int, k)
	if grouped(items) {
		for i, f := range deal(items, slices.Repeat([]float64{1 / float64(k)}, k), seed) {
			folds[f] = append(folds[f], i)
		}
		return folds
	}
	for _, gs := range byClass(items, seed) {
		// Large groups first, so that the small ones can even out the rest.
		slices.SortStableFunc(gs, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
		count := make([]int, k)
		for _, g := range gs {
			best := 0
			for f := range folds {
				if cmp.Or(cmp.Compare(count[f], count[best]), cmp.Compare(len(folds[f]), len(folds[best]))) < 0 {
					best = f
				}
			}
			folds[best] = append(folds[best], g...)
			count[best] += len(g)
		}
	}
	for _, f := range folds {
		slices.Sort(f)
	}
	return folds
}
