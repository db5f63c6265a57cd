package raster

import (
	"fmt"
	"math"
)

// Camera is where a picture is taken from.
type Camera struct {
	Position Vec

	// Rotation has the camera's right, up and back as its columns: a camera that is not turned looks
	// down (along -z), with y up in the picture. It is what MuJoCo calls cam_xmat.
	Rotation Mat

	FovY   float64 // the angle from the picture's lower edge to its upper one, in degrees: 1 to 150
	Near   float64 // nothing closer is drawn, in metres; 0 = 0.01
	Aspect float64 // the picture's width, in shares of its height: 0.1 to 10; 0 = 1, a square
}

// LookAt returns a camera with z up in its square pictures, or y if it looks straight up or down.
// The angle is that of Camera.FovY, in degrees.
func LookAt(from, to Vec, fovY float64) (Camera, error) {
	c := Camera{Position: from, FovY: fovY}
	if !finite(from[:], farthest) || !finite(to[:], farthest) {
		return c, fmt.Errorf("raster: a camera at %v that looks at %v: want finite numbers up to %g", from, to, farthest)
	}
	if length(sub(from, to)) < 1e-9 {
		return c, fmt.Errorf("raster: a camera at %v that looks at itself: want two places", from)
	}
	back := unit(sub(from, to), Vec{})
	right := unit(cross(Vec{0, 0, 1}, back), Vec{1, 0, 0})
	up := cross(back, right)
	for i := range 3 {
		c.Rotation[3*i], c.Rotation[3*i+1], c.Rotation[3*i+2] = right[i], up[i], back[i]
	}
	return c, c.check()
}

// Project returns where in the picture a place of the world is, and how far in front of the camera,
// along its axis, in metres: x from 0, left, to 1, right; y from 0, top, to 1, bottom. Places beside
// the picture have x and y beyond 0 and 1. Places that are not in front of the camera have a depth
// of 0 or less, and x and y mean nothing.
func (c Camera) Project(place Vec) (x, y, depth float64) {
	c = c.filled()
	v := turnBack(&c.Rotation, sub(place, c.Position))
	depth = -v[2]
	if depth <= 0 {
		return 0, 0, depth
	}
	f := c.focal()
	return 0.5 + mul(f, v[0])/mul(depth, c.Aspect), 0.5 - mul(f, v[1])/depth, depth
}

// Ray returns the half-line that a place in the picture shows, x and y as Project returns them: all
// places origin + t·direction, t > 0. The direction has length 1.
func (c Camera) Ray(x, y float64) (origin, direction Vec) {
	c = c.filled()
	f := c.focal()
	v := Vec{mul(x-0.5, c.Aspect) / f, (0.5 - y) / f, -1}
	return c.Position, unit(turn(&c.Rotation, v), Vec{})
}

// OnHeight returns the place at height z, a table's for instance, that is seen at x and y of the
// picture. It reports false if the ray does not come to that height in front of the camera.
func (c Camera) OnHeight(x, y, z float64) (Vec, bool) {
	from, d := c.Ray(x, y)
	t := (z - from[2]) / d[2]
	if !(t > 0) || t > farthest {
		return Vec{}, false
	}
	at := along(from, d, t)
	at[2] = z
	return at, true
}

// focal is the distance from the camera at which the picture is 1 high.
func (c *Camera) focal() float64 {
	s, k := sincos(mul(c.FovY, math.Pi/360))
	return k / s / 2
}

// filled returns the camera with its defaults written out.
func (c Camera) filled() Camera {
	if c.Rotation == (Mat{}) {
		c.Rotation = upright
	}
	if c.Near == 0 {
		c.Near = 0.01
	}
	if c.Aspect == 0 {
		c.Aspect = 1
	}
	return c
}

func (c *Camera) check() error {
	f := c.filled()
	switch {
	case !finite(c.Position[:], farthest):
		return fmt.Errorf("raster: a camera at %v: want finite numbers up to %g", c.Position, farthest)
	case !rotation(&c.Rotation):
		return fmt.Errorf("raster: the camera's %v is not a rotation: want three columns of length 1, at right angles, right-handed", c.Rotation)
	case !(c.FovY >= 1 && c.FovY <= 150):
		return fmt.Errorf("raster: a camera's field of view of %g degrees: want 1 to 150", c.FovY)
	case !(f.Near >= 1e-4 && f.Near <= 1000):
		return fmt.Errorf("raster: a camera's near plane at %g: want 0.0001 to 1000 metres", c.Near)
	case !(f.Aspect >= 0.1 && f.Aspect <= 10):
		return fmt.Errorf("raster: a picture %g times as wide as it is high: want 0.1 to 10", c.Aspect)
	}
	return nil
}
