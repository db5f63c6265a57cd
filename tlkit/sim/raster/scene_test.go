package raster_test

import (
	"image"
	"image/color"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

func paint(r, g, b float64) raster.Material {
	return raster.Material{RGBA: [4]float64{r, g, b, 1}, Specular: 0.3, Shininess: 0.4}
}

// checker returns a picture of two by two fields.
func checker(a, b color.NRGBA) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, 256, 256))
	for y := range 256 {
		for x := range 256 {
			if x/128 == y/128 {
				img.SetNRGBA(x, y, a)
			} else {
				img.SetNRGBA(x, y, b)
			}
		}
	}
	return img
}

// between returns a capsule from a to b.
func between(a, b raster.Vec, radius float64, m raster.Material) raster.Instance {
	var z, mid raster.Vec
	n := 0.0
	for i := range 3 {
		z[i], mid[i] = b[i]-a[i], (a[i]+b[i])/2
		n += z[i] * z[i]
	}
	n = sqrt(n)
	z = raster.Vec{z[0] / n, z[1] / n, z[2] / n}
	x := raster.Vec{-z[2], 0, z[0]}
	if k := sqrt(x[0]*x[0] + x[2]*x[2]); k > 1e-9 {
		x = raster.Vec{x[0] / k, 0, x[2] / k}
	} else {
		x = raster.Vec{1, 0, 0}
	}
	y := raster.Vec{z[1]*x[2] - z[2]*x[1], z[2]*x[0] - z[0]*x[2], z[0]*x[1] - z[1]*x[0]}
	return raster.Instance{
		Shape: raster.Capsule, Size: raster.Vec{radius, n / 2}, Position: mid, Material: m,
		Rotation: raster.Mat{x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]},
	}
}

func sqrt(v float64) float64 {
	r := v
	for range 60 {
		r = (r + v/r) / 2
	}
	return r
}

// workshop is a little arm on a table.
func workshop() raster.Scene {
	s := raster.Studio()
	floor, _ := raster.NewTexture(checker(colours[0], colours[1]))
	wood, dark := paint(0.80, 0.62, 0.44), paint(0.25, 0.26, 0.29)
	white, orange := paint(0.93, 0.93, 0.94), paint(0.95, 0.48, 0.12)
	white.Specular, white.Reflectance = 0.5, 0.1
	box := func(m raster.Material, at, size raster.Vec) {
		s.Instances = append(s.Instances, raster.Instance{Shape: raster.Box, Position: at, Size: size, Material: m})
	}
	s.Instances = append(s.Instances, raster.Instance{Shape: raster.Plane, Material: raster.Material{RGBA: [4]float64{1, 1, 1, 1}, Texture: floor, Repeat: [2]float64{1, 1}, PerMetre: true}})
	box(wood, raster.Vec{0, 0, 0.58}, raster.Vec{0.6, 0.42, 0.02})
	for _, x := range []float64{-0.54, 0.54} {
		for _, y := range []float64{-0.36, 0.36} {
			box(dark, raster.Vec{x, y, 0.28}, raster.Vec{0.025, 0.025, 0.28})
		}
	}
	shoulder, elbow, wrist, hand := raster.Vec{-0.3, 0.05, 0.74}, raster.Vec{-0.17, 0, 1.02}, raster.Vec{0.10, -0.08, 0.93}, raster.Vec{0.13, -0.09, 0.82}
	s.Instances = append(s.Instances,
		raster.Instance{Shape: raster.Cylinder, Size: raster.Vec{0.09, 0.015}, Position: raster.Vec{-0.3, 0.05, 0.615}, Material: dark},
		raster.Instance{Shape: raster.Cylinder, Size: raster.Vec{0.06, 0.06}, Position: raster.Vec{-0.3, 0.05, 0.68}, Material: white},
		between(shoulder, elbow, 0.042, white), between(elbow, wrist, 0.034, white), between(wrist, hand, 0.026, dark),
	)
	for i, at := range []raster.Vec{shoulder, elbow, wrist} {
		s.Instances = append(s.Instances, raster.Instance{Shape: raster.Sphere, Size: raster.Vec{0.058 - 0.008*float64(i)}, Position: at, Material: orange})
	}
	box(dark, raster.Vec{0.13, -0.09, 0.795}, raster.Vec{0.055, 0.02, 0.014})
	box(orange, raster.Vec{0.092, -0.09, 0.75}, raster.Vec{0.008, 0.014, 0.045})
	box(orange, raster.Vec{0.168, -0.09, 0.75}, raster.Vec{0.008, 0.014, 0.045})
	box(paint(0.85, 0.13, 0.12), raster.Vec{0.13, -0.09, 0.63}, raster.Vec{0.03, 0.03, 0.03})
	box(paint(0.16, 0.42, 0.80), raster.Vec{0.36, 0.14, 0.625}, raster.Vec{0.025, 0.04, 0.025})
	glass := paint(0.35, 0.75, 0.55)
	glass.RGBA[3], glass.Specular, glass.Shininess = 0.45, 0.9, 0.9
	s.Instances = append(s.Instances,
		raster.Instance{Shape: raster.Sphere, Size: raster.Vec{0.045}, Position: raster.Vec{0.22, -0.26, 0.645}, Material: paint(0.95, 0.80, 0.20)},
		raster.Instance{Shape: raster.Cylinder, Size: raster.Vec{0.04, 0.055}, Position: raster.Vec{-0.02, 0.24, 0.655}, Material: glass},
		raster.Instance{Shape: raster.Ellipsoid, Size: raster.Vec{0.07, 0.045, 0.03}, Position: raster.Vec{-0.1, -0.25, 0.63}, Material: paint(0.55, 0.30, 0.65)},
	)
	return s
}

var colours = []color.NRGBA{{214, 210, 204, 255}, {190, 186, 182, 255}}
