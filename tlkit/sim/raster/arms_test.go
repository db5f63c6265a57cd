package raster_test

import (
	"math"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// lump returns a mesh like a part of a robot: a bent tube with ridges, of 2·around·along triangles.
func lump(t testing.TB, around, along int) *raster.Mesh {
	t.Helper()
	var d raster.MeshData
	for i := range along + 1 {
		z := float64(i)/float64(along)*2 - 1
		for j := range around {
			a := 2 * math.Pi * float64(j) / float64(around)
			r := 0.3 + 0.04*math.Cos(12*a)*math.Cos(9*z) + 0.05*math.Sin(5*z)
			d.Points = append(d.Points, float32(r*math.Cos(a)+0.1*z*z), float32(r*math.Sin(a)), float32(z))
		}
	}
	for i := range along {
		for j := range around {
			a, b := int32(i*around+j), int32(i*around+(j+1)%around)
			c, e := a+int32(around), b+int32(around)
			d.Faces = append(d.Faces, a, b, e, a, e, c)
		}
	}
	m, err := raster.NewMesh(d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// twoArms is a scene of the size of ALOHA's: two arms of ten meshes each over a table.
func twoArms(t testing.TB, around, along int) (raster.Scene, raster.Camera) {
	part := lump(t, around, along)
	s := workshop()
	s.Instances = s.Instances[:2]
	metal := raster.Material{RGBA: [4]float64{0.25, 0.26, 0.28, 1}, Specular: 0.5, Shininess: 0.5}
	for side := range 2 {
		x := float64(2*side-1) * 0.42
		for i := range 10 {
			a := float64(i) * 0.5
			at := raster.Vec{x - float64(2*side-1)*0.035*float64(i), 0.1 * math.Sin(a), 0.64 + 0.045*float64(i)*math.Cos(0.12*float64(i))}
			s.Instances = append(s.Instances, raster.Instance{Mesh: part, Size: raster.Vec{0.1, 0.1, 0.07}, Position: at, Material: metal,
				Rotation: raster.Mat{math.Cos(a), -math.Sin(a), 0, math.Sin(a), math.Cos(a), 0, 0, 0, 1}})
		}
	}
	return s, look(t, raster.Vec{0, -1.2, 1.5}, raster.Vec{0, 0, 0.75}, 45)
}
