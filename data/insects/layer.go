package insects

import (
	"image"
	"math"
)

// A layer is a square of colours with coverage, premultiplied. Shapes and paints are given in units,
// so that a ground looks the same at any number of pixels; zoom is 1 for the pictures of Draw.
type layer struct {
	side int
	size float64   // side in units
	zoom float64   // pixels a unit
	pix  []float64 // r, g, b, coverage of each pixel
	mask []float64 // coverage of the shape being drawn; zero between shapes
	box  box       // the part of mask in use
}

// A box is a range of pixels: x0 <= x < x1, y0 <= y < y1.
type box struct{ x0, y0, x1, y1 int }

func newLayer(side int) *layer { return zoomed(side, 1) }

func zoomed(side int, zoom float64) *layer {
	return &layer{side: side, size: float64(side) / zoom, zoom: zoom, pix: make([]float64, 4*side*side), mask: make([]float64, side*side), box: box{side, side, 0, 0}}
}

// bounds returns the pixels within margin of the given range, and marks them as in use.
func (l *layer) bounds(x0, y0, x1, y1, margin float64) box {
	lim := func(v float64) int { return int(min(max(v, 0), float64(l.side))) }
	b := box{lim(math.Floor(x0 - margin)), lim(math.Floor(y0 - margin)), lim(math.Ceil(x1 + margin)), lim(math.Ceil(y1 + margin))}
	if b.x0 < b.x1 && b.y0 < b.y1 {
		l.box = box{min(l.box.x0, b.x0), min(l.box.y0, b.y0), max(l.box.x1, b.x1), max(l.box.y1, b.y1)}
	}
	return b
}

// put lays a colour over a pixel.
func (l *layer) put(x, y int, c rgb, cover float64) {
	p := l.pix[4*(y*l.side+x):][:4]
	rest := 1 - cover
	p[0] = mul(p[0], rest) + mul(c.r, cover)
	p[1] = mul(p[1], rest) + mul(c.g, cover)
	p[2] = mul(p[2], rest) + mul(c.b, cover)
	p[3] = mul(p[3], rest) + cover
}

// unit returns where the middle of a pixel is.
func (l *layer) unit(pixel int) float64 { return (float64(pixel) + 0.5) / l.zoom }

// A paint gives the colour of a place.
type paint func(x, y float64) rgb

func flat(c rgb) paint { return func(_, _ float64) rgb { return c } }

// fill paints through the mask and clears it.
func (l *layer) fill(p paint, opacity float64) {
	for y := l.box.y0; y < l.box.y1; y++ {
		row := l.mask[y*l.side : (y+1)*l.side]
		for x := l.box.x0; x < l.box.x1; x++ {
			if m := row[x]; m > 0 {
				row[x] = 0
				l.put(x, y, p(l.unit(x), l.unit(y)), mul(m, opacity))
			}
		}
	}
	l.box = box{l.side, l.side, 0, 0}
}

// flood paints every pixel.
func (l *layer) flood(p paint) {
	for y := range l.side {
		for x := range l.side {
			l.put(x, y, p(l.unit(x), l.unit(y)), 1)
		}
	}
}

// overlay puts another layer on top of this one.
func (l *layer) overlay(top *layer) {
	for i := 0; i < len(l.pix); i += 4 {
		a := top.pix[i+3]
		if a == 0 {
			continue
		}
		for k := range 4 {
			l.pix[i+k] = mul(l.pix[i+k], 1-a) + top.pix[i+k]
		}
	}
}

// shadow darkens this layer where top, moved by dx, dy pixels and blurred, covers it.
func (l *layer) shadow(top *layer, dx, dy int, blur float64, depth float64) {
	s := l.side
	a := make([]float64, s*s)
	for y := range s {
		for x := range s {
			if fx, fy := x-dx, y-dy; fx >= 0 && fx < s && fy >= 0 && fy < s {
				a[y*s+x] = top.pix[4*(fy*s+fx)+3]
			}
		}
	}
	smooth(a, s, 1, blur)
	for i, v := range a {
		f := 1 - mul(v, depth)
		for k := range 3 {
			l.pix[4*i+k] = mul(l.pix[4*i+k], f)
		}
	}
}

// blur softens the whole layer by about radius units.
func (l *layer) blur(radius float64) { smooth(l.pix, l.side, 4, mul(radius, l.zoom)) }

// smooth blurs interleaved channels with three box filters, which together are close to a
// Gaussian. The box has a fractional width, so that every radius works.
func smooth(pix []float64, side, channels int, radius float64) {
	if radius <= 0.05 {
		return
	}
	radius = min(radius, float64(side)/2)
	wide := side * channels
	whole := int(math.Floor(radius))
	edge := radius - float64(whole) // weight of the outermost pixels
	norm := 1 / (radius + radius + 1)
	pad := whole + 1
	line := make([]float64, (side+2*pad)*channels) // a row with its ends repeated
	for y := range side {
		row := pix[y*wide : (y+1)*wide]
		for range 3 {
			copy(line[pad*channels:], row)
			for i := range pad * channels {
				line[i] = row[i%channels]
				line[len(line)-1-i] = row[wide-1-i%channels]
			}
			for c := range channels {
				sum := 0.0
				for k := 1; k <= 2*whole+1; k++ {
					sum += line[k*channels+c]
				}
				left, right := c, (2*whole+2)*channels+c
				for i := c; i < wide; i += channels {
					row[i] = mul(sum+mul(edge, line[left]+line[right]), norm)
					sum += line[right] - line[left+channels]
					left, right = left+channels, right+channels
				}
			}
		}
	}
	// The same vertically, with a whole row of sums at a time.
	src := make([]float64, len(pix))
	sum := make([]float64, wide)
	row := func(y int) []float64 { y = min(max(y, 0), side-1); return src[y*wide : (y+1)*wide] }
	for range 3 {
		copy(src, pix)
		clear(sum)
		for k := -whole; k <= whole; k++ {
			for i, v := range row(k) {
				sum[i] += v
			}
		}
		for y := range side {
			first, entering, leaving := row(y-whole-1), row(y+whole+1), row(y-whole)
			out := pix[y*wide : (y+1)*wide]
			for i := range out {
				out[i] = mul(sum[i]+mul(edge, first[i]+entering[i]), norm)
				sum[i] += entering[i] - leaving[i]
			}
		}
	}
}

// picture turns the layer, which must cover everything, into bytes.
func (l *layer) picture() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, l.side, l.side))
	for i := 0; i < len(l.pix); i += 4 {
		for k := range 3 {
			img.Pix[i+k] = uint8(mul(clamp(l.pix[i+k]), 255) + 0.5)
		}
		img.Pix[i+3] = 255
	}
	return img
}
