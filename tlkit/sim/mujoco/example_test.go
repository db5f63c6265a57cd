package mujoco_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/tlkit/transfer-learning/tlkit/sim/mujoco"
)

// A pendulum of your own swings for one second.
func Example() {
	files := fstest.MapFS{"pendulum.xml": {Data: []byte(`<mujoco><worldbody>
		<body pos="0 0 1"><joint name="hinge" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 .5 0 0" size=".02"/>
		<site name="end" pos=".5 0 0"/></body></worldbody></mujoco>`)}}
	ctx := context.Background()
	library, err := mujoco.Open(ctx, mujoco.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := library.Load(files, "pendulum.xml")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := model.NewData()
	if err != nil {
		fmt.Println(err)
		return
	}
	end, err := model.Find(mujoco.Site, "end")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		at, _ := data.SitePose(end)
		fmt.Printf("%.1f s: x %.2f, z %.2f\n", data.Time(), at[0], at[2])
		if err := data.Step(100); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// 0.0 s: x 0.00, z 0.00
	// 0.2 s: x 0.42, z 0.73
	// 0.4 s: x -0.19, z 0.54
}
