package onnx

import (
	"fmt"
	"math"
	"slices"
)

func checkShape(c *check) {
	f := c.in[0]
	ints := []int64{}
	for _, d := range f.shape {
		ints = append(ints, int64(d))
	}
	if c.n.Op == "Size" {
		c.spend(1)
		c.out[0] = fact{kind: "I64", shape: []int{}, batch: none, known: &constant{dtype: "I64", shape: []int{}, ints: []int64{int64(product(f.shape))}}}
		return
	}
	first, last := clampAxis(c.int("start", 0), len(ints)), clampAxis(c.int("end", math.MaxInt32), len(ints))
	ints = ints[first:max(first, last)]
	c.spend(len(ints))
	c.out[0] = fact{kind: "I64", shape: []int{len(ints)}, batch: none, known: &constant{dtype: "I64", shape: []int{len(ints)}, ints: ints}}
}

// clampAxis returns i counted from 0 and clamped to [0, n].
func clampAxis(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

// inShape returns f in another shape with as many numbers. The pictures keep their place in memory,
// which can belong to one of several axes if some have length 1. It takes the likeliest axis first;
// if pictures turn out to be mixed, the survey backtracks and takes the next.
func (c *check) inShape(f fact, shape []int) fact {
	out := fact{kind: f.kind, shape: shape, batch: none}
	if f.batch < 0 {
		return out
	}
	front, before := product(f.shape[:f.batch])*f.places(), 1
	var axes []int
	for i, d := range shape {
		if before > 0 && front%before == 0 && d > 0 && d%(front/before*c.batch) == 0 {
			axes = append(axes, i)
		}
		before *= d
	}
	// The likeliest axis counts only pictures, best at its old place.
	likely := func(i int) (unlikely int) {
		if front != product(shape[:i]) {
			unlikely += 4
		}
		if front/product(shape[:i])*c.batch != shape[i] {
			unlikely += 2
		}
		if i != f.batch {
			unlikely++
		}
		return unlikely
	}
	slices.SortStableFunc(axes, func(a, b int) int { return likely(a) - likely(b) })
	if c.retry >= len(axes) {
		mixed("%s as %v: no axis would count the pictures", f, shape)
	}
	if c.retry+1 < len(axes) {
		c.choices = append(c.choices, choice{taken: c.retry})
	}
	out.batch = axes[c.retry]
	out.outer = front / product(shape[:out.batch])
	return out
}

// foldInShape keeps the numbers of a constant in another shape.
func (c *check) foldInShape() {
	c.fold(0, func() (*constant, error) { return c.in[0].known.reshaped(c.out[0].shape), nil })
}

func checkReshape(c *check) {
	f := c.in[0]
	want := c.ints("shape")
	if c.survey.net.opset >= 5 {
		if !c.has(1) {
			fail("its shape is missing")
		}
		want = c.numbers(1)
	}
	if len(want) > 8 {
		fail("shape %v", want)
	}
	shape, open, total := make([]int, len(want)), -1, 1.0
	for i, v := range want {
		switch {
		case v == 0 && !c.flag("allowzero", 0):
			if i >= len(f.shape) {
				fail("shape %v for %s", want, f)
			}
			shape[i] = f.shape[i]
		case v == -1 && open < 0:
			open, shape[i] = i, 1
		case v < 0 || v > math.MaxInt32:
			fail("shape %v for %s", want, f)
		default:
			shape[i] = int(v)
		}
		total *= float64(shape[i])
	}
	n := product(f.shape)
	if open >= 0 && total > 0 && total <= float64(n) {
		shape[open] = n / int(total)
		total *= float64(shape[open])
	}
	if total != float64(n) || n == 0 {
		fail("shape %v for %s", want, f)
	}
	c.out[0] = c.inShape(f, shape)
	c.foldInShape()
}

func checkFlatten(c *check) {
	f := c.in[0]
	a := c.int("axis", 1)
	if a < 0 {
		a += len(f.shape)
	}
	if a < 0 || a > len(f.shape) {
		fail("axis %d of %s", a, f)
	}
	c.out[0] = c.inShape(f, []int{product(f.shape[:a]), product(f.shape[a:])})
	c.foldInShape()
}

func checkSqueeze(c *check) {
	f := c.in[0]
	axes := allAxes(c.axesOf(1, 13), len(f.shape))
	if len(axes) == 0 {
		for i, d := range f.shape {
			if d == 1 {
				axes = append(axes, i)
			}
		}
	}
	for _, a := range axes {
		if f.shape[a] != 1 {
			fail("axis %d of %s", a, f)
		}
	}
	c.out[0] = c.without(f, axes, false)
	c.foldInShape()
}

func checkUnsqueeze(c *check) {
	f, given := c.in[0], c.axesOf(1, 13)
	if len(given) == 0 || len(given)+len(f.shape) > 8 {
		fail("axes %v for %s", given, f)
	}
	axes := allAxes(given, len(given)+len(f.shape))
	out := fact{kind: f.kind, shape: []int{}, batch: none}
	next := 0
	for i := range len(axes) + len(f.shape) {
		if slices.Contains(axes, i) {
			out.shape = append(out.shape, 1)
			continue
		}
		if next == f.batch {
			out.batch, out.outer = i, f.outer
		}
		out.shape = append(out.shape, f.shape[next])
		next++
	}
	c.out[0] = out
	c.foldInShape()
}

func checkTranspose(c *check) {
	f, rank := c.in[0], len(c.in[0].shape)
	perm := make([]int, 0, rank)
	for i := range rank {
		perm = append(perm, rank-1-i)
	}
	if p := c.ints("perm"); p != nil {
		perm = perm[:0]
		for _, a := range p {
			if a < 0 || a >= int64(rank) || slices.Contains(perm, int(a)) {
				fail("perm %v of %d axes", p, rank)
			}
			perm = append(perm, int(a))
		}
	}
	if len(perm) != rank {
		fail("perm %v of %d axes", perm, rank)
	}
	out := fact{kind: f.kind, shape: make([]int, rank), batch: none}
	for i, a := range perm {
		out.shape[i] = f.shape[a]
		if a == f.batch {
			out.batch, out.outer = i, f.outer
		}
	}
	c.out[0], c.params = out, params{axes: perm}
	c.fold(0, func() (*constant, error) {
		steps := strides(f.shape)
		return f.known.pick(out.shape, func(place []int) int {
			at := 0
			for i, a := range perm {
				at += place[i] * steps[a]
			}
			return at
		}), nil
	})
}

func checkConcat(c *check) {
	if _, ok := c.n.Attrs["axis"]; !ok {
		fail("its axis is missing")
	}
	for k := range c.in {
		if !c.has(k) || len(c.in[k].shape) != len(c.in[0].shape) {
			fail("its inputs have different numbers of axes")
		}
	}
	a := axis(int64(c.int("axis", 0)), len(c.in[0].shape))
	some := c.in[:min(4, len(c.in))] // for messages
	out := fact{kind: c.in[0].kind, shape: slices.Clone(c.in[0].shape), batch: none}
	for _, f := range c.in {
		f.apart(a)
		if f.batch < 0 {
			continue
		}
		if out.batch >= 0 && (out.batch != f.batch || out.places() != f.places()) {
			mixed("%s count pictures along different axes", listed(some))
		}
		out.batch, out.outer, out.shape[f.batch] = f.batch, f.outer, f.shape[f.batch]
	}
	out.shape[a] = 0
	for _, f := range c.in {
		for i, d := range f.shape {
			// Values that are the same for all pictures have one row.
			if i == out.batch && f.batch < 0 && (d != 1 || out.shape[i] != c.batch) {
				mixed("%s: one of them is made for a certain number of pictures", listed(some))
			}
			if i != a && d != out.shape[i] && (i != out.batch || f.batch >= 0) {
				fail("%s do not fit together along axis %d", listed(some), a)
			}
		}
		out.shape[a] += f.shape[a]
	}
	c.out[0], c.params = out, params{axes: []int{a}}
	c.fold(0, func() (*constant, error) {
		made := like(out.kind, out.shape)
		behind := product(out.shape[a+1:])
		row := out.shape[a] * behind
		start := 0
		for _, f := range c.in {
			n := f.shape[a] * behind
			for k := range f.known.len() {
				made.put(k/max(1, n)*row+start+k%max(1, n), f.known, k)
			}
			start += n
		}
		return made, nil
	})
}

func checkSplit(c *check) {
	f := c.in[0]
	a := axis(int64(c.int("axis", 0)), len(f.shape))
	f.apart(a)
	sizes := c.ints("split")
	if c.survey.net.opset >= 13 && sizes != nil || c.survey.net.opset < 13 && len(c.in) > 1 {
		fail("its parts are given as in another version of the operators")
	}
	if c.has(1) {
		sizes = c.numbers(1)
	}
	parts := len(c.n.Outputs)
	if n := c.int("num_outputs", parts); n != parts {
		fail("%d parts, it has %d outputs", n, parts)
	}
	if sizes == nil {
		each := (f.shape[a] + parts - 1) / parts
		if _, uneven := c.n.Attrs["num_outputs"]; !uneven && each*parts != f.shape[a] {
			fail("%d equal parts of %s", parts, f)
		}
		for i := range parts {
			sizes = append(sizes, int64(min(each, f.shape[a]-i*each)))
		}
	}
	total := int64(0)
	for _, s := range sizes {
		if s < 0 || s > int64(f.shape[a]) {
			fail("parts of %v of %s", sizes, f)
		}
		total += s
	}
	if len(sizes) != parts || total != int64(f.shape[a]) {
		fail("parts of %v of %s", sizes, f)
	}
	c.params = params{axes: []int{a}}
	start := 0
	for k, s := range sizes {
		shape := slices.Clone(f.shape)
		shape[a] = int(s)
		c.params.sizes = append(c.params.sizes, int(s))
		c.out[k] = f.result(shape)
		from := start
		c.fold(k, func() (*constant, error) {
			return f.known.pick(shape, shifted(f.shape, a, func(i int) int { return from + i })), nil
		})
		start += int(s)
	}
}

// shifted returns the offset of an element in a constant with another index along one axis.
func shifted(shape []int, along int, index func(int) int) func(place []int) int {
	steps := strides(shape)
	return func(place []int) int {
		at := 0
		for i, p := range place {
			if i == along {
				p = index(p)
			}
			at += p * steps[i]
		}
		return at
	}
}

func checkSlice(c *check) {
	f, rank := c.in[0], len(c.in[0].shape)
	starts, ends, axes, steps := c.ints("starts"), c.ints("ends"), c.ints("axes"), []int64(nil)
	if c.survey.net.opset >= 10 {
		if len(c.in) < 3 || starts != nil || ends != nil || axes != nil {
			fail("its bounds are given as in another version of the operators")
		}
		starts, ends, axes, steps = c.numbers(1), c.numbers(2), c.numbers(3), c.numbers(4)
	} else if len(c.in) > 1 {
		fail("its bounds are given as in another version of the operators")
	}
	if axes == nil {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int64{1}, len(starts))
	}
	if len(starts) != len(ends) || len(starts) != len(axes) || len(starts) != len(steps) {
		fail("starts %v, ends %v, axes %v, steps %v", starts, ends, axes, steps)
	}
	shape, ranges := slices.Clone(f.shape), make([][3]int, rank)
	for i, d := range f.shape {
		ranges[i] = [3]int{0, d, 1}
	}
	for k, a := range allAxes(axes, rank) {
		r, n := span(starts[k], ends[k], steps[k], f.shape[a])
		if a == f.batch && (r != [3]int{0, f.shape[a], 1}) {
			f.apart(a)
		}
		ranges[a], shape[a] = r, n
	}
	c.out[0], c.params = f.result(shape), params{ranges: ranges}
	c.fold(0, func() (*constant, error) {
		at := strides(f.shape)
		return f.known.pick(shape, func(place []int) int {
			k := 0
			for i, p := range place {
				k += (ranges[i][0] + p*ranges[i][2]) * at[i]
			}
			return k
		}), nil
	})
	if c.out[0].known == nil && product(shape) == 0 {
		fail("nothing of %s is left", f)
	}
}

