package raster

import (
	"errors"
	"fmt"
)

// MeshData is a surface of triangles, in flat arrays as MuJoCo's models and most files hold them.
type MeshData struct {
	Points []float32 // x, y, z of each point
	Faces  []int32   // three points a triangle, counterclockwise as seen from outside

	// Normals are directions, x, y and z each, and NormalFaces three of them a triangle; without
	// NormalFaces there is one a point. Without Normals the surface is smooth where triangles meet at
	// less than 35 degrees, and has an edge elsewhere.
	Normals     []float32
	NormalFaces []int32

	// UVs are places in a flat texture, two numbers each, 0, 0 its upper left corner; UVFaces are
	// three of them a triangle; without UVFaces there is one a point.
	UVs     []float32
	UVFaces []int32
}

// Mesh is a surface that is ready to be drawn. It never changes, so that any number of instances and
// renderers may share it. A closed surface is seen from outside; one with holes from both sides.
type Mesh struct {
	points, normals []vec3
	uvs             []uv // nil = none
	faces           []face
	low, high       vec3 // the box around it
	open            bool // it has holes, or its triangles do not agree on what is outside: both sides are drawn
	lower           int  // of a capsule: the points from here on belong to the lower half; 0 = none
}

type uv struct{ u, v float32 }

// face is three corners of a mesh.
type face struct{ a, b, c int32 }

// NewMesh checks a surface and prepares it. Triangles without an area are left out.
func NewMesh(d MeshData) (*Mesh, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("raster: mesh: %w", err)
	}
	b := builder{mesh: new(Mesh), seen: make(map[[3]int32]int32, len(d.Points)/3)}
	points := triples(d.Points)
	normals, normalOf := triples(d.Normals), d.NormalFaces
	if len(normals) == 0 {
		normals, normalOf = creased(points, d.Faces)
	} else if len(normalOf) == 0 {
		normalOf = d.Faces
	}
	uvOf := d.UVFaces
	if len(uvOf) == 0 {
		uvOf = d.Faces
	}
	for i := 0; i < len(d.Faces); i += 3 {
		var f [3]int32
		for k := range f {
			key := [3]int32{d.Faces[i+k], normalOf[i+k], -1}
			if len(d.UVs) > 0 {
				key[2] = uvOf[i+k]
			}
			f[k] = b.corner(key, points, normals, d.UVs)
		}
		p := b.mesh.points
		if n := p[f[1]].sub(p[f[0]]).cross(p[f[2]].sub(p[f[0]])); n.dot(n) > 0 {
			b.mesh.faces = append(b.mesh.faces, face{f[0], f[1], f[2]})
		}
	}
	if len(b.mesh.faces) == 0 {
		return nil, errors.New("raster: mesh: no triangle has an area")
	}
	b.mesh.measure()
	b.mesh.open = !closed(points, d.Faces)
	return b.mesh, nil
}

// check returns what is wrong with the arrays.
func (d *MeshData) check() error {
	points, normals, uvs := len(d.Points)/3, len(d.Normals)/3, len(d.UVs)/2
	switch {
	case len(d.Faces) == 0 || len(d.Faces)%3 != 0:
		return fmt.Errorf("%d corners of triangles, want three each, at least one triangle", len(d.Faces))
	case len(d.Faces)/3 > mostFaces:
		return fmt.Errorf("%d triangles, want at most %d", len(d.Faces)/3, mostFaces)
	case len(d.Points)%3 != 0 || len(d.Normals)%3 != 0 || len(d.UVs)%2 != 0:
		return fmt.Errorf("%d, %d and %d numbers of points, normals and texture coordinates, want 3, 3 and 2 each", len(d.Points), len(d.Normals), len(d.UVs))
	case len(d.NormalFaces) > 0 && len(d.NormalFaces) != len(d.Faces), len(d.UVFaces) > 0 && len(d.UVFaces) != len(d.Faces):
		return fmt.Errorf("%d corners have points, %d normals, %d texture coordinates, want the same number, or none", len(d.Faces), len(d.NormalFaces), len(d.UVFaces))
	case normals > 0 && len(d.NormalFaces) == 0 && normals != points:
		return fmt.Errorf("%d normals for %d points, want one each, or NormalFaces", normals, points)
	case uvs > 0 && len(d.UVFaces) == 0 && uvs != points:
		return fmt.Errorf("%d texture coordinates for %d points, want one each, or UVFaces", uvs, points)
	}
	for _, list := range [][]float32{d.Points, d.Normals, d.UVs} {
		for i, v := range list {
			if !(v >= -farthest && v <= farthest) {
				return fmt.Errorf("number %d of %d is %g, want finite numbers up to %g", i, len(list), v, farthest)
			}
		}
	}
	if err := indices("points", d.Faces, points); err != nil {
		return err
	}
	if normals > 0 {
		if err := indices("normals", d.NormalFaces, normals); err != nil {
			return err
		}
	}
	if uvs > 0 {
		return indices("texture coordinates", d.UVFaces, uvs)
	}
	return nil
}

