package raster_test

import (
	"fmt"

	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// A red cube on a floor: where it is in the picture, and back from the picture to the floor.
func Example() {
	red := raster.Material{RGBA: [4]float64{0.85, 0.13, 0.12, 1}, Specular: 0.3, Shininess: 0.4}
	grey := raster.Material{RGBA: [4]float64{0.8, 0.8, 0.8, 1}}
	cube := raster.Vec{0.2, 0.1, 0.05}

	scene := raster.Studio()
	scene.Instances = []raster.Instance{
		{Shape: raster.Plane, Material: grey},
		{Shape: raster.Box, Size: raster.Vec{0.05, 0.05, 0.05}, Position: cube, Material: red},
	}
	camera, err := raster.LookAt(raster.Vec{1, -1, 1}, raster.Vec{0, 0, 0}, 45)
	if err != nil {
		fmt.Println(err)
		return
	}
	var r raster.Renderer
	picture, err := r.Draw(&scene, camera, 224)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y, depth := camera.Project(cube)
	c := picture.NRGBAAt(int(x*224), int(y*224))
	fmt.Printf("the cube is %.2f m away, at %.2f, %.2f of the picture, and red: %v\n", depth, x, y, c.R > 2*c.G)
	x, y, _ = camera.Project(raster.Vec{0.2, 0.1, 0})
	place, ok := camera.OnHeight(x, y, 0)
	fmt.Printf("below it is the floor's %.2f, %.2f: %v\n", place[0], place[1], ok)
	// Output:
	// the cube is 1.65 m away, at 0.66, 0.50 of the picture, and red: true
	// below it is the floor's 0.20, 0.10: true
}
