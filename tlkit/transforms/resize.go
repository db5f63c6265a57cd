package transforms

import (
	"fmt"
	"math"
	"sync"
)

// box is a rectangle of pixels.
type box struct{ x, y, w, h int }

func (p *Picture) whole() box { return box{0, 0, p.Width, p.Height} }

// Resize returns the picture at another size, equal to the Image.resize of Pillow 13 bit
// for bit: filters widen when shrinking (antialias), and the result of the first pass is
// rounded to 8 bits. That pass is the horizontal one, except where the height shrinks
// by more than twice as many pixels as the width. (Up to Pillow 12 it was always the
// horizontal one, so there tall pictures differ by a level here and there.)
func (p *Picture) Resize(width, height int, by Interpolation) (*Picture, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	by, err := by.orDefault()
	if err != nil {
		return nil, err
	}
	if err := checkSize("Resize", width, height); err != nil {
		return nil, err
	}
	return p.resample(resampling{p.whole(), width, height, box{0, 0, width, height}, by}), nil
}

func checkSize(who string, w, h int) error {
	if w < 1 || h < 1 || w > maxSide || h > maxSide || w*h > maxPixels {
		return fmt.Errorf("transforms: %s to %d x %d pixels, wanted sides from 1 to %d and at most %d pixels", who, w, h, maxSide, maxPixels)
	}
	return nil
}

// Crop returns the width x height pixels whose upper left corner is (x, y).
func (p *Picture) Crop(x, y, width, height int) (*Picture, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if x < 0 || y < 0 || width < 1 || height < 1 || width > p.Width-x || height > p.Height-y {
		return nil, fmt.Errorf("transforms: Crop of %d x %d at (%d, %d) does not lie inside a picture of %d x %d pixels",
			width, height, x, y, p.Width, p.Height)
	}
	return p.cut(box{x, y, width, height}), nil
}

func (p *Picture) cut(b box) *Picture {
	if b == p.whole() {
		return p
	}
	out := NewPicture(b.w, b.h)
	for y := range b.h {
		copy(out.Pix[3*y*b.w:3*(y+1)*b.w], p.Pix[3*((b.y+y)*p.Width+b.x):])
	}
	return out
}

// FlipHorizontal returns the picture mirrored left to right.
func (p *Picture) FlipHorizontal() (*Picture, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return p.upright(2), nil
}

// scratch keeps the intermediate picture between the two passes out of the garbage
// collector's way.
var scratch = sync.Pool{New: func() any { return new([]uint8) }}

// resampling resizes the part src of a picture to width x height and keeps the part
// window of the result, computing nothing else. Pixels outside src have no influence.
type resampling struct {
	src           box
	width, height int
	window        box
	by            Interpolation
}

// reads returns a box of pixels of the picture outside of which nothing is read.
func (r resampling) reads() box {
	one := func(at, in, out, from, n int) (first, count int) {
		scale := float64(in) / float64(out)
		reach := max(filters[r.by].support, 1)*max(scale, 1) + 1
		lo := max(0, int(math.Floor(float64(from)*scale-reach)))
		hi := min(in, int(math.Ceil(float64(from+n)*scale+reach)))
		return at + lo, hi - lo
	}
	var b box
	b.x, b.w = one(r.src.x, r.src.w, r.width, r.window.x, r.window.w)
	b.y, b.h = one(r.src.y, r.src.h, r.height, r.window.y, r.window.h)
	return b
}

