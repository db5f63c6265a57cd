package audit

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// Near copies are found in two steps. The features of a network say which few pictures are worth a
// comparison: they hardly change when a picture is flipped, cropped or compressed. The pixels decide:
// two pictures are copies if some part of one, as it is or flipped, is the other.
const (
	projected   = 96   // numbers that stand for the features in the search
	neighbours  = 6    // pictures that each picture is compared with
	leastCosine = 0.75 // of the features of two pictures that are compared
	// Correlations of copies: as a whole, in the middle, and of details in the middle. TestPlanted and
	// TestAlikeIsNoCopy stand between them.
	leastMatch   = 0.96
	leastMiddle  = 0.85
	leastDetails = 0.7
	smallest     = 0.6 // side of the smallest part that is looked for, as a share of the picture
)

// pair is two rows that show the same picture.
type pair struct {
	a, b  int
	match float64
}

// copies reports pictures that stand in the set more than once: those with the same content all together, the
// others in pairs.
func (a *auditor) copies(ctx context.Context) error {
	pairs, err := a.pairs(ctx)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		f := a.copy(p.a, p.b)
		f.Score, f.Why = p.match, fmt.Sprintf("nearly the same picture: correlation %.3f", p.match)
		a.add(f)
	}
	a.exact()
	return nil
}

// copy returns the finding that some rows show the same picture.
func (a *auditor) copy(rows ...int) Finding {
	f := a.of(Copy, rows...)
	switch {
	case slices.ContainsFunc(rows[1:], func(i int) bool { return a.contradict(rows[0], i) }):
		f.Kind = Contradiction
		return f
	case len(a.splits(rows)) > 1:
		f.Kind = Leak
	}
	// Keep one, and rather what is measured than what is learnt from.
	keep := max(0, slices.IndexFunc(rows, func(i int) bool { return a.items[i].Split != datasets.Train }))
	for k, i := range rows {
		if k != keep {
			f.Changes = append(f.Changes, results.Change{File: a.items[i].Rel, Action: results.Drop})
		}
	}
	return f
}

// contradict reports whether two copies have different labels. Values of nearly the same picture, such as the
// next one of a film, may differ.
func (a *auditor) contradict(i, k int) bool {
	x, y := a.items[i], a.items[k]
	if x.Targets == nil {
		return x.Class != y.Class
	}
	return (a.Set.Task == datasets.Labels || x.SHA256 == y.SHA256) && !slices.Equal(x.Targets, y.Targets)
}

// exact adds files with the same content, with those that package datasets has left out of the items.
func (a *auditor) exact() {
	same := map[string][]int{} // rows of each content
	for i, item := range a.items {
		if item.SHA256 != "" {
			same[item.SHA256] = append(same[item.SHA256], i)
		}
	}
	for _, d := range a.Set.Report.Duplicates {
		rows := same[d.SHA256]
		delete(same, d.SHA256)
		known := map[string]bool{}
		for _, i := range rows {
			known[a.items[i].Rel] = true
		}
		left := slices.DeleteFunc(slices.Clone(d.Files), func(f string) bool { return known[f] })
		if len(left) == 0 {
			a.equal(rows)
			continue
		}
		f := Finding{Kind: Copy, Files: d.Files, Labels: d.Labels, Score: 1, Why: "the same file content; left out: " + left[0]}
		for _, s := range d.Splits {
			f.Splits = append(f.Splits, string(s))
		}
		switch {
		case len(d.Labels) > 1:
			f.Kind = Contradiction
		case len(d.Splits) > 1:
			f.Kind = Leak
		}
		a.add(f)
	}
	for _, rows := range same { // the report puts them in order
		a.equal(rows)
	}
}

// equal reports rows with the same content.
func (a *auditor) equal(rows []int) {
	if len(rows) < 2 {
		return
	}
	f := a.copy(rows...)
	f.Score, f.Why = 1, "the same file content"
	if len(rows) > 2 {
		f.Why = fmt.Sprintf("%d files with the same content", len(rows))
	}
	a.add(f)
}

