package raster

import (
	"math"
	"sort"
)

// light is that of a scene.
type light struct {
	toward, sun                vec3
	softness                   float32
	ambient, bounce, headlight vec3
	zenith, horizon, ground    vec3
	shines                     bool
}

func newLight(s *Scene) light {
	l := light{
		sun: narrow(s.Sun.Light), softness: float32(s.Sun.Size),
		ambient: narrow(s.Ambient), bounce: narrow(s.Bounce), headlight: narrow(s.Headlight),
		zenith: lightOf(s.Sky.Zenith), horizon: lightOf(s.Sky.Horizon), ground: lightOf(s.Sky.Ground),
	}
	toward := unit(s.Sun.Direction, Vec{})
	l.toward, l.shines = narrow(toward), toward != (Vec{}) && s.Sun.Light != ([3]float64{})
	return l
}

// surface is what a pixel, or a part of it, shows.
type surface struct {
	thing  *placed
	at     vec3 // relative to the camera
	normal vec3 // what light sees
	flat   vec3 // of the triangle
	u, v   float32
	patch  float32 // how much of a texture the pixel covers, for meshes with coordinates of their own
	weight float32 // of 4
	joined bool    // at, normals, u, v and patch are sums
}

// brush draws pixels. It keeps what the last pixel showed, which the next one often shows too.
type brush struct {
	*Renderer
	number int32 // of the triangle
	facet
}

// facet is a triangle in front of the camera. A ray of the camera meets it at depth over/(ray·d), at
// its corners' shares 1-b-c, b = ray·u/(ray·d) and c = ray·v/(ray·d).
type facet struct {
	thing               *placed
	face                face
	dx, dy, dz          float64
	ux, uy, uz          float64
	vx, vy, vz          float64
	over, closest, last float64
	flat                vec3 // its normal on the side that is seen, in the world
	back                bool // that side is the inner one
}

// row draws a row of pixels.
func (b *brush) row(y int, out []uint8) {
	w := b.camera.width
	top, low := b.camera.faces[2*y*w:][:w], b.camera.faces[(2*y+1)*w:][:w]
	for x := range len(out) / 4 {
		seen := [4]int32{top[2*x], top[2*x+1], low[2*x], low[2*x+1]}
		c := b.pixel(float64(2*x+1), float64(2*y+1), &seen)
		if b.glass.width > 0 {
			c = b.through(x, y, c)
		}
		out[4*x], out[4*x+1], out[4*x+2], out[4*x+3] = show(c.x), show(c.y), show(c.z), 255
	}
}

// through returns the light of a pixel behind glass.
func (b *brush) through(x, y int, behind vec3) vec3 {
	at := 2*y*b.glass.width + 2*x
	out := behind
	for i, number := range [4]int32{b.glass.faces[at], b.glass.faces[at+1], b.glass.faces[at+b.glass.width], b.glass.faces[at+b.glass.width+1]} {
		if number >= 0 {
			s := b.surface(number, float64(2*x+i&1)+0.5, float64(2*y+i>>1)+0.5)
			share := float32(s.thing.material.RGBA[3]) * 0.25
			out = out.add(b.shade(&s).times(share)).sub(behind.times(share))
		}
	}
	return out
}