// span clamps the bounds of a slice to an axis of length d.
func span(start, end, step int64, d int) (r [3]int, n int) {
	if step == 0 || step < -math.MaxInt32 || step > math.MaxInt32 {
		fail("step %d", step)
	}
	size := int64(d)
	count := func(i int64) int64 {
		if i < 0 && i >= -math.MaxInt64+size {
			i += size
		}
		return i
	}
	start, end = count(start), count(end)
	if step > 0 {
		start, end = min(max(start, 0), size), min(max(end, 0), size)
		n = int(max(0, (end-start+step-1)/step))
	} else {
		start, end = min(max(start, 0), max(size-1, 0)), min(max(end, -1), size-1)
		n = int(max(0, (start-end-step-1)/-step))
	}
	return [3]int{int(start), int(end), int(step)}, n
}

func checkPad(c *check) {
	f, rank := c.in[0], len(c.in[0].shape)
	c.text("mode", "constant")
	pads := c.ints("pads")
	if c.survey.net.opset >= 11 {
		if pads != nil || !c.has(1) {
			fail("its padding is given as in another version of the operators")
		}
		pads = c.numbers(1)
	} else if len(c.in) > 1 {
		fail("its padding is given as in another version of the operators")
	}
	if c.has(2) {
		if !isFloat(c.in[2].kind) || c.in[2].kind != f.kind {
			fail("it pads %s with %s", f, c.in[2])
		}
		c.number(2, 0)
	}
	if !isFloat(f.kind) {
		fail("it pads %s, only floats are supported", f)
	}
	c.float("value", 0)
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	if c.has(3) {
		axes = allAxes(c.numbers(3), rank)
	}
	if len(pads) != 2*len(axes) {
		fail("pads %v for %d axes", pads, len(axes))
	}
	shape, ranges := slices.Clone(f.shape), make([][3]int, rank)
	for k, a := range axes {
		before, behind := pads[k], pads[k+len(axes)]
		if max(before, behind) > 4095 || min(before, behind) < -4095 { // negative pads crop
			fail("pads %v", pads)
		}
		if before != 0 || behind != 0 {
			f.apart(a)
		}
		if int64(shape[a])+min(before, 0)+min(behind, 0) < 1 {
			fail("pads %v of %s: nothing is left", pads, f)
		}
		shape[a] += int(before + behind)
		ranges[a] = [3]int{int(before), int(behind)}
	}
	c.out[0], c.params = f.result(shape), params{ranges: ranges}
}

