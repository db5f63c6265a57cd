package raster

import "sync"

// The solids, of size 1, from 8 to 128 sides: as round as a picture can show.
const roundest = 5

var solids [Cylinder + 1][roundest]struct {
	once sync.Once
	mesh *Mesh
}

// solid returns the mesh of a shape with 8<<level sides.
func solid(s Shape, level int) *Mesh {
	if s == Plane || s == Box {
		level = 0
	}
	if s == Ellipsoid {
		s = Sphere
	}
	e := &solids[s][level]
	e.once.Do(func() {
		var m Mesh
		switch n := 8 << level; s {
		case Plane:
			m.quad(Vec{0, 0, 0}, Vec{1, 0, 0}, Vec{0, 1, 0})
		case Box:
			m.box()
		case Sphere:
			m.ball(n, false)
		case Capsule:
			m.ball(n, true)
		case Cylinder:
			m.cylinder(n)
		}
		m.measure()
		e.mesh = &m
	})
	return e.mesh
}

func (m *Mesh) point(p, normal Vec) int32 {
	m.points, m.normals = append(m.points, narrow(p)), append(m.normals, narrow(normal))
	return int32(len(m.points) - 1)
}

// quad adds a parallelogram with its middle at c and half its sides x and y; it faces x × y.
func (m *Mesh) quad(c, x, y Vec) {
	n := cross(x, y)
	a := m.point(sub(sub(c, x), y), n)
	m.point(sub(add(c, x), y), n)
	m.point(add(add(c, x), y), n)
	m.point(add(sub(c, x), y), n)
	m.faces = append(m.faces, face{a, a + 1, a + 2}, face{a, a + 2, a + 3})
}

func (m *Mesh) box() {
	for i := range 3 {
		var n, x, y Vec
		n[i], x[(i+1)%3], y[(i+2)%3] = 1, 1, 1
		m.quad(n, x, y)
		m.quad(times(n, -1), y, x)
	}
}

// ball adds a sphere of n sides, in n/2 rings from the top to the bottom. A split one has two
// equators, with a wall between them: a capsule.
func (m *Mesh) ball(n int, split bool) {
	round := circle(n)
	ring := func(i int) int32 { // i of n/2, from the top
		z, r := round[i][0], round[i][1]
		first := int32(len(m.points))
		for _, p := range round {
			at := Vec{mul(r, p[0]), mul(r, p[1]), z}
			m.point(at, at)
		}
		return first
	}
	above := ring(0)
	for i := 1; i <= n/2; i++ {
		below := ring(i)
		m.band(above, below, n)
		above = below
		if split && i == n/4 {
			m.lower = len(m.points)
			below = ring(i)
			m.band(above, below, n)
			above = below
		}
	}
}

// band adds the triangles between two rings of n points, seen from outside.
func (m *Mesh) band(above, below int32, n int) {
	for i := range int32(n) {
		j := (i + 1) % int32(n)
		m.faces = append(m.faces, face{above + i, below + i, below + j}, face{above + i, below + j, above + j})
	}
}

func (m *Mesh) cylinder(n int) {
	round := circle(n)
	ring := func(z float64, normal func(p [2]float64) Vec) int32 {
		first := int32(len(m.points))
		for _, p := range round {
			m.point(Vec{p[0], p[1], z}, normal(p))
		}
		return first
	}
	side := func(p [2]float64) Vec { return Vec{p[0], p[1], 0} }
	top, bottom := ring(1, side), ring(-1, side)
	m.band(top, bottom, n)
	for _, z := range []float64{1, -1} {
		normal := Vec{0, 0, z}
		middle := m.point(normal, normal)
		edge := ring(z, func([2]float64) Vec { return normal })
		for i := range int32(n) {
			f := face{middle, edge + i, edge + (i+1)%int32(n)}
			if z < 0 {
				f.b, f.c = f.c, f.b
			}
			m.faces = append(m.faces, f)
		}
	}
}