// pixel returns the light of a pixel, x, y its middle, whose four samples show these triangles.
func (b *brush) pixel(x, y float64, seen *[4]int32) vec3 {
	if seen[0] == seen[1] && seen[0] == seen[2] && seen[0] == seen[3] {
		if seen[0] < 0 {
			return b.background(x, y)
		}
		s := b.surface(seen[0], x, y)
		return b.shade(&s)
	}
	var parts [4]surface
	n, empty := 0, 0
	for i, number := range seen {
		if number < 0 {
			empty++
			continue
		}
		// The samples of one triangle are one look at it, in their middle.
		count, sx, sy, before := 0, 0, 0, false
		for j, other := range seen {
			if other == number {
				before = before || j < i
				count, sx, sy = count+1, sx+j&1, sy+j>>1
			}
		}
		if before {
			continue
		}
		k := float64(count)
		s := b.surface(number, x-0.5+float64(sx)/k, y-0.5+float64(sy)/k)
		s.weight = float32(count)
		n = join(&parts, n, &s)
	}
	var sum vec3
	for i := range n {
		s := &parts[i]
		if s.joined {
			k := 1 / s.weight
			s.at, s.u, s.v, s.patch = s.at.times(k), float32(s.u*k), float32(s.v*k), float32(s.patch*k)
			s.normal, s.flat = s.normal.unit(), s.flat.unit()
		}
		sum = sum.add(b.shade(s).times(s.weight * 0.25))
	}
	if empty > 0 {
		sum = sum.add(b.background(x, y).times(float32(empty) * 0.25))
	}
	return sum
}

// join adds a look to the part of a pixel that shows the same thing from much the same side: such
// looks are lit once.
func join(parts *[4]surface, n int, s *surface) int {
	for i := range n {
		p := &parts[i]
		if p.thing != s.thing {
			continue
		}
		scale := float32(1)
		if !p.joined {
			scale = p.weight
		}
		if p.normal.dot(s.normal) <= float32(0.8*p.weight)/scale {
			continue
		}
		k := s.weight
		p.at, p.normal, p.flat = p.at.times(scale).add(s.at.times(k)), p.normal.times(scale).add(s.normal.times(k)), p.flat.times(scale).add(s.flat.times(k))
		p.u, p.v = float32(p.u*scale)+float32(s.u*k), float32(p.v*scale)+float32(s.v*k)
		p.patch, p.weight, p.joined = float32(p.patch*scale)+float32(s.patch*k), p.weight+k, true
		return n
	}
	parts[n] = *s
	return n + 1
}

// take makes a triangle the current one.
func (b *brush) take(number int32) {
	p := b.thing
	if p == nil || number < p.base || int(number-p.base) >= len(p.mesh.faces) {
		i := sort.Search(len(b.placed), func(i int) bool { return b.placed[i].base > number })
		p = &b.placed[i-1]
	}
	b.number, b.thing, b.face = number, p, p.mesh.faces[number-p.base]
	corners := b.corners[p.first:]
	ca, cb, cc := &corners[b.face.a].at, &corners[b.face.b].at, &corners[b.face.c].at
	ax, ay, az := float64(ca.x), float64(ca.y), float64(ca.z)
	e, f, g := float64(cb.x)-ax, float64(cb.y)-ay, float64(cb.z)-az
	h, i, j := float64(cc.x)-ax, float64(cc.y)-ay, float64(cc.z)-az
	b.dx, b.dy, b.dz = mul(f, j)-mul(g, i), mul(g, h)-mul(e, j), mul(e, i)-mul(f, h)
	b.ux, b.uy, b.uz = mul(i, az)-mul(j, ay), mul(j, ax)-mul(h, az), mul(h, ay)-mul(i, ax)
	b.vx, b.vy, b.vz = mul(ay, g)-mul(az, f), mul(az, e)-mul(ax, g), mul(ax, f)-mul(ay, e)
	b.over = mul(ax, b.dx) + mul(ay, b.dy) + mul(az, b.dz)
	b.closest, b.last = -float64(max(ca.z, cb.z, cc.z)), -float64(min(ca.z, cb.z, cc.z))
	n := math.Sqrt(mul(b.dx, b.dx) + mul(b.dy, b.dy) + mul(b.dz, b.dz))
	if n > 0 {
		n = 1 / n
	}
	if b.back = b.over > 0; b.back {
		n = -n
	}
	b.flat = b.eye.narrow.times(vec3{float32(b.dx * n), float32(b.dy * n), float32(b.dz * n)})
}