func (p *Picture) resample(r resampling) *Picture {
	src, width, height, window := r.src, r.width, r.height, r.window
	if width == src.w && height == src.h {
		return p.cut(box{src.x + window.x, src.y + window.y, window.w, window.h})
	}
	if r.by == Nearest {
		return p.pick(src, width, height, window)
	}
	f := filters[r.by]
	out := NewPicture(window.w, window.h)
	from := func(x, y int) []uint8 { return p.Pix[3*((src.y+y)*p.Width+src.x+x):] }
	stride := 3 * p.Width
	var kx, ky kernel
	if width != src.w {
		kx = makeKernel(src.w, width, window.x, window.w, f)
	}
	if height != src.h {
		ky = makeKernel(src.h, height, window.y, window.h, f)
	}
	switch {
	case width == src.w: // a pass without work is skipped, not done with weights of one
		vertical(out.Pix, 3*window.w, from(window.x, 0), stride, ky, 0)
	case height == src.h:
		horizontal(out.Pix, from(0, window.y), stride, window.h, kx, 0)
	case src.h > height && src.h-height > 2*(src.w-width):
		first, last := kx.span()
		mid := take(3 * (last - first) * window.h)
		vertical(*mid, 3*(last-first), from(first, 0), stride, ky, 0)
		horizontal(out.Pix, *mid, 3*(last-first), window.h, kx, first)
		giveBack(mid)
	default:
		first, last := ky.span()
		mid := take(3 * window.w * (last - first))
		horizontal(*mid, from(0, first), stride, last-first, kx, 0)
		vertical(out.Pix, 3*window.w, *mid, 3*window.w, ky, first)
		giveBack(mid)
	}
	return out
}

func take(n int) *[]uint8 {
	b := scratch.Get().(*[]uint8)
	if cap(*b) < n {
		*b = make([]uint8, n)
	}
	*b = (*b)[:n]
	return b
}

func giveBack(b *[]uint8) {
	if cap(*b) <= 64<<20 { // one giant must not stay in memory for good
		scratch.Put(b)
	}
}

// horizontal resamples rows of src, which begin stride bytes apart, along x. The first
// pixel of src is number first of the kernel's counting.
func horizontal(dst, src []uint8, stride, rows int, k kernel, first int) {
	n := len(k.start)
	f := horizontalN
	switch k.taps {
	case 2:
		f = horizontal2
	case 3:
		f = horizontal3
	case 4:
		f = horizontal4
	}
	if first != 0 {
		start := make([]int32, n)
		for i, s := range k.start {
			start[i] = s - int32(first)
		}
		k.start = start
	}
	_, last := k.span()
	for r := range rows {
		f(dst[3*r*n:3*(r+1)*n], src[r*stride:r*stride+3*last], k)
	}
}

const half = 1 << (precision - 1)

func horizontal2(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:2:2]
		p := row[3*int(s):][:6:6]
		c0, c1 := c[0], c[1]
		r := half + int32(p[0])*c0 + int32(p[3])*c1
		g := half + int32(p[1])*c0 + int32(p[4])*c1
		b := half + int32(p[2])*c0 + int32(p[5])*c1
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[2:]
	}
}

func horizontal3(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:3:3]
		p := row[3*int(s):][:9:9]
		c0, c1, c2 := c[0], c[1], c[2]
		r := half + int32(p[0])*c0 + int32(p[3])*c1 + int32(p[6])*c2
		g := half + int32(p[1])*c0 + int32(p[4])*c1 + int32(p[7])*c2
		b := half + int32(p[2])*c0 + int32(p[5])*c1 + int32(p[8])*c2
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[3:]
	}
}

func horizontal4(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:4:4]
		p := row[3*int(s):][:12:12]
		c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
		r := half + int32(p[0])*c0 + int32(p[3])*c1 + int32(p[6])*c2 + int32(p[9])*c3
		g := half + int32(p[1])*c0 + int32(p[4])*c1 + int32(p[7])*c2 + int32(p[10])*c3
		b := half + int32(p[2])*c0 + int32(p[5])*c1 + int32(p[8])*c2 + int32(p[11])*c3
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[4:]
	}
}

func horizontalN(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:k.taps]
		p := row[3*int(s):][:3*k.taps]
		r, g, b := int32(half), int32(half), int32(half)
		for len(c) >= 2 && len(p) >= 6 {
			q := p[:6:6]
			c0, c1 := c[0], c[1]
			r += int32(q[0])*c0 + int32(q[3])*c1
			g += int32(q[1])*c0 + int32(q[4])*c1
			b += int32(q[2])*c0 + int32(q[5])*c1
			c, p = c[2:], p[6:]
		}
		if len(c) > 0 && len(p) >= 3 {
			r += int32(p[0]) * c[0]
			g += int32(p[1]) * c[0]
			b += int32(p[2]) * c[0]
		}
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[k.taps:]
	}
}

