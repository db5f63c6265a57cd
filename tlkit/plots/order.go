package plots

import "math"

// neighbours orders classes so that those confused with each other are close: average-linkage
// clustering on how often they are confused, with branches turned so that their more similar ends
// meet. It needs time and memory proportional to k*k, and the same counts give the same order.
func neighbours(counts [][]int) []int {
	k := len(counts)
	support := make([]float64, k)
	for i, row := range counts {
		for _, n := range row {
			support[i] += float64(n)
		}
	}
	// like[i][j]: the mean of the shares of i taken for j and of j for i.
	like := make([][]float64, k)
	for i := range like {
		like[i] = make([]float64, k)
	}
	for i := range k {
		for j := range i {
			s := 0.0
			if support[i] > 0 {
				s += float64(counts[i][j]) / support[i]
			}
			if support[j] > 0 {
				s += float64(counts[j][i]) / support[j]
			}
			like[i][j], like[j][i] = s, s
		}
	}
	leaf := make([][]float64, k) // of single classes, kept for turning branches
	for i := range leaf {
		leaf[i] = append([]float64(nil), like[i]...)
	}
	branch := make([][]int, k)
	alive := make([]int, k)
	for i := range k {
		branch[i], alive[i] = []int{i}, i
	}
	// Nearest-neighbour chains: follow the most similar until two choose each other.
	var chain []int
	gone := make([]bool, k)
	for left := k; left > 1; left-- {
		if len(chain) == 0 {
			for i := range k {
				if !gone[i] {
					chain = append(chain, i)
					break
				}
			}
		}
		var a, b int
		for {
			a = chain[len(chain)-1]
			b = -1
			best := math.Inf(-1)
			if len(chain) > 1 { // of equals, prefer the previous one, or the chain never ends
				b = chain[len(chain)-2]
				best = like[a][b]
			}
			for _, j := range alive {
				if j != a && !gone[j] && like[a][j] > best {
					b, best = j, like[a][j]
				}
			}
			if len(chain) > 1 && b == chain[len(chain)-2] {
				chain = chain[:len(chain)-2]
				break
			}
			chain = append(chain, b)
		}
		if a > b {
			a, b = b, a
		}
		na, nb := float64(len(branch[a])), float64(len(branch[b]))
		for _, j := range alive {
			if !gone[j] && j != a && j != b {
				v := (na*like[a][j] + nb*like[b][j]) / (na + nb)
				like[a][j], like[j][a] = v, v
			}
		}
		branch[a] = join(branch[a], branch[b], leaf)
		gone[b] = true
		if left%64 == 0 { // remove dead clusters now and then; each removal costs k
			kept := alive[:0]
			for _, j := range alive {
				if !gone[j] {
					kept = append(kept, j)
				}
			}
			alive = kept
		}
	}
	for i := range k {
		if !gone[i] {
			return branch[i]
		}
	}
	return nil
}

// join puts two branches end to end, each turned so that the most similar ends meet.
func join(a, b []int, leaf [][]float64) []int {
	first, last := func(s []int) int { return s[0] }, func(s []int) int { return s[len(s)-1] }
	best, turnA, turnB := -1.0, false, false
	for _, t := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		x, y := last(a), first(b)
		if t[0] {
			x = first(a)
		}
		if t[1] {
			y = last(b)
		}
		if leaf[x][y] > best {
			best, turnA, turnB = leaf[x][y], t[0], t[1]
		}
	}
	out := make([]int, 0, len(a)+len(b))
	for _, part := range []struct {
		s    []int
		turn bool
	}{{a, turnA}, {b, turnB}} {
		for i := range part.s {
			if part.turn {
				i = len(part.s) - 1 - i
			}
			out = append(out, part.s[i])
		}
	}
	return out
}
