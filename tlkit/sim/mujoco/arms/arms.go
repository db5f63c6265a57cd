// Package arms has tasks for robot arms in MuJoCo: a gripper over a table, seen by one fixed camera.
//
//	err := sim.Install(ctx, "mujoco/fetch-pick", sim.Downloads{}) // MuJoCo and the arm, fetched once
//	w, err := sim.Open("mujoco/fetch-pick")
//
// Importing the package registers the tasks, and opens nothing:
//
//	mujoco/fetch-pick          put the block onto the target (the arm of Fetch, gymnasium-robotics)
//	mujoco/fetch-reach         touch the target, not the block
//	mujoco/fetch-push          push the block onto the target, with closed fingers
//	mujoco/sawyer-press        press the button on the box (the arm of Sawyer, Meta-World)
//
// Each scene has its own table, block, target and light.
//
// The robot is driven in the picture, as the planar bench is: its state x, y is where the camera sees
// the table below the gripper, and its action dx, dy moves that place. The camera is known, so a place
// in the picture is one place at the table's height: [Camera] says how. Heights belong to the robot. It
// moves at a fixed height above the table; when its gripper is told to shut, it goes down, closes and
// comes up, and to open, it goes down, opens and comes up. One that has nothing to hold presses once when it
// is told to shut. That takes some steps, in which other actions are not followed.
//
// The numbers are MuJoCo's: the same on every run, but, unlike those of other worlds, not on every kind of
// processor.
package arms

