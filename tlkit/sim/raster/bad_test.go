package raster_test

import (
	"encoding/binary"
	"image"
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

func TestBadScenes(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := func() (raster.Scene, raster.Camera) {
		s := raster.Studio()
		s.Instances = []raster.Instance{{Shape: raster.Box, Size: raster.Vec{1, 1, 1}, Material: paint(1, 1, 1)}}
		return s, raster.Camera{Position: raster.Vec{0, 0, 5}, FovY: 40}
	}
	for name, k := range map[string]struct {
		spoil func(s *raster.Scene, c *raster.Camera, side *int)
		want  string
	}{
		"no shape":      {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Shape = 0 }, "instance 0: neither a mesh nor a shape"},
		"another shape": {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Shape = 99 }, "Shape(99)"},
		"NaN position":  {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Position[1] = nan }, "position"},
		"infinite size": {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Size[1] = inf }, "size"},
		"no size":       {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Size[1] = 0 }, "want positive"},
		"negative size": {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Size[1] = -1 }, "want positive"},
		"no rotation":   {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Rotation[1] = 1 }, "not a rotation"},
		"a reflection": {func(s *raster.Scene, c *raster.Camera, side *int) {
			s.Instances[0].Rotation = raster.Mat{-1, 0, 0, 0, 1, 0, 0, 0, 1}
		}, "not a rotation"},
		"a mesh by hand":  {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Mesh = new(raster.Mesh) }, "NewMesh"},
		"colour of 255":   {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Material.RGBA[0] = 255 }, "colour"},
		"NaN shininess":   {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Material.Shininess = nan }, "shininess"},
		"negative repeat": {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances[0].Material.Repeat[0] = -1 }, "repeated"},
		"NaN sun":         {func(s *raster.Scene, c *raster.Camera, side *int) { s.Sun.Direction[0] = nan }, "sun"},
		"NaN ambient":     {func(s *raster.Scene, c *raster.Camera, side *int) { s.Ambient[0] = nan }, "light"},
		"a flat sky": {func(s *raster.Scene, c *raster.Camera, side *int) {
			s.Sky.Cube, _ = raster.NewTexture(image.NewGray(image.Rect(0, 0, 1, 1)))
		}, "NewCube"},
		"sky of 255":       {func(s *raster.Scene, c *raster.Camera, side *int) { s.Sky.Zenith[0] = 255 }, "sky"},
		"NaN camera":       {func(s *raster.Scene, c *raster.Camera, side *int) { c.Position[0] = nan }, "camera"},
		"no field of view": {func(s *raster.Scene, c *raster.Camera, side *int) { c.FovY = 0 }, "field of view"},
		"180 degrees":      {func(s *raster.Scene, c *raster.Camera, side *int) { c.FovY = 180 }, "field of view"},
		"near behind":      {func(s *raster.Scene, c *raster.Camera, side *int) { c.Near = -1 }, "near plane"},
		"a thread":         {func(s *raster.Scene, c *raster.Camera, side *int) { c.Aspect = 1e9 }, "as wide as"},
		"too small":        {func(s *raster.Scene, c *raster.Camera, side *int) { *side = 7 }, "pixels high"},
		"too large":        {func(s *raster.Scene, c *raster.Camera, side *int) { *side = 1 << 40 }, "pixels high"},
		"too wide":         {func(s *raster.Scene, c *raster.Camera, side *int) { *side, c.Aspect = 1024, 4 }, "4096 x 1024"},
		"too many":         {func(s *raster.Scene, c *raster.Camera, side *int) { s.Instances = make([]raster.Instance, 1<<17) }, "131072 instances"},
	} {
		s, c := good()
		side := 32
		k.spoil(&s, &c, &side)
		if _, err := new(raster.Renderer).Draw(&s, c, side); err == nil || !strings.HasPrefix(err.Error(), "raster: ") || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, k.want)
		}
	}
	if _, err := new(raster.Renderer).Draw(nil, raster.Camera{FovY: 40}, 32); err == nil {
		t.Error("no scene, and no error")
	}
	if _, err := raster.LookAt(raster.Vec{1, 1, 1}, raster.Vec{1, 1, 1}, 40); err == nil {
		t.Error("a camera that looks at itself, and no error")
	}
}