func checkExpand(c *check) {
	f := c.in[0]
	want := c.numbers(1)
	if len(want) > 8 || want == nil {
		fail("shape %v", want)
	}
	target := fact{kind: f.kind, shape: make([]int, len(want)), batch: none}
	lead := len(want) - len(f.shape)
	for i, d := range want {
		if d < 0 || d > math.MaxInt32 {
			fail("shape %v for %s", want, f)
		}
		target.shape[i] = int(d)
		// If the file is for several pictures, the axis that counts them may begin here.
		if i == 0 && c.batch > 1 && d == int64(c.batch) && (lead > 0 || lead == 0 && f.shape[0] == 1) {
			target.batch = 0
		}
		if f.batch >= 0 && i-lead == f.batch {
			if d != 1 && int(d) != f.shape[f.batch] {
				f.apart(f.batch)
			}
			target.shape[i] = 1
		}
	}
	if target.batch >= 0 && f.batch >= 0 {
		target.batch = none
	}
	if target.batch >= 0 {
		target.batch = none
		c.out[0] = c.broadcast(f, target)
		c.out[0].batch = 0
	} else {
		c.out[0] = c.broadcast(f, target)
	}
	c.fold(0, func() (*constant, error) {
		if c.out[0].batch >= 0 {
			return nil, nil
		}
		return f.known.spread(c.out[0].shape), nil
	})
}

