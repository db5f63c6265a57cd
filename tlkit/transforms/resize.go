package transforms

import (
	"fmt"
	"math"
	"sync"
)

// box is a rectangle of pixels.
type box struct{ x, y, w, h int }

func (p *Picture) whole() box { return box{0, 0, p.Width, p.Height} }

// Resize returns the picture at another size, bit for bit as Image.resize of Pillow 13: filters
// widen when shrinking (antialiasing), and the result of the first pass is rounded to 8 bits.
// The first pass is the horizontal one, unless the height shrinks by more than twice as many
// pixels as the width. (Up to Pillow 12 it was always the horizontal one, so some pixels of tall
// pictures differ by one level.)
func (p *Picture) Resize(width, height int, filter Interpolation) (*Picture, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	filter, err := filter.orDefault()
	if err != nil {
		return nil, err
	}
	if err := checkSize("Resize", width, height); err != nil {
		return nil, err
	}
	return p.resample(resampling{p.whole(), width, height, box{0, 0, width, height}, filter}), nil
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

// scratch reuses the memory of the picture between the two passes.
var scratch = sync.Pool{New: func() any { return new([]uint8) }}

// resampling resizes the part src of a picture to width x height and computes only the part window
// of the result. Pixels outside src have no influence.
type resampling struct {
	src           box
	width, height int
	window        box
	filter        Interpolation
}

// reads returns a box that contains all pixels of the picture that are read.
func (r resampling) reads() box {
	one := func(i, size, out, start, n int) (first, count int) {
		scale := float64(size) / float64(out)
		reach := max(filters[r.filter].support, 1)*max(scale, 1) + 1
		lo := max(0, int(math.Floor(float64(start)*scale-reach)))
		hi := min(size, int(math.Ceil(float64(start+n)*scale+reach)))
		return i + lo, hi - lo
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
	if r.filter == Nearest {
		return p.pick(src, width, height, window)
	}
	f := filters[r.filter]
	out := NewPicture(window.w, window.h)
	pixel := func(x, y int) []uint8 { return p.Pix[3*((src.y+y)*p.Width+src.x+x):] }
	stride := 3 * p.Width
	var kx, ky kernel
	if width != src.w {
		kx = makeKernel(src.w, width, window.x, window.w, f)
	}
	if height != src.h {
		ky = makeKernel(src.h, height, window.y, window.h, f)
	}
	switch {
	case width == src.w: // a pass without work is skipped
		vertical(out.Pix, 3*window.w, plane{pixel(window.x, 0), stride}, ky, 0)
	case height == src.h:
		horizontal(out.Pix, plane{pixel(0, window.y), stride}, window.h, kx, 0)
	case src.h > height && src.h-height > 2*(src.w-width):
		first, last := kx.span()
		mid := take(3 * (last - first) * window.h)
		vertical(*mid, 3*(last-first), plane{pixel(first, 0), stride}, ky, 0)
		horizontal(out.Pix, plane{*mid, 3 * (last - first)}, window.h, kx, first)
		giveBack(mid)
	default:
		first, last := ky.span()
		mid := take(3 * window.w * (last - first))
		horizontal(*mid, plane{pixel(0, first), stride}, last-first, kx, 0)
		vertical(out.Pix, 3*window.w, plane{*mid, 3 * window.w}, ky, first)
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
	if cap(*b) <= 64<<20 { // a very large one must not stay in memory forever
		scratch.Put(b)
	}
}

// pick resizes as Pillow's nearest neighbour: it takes the source pixel at the centre of each
// output pixel, and adds up the steps in float64 as Pillow's affine transform does.
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

func nearestIndex(size, out int) []int {
	index := make([]int, out)
	step := float64(size) / float64(out)
	center := step * 0.5
	for i := range index {
		index[i] = min(int(center), size-1)
		center += step
	}
	return index
}
