package datasets

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// units returns the indices of items that must stay together: those of one group, and exact
// duplicates, which join their groups.
func units(items []Item) [][]int {
	parent := make([]int, len(items))
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[string]int{}
	join := func(i int, key string) {
		if k, known := first[key]; known {
			parent[root(i)] = root(k)
			return
		}
		first[key] = i
	}
	copies := groups(items) // in an order that does not depend on that of the items
	for _, same := range copies {
		for _, i := range same {
			parent[root(i)] = root(same[0])
			if items[i].Group != "" {
				join(i, items[i].Group)
			}
		}
	}
	place := map[int]int{}
	var out [][]int
	for _, same := range copies {
		r := root(same[0])
		k, known := place[r]
		if !known {
			k = len(out)
			place[r], out = k, append(out, nil)
		}
		out[k] = append(out[k], same...)
	}
	return out
}

// grouped reports whether items have groups.
func grouped(items []Item) bool {
	return slices.ContainsFunc(items, func(it Item) bool { return it.Group != "" })
}

// A dealing divides units among parts, so that each label has its share in each part. It minimises
// the squared differences to the shares: every unit, the largest first, goes where it helps most, and
// then units move and change places as long as that helps.
type dealing struct {
	shares []float64 // of each part
	units  [][]int
	has    [][]amount // of each unit
	total  []float64  // pictures with each label; the last is that of all pictures
	having []int      // units with each label
	in     []int      // part of each unit; -1 = none yet
	parts  [][]amount // by part and label
	strict bool       // labels that a part lacks count too
}

// amount is how much of a label a unit or a part has.
type amount struct {
	label, pictures, units int
}

// deal returns the part of each item.
func deal(items []Item, shares []float64, seed uint64) []int {
	d := newDealing(items, shares)
	order := d.order(seed)
	for _, u := range order {
		best, least := 0, d.change(u, 0, 1)
		for p := 1; p < len(shares); p++ {
			if c := d.change(u, p, 1); c < least {
				best, least = p, c
			}
		}
		d.put(u, best)
	}
	d.improve(order)
	out := make([]int, len(items))
	for u, unit := range d.units {
		for _, i := range unit {
			out[i] = d.in[u]
		}
	}
	return out
}

func newDealing(items []Item, shares []float64) *dealing {
	d := &dealing{units: units(items), shares: shares}
	of, labels := labelling(items), 0
	for _, it := range items {
		for _, k := range of(it) {
			labels = max(labels, k+1)
		}
	}
	d.total, d.having = make([]float64, labels+1), make([]int, labels+1)
	count := make([]int, labels)
	for _, unit := range d.units {
		has := []amount{{labels, len(unit), 1}}
		clear(count)
		for _, i := range unit {
			for _, k := range of(items[i]) {
				count[k]++
			}
		}
		for k, n := range count {
			if n > 0 {
				has = append(has, amount{k, n, 1})
			}
		}
		for _, a := range has {
			d.total[a.label] += float64(a.pictures)
			d.having[a.label]++
		}
		d.has, d.in = append(d.has, has), append(d.in, -1)
	}
	for range shares {
		d.parts = append(d.parts, make([]amount, labels+1))
	}
	return d
}

// labelling returns a function that gives the labels of an item; none with values.
func labelling(items []Item) func(Item) []int {
	for _, it := range items {
		for _, v := range it.Targets {
			if v != 0 && v != 1 {
				return func(Item) []int { return nil }
			}
		}
	}
	return Item.labels
}

// order returns the units, the hardest to place first: those with the largest shares of labels. Equal
// ones are in an order by the seed.
func (d *dealing) order(seed uint64) []int {
	order, size := make([]int, len(d.units)), make([]float64, len(d.units))
	for u := range order {
		order[u] = u
		for _, a := range d.has[u] {
			size[u] += float64(a.pictures) / d.total[a.label]
		}
	}
	r := rand.New(rand.NewPCG(seed, 0x746c6b6974))
	r.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	return order
}

// change is how much the cost changes if a unit is added to a part (by 1) or taken from it (by -1).
func (d *dealing) change(u, part, by int) (more float64) {
	for _, a := range d.has[u] {
		now := d.parts[part][a.label]
		then := now
		then.pictures += by * a.pictures
		then.units += by
		more += d.cost(a.label, part, then) - d.cost(a.label, part, now)
	}
	return more
}

// cost is that of a part with so much of a label.
func (d *dealing) cost(label, part int, has amount) float64 {
	off := float64(has.pictures)/d.total[label] - d.shares[part]
	cost := off * off
	all := d.having[label]
	switch {
	case !d.strict:
	case has.units == 0 && all >= len(d.shares):
		cost++
	case has.units == all && all > 1: // the other parts lack it, so that it cannot be learnt from them
		cost += 3
	case has.units == 1 && all == 1 && d.shares[part] < d.shares[0]: // the larger part is learnt from
		cost += 3
	}
	return cost
}

// put moves a unit into a part.
func (d *dealing) put(u, part int) {
	for _, a := range d.has[u] {
		if d.in[u] >= 0 {
			from := &d.parts[d.in[u]][a.label]
			from.pictures, from.units = from.pictures-a.pictures, from.units-1
		}
		to := &d.parts[part][a.label]
		to.pictures, to.units = to.pictures+a.pictures, to.units+1
	}
	d.in[u] = part
}

const (
	improvements = 20  // passes over the units at most
	mostSwapped  = 500 // units that are tried in pairs: the time grows with their square
	enough       = 1e-9
)

// improve moves units, and lets two change places, as long as that lowers the cost.
func (d *dealing) improve(order []int) {
	d.strict = true
	for range improvements {
		better := false
		for _, u := range order {
			better = d.move(u) || better
		}
		if len(order) <= mostSwapped {
			for i, u := range order {
				for _, v := range order[i+1:] {
					better = d.swap(u, v) || better
				}
			}
		}
		if !better {
			return
		}
	}
}

// move puts a unit where it lowers the cost most, and reports whether it does.
func (d *dealing) move(u int) bool {
	away := d.change(u, d.in[u], -1)
	best, least := -1, -enough
	for p := range d.shares {
		if p == d.in[u] {
			continue
		}
		if c := away + d.change(u, p, 1); c < least {
			best, least = p, c
		}
	}
	if best >= 0 {
		d.put(u, best)
	}
	return best >= 0
}

// swap lets two units change places if that lowers the cost, and reports whether it does.
func (d *dealing) swap(u, v int) bool {
	a, b := d.in[u], d.in[v]
	if a == b {
		return false
	}
	if d.shift(u, b)+d.shift(v, a) < -enough {
		return true
	}
	d.put(u, a)
	d.put(v, b)
	return false
}

// shift moves a unit to another part, and returns the change of the cost.
func (d *dealing) shift(u, part int) float64 {
	change := d.change(u, d.in[u], -1) + d.change(u, part, 1)
	d.put(u, part)
	return change
}