func checkTile(c *check) {
	f := c.in[0]
	repeats := c.numbers(1)
	if len(repeats) != len(f.shape) {
		fail("repeats %v for %s", repeats, f)
	}
	shape, sizes := slices.Clone(f.shape), []int{}
	for i, r := range repeats {
		if r < 1 || r > math.MaxInt32/int64(max(1, shape[i])) {
			fail("repeats %v for %s", repeats, f)
		}
		if r > 1 {
			f.apart(i)
		}
		shape[i] *= int(r)
		sizes = append(sizes, int(r))
	}
	c.out[0], c.params = f.result(shape), params{sizes: sizes}
	c.fold(0, func() (*constant, error) {
		steps := strides(f.shape)
		return f.known.pick(shape, func(place []int) int {
			at := 0
			for i, p := range place {
				at += p % f.shape[i] * steps[i]
			}
			return at
		}), nil
	})
}

// indices checks an input of indices along an axis of length d, as far as they are constant.
func (c *check) indices(k, d int) {
	f := c.in[k]
	if f.kind != "I64" && f.kind != "I32" {
		fail("its indices are %s", f)
	}
	if f.known == nil {
		return
	}
	for _, i := range f.known.ints {
		if i < int64(-d) || i >= int64(d) {
			fail("element %d of %d", i, d)
		}
	}
}