// pairs returns the pairs of copies, each once.
func (a *auditor) pairs(ctx context.Context) ([]pair, error) {
	partners := make([][]int, len(a.items)) // in both directions
	for i, near := range a.near {
		if a.first[i] != i {
			continue
		}
		for _, k := range near {
			if a.cosine(i, k) >= leastCosine {
				partners[i], partners[k] = append(partners[i], k), append(partners[k], i)
			}
		}
	}
	found := make([][]pair, len(a.items))
	var done atomic.Int64
	parallel(len(a.items), func(i int) {
		if ctx.Err() != nil || len(partners[i]) == 0 {
			return
		}
		parts := partsOf(a.prints[i])
		slices.Sort(partners[i])
		for _, k := range slices.Compact(partners[i]) {
			if match := parts.match(a.prints[k]); match > 0 {
				found[i] = append(found[i], pair{min(i, k), max(i, k), match})
			}
		}
		if d := int(done.Add(1)); d%64 == 0 {
			a.Progress("looking for copies", d, len(a.items))
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	all := slices.Concat(found...)
	slices.SortFunc(all, func(x, y pair) int { return cmp.Or(x.a-y.a, x.b-y.b, cmp.Compare(y.match, x.match)) })
	return slices.CompactFunc(all, func(x, y pair) bool { return x.a == y.a && x.b == y.b }), nil
}

// findNear finds the rows with the most similar features of each row. Rows of the same content count once: with
// 100,000 copies of a picture, nothing is compared.
func (a *auditor) findNear() {
	var alone []int
	rows := a.matrix.Data
	for i, first := range a.first {
		if first == i {
			alone = append(alone, i)
		}
	}
	if len(alone) < len(a.items) {
		rows = make([]float32, 0, len(alone)*a.matrix.Features)
		for _, i := range alone {
			rows = append(rows, a.matrix.Row(i)...)
		}
	}
	small := unit(project(rows, a.matrix.Features, projected))
	a.near = make([][]int, len(a.items))
	parallel(len(alone), func(i int) {
		near := nearest(small, i, neighbours)
		for n, k := range near {
			near[n] = alone[k]
		}
		a.near[alone[i]] = near
	})
	for i, first := range a.first {
		a.near[i] = a.near[first]
	}
}

// unit scales projected rows to length 1: a product of two is a cosine.
func unit(small []float32) []float32 {
	for at := 0; at < len(small); at += projected {
		row := small[at:][:projected]
		var squares float64
		for _, v := range row {
			squares += float64(v) * float64(v)
		}
		for k := range row {
			row[k] /= float32(math.Sqrt(max(squares, 1e-30)))
		}
	}
	return small
}

// parallel calls do for 0..n-1 on all processors.
func parallel(n int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

// project returns rows of fewer numbers whose distances are nearly in proportion to those of the given
// rows (Johnson and Lindenstrauss), so that a search in 10,000 pictures takes seconds.
func project(x []float32, width, fewer int) []float32 {
	n := len(x) / width
	signs := make([]float32, width*fewer)
	r := rand.New(rand.NewPCG(1, 2)) // the same in every audit
	for i := range signs {
		signs[i] = float32(2*r.IntN(2) - 1)
	}
	// The mean is what all pictures have in common; without it, cosines tell them apart.
	mean := make([]float32, width)
	for i := range n {
		for j, v := range x[i*width:][:width] {
			mean[j] += v / float32(n)
		}
	}
	out := make([]float32, n*fewer)
	parallel(n, func(i int) {
		row := out[i*fewer:][:fewer]
		for j, v := range x[i*width:][:width] {
			if v -= mean[j]; v == 0 {
				continue
			}
			for k, s := range signs[j*fewer:][:fewer] {
				row[k] += s * v
			}
		}
	})
	return out
}

// nearest returns the k rows of projected numbers nearest to row i, without itself.
func nearest(rows []float32, i, k int) []int {
	near := nearestTo(rows, rows[i*projected:][:projected], k+1)
	near = slices.DeleteFunc(near, func(j int) bool { return j == i })
	return near[:min(len(near), k)] // rows that are equal to it may stand before it
}

// nearestTo returns the k rows of projected numbers nearest to one.
func nearestTo(rows, mine []float32, k int) []int {
	type candidate struct {
		row int
		dot float32
	}
	best := make([]candidate, 0, k+1)
	for j := range len(rows) / projected {
		dot := product(mine, rows[j*projected:][:projected])
		if len(best) == k && dot <= best[k-1].dot {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, dot, func(c candidate, d float32) int { return cmp.Compare(d, c.dot) })
		best = slices.Insert(best, at, candidate{j, dot})
		best = best[:min(len(best), k)]
	}
	out := make([]int, len(best))
	for n, c := range best {
		out[n] = c.row
	}
	return out
}

// product is the inner product, in four sums that a processor computes side by side.
func product(x, y []float32) float32 {
	var a, b, c, d float32
	for len(x) >= 4 && len(y) >= 4 {
		a += x[0] * y[0]
		b += x[1] * y[1]
		c += x[2] * y[2]
		d += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	return a + b + c + d
}

func (a *auditor) cosine(i, j int) float64 {
	var dot, xx, yy float64
	y := a.matrix.Row(j)
	for k, v := range a.matrix.Row(i) {
		dot += float64(v) * float64(y[k])
		xx += float64(v) * float64(v)
		yy += float64(y[k]) * float64(y[k])
	}
	return dot / math.Sqrt(max(xx*yy, 1e-30))
}

// coarse is the side of the grid on which all parts of a picture are compared, fine of that for those that
// look alike.
const (
	coarse = 8
	fine   = 16
)

// parts are the parts of a picture in which another one is looked for.
type parts struct {
	of     *print
	frames []frame
	grey   [][coarse * coarse]float32 // of each frame, with mean 0 and length 1
}

func partsOf(p *print) parts {
	out := parts{of: p}
	for _, w := range []float64{1, 0.9, 0.8, 0.7, 0.6} {
		for _, h := range []float64{w, w + 0.1, w - 0.1} {
			if h > 1 || h < smallest {
				continue
			}
			for i := range 5 {
				for j := range 5 {
					f := frame{(1 - w) * float64(i) / 4, (1 - h) * float64(j) / 4, w, h}
					var grey [coarse * coarse]float32
					window(p, f, coarse, grey[:])
					centre(grey[:])
					out.frames, out.grey = append(out.frames, f), append(out.grey, grey)
				}
			}
		}
	}
	return out
}

// match returns how well a picture, as it is or flipped, is one of the parts: the correlation of their
// brightness, at most 1; -1 if they are no copies.
func (p parts) match(small *print) float64 {
	best := -1.0
	for _, flipped := range []bool{false, true} {
		whole := frame{0, 0, 1, 1}
		if flipped {
			whole = frame{1, 0, -1, 1}
		}
		var target [coarse * coarse]float32
		window(small, whole, coarse, target[:])
		centre(target[:])
		at, near := frame{}, float32(-1)
		for i := range p.grey {
			if c := product(p.grey[i][:], target[:]); c > near {
				at, near = p.frames[i], c
			}
		}
		if near > leastMatch-0.3 {
			if f := p.refine(at, small, whole); f.copies() {
				best = max(best, f.whole)
			}
		}
	}
	return best
}

// refine moves a frame until it fits best, and returns how well it does, on the fine grid.
func (p parts) refine(at frame, small *print, whole frame) fit {
	var target, grey [fine * fine]float32
	window(small, whole, fine, target[:])
	centre(target[:])
	best := float32(-1)
	try := func(f frame) {
		if f.x < 0 || f.y < 0 || f.x+f.w > 1.0001 || f.y+f.h > 1.0001 || f.w < smallest-0.05 || f.h < smallest-0.05 {
			return
		}
		window(p.of, f, fine, grey[:])
		centre(grey[:])
		if c := product(grey[:], target[:]); c > best {
			best, at = c, f
		}
	}
	try(at)
	for step := 0.05; step > 0.005; step /= 1.6 {
		from := at
		for _, d := range [][4]float64{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}, {1, 0, -1, 0}, {0, 1, 0, -1}, {1, 1, -2, -2}} {
			for _, s := range []float64{step, -step} {
				try(frame{from.x + s*d[0], from.y + s*d[1], from.w + s*d[2], from.h + s*d[3]})
			}
		}
	}
	window(p.of, at, fine, grey[:])
	window(small, whole, fine, target[:])
	return fit{float64(best), float64(product(middle(grey[:]), middle(target[:]))), float64(product(details(grey[:]), details(target[:])))}
}

// fit is how well a part of a picture is another picture: correlations, at most 1.
type fit struct {
	whole   float64 // of the brightness
	middle  float64 // of the brightness without the margin
	details float64 // without the margin, and without large forms
}

// copies reports whether both show the same. Pictures with the same frame, or of one thing on an empty
// ground, are alike as a whole, and not in the middle or not in details.
func (f fit) copies() bool {
	return f.whole >= leastMatch && f.middle >= leastMiddle && f.details >= leastDetails
}

// margin is the width of the border that frames and captions may share, in cells of the fine grid.
const margin = 3

// middle returns the fine grid without its margin, with mean 0 and length 1.
func middle(grey []float32) []float32 {
	out := make([]float32, 0, fine*fine)
	for j := margin; j < fine-margin; j++ {
		out = append(out, grey[j*fine+margin:(j+1)*fine-margin]...)
	}
	centre(out)
	return out
}

// details returns how much each cell of the middle differs from the mean of the cells around it, with mean 0
// and length 1.
func details(grey []float32) []float32 {
	out := make([]float32, 0, fine*fine)
	for j := margin; j < fine-margin; j++ {
		for i := margin; i < fine-margin; i++ {
			var around float32
			for y := -1; y <= 1; y++ {
				for x := -1; x <= 1; x++ {
					around += grey[(j+y)*fine+i+x]
				}
			}
			out = append(out, grey[j*fine+i]-around/9)
		}
	}
	centre(out)
	return out
}

// frame is a part of a picture, in shares of its sides. A negative width flips it.
type frame struct{ x, y, w, h float64 }

// window writes the brightness of a part of a picture on a grid of n by n.
func window(p *print, f frame, n int, out []float32) {
	for j := range n {
		y := (f.y+f.h*(float64(j)+0.5)/float64(n))*side - 0.5
		for i := range n {
			out[j*n+i] = bilinear(&p.grey, (f.x+f.w*(float64(i)+0.5)/float64(n))*side-0.5, y)
		}
	}
}

// centre subtracts the mean and divides by the length, so that a product is a correlation. What is of one
// colour becomes 0.
func centre(grey []float32) {
	var sum, squares float64
	for _, v := range grey {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(grey))
	variance := squares - sum*sum/n
	scale := float32(0)
	if variance > 1e-6*n {
		scale = float32(1 / math.Sqrt(variance))
	}
	for i := range grey {
		grey[i] = (grey[i] - float32(sum/n)) * scale
	}
}

func bilinear(grey *[side * side]float32, x, y float64) float32 {
	x, y = min(max(x, 0), side-1), min(max(y, 0), side-1)
	i, j := min(int(x), side-2), min(int(y), side-2)
	u, v := float32(x-float64(i)), float32(y-float64(j))
	p := grey[j*side+i:]
	return (1-v)*((1-u)*p[0]+u*p[1]) + v*((1-u)*p[side]+u*p[side+1])
}
