// Package mujoco runs the physics of MuJoCo from Go, without Python and without OpenGL.
//
//	library, err := mujoco.Open(ctx, mujoco.Options{})            // fetched once, its sha256 checked
//	scenes, err := mujoco.Scenes(ctx, mujoco.GymnasiumRobotics, mujoco.Options{})
//	model, err := library.Load(scenes, "gymnasium_robotics/envs/assets/fetch/pick_and_place.xml")
//	data, err := model.NewData()
//	err = data.Step(50)
//	at, _ := data.SitePose(grip)
//
// The library is the one of the Python wheel mujoco 3.3.0, opened by its path while the program runs:
// nothing is opened before [Open] is called. It needs cgo; in a program without, Open returns an error.
// MuJoCo ends the process when it gives up; here that is an error, and so are its warnings.
//
// The same model, state and controls give the same numbers as MuJoCo in Python, bit for bit.
package mujoco