import (
	"context"
	"fmt"
	"image"
	"math"
	"sync"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/sim/mujoco"
	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

func init() {
	for _, t := range []task{fetchPick{}, fetchReach{}, fetchPush{}, sawyerPress{}} {
		sim.Register(t.spec().Task, func() sim.World { return &World{task: t, about: t.spec()} })
	}
}

// World is an arm with a task. It implements sim.Teacher and sim.Installer.
type World struct {
	task  task
	about sim.Spec

	*scene // nil before the first Reset
}

// A task is what differs between worlds.
type task interface {
	spec() sim.Spec
	robot() *robot
	arrange(s *scene, d *dice.Dice) error        // a new scene, with the arm at rest over its middle
	teach(s *scene) (move [2]float64, shut bool) // what to do when no program runs
	truth(s *scene) []vec
	judge(s *scene) // may end the episode, after a step
	failed() string // why the task is not done when time is up
}

type vec = raster.Vec

// scene is one episode.
type scene struct {
	robot  *robot
	data   *mujoco.Data
	look   *mujoco.Look
	drawn  raster.Scene
	seed   uint64
	things map[string]vec // places that the task has chosen

	aim     [2]float64 // where the tool is told to be: a place in the picture
	height  float64    // of the tool, as it is told
	shut    bool       // the fingers' command
	fixed   bool       // the fingers stay as they are
	fist    bool       // what the fingers do: they follow the command at the right height
	program []stage    // what is left to do before actions count again
	outcome sim.Outcome
}

// stage is one step of a program: how high the tool goes, and what the fingers do.
type stage struct {
	height float64
	fist   bool
}

// The robots' time: a step is a fifth of a second.
const (
	rate  = 5
	speed = 0.045 // of the tool in a step, in shares of the picture's side
	there = 0.006 // how near the teacher goes
	side  = 224   // pixels of a picture
)

// shares are dimensions of places in the picture.
func share(name string) sim.Dimension {
	return sim.Dimension{Name: name, Unit: "picture", Min: -0.5, Max: 1.5}
}

// describe fills in what all these robots have in common.
func (r *robot) describe(s sim.Spec) sim.Spec {
	s.Rate, s.Cameras = rate, []sim.Camera{{Name: "front", Side: side}}
	s.State = []sim.Dimension{share("x"), share("y"), {Name: "gripper", Max: 1}}
	if !r.press {
		s.State = append(s.State, sim.Dimension{Name: "opening", Max: 1})
	}
	s.Action = []sim.Dimension{{Name: "dx", Unit: "picture", Min: -speed, Max: speed}, {Name: "dy", Unit: "picture", Min: -speed, Max: speed}, {Name: "gripper", Max: 1}}
	return s
}

// Spec implements sim.World.
func (w *World) Spec() sim.Spec { return w.about.Clone() }

// Camera returns the camera that draws the pictures. Project tells where in them a place of the world
// is, and OnHeight which place at a height a place in them shows; the robot's x and y are at height
// Plane.
func (w *World) Camera() raster.Camera { return w.task.robot().camera }

// Plane is the height in metres at which the robot's x and y are places of the world.
func (w *World) Plane() float64 { return w.task.robot().plane }

// Install implements sim.Installer.
func (w *World) Install(ctx context.Context, d sim.Downloads) error {
	return w.task.robot().load(ctx, mujoco.Options{Offline: d.Offline, Report: d.Report})
}

// Reset implements sim.World. It is an error if MuJoCo or the robot is not there; sim.Install fetches
// them.
func (w *World) Reset(seed uint64) error {
	r := w.task.robot()
	if err := r.load(context.Background(), mujoco.Options{Offline: true}); err != nil {
		return advice.New(fmt.Errorf("arms: %s: %w", w.about.Task, err), "fetch what is missing: tlkit robot watch %s, or sim.Install", w.about.Task)
	}
	s, err := r.start(seed)
	if err != nil {
		return fmt.Errorf("arms: %s: %w", w.about.Task, err)
	}
	if err := w.task.arrange(s, dice.New(seed, 7)); err != nil {
		return fmt.Errorf("arms: %s: scene %d: %w", w.about.Task, seed, err)
	}
	w.scene = s
	return nil
}

// Feel implements sim.World.
func (w *World) Feel() []float32 {
	if w.scene == nil {
		return make([]float32, len(w.about.State))
	}
	at := w.tip()
	gripper := float32(0)
	if w.shut {
		gripper = 1
	}
	felt := []float32{float32(at[0]), float32(at[1]), gripper}
	if !w.robot.press {
		felt = append(felt, float32(w.opening()))
	}
	return felt
}

// Truth implements sim.World.
func (w *World) Truth() (all []float32) {
	if w.scene == nil {
		return make([]float32, len(w.about.Truth))
	}
	for _, p := range w.task.truth(w.scene) {
		x, y, _ := w.robot.camera.Project(vec{p[0], p[1], w.robot.plane})
		all = append(all, float32(x), float32(y))
	}
	return all
}

// Done implements sim.World.
func (w *World) Done() sim.Outcome {
	if w.scene == nil {
		return sim.Outcome{}
	}
	return w.outcome
}

// Teach implements sim.Teacher.
func (w *World) Teach() []float32 {
	if w.scene == nil {
		return make([]float32, len(w.about.Action))
	}
	move, shut := [2]float64{}, w.shut
	if len(w.program) == 0 {
		move, shut = w.task.teach(w.scene)
	}
	gripper := float32(0)
	if shut {
		gripper = 1
	}
	move = atMost(move, speed)
	return []float32{float32(move[0]), float32(move[1]), gripper}[:len(w.about.Action)]
}

func atMost(v [2]float64, most float64) [2]float64 {
	if n := math.Sqrt(float64(v[0]*v[0]) + float64(v[1]*v[1])); n > most {
		return [2]float64{v[0] * most / n, v[1] * most / n}
	}
	return v
}

// Step implements sim.World. While the robot goes down, closes or opens, and comes up, it does nothing
// else.
func (w *World) Step(action []float32) error {
	a, err := w.about.Limit(action)
	if err != nil {
		return fmt.Errorf("arms: %w", err)
	}
	if w.scene == nil {
		return advice.New(fmt.Errorf("arms: %s: a step before the first episode", w.about.Task), "call Reset")
	}
	if w.outcome.Over {
		return advice.New(fmt.Errorf("arms: %s: a step after the end of the episode (%s)", w.about.Task, w.outcome.Why), "call Reset")
	}
	shut := w.shut
	if len(a) > 2 {
		shut = a[2] > 0.5
	}
	if err := w.act([2]float64{float64(a[0]), float64(a[1])}, shut); err != nil {
		return fmt.Errorf("arms: %s: scene %d: %w", w.about.Task, w.seed, err)
	}
	w.outcome.Steps++
	w.task.judge(w.scene)
	if !w.outcome.Over && w.outcome.Steps == w.about.Steps {
		w.end(false, fmt.Sprintf("%d steps, and %s", w.about.Steps, w.task.failed()))
	}
	return nil
}

func (s *scene) end(success bool, why string) {
	s.outcome.Over, s.outcome.Success, s.outcome.Why = true, success, why
}

// renderers are shared: their buffers are large, and a job may have a hundred worlds.
var renderers = sync.Pool{New: func() any { return &raster.Renderer{Threads: 1} }}

// Draw implements sim.World.
func (w *World) Draw(camera string, side int) (*image.NRGBA, error) {
	if camera != w.about.Cameras[0].Name {
		return nil, advice.New(fmt.Errorf("arms: no camera %q", camera), "there is one, %s", w.about.Cameras[0].Name)
	}
	if side < 8 || side > 2048 {
		return nil, fmt.Errorf("arms: a picture %d pixels wide, want 8 to 2048", side)
	}
	if w.scene == nil {
		return nil, advice.New(fmt.Errorf("arms: %s: a picture before the first episode", w.about.Task), "call Reset")
	}
	w.look.Place(w.data)
	w.drawn.Instances = w.look.Instances
	r := renderers.Get().(*raster.Renderer)
	defer renderers.Put(r)
	p, err := r.Draw(&w.drawn, w.robot.camera, side)
	if err != nil {
		return nil, fmt.Errorf("arms: %w", err)
	}
	return p, nil
}
