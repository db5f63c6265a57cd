package raster_test

import (
	"bytes"
	"image"
	"math"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

func look(t testing.TB, from, to raster.Vec, fov float64) raster.Camera {
	t.Helper()
	c, err := raster.LookAt(from, to, fov)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func workshopCamera(t testing.TB) raster.Camera {
	return look(t, raster.Vec{0.95, -1.05, 1.5}, raster.Vec{-0.02, -0.02, 0.72}, 42)
}

func drawn(t testing.TB, r *raster.Renderer, s raster.Scene, c raster.Camera, side int) *image.NRGBA {
	t.Helper()
	img, err := r.Draw(&s, c, side)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// glowing is a scene in which things shine evenly and everything else is black.
func glowing(things ...raster.Instance) raster.Scene {
	s := raster.Scene{Instances: things}
	for i := range s.Instances {
		s.Instances[i].Material.RGBA = [4]float64{1, 1, 1, 1}
		s.Instances[i].Material.Emission = 0.5
	}
	return s
}

// covered returns how many pixels shine; those at edges count by their share.
func covered(img *image.NRGBA) (n float64) {
	light := func(level uint8) float64 { return math.Pow((float64(level)/255+0.055)/1.055, 2.4) }
	b := img.Bounds()
	full := light(img.NRGBAAt(b.Dx()/2, b.Dy()/2).R)
	for i := 0; i < len(img.Pix); i += 4 {
		if img.Pix[i] > 0 {
			n += light(img.Pix[i]) / full
		}
	}
	return n
}

func TestThreadsDoNotMatter(t *testing.T) {
	s, c := workshop(), workshopCamera(t)
	want := drawn(t, &raster.Renderer{Threads: 1}, s, c, 160)
	for _, threads := range []int{2, 3, 7} {
		r := &raster.Renderer{Threads: threads}
		for range 2 {
			if img := drawn(t, r, s, c, 160); !bytes.Equal(img.Pix, want.Pix) {
				t.Errorf("%d threads draw another picture than one", threads)
			}
		}
		drawn(t, r, s, look(t, raster.Vec{1, 0, 2}, raster.Vec{}, 60), 96) // what was drawn before does not matter
	}
}

// A sphere of radius r, d in front of the camera, covers a disk of radius f·r/√(d²-r²).
func TestSphereIsAsLargeAsOptics(t *testing.T) {
	for _, radius := range []float64{0.1, 0.3, 0.8} {
		for _, side := range []int{64, 224, 500} {
			s := glowing(raster.Instance{Shape: raster.Sphere, Size: raster.Vec{radius}})
			img := drawn(t, new(raster.Renderer), s, look(t, raster.Vec{2, 0, 0}, raster.Vec{}, 60), side)
			f := float64(side) / 2 / math.Tan(math.Pi/6)
			seen := f * radius / math.Sqrt(4-radius*radius)
			if got := math.Sqrt(covered(img) / math.Pi); math.Abs(got-seen) > 0.15 {
				t.Errorf("radius %g at %d pixels: the disk has a radius of %.2f pixels, want %.2f", radius, side, got, seen)
			}
		}
	}
}
