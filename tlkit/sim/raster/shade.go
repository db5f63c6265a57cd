package raster

import "sort"

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
	weight float32
}

// shadeRow draws a row of pixels.
func (r *Renderer) shadeRow(y int, out []uint8) {
	w := r.camera.width
	top, low := r.camera.faces[2*y*w:][:w], r.camera.faces[(2*y+1)*w:][:w]
	for x := range len(out) / 4 {
		seen := [4]int32{top[2*x], top[2*x+1], low[2*x], low[2*x+1]}
		c := r.pixel(x, y, seen)
		out[4*x], out[4*x+1], out[4*x+2], out[4*x+3] = show(c.x), show(c.y), show(c.z), 255
	}
}

// pixel returns the light of a pixel whose four samples show these triangles.
func (r *Renderer) pixel(x, y int, seen [4]int32) vec3 {
	middleX, middleY := float64(2*x+1), float64(2*y+1)
	if seen[0] == seen[1] && seen[0] == seen[2] && seen[0] == seen[3] {
		if seen[0] < 0 {
			return r.background(middleX, middleY)
		}
		s := r.surface(seen[0], middleX, middleY)
		s.normal = s.normal.unit()
		return r.shade(&s)
	}
	var parts [4]surface
	n, empty := 0, 0
	for i, number := range seen {
		if number < 0 {
			empty++
			continue
		}
		s := r.surface(number, middleX+float64(i&1)-0.5, middleY+float64(i>>1)-0.5)
		s.normal = s.normal.unit()
		n = join(&parts, n, &s)
	}
	var sum vec3
	for i := range n {
		s := &parts[i]
		if s.weight > 1 {
			k := 1 / s.weight
			s.at, s.u, s.v, s.patch = s.at.times(k), float32(s.u*k), float32(s.v*k), float32(s.patch*k)
			s.normal, s.flat = s.normal.unit(), s.flat.unit()
		}
		sum = sum.add(r.shade(s).times(s.weight * 0.25))
	}
	if empty > 0 {
		sum = sum.add(r.background(middleX, middleY).times(float32(empty) * 0.25))
	}
	return sum
}

// join adds a sample to the part of a pixel that shows the same thing from much the same side: such
// samples are lit once.
func join(parts *[4]surface, n int, s *surface) int {
	for i := range n {
		p := &parts[i]
		if p.thing == s.thing && p.normal.dot(s.normal) > float32(0.8*p.weight) {
			p.at, p.normal, p.flat = p.at.add(s.at), p.normal.add(s.normal), p.flat.add(s.flat)
			p.u, p.v, p.patch, p.weight = p.u+s.u, p.v+s.v, p.patch+s.patch, p.weight+1
			return n
		}
	}
	parts[n] = *s
	return n + 1
}

// thing returns what a triangle belongs to.
func (r *Renderer) thing(number int32) *placed {
	i := sort.Search(len(r.placed), func(i int) bool { return r.placed[i].base > number })
	return &r.placed[i-1]
}

// surface returns what a ray through a place of the picture, in samples, sees of a triangle.
func (r *Renderer) surface(number int32, x, y float64) surface {
	p := r.thing(number)
	f := p.mesh.faces[number-p.base]
	ca, cb, cc := &r.corners[p.first+int(f.a)], &r.corners[p.first+int(f.b)], &r.corners[p.first+int(f.c)]
	a := ca.at.wide()
	e1, e2 := sub(cb.at.wide(), a), sub(cc.at.wide(), a)
	ray := Vec{(x - r.eye.midX) / r.eye.focal, (r.eye.midY - y) / r.eye.focal, -1}
	// Möller and Trumbore, from the camera at 0.
	q := cross(ray, e2)
	inv := 1 / dot(e1, q)
	b := -mul(dot(a, q), inv)
	c := -mul(dot(ray, cross(a, e1)), inv)
	// The middle of a pixel may be a little beside the triangle.
	if !(b >= 0) {
		b = 0
	}
	if !(c >= 0) {
		c = 0
	}
	if sum := b + c; sum > 1 {
		b, c = b/sum, c/sum
	}
	s := surface{thing: p, weight: 1}
	fb, fc := float32(b), float32(c)
	fa := 1 - fb - fc
	view := narrow(add(a, add(times(e1, b), times(e2, c))))
	s.at = r.eye.narrow.times(view)
	m := p.mesh
	n := m.normals[f.a].times(fa).add(m.normals[f.b].times(fb)).add(m.normals[f.c].times(fc))
	s.normal = p.turn.times(n.each(p.inverse))
	s.flat = r.eye.narrow.times(narrow(cross(e1, e2)).unit())
	if m.uvs != nil && p.material.Texture != nil {
		ua, ub, uc := m.uvs[f.a], m.uvs[f.b], m.uvs[f.c]
		s.u = float32(ua.u*fa) + float32(ub.u*fb) + float32(uc.u*fc)
		s.v = float32(ua.v*fa) + float32(ub.v*fb) + float32(uc.v*fc)
		on := float32((ub.u-ua.u)*(uc.v-ua.v)) - float32((uc.u-ua.u)*(ub.v-ua.v))
		if of := length(cross(e1, e2)); of > 0 {
			s.patch = sqrt(max(on, -on) / float32(of))
		}
	}
	return s
}

// background returns the sky behind a place of the picture.
func (r *Renderer) background(x, y float64) vec3 {
	d := r.eye.narrow.times(vec3{float32((x - r.eye.midX) / r.eye.focal), float32((r.eye.midY - y) / r.eye.focal), -1})
	return r.sky(d.unit(), float32(2/r.eye.focal))
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
	return mix(l.horizon, l.ground, min(1, -6*d.z))
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
	wide := float32(distance * float32(2/r.eye.focal)) // of the pixel, on a surface that faces the camera
	local := p.turn.timesBack(s.at.sub(p.place))
	if t.cube {
		return t.around(local.each(p.inverse), 0.5*wide/max(p.scale.x, p.scale.y, p.scale.z))
	}
	if p.mesh.uvs != nil {
		rx, ry := repeat(p.material.Repeat[0]), repeat(p.material.Repeat[1])
		return t.flat(float32(s.u*rx), float32(s.v*ry), float32(wide*s.patch)*max(rx, ry))
	}
	// A patch of a surface that is seen at a slant is long: it takes several looks.
	facing := max(s.flat.dot(view), 0.05)
	long := view.sub(s.flat.times(s.flat.dot(view))).unit()
	step := p.turn.timesBack(long).times(wide / facing)
	n := min(8, int(1/facing)+1)
	var sum vec3
	for i := range n {
		at := local.add(step.times((float32(i)+0.5)/float32(n) - 0.5)).each(p.texels)
		width := max(wide, float32(wide/facing)/float32(n))
		sum = sum.add(t.flat(at.x+0.5, 0.5-at.y, float32(width*max(p.texels.x, p.texels.y))))
	}
	return sum.times(1 / float32(n))
}

func repeat(n float64) float32 {
	if n == 0 {
		return 1
	}
	return float32(n)
}
