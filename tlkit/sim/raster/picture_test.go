package raster_test

import (
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// cubeMesh is a cube as MuJoCo would hold it: 8 points, and no normals.
func cubeMesh(t testing.TB, half float32) *raster.Mesh {
	t.Helper()
	var d raster.MeshData
	for i := range 8 {
		for k := range 3 {
			d.Points = append(d.Points, half*float32(2*(i>>k&1)-1))
		}
	}
	d.Faces = []int32{0, 2, 3, 0, 3, 1, 4, 5, 7, 4, 7, 6, 0, 1, 5, 0, 5, 4, 2, 6, 7, 2, 7, 3, 0, 4, 6, 0, 6, 2, 1, 3, 7, 1, 7, 5}
	m, err := raster.NewMesh(d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gallery is a scene for each thing that the package can draw.
func gallery(t testing.TB) map[string]raster.Scene {
	cubeFace := func(c color.NRGBA) image.Image { return checker(c, color.NRGBA{255, 255, 255, 255}) }
	cube, err := raster.NewCube([6]image.Image{
		cubeFace(color.NRGBA{200, 40, 40, 255}), cubeFace(color.NRGBA{40, 200, 40, 255}), cubeFace(color.NRGBA{40, 40, 200, 255}),
		cubeFace(color.NRGBA{200, 200, 40, 255}), cubeFace(color.NRGBA{200, 40, 200, 255}), cubeFace(color.NRGBA{40, 200, 200, 255}),
	})
	if err != nil {
		t.Fatal(err)
	}
	flat, err := raster.NewTexture(checker(color.NRGBA{30, 60, 120, 255}, color.NRGBA{240, 230, 200, 255}))
	if err != nil {
		t.Fatal(err)
	}
	uv, err := raster.NewMesh(raster.MeshData{
		Points: []float32{-0.3, -0.3, 0, 0.3, -0.3, 0, 0.3, 0.3, 0.2, -0.3, 0.3, 0.2},
		Faces:  []int32{0, 1, 2, 0, 2, 3}, UVs: []float32{0, 2, 2, 2, 2, 0, 0, 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	scene := func(things ...raster.Instance) raster.Scene {
		s := raster.Studio()
		s.Instances = append(things, raster.Instance{Shape: raster.Plane, Position: raster.Vec{0, 0, -0.4}, Material: paint(0.7, 0.7, 0.7)})
		return s
	}
	turned := raster.Mat{0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1}
	with := func(m raster.Material, t *raster.Texture) raster.Material { m.Texture = t; return m }
	mirror := paint(0.2, 0.2, 0.25)
	mirror.Reflectance, mirror.Emission = 0.6, 0.1
	glass := paint(0.2, 0.7, 0.4)
	glass.RGBA[3] = 0.4
	sky := scene(raster.Instance{Shape: raster.Sphere, Size: raster.Vec{0.2}, Material: mirror})
	sky.Sky.Cube = cube
	arms, _ := twoArms(t, 24, 12)
	for i := range arms.Instances {
		arms.Instances[i].Position[2] -= 0.75
	}
	return map[string]raster.Scene{
		"box":       scene(raster.Instance{Shape: raster.Box, Size: raster.Vec{0.2, 0.3, 0.1}, Rotation: turned, Material: paint(0.9, 0.3, 0.2)}),
		"sphere":    scene(raster.Instance{Shape: raster.Sphere, Size: raster.Vec{0.3}, Material: paint(0.2, 0.5, 0.8)}),
		"ellipsoid": scene(raster.Instance{Shape: raster.Ellipsoid, Size: raster.Vec{0.4, 0.2, 0.1}, Rotation: turned, Material: paint(0.2, 0.5, 0.8)}),
		"capsule":   scene(raster.Instance{Shape: raster.Capsule, Size: raster.Vec{0.1, 0.2}, Rotation: raster.Mat{0, 0, 1, 0, 1, 0, -1, 0, 0}, Material: paint(0.9, 0.7, 0.2)}),
		"cylinder":  scene(raster.Instance{Shape: raster.Cylinder, Size: raster.Vec{0.2, 0.2}, Rotation: turned, Material: paint(0.4, 0.8, 0.4)}),
		"glass":     scene(raster.Instance{Shape: raster.Sphere, Size: raster.Vec{0.3}, Material: glass}),
		"texture":   scene(raster.Instance{Shape: raster.Box, Size: raster.Vec{0.3, 0.3, 0.1}, Rotation: turned, Material: with(paint(1, 1, 1), flat)}),
		"cube map":  scene(raster.Instance{Shape: raster.Box, Size: raster.Vec{0.2, 0.2, 0.2}, Rotation: turned, Material: with(paint(1, 1, 1), cube)}),
		"mesh":      scene(raster.Instance{Mesh: cubeMesh(t, 0.2), Size: raster.Vec{1, 1.2, 0.5}, Material: paint(0.6, 0.3, 0.6)}),
		"uv":        scene(raster.Instance{Mesh: uv, Material: with(paint(1, 1, 1), flat)}),
		"sky":       sky,
		"arms":      arms,
	}
}

// The pictures are these, on every processor. A change that is meant changes the hashes: look at the
// pictures first.
func TestPicturesAreTheSameEverywhere(t *testing.T) {
	var r raster.Renderer
	c := look(t, raster.Vec{0.9, -1.1, 0.9}, raster.Vec{0, 0, -0.05}, 40)
	scenes := gallery(t)
	for name, s := range scenes {
		t.Run(name, func(t *testing.T) {
			img := drawn(t, &r, s, c, 96)
			if got := fmt.Sprintf("%x", sha256.Sum256(img.Pix))[:16]; got != golden[name] {
				t.Errorf("the hash is %q, want %q", got, golden[name])
			}
		})
	}
	img := drawn(t, &r, workshop(), workshopCamera(t), 160)
	if got := fmt.Sprintf("%x", sha256.Sum256(img.Pix))[:16]; got != golden["workshop"] {
		t.Errorf("the hash of the workshop is %q, want %q", got, golden["workshop"])
	}
}

// light returns what a level of a screen stands for.
func light(level uint8) float64 {
	v := float64(level) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// A matt floor shows its colour times ambient light and the sun's times the cosine of its angle.
func TestFloorIsAsBrightAsLambert(t *testing.T) {
	for _, slant := range []float64{0, 30, 60, 85} {
		a := slant * math.Pi / 180
		s := raster.Scene{
			Sun:       raster.Sun{Direction: raster.Vec{math.Sin(a), 0, math.Cos(a)}, Light: [3]float64{0.8, 0.6, 0.4}},
			Ambient:   [3]float64{0.1, 0.2, 0.3},
			Instances: []raster.Instance{{Shape: raster.Plane, Size: raster.Vec{5, 5}, Material: raster.Material{RGBA: [4]float64{0.8, 0.8, 0.8, 1}}}},
		}
		c := drawn(t, new(raster.Renderer), s, look(t, raster.Vec{0, -1, 1}, raster.Vec{}, 40), 32).NRGBAAt(16, 16)
		base := light(204)
		for k, level := range []uint8{c.R, c.G, c.B} {
			want := base * (s.Ambient[k] + s.Sun.Light[k]*math.Cos(a))
			if got := light(level); math.Abs(got-want) > 0.006 {
				t.Errorf("sun at %g degrees: channel %d has light %.3f, want %.3f", slant, k, got, want)
			}
		}
	}
}

// Each pixel of a checkered floor that is not at an edge has the colour of the field that its ray hits.
func TestCheckersAreWhereRaysSay(t *testing.T) {
	texture, err := raster.NewTexture(checker(color.NRGBA{255, 255, 255, 255}, color.NRGBA{60, 60, 60, 255}))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []raster.Vec{{2, 2}, {}} {
		checkers(t, texture, size)
	}
}

func checkers(t *testing.T, texture *raster.Texture, size raster.Vec) {
	t.Helper()
	s := raster.Scene{Ambient: [3]float64{0.5, 0.5, 0.5}, Instances: []raster.Instance{{
		Shape: raster.Plane, Size: size, Position: raster.Vec{0.3, 0.2, 0.1}, Rotation: raster.Mat{0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1},
		Material: raster.Material{RGBA: [4]float64{1, 1, 1, 1}, Texture: texture, PerMetre: true},
	}}}
	camera := look(t, raster.Vec{0.5, -1.5, 1.4}, raster.Vec{0.2, 0, 0}, 50)
	const side = 200
	img := drawn(t, new(raster.Renderer), s, camera, side)
	tried := 0
	for y := range side {
		for x := range side {
			at, ok := camera.OnHeight((float64(x)+0.5)/side, (float64(y)+0.5)/side, 0.1)
			dx, dy := at[0]-0.3, at[1]-0.2
			u, v := 0.8*dx+0.6*dy, -0.6*dx+0.8*dy // on the plane
			if !ok || math.Abs(u) > 1.9 || math.Abs(v) > 1.9 {
				continue
			}
			fu, fv := (u+0.5)*2, (0.5-v)*2 // a field is half of a repeat of 1 m
			if edge := func(f float64) bool { return math.Abs(f-math.Round(f)) < 0.08 }; edge(fu) || edge(fv) {
				continue
			}
			tried++
			bright := int(math.Floor(fu)+math.Floor(fv))&1 == 0
			if got := img.NRGBAAt(x, y).R > 128; got != bright {
				t.Fatalf("pixel %d, %d shows the floor's %.3f, %.3f: bright = %v, want %v", x, y, u, v, got, bright)
			}
		}
	}
	if tried < side*side/4 {
		t.Errorf("%d pixels tried, want more", tried)
	}
}

// The shadow of a ball on a floor is where the sun's ray through its middle arrives, and as wide.
func TestShadowIsWhereTheSunSays(t *testing.T) {
	sun := raster.Vec{0.5, 0.3, 1}
	s := raster.Scene{Sun: raster.Sun{Direction: sun, Light: [3]float64{1, 1, 1}, Size: 0.01}, Ambient: [3]float64{0.1, 0.1, 0.1}}
	s.Instances = []raster.Instance{
		{Shape: raster.Plane, Size: raster.Vec{3, 3}, Material: raster.Material{RGBA: [4]float64{0.7, 0.7, 0.7, 1}}},
		{Shape: raster.Sphere, Size: raster.Vec{0.2}, Position: raster.Vec{0, 0, 0.8}, Material: raster.Material{RGBA: [4]float64{0.7, 0.7, 0.7, 1}}},
		{Shape: raster.Sphere, Size: raster.Vec{0.05}, Position: raster.Vec{0.6, -0.5, 0.1}, Material: raster.Material{RGBA: [4]float64{0.7, 0.7, 0.7, 1}}},
	}
	camera := look(t, raster.Vec{-1.2, -1.6, 2}, raster.Vec{-0.3, -0.2, 0.2}, 50)
	const side = 224
	img := drawn(t, new(raster.Renderer), s, camera, side)
	n := math.Sqrt(sun[0]*sun[0] + sun[1]*sun[1] + sun[2]*sun[2])
	dark, bright := 0, 0
	for i := range 64 {
		a := float64(i) * math.Pi / 32
		for _, k := range []float64{0.85, 1.15} {
			// A place k radii beside the ray through the ball's middle.
			x := raster.Vec{sun[1], -sun[0], 0}
			y := raster.Vec{sun[0] * sun[2], sun[1] * sun[2], -(sun[0]*sun[0] + sun[1]*sun[1])}
			nx, ny := math.Hypot(x[0], x[1]), math.Sqrt(y[0]*y[0]+y[1]*y[1]+y[2]*y[2])
			p := raster.Vec{0, 0, 0.8}
			for j := range 3 {
				p[j] += 0.2 * k * (math.Cos(a)*x[j]/nx + math.Sin(a)*y[j]/ny)
			}
			down := p[2] / sun[2]
			px, py, _ := camera.Project(raster.Vec{p[0] - down*sun[0], p[1] - down*sun[1], 0})
			level := light(img.NRGBAAt(int(px*side), int(py*side)).R) / light(179)
			switch lit := 0.1 + sun[2]/n; {
			case k < 1 && math.Abs(level-0.1) < 0.02:
				dark++
			case k > 1 && math.Abs(level-lit) < 0.15: // above 0.7 the shoulder lowers it
				bright++
			}
		}
	}
	if dark < 62 || bright < 62 {
		t.Errorf("%d of 64 places inside the shadow are dark, %d of 64 outside are bright", dark, bright)
	}
}

// Half of what is behind glass of an alpha of 0.5 comes through.
func TestGlass(t *testing.T) {
	s := glowing(raster.Instance{Shape: raster.Plane, Size: raster.Vec{1, 1}, Position: raster.Vec{0, 0, 0.5}}, raster.Instance{Shape: raster.Plane, Size: raster.Vec{2, 2}})
	s.Instances[0].Material.RGBA = [4]float64{0, 0, 0, 0.5}
	c := drawn(t, new(raster.Renderer), s, raster.Camera{Position: raster.Vec{0, 0, 2}, FovY: 40}, 32).NRGBAAt(16, 16)
	if got := light(c.R); math.Abs(got-0.25) > 0.01 {
		t.Errorf("half of 0.5 comes through as %.3f", got)
	}
}

// A mesh of a cube, without normals, looks like the box.
func TestMeshWithoutNormalsHasEdges(t *testing.T) {
	s := raster.Studio()
	s.Instances = []raster.Instance{{Shape: raster.Box, Size: raster.Vec{0.2, 0.2, 0.2}, Material: paint(0.7, 0.4, 0.3)}}
	c := look(t, raster.Vec{0.9, -1.1, 0.9}, raster.Vec{}, 30)
	want := drawn(t, new(raster.Renderer), s, c, 120)
	s.Instances[0] = raster.Instance{Mesh: cubeMesh(t, 0.2), Material: paint(0.7, 0.4, 0.3)}
	got := drawn(t, new(raster.Renderer), s, c, 120)
	for i := range want.Pix {
		if d := int(want.Pix[i]) - int(got.Pix[i]); d < -2 || d > 2 {
			t.Fatalf("byte %d of the mesh is %d, of the box %d", i, got.Pix[i], want.Pix[i])
		}
	}
}

// A surface with holes is seen from both sides, a closed one from outside alone.
func TestBothSides(t *testing.T) {
	up := raster.MeshData{Points: []float32{-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0}, Faces: []int32{0, 1, 2, 0, 2, 3}}
	sheet, err := raster.NewMesh(up)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		thing raster.Instance
		z     float64
		seen  bool
	}{
		"a sheet from above":    {raster.Instance{Mesh: sheet}, 2, true},
		"a sheet from below":    {raster.Instance{Mesh: sheet}, -2, true},
		"a plane from above":    {raster.Instance{Shape: raster.Plane, Size: raster.Vec{1, 1}}, 2, true},
		"a plane from below":    {raster.Instance{Shape: raster.Plane, Size: raster.Vec{1, 1}}, -2, false},
		"a cube from outside":   {raster.Instance{Mesh: cubeMesh(t, 0.5)}, 2, true},
		"a cube from within":    {raster.Instance{Mesh: cubeMesh(t, 0.5)}, 0, false},
		"a sheet close by":      {raster.Instance{Mesh: sheet, Size: raster.Vec{4000, 4000, 1}}, 0.02, true},
		"a sheet close by from": {raster.Instance{Mesh: sheet, Size: raster.Vec{4000, 4000, 1}}, -0.02, true},
	} {
		c := look(t, raster.Vec{0.1, 0, k.z}, raster.Vec{0, 0, k.z / 2}, 30)
		if k.z == 0 {
			c = look(t, raster.Vec{}, raster.Vec{0.3, 0, 0.1}, 30)
		}
		if got := drawn(t, new(raster.Renderer), glowing(k.thing), c, 32).NRGBAAt(16, 16).R > 0; got != k.seen {
			t.Errorf("%s: seen %v, want %v", name, got, k.seen)
		}
	}
	// The side that is seen is the one that is lit.
	s := raster.Scene{Sun: raster.Sun{Direction: raster.Vec{0, 0, -1}, Light: [3]float64{0.5, 0.5, 0.5}}, Instances: []raster.Instance{{Mesh: sheet, Material: raster.Material{RGBA: [4]float64{1, 1, 1, 1}}}}}
	from := func(z float64) uint8 {
		return drawn(t, new(raster.Renderer), s, look(t, raster.Vec{0.1, 0, z}, raster.Vec{}, 30), 32).NRGBAAt(16, 16).R
	}
	if below, above := from(-2), from(2); light(below) < 0.45 || above != 0 {
		t.Errorf("a sheet that is lit from below is %d from there and %d from above", below, above)
	}
}

// Triangles that share edges leave no hole and no sample twice: a bumpy sheet in front of the camera
// fills the picture.
func TestNoSeams(t *testing.T) {
	const n = 90
	var d raster.MeshData
	for y := range n + 1 {
		for x := range n + 1 {
			d.Points = append(d.Points, float32(x)/n*4-2+0.01*float32(math.Sin(float64(7*x+3*y))), float32(y)/n*4-2+0.01*float32(math.Cos(float64(5*x-y))), 0.1*float32(math.Sin(float64(x*y))))
		}
	}
	for y := range int32(n) {
		for x := range int32(n) {
			a := y*(n+1) + x
			d.Faces = append(d.Faces, a, a+1, a+n+2, a, a+n+2, a+n+1)
		}
	}
	m, err := raster.NewMesh(d)
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, new(raster.Renderer), glowing(raster.Instance{Mesh: m}), look(t, raster.Vec{0.3, -0.2, 1.5}, raster.Vec{}, 60), 211)
	for i := 0; i < len(img.Pix); i += 4 {
		if img.Pix[i] != img.Pix[0] {
			t.Fatalf("pixel %d, %d is %d, want %d as everywhere", i/4%211, i/4/211, img.Pix[i], img.Pix[0])
		}
	}
}

// The same where all edges run exactly through the middles of samples.
func TestNoSeamsOnSamples(t *testing.T) {
	const n = 40
	var d raster.MeshData
	for y := range n + 1 {
		for x := range n + 1 {
			d.Points = append(d.Points, (float32(4*(x-n/2))+0.5)/64, (float32(4*(y-n/2))+0.5)/64, 0)
		}
	}
	for y := range int32(n) {
		for x := range int32(n) {
			a := y*(n+1) + x
			d.Faces = append(d.Faces, a, a+1, a+n+2, a, a+n+2, a+n+1)
		}
	}
	m, err := raster.NewMesh(d)
	if err != nil {
		t.Fatal(err)
	}
	img := drawn(t, new(raster.Renderer), glowing(raster.Instance{Mesh: m}), raster.Camera{Position: raster.Vec{0, 0, 1}, FovY: 90}, 64)
	for i := 0; i < len(img.Pix); i += 4 {
		if img.Pix[i] != img.Pix[0] || img.Pix[0] == 0 {
			t.Fatalf("pixel %d, %d is %d, want %d as everywhere", i/4%64, i/4/64, img.Pix[i], img.Pix[0])
		}
	}
}

// A box that reaches behind the camera, and far beyond the picture, is cut where it should be.
func TestNearPlane(t *testing.T) {
	const side = 128
	for _, pose := range [][2]raster.Vec{{{0, -1, 1}, {0, 0, 0.2}}, {{0.3, 0, 0.05}, {1, 0.4, 0.04}}, {{-2, 2, 3}, {2, -2.5, 0.5}}} {
		c := look(t, pose[0], pose[1], 70)
		c.Rotation = rolled(c.Rotation)
		for _, size := range []raster.Vec{{40, 40, 1}, {40, 40, 3000}, {3, 900, 0.5}} {
			on := func(x, y int) bool {
				at, ok := c.OnHeight((float64(x)+0.5)/side, (float64(y)+0.5)/side, 0)
				return ok && math.Abs(at[0]) < size[0] && math.Abs(at[1]) < size[1]
			}
			s := glowing(raster.Instance{Shape: raster.Box, Size: size, Position: raster.Vec{0, 0, -size[2]}})
			img := drawn(t, new(raster.Renderer), s, c, side)
			tried := 0
			for y := range side {
				for x := range side {
					want := on(x, y)
					if on(x-1, y-1) != want || on(x+1, y-1) != want || on(x-1, y+1) != want || on(x+1, y+1) != want {
						continue // at an edge
					}
					if !want { // the sky, or a side of the box
						continue
					}
					tried++
					if img.NRGBAAt(x, y).R == 0 {
						t.Fatalf("a box of %v: pixel %d, %d does not show its top", size, x, y)
					}
				}
			}
			if tried < side*side/10 {
				t.Errorf("a box of %v: %d pixels tried, want more", size, tried)
			}
		}
	}
}

// rolled turns a camera about its axis, by the angle of the triangle 3, 4, 5.
func rolled(m raster.Mat) raster.Mat {
	for i := range 3 {
		x, y := m[3*i], m[3*i+1]
		m[3*i], m[3*i+1] = 0.8*x+0.6*y, 0.8*y-0.6*x
	}
	return m
}

var golden = map[string]string{
	"arms":      "81e8c608938cf3ab",
	"box":       "8fcc9644b5726471",
	"capsule":   "d435e6b13301ac4a",
	"cube map":  "b7eefe66ea36acef",
	"cylinder":  "04bffc943c31481b",
	"ellipsoid": "6123aa878004b737",
	"glass":     "7b84c2a85687879e",
	"mesh":      "6751f3ec0f505c53",
	"sky":       "fde32e8788239607",
	"sphere":    "36774981ef149f85",
	"texture":   "e54cda218927df66",
	"uv":        "8c9ced0c1dc27d30",
	"workshop":  "01a1db9eabe43263",
}
