// Package raster draws 3-D scenes: triangle meshes and simple solids under a sun with soft shadows,
// on the processor alone, without OpenGL and without cgo.
//
//	scene := raster.Studio()                              // a sun, a sky
//	scene.Instances = []raster.Instance{
//		{Shape: raster.Plane, Material: raster.Material{RGBA: [4]float64{0.8, 0.8, 0.8, 1}}},
//		{Shape: raster.Sphere, Size: raster.Vec{0.1}, Position: raster.Vec{0, 0, 0.1}, Material: …},
//	}
//	camera, err := raster.LookAt(raster.Vec{1, -1, 1}, raster.Vec{}, 45)
//	var r raster.Renderer                                 // keep it: it keeps its buffers
//	picture, err := r.Draw(&scene, camera, 224)
//
// A picture is a function of the scene and the camera: the same ones give the same bytes, on every
// processor, with any number of threads and whatever was drawn before. [Camera.Project] and
// [Camera.Ray] tell where a place is in the picture, and what a place in the picture shows.
//
// Lengths are in metres and z points up, as in MuJoCo, whose shapes, sizes and materials are those
// of this package.
package raster

import (
	"errors"
	"fmt"
	"math"
)

// Scene is what there is to see.
type Scene struct {
	Instances []Instance // at most 65,536, with 2,000,000 triangles together
	Sun       Sun
	Sky       Sky

	// Light from everywhere, red, green and blue: 1 shows a white surface white. Ambient comes from
	// above and Bounce from below; both reach a wall by half. Headlight comes from the camera.
	Ambient, Bounce, Headlight [3]float64
}

// Instance is one thing in a scene: a mesh or a solid, with its place and material.
type Instance struct {
	Shape Shape
	Mesh  *Mesh // drawn instead of a Shape

	// Size is what the Shape says. Of a mesh it is the scale along each axis; zero stands for 1, 1, 1.
	Size     Vec
	Position Vec // of the middle, or of the mesh's origin
	Rotation Mat // the zero Mat stands for no turn
	Material Material
}

// Shape is a solid around its Position.
type Shape int

// The shapes, with what Size means.
const (
	_         Shape = iota
	Plane           // half the sides along x and y, seen from above (z); 0 = without end
	Box             // half the sides along x, y and z
	Sphere          // the radius
	Ellipsoid       // the radii along x, y and z
	Capsule         // the radius, and half the length along z of the part between the two round ends
	Cylinder        // the radius, and half the length along z
)

var shapeNames = [...]string{Plane: "plane", Box: "box", Sphere: "sphere", Ellipsoid: "ellipsoid", Capsule: "capsule", Cylinder: "cylinder"}

// String returns "box".
func (s Shape) String() string {
	if s > 0 && int(s) < len(shapeNames) {
		return shapeNames[s]
	}
	return fmt.Sprintf("Shape(%d)", int(s))
}

// Material is what a surface looks like. Numbers are between 0 and 1.
type Material struct {
	// RGBA is the colour as screens show it. An alpha below 1 lets through what is behind, without
	// a shadow; of several such things, one behind the other, the nearest is seen. With an alpha of
	// 0, as in the zero Material, nothing is.
	RGBA [4]float64

	// Texture is multiplied with RGBA. A flat one lies on a mesh by the mesh's own coordinates,
	// and is projected along z otherwise: Repeat times across the thing, or Repeat times a metre
	// if PerMetre is set; 0 stands for 1. One made by NewCube surrounds the thing, stretched to its
	// sides unless PerMetre is set.
	Texture  *Texture
	Repeat   [2]float64
	PerMetre bool

	Emission    float64 // how much of RGBA shines by itself
	Specular    float64 // how strong highlights are
	Shininess   float64 // how small they are
	Reflectance float64 // how much of the sky the surface mirrors
}

// Sun is the one light that casts shadows.
type Sun struct {
	Direction Vec        // towards it; the zero Vec = no sun
	Light     [3]float64 // red, green, blue: 1 shows a white surface that faces the sun white
	Size      float64    // how wide it is in radians, which makes shadows soft: 0 to 0.5
}

// Sky is what is seen where nothing is: a gradient, in colours as screens show them, or a texture
// made by NewCube.
type Sky struct {
	Zenith, Horizon, Ground [3]float64
	Cube                    *Texture
}

// Studio returns a scene without instances in a bright, soft light.
func Studio() Scene {
	return Scene{
		Sun:       Sun{Direction: Vec{-0.45, -0.35, 0.8}, Light: [3]float64{0.78, 0.74, 0.68}, Size: 0.06},
		Sky:       Sky{Zenith: [3]float64{0.42, 0.56, 0.72}, Horizon: [3]float64{0.87, 0.90, 0.92}, Ground: [3]float64{0.70, 0.71, 0.72}},
		Ambient:   [3]float64{0.30, 0.33, 0.37},
		Bounce:    [3]float64{0.16, 0.15, 0.14},
		Headlight: [3]float64{0.06, 0.06, 0.06},
	}
}

