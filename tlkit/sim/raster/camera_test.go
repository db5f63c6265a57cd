package raster_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

func TestProjectAndRayAreInverse(t *testing.T) {
	d := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		in := func(low, high float64) float64 { return low + (high-low)*d.Float64() }
		from := raster.Vec{in(-3, 3), in(-3, 3), in(0.5, 3)}
		c, err := raster.LookAt(from, raster.Vec{in(-1, 1), in(-1, 1), in(-1, 0.2)}, in(5, 120))
		if err != nil {
			t.Fatal(err)
		}
		c.Aspect = in(0.3, 3)
		x, y, far := in(0, 1), in(0, 1), in(0.1, 10)
		o, v := c.Ray(x, y)
		if o != from {
			t.Fatalf("the ray starts at %v, want the camera's %v", o, from)
		}
		place := raster.Vec{o[0] + far*v[0], o[1] + far*v[1], o[2] + far*v[2]}
		px, py, depth := c.Project(place)
		if math.Abs(px-x) > 1e-9 || math.Abs(py-y) > 1e-9 || depth <= 0 || depth > far+1e-9 {
			t.Fatalf("a place %g away on the ray of %g, %g is at %g, %g, depth %g", far, x, y, px, py, depth)
		}
		if at, ok := c.OnHeight(x, y, place[2]); !ok || math.Abs(at[0]-place[0]) > 1e-6 || math.Abs(at[1]-place[1]) > 1e-6 {
			t.Fatalf("OnHeight(%g, %g, %g) = %v, %v, want %v", x, y, place[2], at, ok, place)
		}
	}
}

// By hand: a camera 2 m above the floor with a field of view of 90 degrees sees 4 m of it.
func TestProjectByHand(t *testing.T) {
	c := raster.Camera{Position: raster.Vec{0, 0, 2}, FovY: 90}
	for _, k := range []struct {
		at   raster.Vec
		x, y float64
	}{{raster.Vec{0, 0, 0}, 0.5, 0.5}, {raster.Vec{2, 0, 0}, 1, 0.5}, {raster.Vec{0, 2, 0}, 0.5, 0}, {raster.Vec{-1, -1, 0}, 0.25, 0.75}} {
		x, y, depth := c.Project(k.at)
		if math.Abs(x-k.x) > 1e-12 || math.Abs(y-k.y) > 1e-12 || math.Abs(depth-2) > 1e-12 {
			t.Errorf("%v is at %g, %g, depth %g, want %g, %g, 2", k.at, x, y, depth, k.x, k.y)
		}
	}
	if _, _, depth := c.Project(raster.Vec{0, 0, 3}); depth > 0 {
		t.Errorf("a place behind the camera has depth %g", depth)
	}
	if at, ok := c.OnHeight(0.5, 0.5, 3); ok {
		t.Errorf("a camera that looks down sees the height above it at %v", at)
	}
	if at, ok := c.OnHeight(math.NaN(), 0.5, 0); ok {
		t.Errorf("the place at NaN is %v", at)
	}
}
