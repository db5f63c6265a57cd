package bench

import "math"

// The numbers of a world are the same on every processor. Go may fuse a*b+c into one instruction
// that rounds once, which an explicit conversion prevents: products that are added to something
// are written mul(a, b), or mul32(a, b). Of package math only what is exact everywhere is used.

func mul(a, b float64) float64   { return float64(a * b) }
func mul32(a, b float32) float32 { return float32(a * b) }

func hypot(x, y float64) float64 { return math.Sqrt(mul(x, x) + mul(y, y)) }

// vec is a place or a direction.
type vec struct{ x, y float64 }

func (a vec) add(b vec) vec       { return vec{a.x + b.x, a.y + b.y} }
func (a vec) sub(b vec) vec       { return vec{a.x - b.x, a.y - b.y} }
func (a vec) times(f float64) vec { return vec{mul(a.x, f), mul(a.y, f)} }
func (a vec) dot(b vec) float64   { return mul(a.x, b.x) + mul(a.y, b.y) }
func (a vec) cross(b vec) float64 { return mul(a.x, b.y) - mul(a.y, b.x) }
func (a vec) length() float64     { return hypot(a.x, a.y) }
func (a vec) dist(b vec) float64  { return a.sub(b).length() }
func (a vec) left() vec           { return vec{-a.y, a.x} }
func (a vec) turned(by vec) vec {
	return vec{mul(a.x, by.x) - mul(a.y, by.y), mul(a.x, by.y) + mul(a.y, by.x)}
}
func (a vec) turnedBack(by vec) vec { return a.turned(vec{by.x, -by.y}) }

// unit returns the direction of a; 1, 0 if it has none.
func (a vec) unit() vec {
	n := a.length()
	if n == 0 {
		return vec{1, 0}
	}
	return vec{a.x / n, a.y / n}
}

// atMost shortens a to that length.
func (a vec) atMost(length float64) vec {
	if n := a.length(); n > length {
		return a.times(length / n)
	}
	return a
}
