package raster

import "math"

// margin is how many samples beyond the things that cast shadows the sun's view reaches.
const margin = 12

// aim turns the sun's view to what casts shadows onto what the camera sees, and reports whether
// anything does. The sun is infinitely far away.
func (r *Renderer) aim(s *Scene) bool {
	r.sun.width = 0
	toward := unit(s.Sun.Direction, Vec{})
	if toward == (Vec{}) || s.Sun.Light == ([3]float64{}) {
		return false
	}
	right := unit(cross(Vec{0, 0, 1}, toward), Vec{1, 0, 0})
	axes := [3]Vec{right, cross(toward, right), toward}
	low, high := r.seen(axes[:2])
	if !r.casters(axes[:2], &low, &high) {
		return false
	}
	side := min(max(3*r.camera.height/samples, 384), 2048)
	wide := rounded(max(high[0]-low[0], high[1]-low[1], 1e-6))
	scale := float64(side-2*margin) / wide
	// The samples of the map stay where they are when things move a little: shadows do not flicker.
	var middle [2]float64
	for k := range middle {
		eye := dot(r.eye.at, axes[k])
		middle[k] = math.Floor(mul(mul(0.5, low[k]+high[k])+eye, scale)+0.5)/scale - eye
	}
	for i := range 3 {
		r.sun.axes(i, Vec{axes[0][i], axes[1][i], axes[2][i]})
	}
	r.sun.at = narrow(add(times(axes[0], middle[0]), times(axes[1], middle[1])))
	r.sun.scale = float32(scale)
	r.sun.size(side, side)
	r.sun.lens(scale, float64(side)/2, float64(side)/2)
	for i := range r.placed {
		p := &r.placed[i]
		for k := range 2 {
			at, reach := p.reaches(axes[k])
			p.casts = p.casts && math.Abs(at-middle[k])-reach < mul(0.55, wide)
		}
	}
	return true
}

// axes sets a row of the turn.
func (v *view) axes(row int, a Vec) {
	n := narrow(a)
	switch row {
	case 0:
		v.turn.a, v.turn.b, v.turn.c = n.x, n.y, n.z
	case 1:
		v.turn.d, v.turn.e, v.turn.f = n.x, n.y, n.z
	default:
		v.turn.g, v.turn.h, v.turn.i = n.x, n.y, n.z
	}
}

// rounded returns a length that is a little larger, one of eight between a power of two and the next.
func rounded(v float64) float64 {
	step := 1.0
	for step > v/8 {
		step /= 2
	}
	for step < v/16 {
		step *= 2
	}
	return mul(math.Ceil(v/step), step)
}

// reaches returns where the middle of a thing is along an axis, from the camera, and how far from its
// middle it reaches.
func (p *placed) reaches(a Vec) (at, reach float64) {
	for i := range 3 {
		reach += mul(math.Abs(dot(a, axis(&p.rotation, i))), p.half[i])
	}
	return dot(a, p.middle), reach
}