func checkGather(c *check) {
	f, index := c.in[0], c.in[1]
	a := axis(int64(c.int("axis", 0)), len(f.shape))
	f.apart(a)
	c.indices(1, f.shape[a])
	if f.batch >= 0 && index.batch >= 0 {
		mixed("%s count pictures both", listed(c.in))
	}
	out := fact{kind: f.kind, shape: slices.Concat(f.shape[:a], index.shape, f.shape[a+1:]), batch: none}
	switch {
	case f.batch >= 0 && f.batch < a:
		out.batch, out.outer = f.batch, f.outer
	case f.batch >= 0:
		out.batch, out.outer = f.batch-1+len(index.shape), f.outer
	case index.batch >= 0:
		out.batch, out.outer = a+index.batch, index.outer
	}
	c.out[0], c.params = out, params{axes: []int{a}}
	c.fold(0, func() (*constant, error) {
		behind := product(f.shape[a+1:])
		made := like(out.kind, out.shape)
		n := index.known.len()
		for k := range made.len() {
			i := index.known.ints[k/behind%n]
			if i < 0 {
				i += int64(f.shape[a])
			}
			made.put(k, f.known, (k/behind/n*f.shape[a]+int(i))*behind+k%behind)
		}
		return made, nil
	})
	if c.out[0].known == nil && product(out.shape) == 0 {
		fail("nothing of %s is taken", f)
	}
}

func checkGatherElements(c *check) {
	f, index := c.in[0], c.in[1]
	a := axis(int64(c.int("axis", 0)), len(f.shape))
	f.apart(a)
	c.indices(1, f.shape[a])
	if len(index.shape) != len(f.shape) || index.batch != f.batch || index.places() != f.places() {
		fail("%s do not fit together", listed(c.in))
	}
	for i, d := range index.shape {
		if i != a && d != f.shape[i] {
			fail("%s do not fit together", listed(c.in))
		}
	}
	c.out[0], c.params = f.result(index.shape), params{axes: []int{a}}
	c.macs += float64(product(index.shape) * len(f.shape))
}

func checkGatherND(c *check) {
	f, index := c.in[0], c.in[1]
	if c.int("batch_dims", 0) != 0 {
		fail("batch_dims is not supported")
	}
	q := len(index.shape)
	if q < 1 || index.shape[q-1] < 1 || index.shape[q-1] > len(f.shape) || !within(index.kind, "I64") {
		fail("%s do not fit together", listed(c.in))
	}
	depth := index.shape[q-1]
	index.apart(q - 1)
	for i := range depth {
		f.apart(i)
	}
	if index.known == nil || f.batch >= 0 && index.batch >= 0 {
		fail("its indices depend on the picture")
	}
	for k, i := range index.known.ints {
		if i < 0 || i >= int64(f.shape[k%depth]) {
			fail("element %d of %d", i, f.shape[k%depth])
		}
	}
	out := fact{kind: f.kind, shape: slices.Concat(index.shape[:q-1], f.shape[depth:]), batch: none}
	if f.batch >= 0 {
		out.batch, out.outer = f.batch-depth+q-1, f.outer
	}
	c.out[0] = out
}

// checkScatterND writes numbers into constants, as in attention masks.
func checkScatterND(c *check) {
	f, index, update := c.in[0], c.in[1], c.in[2]
	c.text("reduction", "none")
	if !c.allKnown(-1) {
		fail("only constants are supported")
	}
	q := len(index.shape)
	if index.kind != "I64" || update.kind != f.kind || q < 1 || index.shape[q-1] < 1 || index.shape[q-1] > len(f.shape) {
		fail("%s do not fit together", listed(c.in))
	}
	depth := index.shape[q-1]
	if !slices.Equal(update.shape, slices.Concat(index.shape[:q-1], f.shape[depth:])) {
		fail("%s do not fit together", listed(c.in))
	}
	c.out[0] = f.result(f.shape)
	c.spend(product(update.shape))
	c.fold(0, func() (*constant, error) {
		out, steps, row := f.known.pick(f.shape, shifted(f.shape, 0, func(i int) int { return i })), strides(f.shape), product(f.shape[depth:])
		for k := range product(index.shape[:q-1]) {
			at := 0
			for i := range depth {
				v := index.known.ints[k*depth+i]
				if v < 0 {
					v += int64(f.shape[i])
				}
				if v < 0 || v >= int64(f.shape[i]) {
					return nil, fmt.Errorf("element %d of %d", v, f.shape[i])
				}
				at += int(v) * steps[i]
			}
			for i := range row {
				out.put(at+i, update.known, k*row+i)
			}
		}
		return out, nil
	})
	if c.out[0].known == nil {
		fail("more than %d numbers", maxTensor)
	}
}