// surface returns what a ray through a place of the picture, in samples, sees of a triangle.
func (b *brush) surface(number int32, x, y float64) surface {
	if number != b.number {
		b.take(number)
	}
	rx, ry := mul(x-b.eye.midX, b.eye.perSample), mul(b.eye.midY-y, b.eye.perSample)
	inv := 1 / (mul(rx, b.dx) + mul(ry, b.dy) - b.dz)
	t := mul(b.over, inv)
	fb := float32((mul(rx, b.ux) + mul(ry, b.uy) - b.uz) * inv)
	fc := float32((mul(rx, b.vx) + mul(ry, b.vy) - b.vz) * inv)
	// Corners are rounded to fractions of samples: the place may be a little beside the triangle.
	if !(fb >= 0 && fc >= 0 && fb+fc <= 1) {
		fb, fc = shares(fb, fc)
		t = max(b.closest, min(t, b.last))
		if t != t {
			t = b.closest
		}
	}
	fa := 1 - fb - fc
	p := b.thing
	m, f := p.mesh, b.face
	s := surface{thing: p, flat: b.flat, weight: 1}
	s.at = b.eye.narrow.times(vec3{float32(rx * t), float32(ry * t), float32(-t)})
	n := m.normals[f.a].times(fa).add(m.normals[f.b].times(fb)).add(m.normals[f.c].times(fc))
	s.normal = p.turn.times(n.each(p.inverse)).unit()
	if b.back {
		s.normal = s.normal.times(-1)
	}
	if m.uvs != nil && p.material.Texture != nil {
		ua, ub, uc := m.uvs[f.a], m.uvs[f.b], m.uvs[f.c]
		s.u = float32(ua.u*fa) + float32(ub.u*fb) + float32(uc.u*fc)
		s.v = float32(ua.v*fa) + float32(ub.v*fb) + float32(uc.v*fc)
		on := float32((ub.u-ua.u)*(uc.v-ua.v)) - float32((uc.u-ua.u)*(ub.v-ua.v))
		if of := math.Sqrt(mul(b.dx, b.dx) + mul(b.dy, b.dy) + mul(b.dz, b.dz)); of > 0 {
			s.patch = sqrt(max(on, -on) / float32(of))
		}
	}
	return s
}

// shares brings a place back into its triangle.
func shares(b, c float32) (float32, float32) {
	if !(b >= 0) {
		b = 0
	}
	if !(c >= 0) {
		c = 0
	}
	b, c = min(b, 1), min(c, 1)
	if sum := b + c; sum > 1 {
		b, c = b/sum, c/sum
	}
	return b, c
}

// background returns the sky behind a place of the picture.
func (r *Renderer) background(x, y float64) vec3 {
	d := r.eye.narrow.times(vec3{float32((x - r.eye.midX) * r.eye.perSample), float32((r.eye.midY - y) * r.eye.perSample), -1})
	return r.sky(d.unit(), r.eye.pixel)
}

// sky returns what is seen in a direction where nothing is; wide is the angle of the pixel.
func (r *Renderer) sky(d vec3, wide float32) vec3 {
	if cube := r.surround.Sky.Cube; cube != nil {
		// MuJoCo's skies have y up.
		return cube.around(vec3{d.x, d.z, -d.y}, wide/2)
	}
	l := &r.light
	if d.z >= 0 {
		return mix(l.horizon, l.zenith, sqrt(d.z))
	}
	return mix(l.horizon, l.ground, min(1, -3*d.z))
}

func mix(a, b vec3, share float32) vec3 { return a.times(1 - share).add(b.times(share)) }