// seen returns, along two axes, from where to where what the camera sees reaches.
func (r *Renderer) seen(axes []Vec) (low, high [2]float64) {
	a, b := turnBack(&r.eye.turn, axes[0]), turnBack(&r.eye.turn, axes[1])
	low, high = [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	const step = 4 // samples; what is between reaches little farther
	for y := step / 2; y < r.camera.height; y += step {
		ry := mul(r.eye.midY-float64(y)-0.5, r.eye.perSample)
		row := r.camera.depth[y*r.camera.width:][:r.camera.width]
		for x := step / 2; x < len(row); x += step {
			if row[x] == 0 {
				continue
			}
			rx, depth := mul(float64(x)+0.5-r.eye.midX, r.eye.perSample), 1/float64(row[x])
			p := mul(mul(rx, a[0])+mul(ry, a[1])-a[2], depth)
			q := mul(mul(rx, b[0])+mul(ry, b[1])-b[2], depth)
			low[0], high[0] = min(low[0], p), max(high[0], p)
			low[1], high[1] = min(low[1], q), max(high[1], q)
		}
	}
	for k := range 2 {
		rim := mul(0.02, high[k]-low[k])
		low[k], high[k] = low[k]-rim, high[k]+rim
	}
	return low, high
}

// casters narrows a range to where something casts a shadow, and reports whether anything is left.
func (r *Renderer) casters(axes []Vec, low, high *[2]float64) bool {
	for k, a := range axes {
		from, to := math.Inf(1), math.Inf(-1)
		for i := range r.placed {
			if p := &r.placed[i]; p.casts {
				at, reach := p.reaches(a)
				from, to = min(from, at-reach), max(to, at+reach)
			}
		}
		low[k], high[k] = max(low[k], from), min(high[k], to)
		if !(low[k] < high[k]) {
			return false
		}
	}
	return true
}

// disk is where shadows are looked up: 16 places spread evenly over a disk of radius 1.
var disk = func() (d [16][2]float32) {
	c, s := 1.0, 0.0
	for i := range d {
		r := math.Sqrt((float64(i) + 0.5) / float64(len(d)))
		d[i] = [2]float32{float32(mul(r, c)), float32(mul(r, s))}
		const gc, gs = -0.7373688780783197, 0.6754902942615238 // the golden angle
		c, s = mul(c, gc)-mul(s, gs), mul(c, gs)+mul(s, gc)
	}
	return d
}()

// search is how many samples away from a place what shades it is looked for.
const search = 7

// ring is where: the places of disk, in whole samples.
var ring = func() (d [16]struct {
	x, y   int
	fx, fy float32
}) {
	for i, p := range disk {
		x, y := math.Floor(mul(float64(p[0]), search)+0.5), math.Floor(mul(float64(p[1]), search)+0.5)
		d[i].x, d[i].y, d[i].fx, d[i].fy = int(x), int(y), float32(x), float32(y)
	}
	return d
}()

// lit returns how much of the sun a place sees, 0 to 1; normal is that of its triangle. Shadows are
// soft: the wider, the farther away what casts them is.
func (r *Renderer) lit(at, normal vec3, size float32) float32 {
	v := &r.sun
	if v.width == 0 {
		return 1
	}
	p, n := v.turn.timesBack(at.sub(v.at)), v.turn.timesBack(normal)
	x := float32(p.x*v.scale) + float32(float32(v.width)/2)
	y := float32(float32(v.height)/2) - float32(p.y*v.scale)
	const widest = margin - 2
	if !(x > widest+1 && y > widest+1 && x < float32(v.width-widest-1) && y < float32(v.height-widest-1)) {
		return 1
	}
	s := surfaceInSun{map_: v, x: x, y: y, z: p.z}
	steep := float32(float32(max(n.z, 0.12)) * v.scale)
	s.gx, s.gy = -n.x/steep, n.y/steep
	s.z += float32(0.7*(max(s.gx, -s.gx)+max(s.gy, -s.gy))) + 0.8/v.scale

	// How far away is what may be in the way?
	var blockers int
	var sum float32
	i, j := int(x), int(y)
	z := s.z + float32((float32(i)+0.5-x)*s.gx) + float32((float32(j)+0.5-y)*s.gy)
	at0 := j*v.width + i
	for k := range &ring {
		d := &ring[k]
		if above := v.depth[at0+d.y*v.width+d.x] - (z + float32(d.fx*s.gx) + float32(d.fy*s.gy)); above > 0 {
			blockers++
			sum += above
		}
	}
	if blockers == 0 {
		return 1
	}
	radius := float32(float32(sum/float32(blockers)*v.scale) * size)
	radius = max(1.2, min(radius, widest-1))
	if blockers == len(ring) && radius <= search {
		return 0
	}
	var open float32
	for _, d := range &disk {
		open += s.open(float32(d[0]*radius), float32(d[1]*radius))
	}
	return open / float32(len(disk))
}

// surfaceInSun is the plane of a surface in the sun's view.
type surfaceInSun struct {
	map_    *view
	x, y, z float32
	gx, gy  float32 // how z changes from sample to sample
}

// open returns how much of the sun comes to the surface some samples away, from the four nearest.
func (s *surfaceInSun) open(dx, dy float32) float32 {
	x, y := s.x+dx-0.5, s.y+dy-0.5
	i, j := int(x), int(y)
	fx, fy := x-float32(i), y-float32(j)
	z := s.z + float32((float32(i)+0.5-s.x)*s.gx) + float32((float32(j)+0.5-s.y)*s.gy)
	at := j*s.map_.width + i
	top, low := s.map_.depth[at:][:2], s.map_.depth[at+s.map_.width:][:2]
	var a, b float32
	if top[0] <= z {
		a = 1 - fx
	}
	if top[1] <= z+s.gx {
		a += fx
	}
	if low[0] <= z+s.gy {
		b = 1 - fx
	}
	if low[1] <= z+s.gx+s.gy {
		b += fx
	}
	return float32(a*(1-fy)) + float32(b*fy)
}
