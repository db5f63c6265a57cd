package datasets

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// groups collects the indices of items by content: exact duplicates are one
// group. Items without a hash are groups of their own. The order of the groups
// depends on contents and paths only, not on the order of the items.
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

// stratum is what an item is spread by: its class; of several labels the rarest one it
// has, since a common one spreads by itself; of values nothing.
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

// byClass returns the groups of each stratum (that of a group's first item),
// shuffled by the seed.
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
		r := rand.New(rand.NewPCG(seed, uint64(c)+0x746c6b6974)) // each class draws its own numbers
		r.Shuffle(len(gs), func(a, b int) { gs[a], gs[b] = gs[b], gs[a] })
		out[i] = gs
	}
	return out
}

// stratify marks about fraction of each class as valid and the rest as train,
// by the seed. Exact duplicates go to the same side. A class with two or more
// distinct pictures has at least one on each side; one with a single distinct
// picture stays in train.
func stratify(items []Item, fraction float64, seed uint64) {
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
		if chosen == nil { // every group is larger than the share: the smallest will do
			chosen = append(chosen, slices.MinFunc(gs, func(a, b []int) int { return cmp.Compare(len(a), len(b)) }))
		}
		for _, g := range chosen {
			for _, i := range g {
				items[i].Split = Valid
			}
		}
	}
}

// Folds deals items into k folds and returns the indices of each, ascending:
// fold i is held out while the others are trained on. The folds are stratified
// (each class is spread as evenly as it goes, of several labels a picture the
// rarest it has; values are dealt at random), exact duplicates stay in one
// fold, and the same items and seed give the same folds in whatever order the
// items come.
//
// With fewer than k distinct pictures there are as many folds as pictures;
// with fewer than two, or k below 2, the result is nil. No fold is empty.
func Folds(items []Item, k int, seed uint64) [][]int {
	k = min(k, len(groups(items)))
	if k < 2 {
		return nil
	}
	folds := make([][]int, k)
	for _, gs := range byClass(items, seed) {
		// Large groups first, so that the small ones can level what they leave.
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
