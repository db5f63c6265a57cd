package raster

import (
	"fmt"
	"math"
)

// place lists the instances that can be seen or can cast a shadow.
func (r *Renderer) place(s *Scene) error {
	r.placed = r.placed[:0]
	corners, faces := 0, 0
	for i := range s.Instances {
		t := &s.Instances[i]
		if t.Material.RGBA[3] == 0 {
			continue
		}
		p := r.put(t)
		if !p.seen && !p.casts {
			continue
		}
		p.first, p.base = corners, int32(faces)
		corners += len(p.mesh.points)
		faces += len(p.mesh.faces)
		r.placed = append(r.placed, p)
	}
	if faces > mostFaces {
		return fmt.Errorf("raster: the scene has %d triangles, want at most %d", faces, mostFaces)
	}
	r.corners = grown(r.corners, corners)
	r.shaded = grown(r.shaded, corners)
	return nil
}

func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/4)
	}
	return s[:n]
}

// put places an instance in front of the camera.
func (r *Renderer) put(t *Instance) placed {
	m := &t.Material
	p := placed{material: m, colour: lightOf([3]float64(m.RGBA[:3])), casts: m.RGBA[3] == 1 && (t.Mesh != nil || t.Shape != Plane)}
	p.glass = m.RGBA[3] < 1
	rotation := t.Rotation
	if rotation == (Mat{}) {
		rotation = upright
	}
	p.turn = narrowMat(&rotation)
	at, scale := t.Position, t.Size
	switch {
	case t.Mesh != nil:
		if scale == (Vec{}) {
			scale = Vec{1, 1, 1}
		}
	case t.Shape == Plane:
		at, scale = r.spread(&p, t, &rotation)
	case t.Shape == Sphere:
		scale = Vec{scale[0], scale[0], scale[0]}
	case t.Shape == Capsule:
		p.lift = float32(scale[1])
		scale = Vec{scale[0], scale[0], scale[0]}
	case t.Shape == Cylinder:
		scale = Vec{scale[0], scale[0], scale[1]}
	}
	p.scale, p.inverse = narrow(scale), narrow(Vec{1 / scale[0], 1 / scale[1], 1 / scale[2]})
	p.place, p.origin = narrow(sub(at, r.eye.at)), narrow(sub(t.Position, r.eye.at))
	p.rotation = rotation
	p.middle, p.half = boxAround(t.Mesh, scale, float64(p.lift))
	p.half32 = narrow(p.half)
	p.middle = add(sub(at, r.eye.at), turn(&rotation, p.middle))
	middle, radius := turnBack(&r.eye.turn, p.middle), length(p.half)
	p.seen = r.eye.sees(middle, radius)
	if p.mesh = t.Mesh; p.mesh == nil {
		p.mesh = solid(t.Shape, r.eye.roundness(middle, max(scale[0], scale[1]), radius))
	}
	p.power = 1 + int(mul(m.Shininess, 127)+0.5)
	p.texels = repeats(t, p.mesh, scale)
	return p
}

// boxAround returns the middle of a scaled thing and half the sides of the box around it.
func boxAround(m *Mesh, scale Vec, lift float64) (middle, half Vec) {
	if m == nil {
		return Vec{}, add(scale, Vec{0, 0, lift})
	}
	low, high := m.low.wide(), m.high.wide()
	for i := range 3 {
		middle[i] = mul((low[i]+high[i])/2, scale[i])
		half[i] = mul((high[i]-low[i])/2, scale[i])
	}
	return middle, half
}

// spread returns the middle and the scale of a plane. One without end is as large as the height of
// the camera over it needs: its edge is near the horizon, where it fades.
func (r *Renderer) spread(p *placed, t *Instance, rotation *Mat) (at, scale Vec) {
	at, scale = t.Position, Vec{t.Size[0], t.Size[1], 1}
	if scale[0] > 0 && scale[1] > 0 {
		return at, scale
	}
	p.endless = true
	off := turnBack(rotation, sub(r.eye.at, at))
	reach := mul(300, max(math.Abs(off[2]), 0.2))
	p.reach = float32(reach)
	for i := range 2 {
		if scale[i] == 0 {
			scale[i] = reach
			at = along(at, axis(rotation, i), off[i])
		}
	}
	return at, scale
}

// sees reports whether a sphere reaches into the picture.
func (e *eye) sees(middle Vec, radius float64) bool {
	depth := -middle[2]
	if depth+radius < e.near {
		return false
	}
	// The picture's sides are planes through the camera.
	side := func(off, half float64) bool {
		return mul(math.Abs(off), e.focal)-mul(depth, half) < mul(radius, math.Sqrt(mul(e.focal, e.focal)+mul(half, half)))
	}
	return side(middle[0], e.midX) && side(middle[1], e.midY)
}

// roundness returns the level of a round solid that hides its corners: the chord of a side leaves the
// circle by less than a fifth of a sample.
func (e *eye) roundness(middle Vec, wide, radius float64) int {
	depth := max(-middle[2]-radius, e.near)
	in := mul(wide, e.focal) / depth // the radius in samples
	level := 1
	for level < roundest-1 && mul(in, math.Pi*math.Pi/2) > mul(0.2, mul(float64(int(8)<<level), float64(int(8)<<level))) {
		level++
	}
	return level
}

// repeats returns how often the texture of an instance is repeated a metre, along its axes.
func repeats(t *Instance, m *Mesh, scale Vec) vec3 {
	var out Vec
	for i := range 2 {
		n := t.Material.Repeat[i]
		if n == 0 {
			n = 1
		}
		if !t.Material.PerMetre {
			low, high := Vec{-1, -1}, Vec{1, 1}
			if t.Mesh != nil {
				low, high = m.low.wide(), m.high.wide()
			}
			if wide := mul(high[i]-low[i], scale[i]); wide > 0 && !(t.Mesh == nil && t.Shape == Plane && t.Size[i] == 0) {
				n /= wide
			}
		}
		out[i] = n
	}
	return narrow(out)
}

// transform finds where the corners of everything are for the camera or for the sun.
func (r *Renderer) transform(v *view) {
	r.each(len(r.placed), func(i int) {
		p := &r.placed[i]
		m := p.mesh
		top := len(m.points)
		if m.lower > 0 {
			top = m.lower
		}
		for _, half := range [2]struct {
			from, to int
			lift     float32
		}{{0, top, p.lift}, {top, len(m.points), -p.lift}} {
			off := p.place.add(vec3{p.turn.c, p.turn.f, p.turn.i}.times(half.lift))
			points := m.points[half.from:half.to]
			if v.perspective && p.seen {
				v.transform(r.corners[p.first+half.from:], points, viewed(&r.eye.narrow, p, off))
			} else if !v.perspective && p.casts {
				v.transform(r.shaded[p.first+half.from:], points, viewed(&v.turn, p, off.sub(v.at)))
			}
		}
	})
}

// affine is a matrix and what is added to its product.
type affine struct {
	mat3
	off vec3
}

// viewed joins the scale and the turn of an instance with those of a view; x, y and towards the
// viewer are the columns of turn.
func viewed(turn *mat3, p *placed, off vec3) affine {
	x := turn.timesBack(vec3{p.turn.a, p.turn.d, p.turn.g}).times(p.scale.x)
	y := turn.timesBack(vec3{p.turn.b, p.turn.e, p.turn.h}).times(p.scale.y)
	z := turn.timesBack(vec3{p.turn.c, p.turn.f, p.turn.i}).times(p.scale.z)
	return affine{mat3{x.x, y.x, z.x, x.y, y.y, z.y, x.z, y.z, z.z}, turn.timesBack(off)}
}
