package raster

// view is how the camera, or the sun, sees the scene.
type view struct {
	perspective   bool
	width, height int       // samples
	depth         []float32 // of each sample, larger = closer: 1/distance for the camera, height for the sun
	faces         []int32   // the number of the triangle that each sample shows, -1 = none; the sun has none

	near              float32
	focal, midX, midY float32 // in fractions of a sample

	// Of the sun: its axes, where it looks, relative to the camera, and samples a metre.
	turn  mat3
	at    vec3
	scale float32
}

// corner is a point of a mesh as a view sees it.
type corner struct {
	at    vec3    // right, up, towards the viewer; metres
	x, y  int32   // in fractions of a sample; x = outside marks corners that are too far off
	depth float32 // larger = closer
}

// Corners are at whole fractions of a sample, so that whole numbers, which are exact, tell which
// samples lie within a triangle: no seams, no sample drawn twice.
const (
	fraction = 256
	half     = fraction / 2
	limit    = 1 << 22 // no corner lies beyond
	outside  = -1 << 31
)

func (v *view) size(width, height int) {
	v.width, v.height = width, height
	v.depth = grown(v.depth, width*height)
	if v.perspective {
		v.faces = grown(v.faces, width*height)
	}
}

// lens sets where things appear: focal samples a metre at a distance of 1.
func (v *view) lens(focal, midX, midY float64) {
	v.focal, v.midX, v.midY = float32(mul(focal, fraction)), float32(mul(midX, fraction)), float32(mul(midY, fraction))
}

// transform finds where points appear.
func (v *view) transform(out []corner, points []vec3, m affine) {
	out = out[:len(points)]
	for i, p := range points {
		x := float32(m.a*p.x) + float32(m.b*p.y) + float32(m.c*p.z) + m.off.x
		y := float32(m.d*p.x) + float32(m.e*p.y) + float32(m.f*p.z) + m.off.y
		z := float32(m.g*p.x) + float32(m.h*p.y) + float32(m.i*p.z) + m.off.z
		c := corner{at: vec3{x, y, z}, x: outside, depth: z}
		if v.perspective {
			if z > -v.near {
				out[i] = c
				continue
			}
			c.depth = -1 / z
			x, y = float32(x*c.depth), float32(y*c.depth)
		}
		x, y = float32(x*v.focal)+v.midX, v.midY-float32(y*v.focal)
		if x > -limit && x < limit && y > -limit && y < limit {
			c.x, c.y = int32(x), int32(y)
		}
		out[i] = c
	}
}

// band is some rows of a view.
type band struct {
	*view
	y0, y1 int
	work   int64
}

func (b *band) clear() {
	from, to := b.y0*b.width, b.y1*b.width
	if !b.perspective {
		deep := b.depth[from:to]
		for i := range deep {
			deep[i] = -3e38
		}
		return
	}
	clear(b.depth[from:to])
	faces := b.faces[from:to]
	for i := range faces {
		faces[i] = -1
	}
}

// mesh draws the triangles that face the viewer, numbered from base.
func (b *band) mesh(m *Mesh, corners []corner, base int32) {
	right, bottom := int32(b.width<<8-half), int32(b.y1<<8-half)
	top := int32(b.y0<<8 + half)
	for i, f := range m.faces {
		p, q, r := &corners[f.a], &corners[f.b], &corners[f.c]
		if p.x == outside || q.x == outside || r.x == outside {
			if m.open {
				b.clipped(p, r, q, base+int32(i))
			}
			if b.clipped(p, q, r, base+int32(i)); b.work > mostWork {
				return
			}
			continue
		}
		lowX, highX := min(p.x, q.x, r.x), max(p.x, q.x, r.x)
		lowY, highY := min(p.y, q.y, r.y), max(p.y, q.y, r.y)
		// Most triangles of a fine mesh lie between the middles of samples, or face away.
		if (lowX+half-1)>>8 > (highX-half)>>8 || (lowY+half-1)>>8 > (highY-half)>>8 ||
			lowX > right || lowY > bottom || highX < half || highY < top {
			continue
		}
		if area(p, q, r) <= 0 {
			if !m.open {
				continue
			}
			q, r = r, q
		}
		b.triangle(p, q, r, base+int32(i))
		if b.work > mostWork {
			return
		}
	}
}

// area is twice the area of a triangle in fractions of samples; negative = it faces away. Seen from
// its front, a triangle runs counterclockwise; y points down here.
func area(p, q, r *corner) int64 {
	return int64(r.x-p.x)*int64(q.y-p.y) - int64(q.x-p.x)*int64(r.y-p.y)
}