// vertical resamples columns: row y of dst, n bytes long, is a sum of rows of src, which
// begin stride bytes apart. Row 0 of src is number first of the kernel's counting.
func vertical(dst []uint8, n int, src []uint8, stride int, k kernel, first int) {
	var sums []int32
	for y, s := range k.start {
		dst := dst[y*n : (y+1)*n]
		w := k.weights[y*k.taps : (y+1)*k.taps]
		at := (int(s) - first) * stride
		row := func(i int) []uint8 { return src[at+i*stride : at+i*stride+n] }
		switch k.taps {
		case 1:
			copy(dst, row(0))
		case 2:
			vertical2(dst, row(0), row(1), w[0], w[1])
		case 3:
			vertical3(dst, row(0), row(1), row(2), w[0], w[1], w[2])
		case 4:
			vertical4(dst, row(0), row(1), row(2), row(3), w[0], w[1], w[2], w[3])
		default:
			if sums == nil {
				sums = make([]int32, n)
			}
			for j := range sums {
				sums[j] = half
			}
			i := 0
			for ; i+4 <= k.taps; i += 4 {
				add4(sums, row(i), row(i+1), row(i+2), row(i+3), w[i], w[i+1], w[i+2], w[i+3])
			}
			for ; i < k.taps; i++ {
				if c := w[i]; c != 0 {
					for j, v := range row(i) {
						sums[j] += int32(v) * c
					}
				}
			}
			for j, v := range sums {
				dst[j] = clip8(v)
			}
		}
	}
}

func vertical2(dst, a, b []uint8, c0, c1 int32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for j := range dst {
		dst[j] = clip8(half + int32(a[j])*c0 + int32(b[j])*c1)
	}
}

func vertical3(dst, a, b, c []uint8, c0, c1, c2 int32) {
	a, b, c = a[:len(dst)], b[:len(dst)], c[:len(dst)]
	for j := range dst {
		dst[j] = clip8(half + int32(a[j])*c0 + int32(b[j])*c1 + int32(c[j])*c2)
	}
}

func vertical4(dst, a, b, c, d []uint8, c0, c1, c2, c3 int32) {
	a, b, c, d = a[:len(dst)], b[:len(dst)], c[:len(dst)], d[:len(dst)]
	for j := range dst {
		dst[j] = clip8(half + int32(a[j])*c0 + int32(b[j])*c1 + int32(c[j])*c2 + int32(d[j])*c3)
	}
}

func add4(sums []int32, a, b, c, d []uint8, c0, c1, c2, c3 int32) {
	a, b, c, d = a[:len(sums)], b[:len(sums)], c[:len(sums)], d[:len(sums)]
	for j := range sums {
		sums[j] += int32(a[j])*c0 + int32(b[j])*c1 + int32(c[j])*c2 + int32(d[j])*c3
	}
}

// clip8 drops the fraction bits of a sum and clips to a byte.
func clip8(v int32) uint8 {
	if uint32(v) < 256<<precision {
		return uint8(v >> precision)
	}
	return uint8(^(v >> 31))
}

// pick is Pillow's nearest neighbour: the source pixel below the centre of each output
// pixel, found by adding up the step in float64 as Pillow's affine transform does.
func (p *Picture) pick(src box, width, height int, window box) *Picture {
	out := NewPicture(window.w, window.h)
	xs := nearestIndex(src.w, width)[window.x : window.x+window.w]
	ys := nearestIndex(src.h, height)[window.y : window.y+window.h]
	for y, sy := range ys {
		row := p.Pix[3*((src.y+sy)*p.Width+src.x):]
		dst := out.Pix[3*y*window.w : 3*(y+1)*window.w]
		for x, sx := range xs {
			copy(dst[3*x:3*x+3], row[3*sx:3*sx+3])
		}
	}
	return out
}

func nearestIndex(in, out int) []int {
	index := make([]int, out)
	step := float64(in) / float64(out)
	at := step * 0.5
	for i := range index {
		index[i] = min(int(at), in-1)
		at += step
	}
	return index
}