// shade returns the light that a surface sends to the camera.
func (r *Renderer) shade(s *surface) vec3 {
	l, p, m := &r.light, s.thing, s.thing.material
	distance := sqrt(s.at.dot(s.at))
	view := s.at.times(-1 / distance)
	facing := s.normal.dot(view)
	if facing < 0 { // a smooth normal that looks away at the rim
		s.normal = s.normal.add(view.times(0.01 - facing)).unit()
		facing = 0.01
	}
	colour := p.colour
	if m.Texture != nil {
		colour = colour.each(r.texture(s, view, distance))
	}
	up := float32((s.normal.z + 1) * 0.5)
	sum := mix(l.bounce, l.ambient, up).add(l.headlight.times(facing))
	var shine vec3
	if toward := s.normal.dot(l.toward); toward > 0 && l.shines {
		if lit := r.lit(s.at, s.flat, l.softness); lit > 0 {
			sum = sum.add(l.sun.times(float32(toward * lit)))
			if m.Specular > 0 {
				shine = l.sun.times(float32(highlight(s.normal, view, l.toward, p.power) * float32(m.Specular) * lit))
			}
		}
	}
	out := colour.each(sum)
	if m.Reflectance > 0 {
		mirror := s.normal.times(2 * facing).sub(view)
		rim := 1 - facing
		rim = float32(rim * rim)
		out = mix(out, r.sky(mirror, 0.05), float32(float32(m.Reflectance)*(0.4+float32(0.6*float32(rim*rim)))))
	}
	out = out.add(shine)
	if m.Emission > 0 {
		out = out.add(colour.times(float32(m.Emission)))
	}
	if p.endless { // fades into the horizon
		if far := float32(1.6*distance/p.reach) - 0.4; far > 0 {
			out = mix(out, r.light.horizon, min(far, 1))
		}
	}
	return out
}

// highlight returns the cosine between the normal and the middle of sun and viewer, to a power.
func highlight(normal, view, toward vec3, power int) float32 {
	h := normal.dot(view.add(toward).unit())
	if h <= 0 {
		return 0
	}
	out := float32(1)
	for ; power > 0; power /= 2 {
		if power%2 == 1 {
			out = float32(out * h)
		}
		h = float32(h * h)
	}
	return out
}

// texture returns the colour of a surface's texture.
func (r *Renderer) texture(s *surface, view vec3, distance float32) vec3 {
	p, t := s.thing, s.thing.material.Texture
	wide := float32(distance * r.eye.pixel) // of the pixel, on a surface that faces the camera
	local := p.turn.timesBack(s.at.sub(p.origin))
	if t.cube {
		if p.material.PerMetre {
			return t.around(local, float32(wide*0.5)/max(p.half32.x, p.half32.y, p.half32.z))
		}
		d, h := local.each(p.inverse), p.half32
		ax, ay, az := max(d.x, -d.x), max(d.y, -d.y), max(d.z, -d.z)
		across := min(h.x, h.y) // the shorter side of the face
		if ax >= ay && ax >= az {
			across = min(h.y, h.z)
		} else if ay >= az {
			across = min(h.x, h.z)
		}
		return t.around(d, float32(wide*0.5)/max(across, 1e-6))
	}
	if p.mesh.uvs != nil {
		rx, ry := repeat(p.material.Repeat[0]), repeat(p.material.Repeat[1])
		return t.flat(float32(s.u*rx), float32(s.v*ry), float32(wide*s.patch)*max(rx, ry))
	}
	// A patch of a surface that is seen at a slant is long: it takes several looks.
	slant := s.flat.dot(view)
	facing := max(slant, 0.05)
	rate := max(p.texels.x, p.texels.y)
	pixels := float32(float32(wide*rate) * t.wide)
	n := max(1, min(8, int(pixels/facing/max(pixels, 1)+0.99)))
	if n == 1 {
		at := local.each(p.texels)
		return t.flat(at.x+0.5, 0.5-at.y, float32(wide*rate))
	}
	long := view.sub(s.flat.times(slant)).unit()
	step := p.turn.timesBack(long).times(wide / facing)
	width := max(wide, wide/facing/float32(n))
	var sum vec3
	for i := range n {
		at := local.add(step.times((float32(i)+0.5)/float32(n) - 0.5)).each(p.texels)
		sum = sum.add(t.flat(at.x+0.5, 0.5-at.y, float32(width*rate)))
	}
	return sum.times(1 / float32(n))
}

func repeat(n float64) float32 {
	if n == 0 {
		return 1
	}
	return float32(n)
}