// triangle draws the samples whose middles lie within a triangle.
func (b *band) triangle(p, q, r *corner, number int32) {
	area := area(p, q, r)
	// The samples with their middle between the outermost corners.
	x0, x1 := max(int(min(p.x, q.x, r.x)+half-1)>>8, 0), min(int(max(p.x, q.x, r.x)-half)>>8, b.width-1)
	y0, y1 := max(int(min(p.y, q.y, r.y)+half-1)>>8, b.y0), min(int(max(p.y, q.y, r.y)-half)>>8, b.y1-1)
	if x0 > x1 || y0 > y1 || area <= 0 {
		return
	}
	b.work += int64(x1-x0+1) * int64(y1-y0+1)
	ax, ay, bx, by, cx, cy := int64(p.x), int64(p.y), int64(r.x), int64(r.y), int64(q.x), int64(q.y)
	mx, my := int64(x0)<<8+half, int64(y0)<<8+half
	// Positive on the inner side of each edge; an edge that is shared belongs to one of its triangles.
	e0 := (cx-bx)*(my-by) - (cy-by)*(mx-bx) - owns(cx-bx, cy-by)
	e1 := (ax-cx)*(my-cy) - (ay-cy)*(mx-cx) - owns(ax-cx, ay-cy)
	e2 := (bx-ax)*(my-ay) - (by-ay)*(mx-ax) - owns(bx-ax, by-ay)
	dx0, dx1, dx2 := -(cy-by)<<8, -(ay-cy)<<8, -(by-ay)<<8
	dy0, dy1, dy2 := (cx-bx)<<8, (ax-cx)<<8, (bx-ax)<<8
	inv := 1 / float32(area)
	near, toB, toC := p.depth, float32((r.depth-p.depth)*inv), float32((q.depth-p.depth)*inv)
	for y := y0; y <= y1; y++ {
		from, to := x0, x1
		if x1-x0 > 8 {
			from, to = span(x0, x1, [3]int64{e0, e1, e2}, [3]int64{dx0, dx1, dx2})
		}
		n := int64(from - x0)
		f0, f1, f2 := e0+n*dx0, e1+n*dx1, e2+n*dx2
		row := y * b.width
		for x := from; x <= to; x++ {
			if f0|f1|f2 >= 0 {
				d := near + float32(float32(f1)*toB) + float32(float32(f2)*toC)
				if i := row + x; d > b.depth[i] {
					b.depth[i] = d
					if b.perspective {
						b.faces[i] = number
					}
				}
			}
			f0, f1, f2 = f0+dx0, f1+dx1, f2+dx2
		}
		e0, e1, e2 = e0+dy0, e1+dy1, e2+dy2
	}
}

// owns is 0 for upper and left edges, whose samples belong to the triangle, and 1 for others.
func owns(dx, dy int64) int64 {
	if dy < 0 || dy == 0 && dx > 0 {
		return 0
	}
	return 1
}

// span returns the samples of a row at which three numbers, that change evenly, are not negative.
func span(from, to int, e, d [3]int64) (int, int) {
	x0 := from
	for k := range e {
		switch {
		case d[k] > 0 && e[k] < 0:
			from = max(from, x0+int((-e[k]+d[k]-1)/d[k]))
		case d[k] < 0:
			if e[k] < 0 {
				return 1, 0
			}
			to = min(to, x0+int(e[k]/-d[k]))
		case d[k] == 0 && e[k] < 0:
			return 1, 0
		}
	}
	return from, to
}

// clipped draws the part of a triangle that is in front of the near plane and not too far beside the
// picture.
func (b *band) clipped(p, q, r *corner, number int32) {
	b.work += 100
	poly := []clip{b.clip(p), b.clip(q), b.clip(r)}
	const edge = limit * 0.9
	for side := range 5 {
		var inside func(c clip) float64
		switch side {
		case 0:
			inside = func(c clip) float64 { return c.w - float64(b.near) }
		case 1:
			inside = func(c clip) float64 { return mul(edge, c.w) - c.x }
		case 2:
			inside = func(c clip) float64 { return mul(edge, c.w) + c.x }
		case 3:
			inside = func(c clip) float64 { return mul(edge, c.w) - c.y }
		default:
			inside = func(c clip) float64 { return mul(edge, c.w) + c.y }
		}
		if side == 0 && !b.perspective {
			continue
		}
		if poly = cut(poly, inside); len(poly) < 3 {
			return
		}
	}
	var corners [8]corner
	for i, c := range poly {
		corners[i] = corner{x: int32(c.x / c.w), y: int32(c.y / c.w), depth: float32(c.depth)}
		if b.perspective {
			corners[i].depth = float32(1 / c.w)
		}
	}
	for i := 2; i < len(poly); i++ {
		b.triangle(&corners[0], &corners[i-1], &corners[i], number)
	}
}

// clip is a corner before it is divided by its distance w.
type clip struct{ x, y, w, depth float64 }

func (v *view) clip(c *corner) clip {
	w := 1.0
	if v.perspective {
		w = -float64(c.at.z)
	}
	return clip{
		x: mul(float64(c.at.x), float64(v.focal)) + mul(float64(v.midX), w),
		y: mul(float64(v.midY), w) - mul(float64(c.at.y), float64(v.focal)),
		w: w, depth: float64(c.at.z),
	}
}

// cut returns the part of a polygon where inside is not negative.
func cut(poly []clip, inside func(c clip) float64) []clip {
	var out []clip
	for i, c := range poly {
		last := poly[(i+len(poly)-1)%len(poly)]
		now, before := inside(c), inside(last)
		if now >= 0 != (before >= 0) {
			t := before / (before - now)
			out = append(out, clip{
				x: last.x + mul(t, c.x-last.x), y: last.y + mul(t, c.y-last.y),
				w: last.w + mul(t, c.w-last.w), depth: last.depth + mul(t, c.depth-last.depth),
			})
		}
		if now >= 0 {
			out = append(out, c)
		}
	}
	return out
}
