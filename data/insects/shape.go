package insects

import (
	"math"
	"slices"
)

// A point is a place, in pixels or in units of the insect.
type point struct{ x, y float64 }

// A frame converts units of the insect (x towards the head, y to its left; half a body is
// about 1) to pixels.
type frame struct {
	xx, xy, yx, yy float64 // pixels per unit: right and down per forward, right and down per left
	origin         point   // where the middle of the body is
	scale          float64 // pixels per unit, about
	turn           float64 // heading, in turns
	mirrored       bool
}

// A placing says where an insect is and how it is seen.
type placing struct {
	center        point
	scale         float64 // pixels per unit
	turn          float64 // heading, in turns
	length, width float64 // foreshortening along and across the body; 1 = none
	mirrored      bool
}

// newFrame places an insect.
func newFrame(p placing) frame {
	c, s := circle(p.turn)
	a, b := mul(p.scale, p.length), mul(p.scale, p.width)
	if p.mirrored {
		b = -b
	}
	return frame{xx: mul(c, a), xy: mul(s, a), yx: -mul(s, b), yy: mul(c, b), origin: p.center, scale: p.scale, turn: p.turn, mirrored: p.mirrored}
}

func (f frame) point(p point) point {
	return point{f.origin.x + mul(f.xx, p.x) + mul(f.yx, p.y), f.origin.y + mul(f.xy, p.x) + mul(f.yy, p.y)}
}

func (f frame) points(ps []point) []point {
	out := make([]point, len(ps))
	for i, p := range ps {
		out[i] = f.point(p)
	}
	return out
}

// back converts a pixel to units of the insect.
func (f frame) back(x, y float64) point {
	det := mul(f.xx, f.yy) - mul(f.yx, f.xy)
	x, y = x-f.origin.x, y-f.origin.y
	return point{(mul(f.yy, x) - mul(f.yx, y)) / det, (mul(f.xx, y) - mul(f.xy, x)) / det}
}

// polygon adds a filled polygon (even-odd) to the mask. Edges are antialiased: exact along
// each of four lines per pixel.
func (l *layer) polygon(ps []point) {
	const lines = 4
	if len(ps) < 3 {
		return
	}
	ps = l.pixels(ps)
	lo, hi := ps[0], ps[0]
	for _, p := range ps {
		lo, hi = point{min(lo.x, p.x), min(lo.y, p.y)}, point{max(hi.x, p.x), max(hi.y, p.y)}
	}
	b := l.bounds(lo.x, lo.y, hi.x, hi.y, 1)
	row := make([]float64, l.side)
	var cuts []float64
	for y := b.y0; y < b.y1; y++ {
		clear(row)
		for s := range lines {
			yy := float64(y) + mul(float64(s)+0.5, 1.0/lines)
			cuts = cuts[:0]
			for i, p := range ps {
				q := ps[(i+1)%len(ps)]
				if (p.y <= yy) != (q.y <= yy) {
					cuts = append(cuts, p.x+mul((yy-p.y)/(q.y-p.y), q.x-p.x))
				}
			}
			slices.Sort(cuts)
			for i := 0; i+1 < len(cuts); i += 2 {
				left, right := max(cuts[i], float64(b.x0)), min(cuts[i+1], float64(b.x1))
				for x := int(left); float64(x) < right; x++ {
					row[x] += mul(min(right, float64(x+1))-max(left, float64(x)), 1.0/lines)
				}
			}
		}
		for x := b.x0; x < b.x1; x++ {
			if i := y*l.side + x; row[x] > l.mask[i] {
				l.mask[i] = min(row[x], 1)
			}
		}
	}
}

// pixels converts units to pixels.
func (l *layer) pixels(ps []point) []point {
	if l.zoom == 1 {
		return ps
	}
	out := make([]point, len(ps))
	for i, p := range ps {
		out[i] = point{mul(p.x, l.zoom), mul(p.y, l.zoom)}
	}
	return out
}

// capsule adds a line with round ends to the mask, with radius ra at a and rb at b. Lines finer
// than a pixel fade rather than break.
func (l *layer) capsule(a, b point, ra, rb float64) {
	a, b = point{mul(a.x, l.zoom), mul(a.y, l.zoom)}, point{mul(b.x, l.zoom), mul(b.y, l.zoom)}
	ra, rb = mul(ra, l.zoom), mul(rb, l.zoom)
	r := max(ra, rb)
	fade := 1.0
	if mean := (ra + rb) / 2; mean < 0.4 {
		fade = max(mean/0.4, 0.25)
		ra, rb, r = 0.4, 0.4, 0.4
	}
	area := l.bounds(min(a.x, b.x), min(a.y, b.y), max(a.x, b.x), max(a.y, b.y), r+1)
	dx, dy := b.x-a.x, b.y-a.y
	length2 := max(mul(dx, dx)+mul(dy, dy), 1e-9)
	for y := area.y0; y < area.y1; y++ {
		for x := area.x0; x < area.x1; x++ {
			px, py := float64(x)+0.5-a.x, float64(y)+0.5-a.y
			t := clamp((mul(px, dx) + mul(py, dy)) / length2)
			cover := mix(ra, rb, t) + 0.5 - hypot(px-mul(t, dx), py-mul(t, dy))
			if cover <= 0 {
				continue
			}
			if i, v := y*l.side+x, mul(min(cover, 1), fade); v > l.mask[i] {
				l.mask[i] = v
			}
		}
	}
}