func indices(of string, list []int32, n int) error {
	for i, v := range list {
		if v < 0 || int(v) >= n {
			return fmt.Errorf("triangle %d names %d of %d %s", i/3, v, n, of)
		}
	}
	return nil
}

func triples(v []float32) []vec3 {
	out := make([]vec3, len(v)/3)
	for i := range out {
		out[i] = vec3{v[3*i], v[3*i+1], v[3*i+2]}
	}
	return out
}

// builder joins corners that agree in everything.
type builder struct {
	mesh *Mesh
	seen map[[3]int32]int32 // by point, normal and texture coordinate
}

func (b *builder) corner(key [3]int32, points, normals []vec3, uvs []float32) int32 {
	if at, ok := b.seen[key]; ok {
		return at
	}
	at := int32(len(b.mesh.points))
	b.seen[key] = at
	b.mesh.points = append(b.mesh.points, points[key[0]])
	b.mesh.normals = append(b.mesh.normals, normals[key[1]].unit())
	if key[2] >= 0 {
		b.mesh.uvs = append(b.mesh.uvs, uv{uvs[2*key[2]], uvs[2*key[2]+1]})
	}
	return at
}

// closed reports whether each edge of a surface is one of exactly two triangles, which run along it in
// opposite directions.
func closed(points []vec3, corners []int32) bool {
	at := make(map[vec3]int32, len(points)) // points at one place are one
	same := make([]int32, len(points))
	for i, p := range points {
		first, ok := at[p]
		if !ok {
			first, at[p] = int32(i), int32(i)
		}
		same[i] = first
	}
	edges := make(map[[2]int32]bool, len(corners))
	for t := 0; t < len(corners); t += 3 {
		a, b, c := same[corners[t]], same[corners[t+1]], same[corners[t+2]]
		if a == b || b == c || c == a {
			continue
		}
		for _, e := range [3][2]int32{{a, b}, {b, c}, {c, a}} {
			if edges[e] {
				return false
			}
			edges[e] = true
		}
	}
	for e := range edges {
		if !edges[[2]int32{e[1], e[0]}] {
			return false
		}
	}
	return true
}

// measure finds the box around the mesh.
func (m *Mesh) measure() {
	m.low, m.high = m.points[0], m.points[0]
	for _, p := range m.points {
		m.low = vec3{min(m.low.x, p.x), min(m.low.y, p.y), min(m.low.z, p.z)}
		m.high = vec3{max(m.high.x, p.x), max(m.high.y, p.y), max(m.high.z, p.z)}
	}
}

// creased returns normals for a surface that has none, and which of them each corner has. At each
// point, triangles that face nearly the same way share one, weighted by area.
func creased(points []vec3, corners []int32) (normals []vec3, of []int32) {
	const cos35, crowd = 0.819, 64
	areas := make([]vec3, len(corners)/3) // normals as long as twice the area
	at := make([][]int32, len(points))    // the triangles at each point
	for t := range areas {
		a, b, c := corners[3*t], corners[3*t+1], corners[3*t+2]
		areas[t] = points[b].sub(points[a]).cross(points[c].sub(points[a]))
		for _, p := range [3]int32{a, b, c} {
			at[p] = append(at[p], int32(t))
		}
	}
	of = make([]int32, len(corners))
	for p, around := range at {
		first := len(normals)
		for _, t := range around {
			// A point with a crowd of triangles is smooth all round: comparing each with each would
			// take the square of their number.
			if n := areas[t]; len(around) <= crowd || len(normals) == first {
				own, sum := n.unit(), vec3{}
				for _, o := range around {
					if len(around) > crowd || areas[o].unit().dot(own) >= cos35 {
						sum = sum.add(areas[o])
					}
				}
				normals = append(normals, sum.unit())
			}
			for k := range 3 {
				if corners[3*int(t)+k] == int32(p) {
					of[3*int(t)+k] = int32(len(normals) - 1)
				}
			}
		}
	}
	// Where all triangles agree, one normal is enough: equal ones become the same.
	type corner struct {
		point  int32
		normal vec3
	}
	same := make(map[corner]int32, len(points))
	for i, p := range corners {
		key := corner{p, normals[of[i]]}
		if j, ok := same[key]; ok {
			of[i] = j
		} else {
			same[key] = of[i]
		}
	}
	return normals, of
}
