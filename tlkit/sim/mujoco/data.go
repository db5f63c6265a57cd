package mujoco

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Data is a state of a model, which steps in time. It is not safe for concurrent use. All numbers it
// returns are the caller's; a vector is three numbers in metres, an orientation the nine numbers of a
// matrix, row by row.
type Data struct {
	c pointer
	m *Model
}

// NewData makes a state of the model: the one that its file describes, at time 0.
func (m *Model) NewData() (*Data, error) {
	if m == nil || m.c == nil {
		return nil, errors.New("mujoco: no model")
	}
	defer runtime.KeepAlive(m)
	c, err := nativeData(m.c)
	if err != nil {
		return nil, fmt.Errorf("mujoco: %s: %s", m.name, oneLine(err))
	}
	d := &Data{c: c, m: m}
	// The model is kept alive until its data is gone.
	runtime.AddCleanup(d, func(g gone) { nativeFreeData(g.c); runtime.KeepAlive(g.m) }, gone{c, m})
	return d, nil
}

type gone struct {
	c pointer
	m *Model
}

// Model returns the model of the state.
func (d *Data) Model() *Model { return d.m }

// Reset goes back to the state that the model's file describes.
func (d *Data) Reset() error {
	defer runtime.KeepAlive(d)
	return d.said(nativeReset(d.m.c, d.c))
}

// Forward computes everything that follows from positions, velocities and controls, without moving on
// in time.
func (d *Data) Forward() error {
	defer runtime.KeepAlive(d)
	return d.said(nativeForward(d.m.c, d.c))
}

// Step goes n timesteps on, at most a million. An error of MuJoCo's, and a warning of its, such as that
// the simulation has become unstable, is an error and ends the steps; Reset before you go on.
func (d *Data) Step(n int) error {
	if n < 0 || n > 1_000_000 {
		return fmt.Errorf("mujoco: %d steps, want 0 to 1,000,000", n)
	}
	defer runtime.KeepAlive(d)
	return d.said(nativeStep(d.m.c, d.c, n))
}

func (d *Data) said(err error) error {
	if err == nil {
		return nil
	}
	text := oneLine(err)
	fix := "call Reset; a smaller timestep or gentler controls keep a simulation stable"
	if strings.Contains(text, "memory") {
		fix = `give the model more memory: <size memory="100M"/>`
	}
	return advice.New(fmt.Errorf("mujoco: %s: %s", d.m.name, strings.TrimSuffix(text, ".")), "%s", fix)
}

// Time returns the simulated time in seconds.
func (d *Data) Time() float64 {
	defer runtime.KeepAlive(d)
	return *number(d.c, dataTime)
}

// Qpos returns the positions of all joints.
func (d *Data) Qpos() []float64 { return d.copied(dataQpos, d.m.Sizes().Qpos) }

// SetQpos sets the positions of all joints. Forward or Step computes what follows from them.
func (d *Data) SetQpos(v []float64) error { return d.set("qpos", dataQpos, d.m.Sizes().Qpos, v) }

// Qvel returns the velocities of all degrees of freedom.
func (d *Data) Qvel() []float64 { return d.copied(dataQvel, d.m.Sizes().Qvel) }

// SetQvel sets the velocities of all degrees of freedom.
func (d *Data) SetQvel(v []float64) error { return d.set("qvel", dataQvel, d.m.Sizes().Qvel, v) }

// SetCtrl sets the controls of all actuators. MuJoCo brings them within their limits.
func (d *Data) SetCtrl(v []float64) error { return d.set("ctrl", dataCtrl, d.m.Sizes().Ctrl, v) }

// SetMocap moves a mocap body, numbered as by MocapPlace, to a position and an orientation, a unit
// quaternion w, x, y, z.
func (d *Data) SetMocap(mocap int, at [3]float64, turn [4]float64) error {
	n := d.m.Sizes().Mocaps
	if mocap < 0 || mocap >= n {
		return fmt.Errorf("mujoco: %s: mocap body %d, want 0 to %d", d.m.name, mocap, n-1)
	}
	if err := finite("mocap", append(at[:], turn[:]...)); err != nil {
		return err
	}
	defer runtime.KeepAlive(d)
	copy(array[float64](d.c, dataMocapPos, 3*n)[3*mocap:], at[:])
	copy(array[float64](d.c, dataMocapQuat, 4*n)[4*mocap:], turn[:])
	return nil
}

// BodyPose returns where the frame of a body is; zeros if there is no such body.
func (d *Data) BodyPose(body int) (at [3]float64, turn [4]float64) {
	defer runtime.KeepAlive(d)
	n := d.m.Sizes().Bodies
	if body >= 0 && body < n {
		copy(at[:], array[float64](d.c, dataXpos, 3*n)[3*body:])
		copy(turn[:], array[float64](d.c, dataXquat, 4*n)[4*body:])
	}
	return at, turn
}

// GeomPose returns where a geom is; zeros if there is no such geom.
func (d *Data) GeomPose(geom int) (at [3]float64, turn [9]float64) {
	return d.pose(dataGeomXpos, dataGeomXmat, d.m.Sizes().Geoms, geom)
}

// SitePose returns where a site is; zeros if there is no such site.
func (d *Data) SitePose(site int) (at [3]float64, turn [9]float64) {
	return d.pose(dataSiteXpos, dataSiteXmat, d.m.Sizes().Sites, site)
}

// CameraPose returns where a camera of the model is: it looks along its negative third axis, its second
// one is up. Zeros if there is no such camera.
func (d *Data) CameraPose(camera int) (at [3]float64, turn [9]float64) {
	return d.pose(dataCamXpos, dataCamXmat, d.m.Sizes().Cameras, camera)
}

func (d *Data) pose(pos, mat uintptr, n, i int) (at [3]float64, turn [9]float64) {
	defer runtime.KeepAlive(d)
	if i >= 0 && i < n {
		copy(at[:], array[float64](d.c, pos, 3*n)[3*i:])
		copy(turn[:], array[float64](d.c, mat, 9*n)[9*i:])
	}
	return at, turn
}

func (d *Data) copied(at uintptr, n int) []float64 {
	defer runtime.KeepAlive(d)
	return append([]float64(nil), array[float64](d.c, at, n)...)
}

func (d *Data) set(what string, at uintptr, n int, v []float64) error {
	if len(v) != n {
		return fmt.Errorf("mujoco: %s: %s of %d numbers, want %d", d.m.name, what, len(v), n)
	}
	if err := finite(what, v); err != nil {
		return err
	}
	defer runtime.KeepAlive(d)
	copy(array[float64](d.c, at, n), v)
	return nil
}

func finite(what string, v []float64) error {
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("mujoco: %s %d is %v, want a finite number", what, i, x)
		}
	}
	return nil
}