// stroke adds a line through points, thinning from r0 to r1.
func (l *layer) stroke(ps []point, r0, r1 float64) {
	n := float64(len(ps) - 1)
	for i := range len(ps) - 1 {
		l.capsule(ps[i], ps[i+1], mix(r0, r1, float64(i)/n), mix(r0, r1, float64(i+1)/n))
	}
}

// ring returns n points of an ellipse.
func ring(center point, rx, ry, turn float64, n int) []point {
	c, s := circle(turn)
	ps := make([]point, n)
	for i := range ps {
		x, y := circle(float64(i) / float64(n))
		x, y = mul(x, rx), mul(y, ry)
		ps[i] = point{center.x + mul(c, x) - mul(s, y), center.y + mul(s, x) + mul(c, y)}
	}
	return ps
}

// A blob is a rounded part of a body, an ellipsoid or egg, in units of the insect.
type blob struct {
	center point
	rx, ry float64
	turn   float64 // of its long axis against the body
	egg    float64 // above 0: wider in front; below 0: wider behind
}

// A surface gives the colour of a blob at u (-1 behind to 1 in front) and v (-1
// to 1 across).
type surface func(u, v float64) rgb

func plain(c rgb) surface { return func(_, _ float64) rgb { return c } }

// A lamp is the light of a picture.
type lamp struct {
	x, y, z float64 // direction to the light, in the picture; length 1
	soft    float64 // brightness in the shade, 0 to 1; 1 = no shading at all
	outline float64 // darkening of the rim, for drawn styles; 0 = none
}

// solid draws a blob, lit like a round body. gloss is the strength of the
// highlight: 0 is fur, 1 is lacquer.
func (l *layer) solid(f frame, b blob, s surface, lit lamp, gloss float64) {
	mid := f.point(b.center)
	reach := mul(f.scale, max(b.rx, b.ry)*1.5) + 2
	area := l.bounds(mid.x, mid.y, mid.x, mid.y, reach)
	l.box = box{l.side, l.side, 0, 0} // nothing of the mask is used
	c, sn := circle(b.turn)
	// The light as the blob sees it.
	hc, hs := circle(f.turn)
	bx, by := mul(hc, lit.x)+mul(hs, lit.y), mul(hc, lit.y)-mul(hs, lit.x)
	if f.mirrored {
		by = -by
	}
	lx, ly := mul(c, bx)+mul(sn, by), mul(c, by)-mul(sn, bx)
	hx, hy, hz := lx, ly, lit.z+1 // halfway between light and eye
	hn := math.Sqrt(mul(hx, hx) + mul(hy, hy) + mul(hz, hz))
	hx, hy, hz = hx/hn, hy/hn, hz/hn

	local := func(x, y float64) (u, v float64) {
		p := f.back(x, y)
		px, py := p.x-b.center.x, p.y-b.center.y
		u = (mul(c, px) + mul(sn, py)) / b.rx
		v = (mul(c, py) - mul(sn, px)) / b.ry
		return u, v / max(1+mul(b.egg, u), 0.2)
	}
	for y := area.y0; y < area.y1; y++ {
		for x := area.x0; x < area.x1; x++ {
			px, py := float64(x)+0.5, float64(y)+0.5
			u, v := local(px, py)
			r := hypot(u, v)
			if r > 1.5 {
				continue
			}
			// How fast r grows per pixel gives the distance to the rim.
			ux, vx := local(px+0.5, py)
			uy, vy := local(px, py+0.5)
			slope := 2 * hypot(hypot(ux, vx)-r, hypot(uy, vy)-r)
			edge := (1 - r) / max(slope, 1e-6)
			cover := clamp(edge + 0.5)
			if cover == 0 {
				continue
			}
			z := math.Sqrt(max(1-mul(r, r), 0))
			diffuse := max(mul(u, lx)+mul(v, ly)+mul(z, lit.z), 0)
			col := s(u, v).scale(mix(lit.soft, 1, diffuse))
			if gloss > 0 && lit.soft < 1 {
				h := max(mul(u, hx)+mul(v, hy)+mul(z, hz), 0)
				h = mul(h, h)
				h = mul(h, h)
				h = mul(h, h) // 8th power
				wide := h
				h = mul(h, h)
				h = mul(h, h) // 32nd
				col = col.add(mul(gloss, mul(h, 0.55)+mul(wide, 0.10)))
			}
			if lit.outline > 0 {
				col = col.scale(1 - mul(lit.outline, 1-clamp(edge-0.6)))
			}
			l.put(x, y, col, cover)
		}
	}
}