// The limits, so that no scene takes memory or time out of proportion.
const (
	lowSide, highSide = 8, 2048
	mostInstances     = 1 << 16
	mostFaces         = 2_000_000
	farthest          = 1e6 // metres, of coordinates and sizes
	smallest          = 1e-6
)

// check returns what is wrong with a scene.
func (s *Scene) check() error {
	if n := len(s.Instances); n > mostInstances {
		return fmt.Errorf("raster: %d instances, want at most %d", n, mostInstances)
	}
	faces := 0
	for i := range s.Instances {
		if err := s.Instances[i].check(); err != nil {
			return fmt.Errorf("raster: instance %d: %w", i, err)
		}
		if m := s.Instances[i].Mesh; m != nil {
			faces += len(m.faces)
		}
	}
	if faces > mostFaces {
		return fmt.Errorf("raster: the meshes of the scene have %d triangles, want at most %d", faces, mostFaces)
	}
	if !finite(s.Sun.Direction[:], farthest) || !within(s.Sun.Light[:], 0, 100) || !within([]float64{s.Sun.Size}, 0, 0.5) {
		return fmt.Errorf("raster: sun %+v: want a finite direction, light of 0 to 100 and a size of 0 to 0.5", s.Sun)
	}
	for _, c := range [][3]float64{s.Ambient, s.Bounce, s.Headlight} {
		if !within(c[:], 0, 100) {
			return fmt.Errorf("raster: light %v: want numbers from 0 to 100", c)
		}
	}
	for _, c := range [][3]float64{s.Sky.Zenith, s.Sky.Horizon, s.Sky.Ground} {
		if !within(c[:], 0, 1) {
			return fmt.Errorf("raster: sky colour %v: want numbers from 0 to 1", c)
		}
	}
	if s.Sky.Cube != nil && !s.Sky.Cube.cube {
		return errors.New("raster: the sky's texture is flat, want one made by NewCube")
	}
	return nil
}

func (t *Instance) check() error {
	switch {
	case !finite(t.Position[:], farthest):
		return fmt.Errorf("position %v: want finite numbers up to %g", t.Position, farthest)
	case !finite(t.Size[:], farthest):
		return fmt.Errorf("size %v: want finite numbers up to %g", t.Size, farthest)
	case !rotation(&t.Rotation):
		return fmt.Errorf("%v is not a rotation: want three columns of length 1, at right angles, right-handed", t.Rotation)
	case t.Mesh == nil && (t.Shape < Plane || t.Shape > Cylinder):
		return fmt.Errorf("neither a mesh nor a shape (%v); set Mesh or Shape", t.Shape)
	case t.Mesh != nil && len(t.Mesh.faces) == 0:
		return errors.New("an empty mesh; make meshes with NewMesh")
	}
	for i := range sizes(t) {
		if s := t.Size[i]; s < smallest && !(s == 0 && (t.Shape == Plane && t.Mesh == nil || t.Mesh != nil && t.Size == (Vec{}))) {
			return fmt.Errorf("size %v: want positive numbers from %g", t.Size, smallest)
		}
	}
	return t.Material.check()
}

// sizes is how many numbers of Size count.
func sizes(t *Instance) int {
	switch {
	case t.Mesh != nil:
		return 3
	case t.Shape == Sphere:
		return 1
	case t.Shape == Box || t.Shape == Ellipsoid:
		return 3
	}
	return 2
}

func (m *Material) check() error {
	if !within(m.RGBA[:], 0, 1) {
		return fmt.Errorf("colour %v: want numbers from 0 to 1", m.RGBA)
	}
	if rest := []float64{m.Emission, m.Specular, m.Shininess, m.Reflectance}; !within(rest, 0, 1) {
		return fmt.Errorf("emission, specular, shininess and reflectance are %v: want numbers from 0 to 1", rest)
	}
	if !within(m.Repeat[:], 0, farthest) {
		return fmt.Errorf("the texture is repeated %v times: want finite numbers from 0", m.Repeat)
	}
	return nil
}

func finite(v []float64, most float64) bool { return within(v, -most, most) }

// within reports whether all numbers are between low and high. NaN is not.
func within(v []float64, low, high float64) bool {
	for _, x := range v {
		if !(x >= low && x <= high) {
			return false
		}
	}
	return true
}

// rotation reports whether m is one, or the zero Mat.
func rotation(m *Mat) bool {
	if *m == (Mat{}) {
		return true
	}
	if !finite(m[:], 2) {
		return false
	}
	x, y, z := axis(m, 0), axis(m, 1), axis(m, 2)
	const slack = 1e-3
	return math.Abs(length(x)-1) < slack && math.Abs(length(y)-1) < slack && length(sub(cross(x, y), z)) < 4*slack
}
