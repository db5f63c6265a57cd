package raster

import "math"

// The pictures are the same on every processor. Go may fuse a*b+c into one instruction that rounds
// once, which an explicit conversion prevents: products that are added to something are written
// float32(a*b), or mul(a, b). Of package math only what is exact everywhere is used.

// Vec is a place or a direction in the world: x, y and z, which points up. Lengths are in metres.
type Vec = [3]float64

// Mat is a rotation, row by row. Its columns are where the axes x, y and z of the turned thing
// point. The zero Mat stands for no turn.
type Mat = [9]float64

var upright = Mat{1, 0, 0, 0, 1, 0, 0, 0, 1}

func mul(a, b float64) float64 { return float64(a * b) }

func add(a, b Vec) Vec              { return Vec{a[0] + b[0], a[1] + b[1], a[2] + b[2]} }
func sub(a, b Vec) Vec              { return Vec{a[0] - b[0], a[1] - b[1], a[2] - b[2]} }
func times(a Vec, f float64) Vec    { return Vec{mul(a[0], f), mul(a[1], f), mul(a[2], f)} }
func dot(a, b Vec) float64          { return mul(a[0], b[0]) + mul(a[1], b[1]) + mul(a[2], b[2]) }
func length(a Vec) float64          { return math.Sqrt(dot(a, a)) }
func along(a, d Vec, f float64) Vec { return add(a, times(d, f)) }

func cross(a, b Vec) Vec {
	return Vec{mul(a[1], b[2]) - mul(a[2], b[1]), mul(a[2], b[0]) - mul(a[0], b[2]), mul(a[0], b[1]) - mul(a[1], b[0])}
}

// unit returns the direction of a, or instead if it has none.
func unit(a, instead Vec) Vec {
	n := length(a)
	if n < 1e-12 {
		return instead
	}
	return Vec{a[0] / n, a[1] / n, a[2] / n}
}

// axis returns where axis i of a turned thing points.
func axis(m *Mat, i int) Vec { return Vec{m[i], m[3+i], m[6+i]} }

// turn returns m·v.
func turn(m *Mat, v Vec) Vec {
	return Vec{dot(Vec(m[0:3]), v), dot(Vec(m[3:6]), v), dot(Vec(m[6:9]), v)}
}

// turnBack returns the inverse turn of v.
func turnBack(m *Mat, v Vec) Vec {
	return Vec{dot(axis(m, 0), v), dot(axis(m, 1), v), dot(axis(m, 2), v)}
}

// vec3 is a Vec for the many: of corners and of pixels.
type vec3 struct{ x, y, z float32 }

func narrow(v Vec) vec3        { return vec3{float32(v[0]), float32(v[1]), float32(v[2])} }
func (a vec3) wide() Vec       { return Vec{float64(a.x), float64(a.y), float64(a.z)} }
func (a vec3) add(b vec3) vec3 { return vec3{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec3) sub(b vec3) vec3 { return vec3{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec3) times(f float32) vec3 {
	return vec3{float32(a.x * f), float32(a.y * f), float32(a.z * f)}
}
func (a vec3) dot(b vec3) float32 { return float32(a.x*b.x) + float32(a.y*b.y) + float32(a.z*b.z) }
func (a vec3) each(b vec3) vec3 {
	return vec3{float32(a.x * b.x), float32(a.y * b.y), float32(a.z * b.z)}
}
func (a vec3) cross(b vec3) vec3 {
	return vec3{float32(a.y*b.z) - float32(a.z*b.y), float32(a.z*b.x) - float32(a.x*b.z), float32(a.x*b.y) - float32(a.y*b.x)}
}

// unit returns the direction of a, or a itself if it is too short to have one.
func (a vec3) unit() vec3 {
	n := sqrt(a.dot(a))
	if n < 1e-30 {
		return a
	}
	return a.times(1 / n)
}

func sqrt(v float32) float32 { return float32(math.Sqrt(float64(v))) }

// mat3 is a matrix for the many, row by row.
type mat3 struct{ a, b, c, d, e, f, g, h, i float32 }

func narrowMat(m *Mat) mat3 {
	return mat3{
		float32(m[0]), float32(m[1]), float32(m[2]),
		float32(m[3]), float32(m[4]), float32(m[5]),
		float32(m[6]), float32(m[7]), float32(m[8]),
	}
}

func (m *mat3) times(v vec3) vec3 {
	return vec3{
		float32(m.a*v.x) + float32(m.b*v.y) + float32(m.c*v.z),
		float32(m.d*v.x) + float32(m.e*v.y) + float32(m.f*v.z),
		float32(m.g*v.x) + float32(m.h*v.y) + float32(m.i*v.z),
	}
}

// timesBack returns the transpose of m times v.
func (m *mat3) timesBack(v vec3) vec3 {
	return vec3{
		float32(m.a*v.x) + float32(m.d*v.y) + float32(m.g*v.z),
		float32(m.b*v.x) + float32(m.e*v.y) + float32(m.h*v.z),
		float32(m.c*v.x) + float32(m.f*v.y) + float32(m.i*v.z),
	}
}

// sincos returns the sine and the cosine of 0 to π/2, which package math rounds differently from
// processor to processor.
func sincos(x float64) (sin, cos float64) {
	h := x / 2 // up to π/4, where the series needs few terms
	q := mul(h, h)
	s, c := 1.0, 1.0
	for n := 20.0; n >= 2; n -= 2 {
		s = 1 - mul(q, s)/mul(n, n+1)
		c = 1 - mul(q, c)/mul(n, n-1)
	}
	s = mul(h, s)
	return mul(2*s, c), mul(c, c) - mul(s, s)
}

// circle returns n places on the unit circle, n a multiple of 4: cosine and sine of i/n turns.
func circle(n int) [][2]float64 {
	p := make([][2]float64, n)
	for i := range n / 4 {
		s, c := sincos(mul(2*math.Pi/float64(n), float64(i)))
		p[i], p[i+n/4], p[i+n/2], p[i+3*n/4] = [2]float64{c, s}, [2]float64{-s, c}, [2]float64{-c, -s}, [2]float64{s, -c}
	}
	return p
}