func TestBadMeshes(t *testing.T) {
	nan := float32(math.NaN())
	three := []float32{0, 0, 0, 1, 0, 0, 0, 1, 0}
	for name, k := range map[string]struct {
		data raster.MeshData
		want string
	}{
		"nothing":         {raster.MeshData{}, "at least one triangle"},
		"two corners":     {raster.MeshData{Points: three, Faces: []int32{0, 1}}, "2 corners"},
		"a far point":     {raster.MeshData{Points: three, Faces: []int32{0, 1, 3}}, "triangle 0 names 3 of 3 points"},
		"a negative":      {raster.MeshData{Points: three, Faces: []int32{0, 1, -1}}, "names -1"},
		"NaN":             {raster.MeshData{Points: []float32{0, 0, nan, 1, 0, 0, 0, 1, 0}, Faces: []int32{0, 1, 2}}, "number 2 of 9"},
		"no area":         {raster.MeshData{Points: three, Faces: []int32{0, 1, 1}}, "area"},
		"half a point":    {raster.MeshData{Points: three[:8], Faces: []int32{0, 1, 1}}, "8, 0 and 0"},
		"a normal short":  {raster.MeshData{Points: three, Normals: three[:6], Faces: []int32{0, 1, 2}}, "2 normals for 3 points"},
		"normals' index":  {raster.MeshData{Points: three, Normals: three[:6], Faces: []int32{0, 1, 2}, NormalFaces: []int32{0, 1, 2}}, "2 of 2 normals"},
		"normals' length": {raster.MeshData{Points: three, Normals: three[:6], Faces: []int32{0, 1, 2}, NormalFaces: []int32{0, 1}}, "want the same number"},
		"coordinates":     {raster.MeshData{Points: three, UVs: three[:2], Faces: []int32{0, 1, 2}}, "1 texture coordinates for 3"},
		"their index":     {raster.MeshData{Points: three, UVs: three[:2], Faces: []int32{0, 1, 2}, UVFaces: []int32{0, 1, 0}}, "1 of 1 texture"},
	} {
		if _, err := raster.NewMesh(k.data); err == nil || !strings.HasPrefix(err.Error(), "raster: mesh: ") || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, k.want)
		}
	}
	if _, err := raster.NewTexture(nil); err == nil {
		t.Error("a texture without a picture")
	}
	if _, err := raster.NewTexture(image.NewGray(image.Rect(0, 0, 9000, 1))); err == nil {
		t.Error("a texture 9000 pixels wide")
	}
	if _, err := raster.NewCube([6]image.Image{image.NewGray(image.Rect(0, 0, 2, 3))}); err == nil {
		t.Error("a cube of one oblong")
	}
}

// Triangles that cover the picture again and again end in an error, not in minutes of work.
func TestTooMuchWork(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	var d raster.MeshData
	d.Points = []float32{-9, -9, 0, 9, -9, 0, 9, 9, 0, -9, 9, 0}
	for range 100 {
		d.Faces = append(d.Faces, 0, 1, 2, 0, 2, 3)
	}
	m, err := raster.NewMesh(d)
	if err != nil {
		t.Fatal(err)
	}
	s := glowing(raster.Instance{Mesh: m})
	_, err = new(raster.Renderer).Draw(&s, raster.Camera{Position: raster.Vec{0, 0, 2}, FovY: 60}, 2048)
	if err == nil || !strings.Contains(err.Error(), "too many times") {
		t.Errorf("200 triangles over 16 million samples: %v", err)
	}
}

// FuzzScene reads a scene from bytes: whatever they are, there is a picture or an error.
func FuzzScene(f *testing.F) {
	f.Add([]byte{})
	for _, seed := range []float64{0, 1, -1, 1e-30, 1e6, 1e300, math.NaN(), math.Inf(1), 0.01} {
		b := make([]byte, 0, 800)
		for i := range 100 {
			v := seed
			if i%3 == 0 {
				v = float64(i%7) - 3
			}
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		f.Add(b)
	}
	flat, err := raster.NewTexture(checker(colours[0], colours[1]))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		next := func() float64 {
			if len(b) < 8 {
				return 0.3
			}
			v := math.Float64frombits(binary.LittleEndian.Uint64(b))
			b = b[8:]
			return v
		}
		vec := func() raster.Vec { return raster.Vec{next(), next(), next()} }
		s := raster.Studio()
		if v := next(); v > 0 {
			s.Sun.Direction, s.Sun.Size = vec(), next()
		}
		from, to, fov := vec(), vec(), next()
		c, err := raster.LookAt(from, to, fov)
		if err != nil {
			c = raster.Camera{Position: from, FovY: 50, Near: next()}
		}
		for range 4 {
			i := raster.Instance{Shape: raster.Shape(1 + int(math.Abs(math.Mod(next(), 6)))), Position: vec(), Size: vec(), Material: paint(0.5, 0.5, 0.5)}
			if next() > 0 {
				i.Material.Texture, i.Material.Repeat[0], i.Material.PerMetre = flat, next(), next() > 0
			}
			if next() > 0 {
				var d raster.MeshData
				for range 5 {
					for _, v := range vec() {
						d.Points = append(d.Points, float32(v))
					}
				}
				d.Faces = []int32{0, 1, 2, 1, 3, 2, 2, 3, 4}
				if m, err := raster.NewMesh(d); err == nil {
					i.Mesh = m
				}
			}
			if next() < 0 {
				i.Material.RGBA[3] = 0.5
			}
			s.Instances = append(s.Instances, i)
		}
		if img, err := new(raster.Renderer).Draw(&s, c, 16); err == nil && img.Bounds().Dx() != 16 {
			t.Errorf("a picture of %v", img.Bounds())
		} else if err != nil && !strings.HasPrefix(err.Error(), "raster: ") {
			t.Errorf("error %v does not name its package", err)
		}
	})
}
