// Package sim defines the interface of simulated robots and their tasks, [World].
//
// Reset a world to a scene, then draw it, read its joints and move it, step by step, until it is done:
//
//	w, err := sim.Open("bench/sort")
//	err = w.Reset(7)                          // scene 7, the same on every machine
//	for !w.Done().Over {
//		picture, err := w.Draw("top", 160)    // what its camera sees
//		action := policy(picture, w.Feel())   // what its joints feel
//		err = w.Step(action)
//	}
//
// The worlds are packages of their own, which register their tasks when they are imported:
// tlkit/sim/bench has bench/sort, bench/reach and bench/push, and tlkit/sim/mujoco/arms has
// mujoco/fetch-pick and other arms in MuJoCo, for which [Install] fetches what they need. [Spec] lists what the robot feels and
// what it can do, with units and limits; it also describes demonstrations on disk (tlkit/episodes).
package sim

import "image"

// A World is a robot with a task. It is not safe for concurrent use: open one for each goroutine.
//
// A world is a function of the seeds and actions that it was given: the same ones give the same
// numbers and pixels, on any processor.
type World interface {
	// Spec says what the robot feels and does. It never changes.
	Spec() Spec

	// Reset starts an episode in the scene of that number.
	Reset(seed uint64) error

	// Draw returns what a camera of the Spec sees now, side pixels high and wide (8 to 2048). The
	// picture is the caller's. The same scene at another side is the same scene.
	Draw(camera string, side int) (*image.NRGBA, error)

	// Feel returns what the robot feels, one number for each of Spec.State.
	Feel() []float32

	// Truth returns what only the simulator knows, one number for each of Spec.Truth. It is there
	// for controls: a policy that is given it needs no eyes.
	Truth() []float32

	// Step acts for 1/Spec.Rate seconds: one number for each of Spec.Action. Numbers beyond their
	// limits are brought back to them, as the robot's own controller does. NaN, infinities and
	// another count are errors, and so is a step when the episode is over; nothing moves then.
	Step(action []float32) error

	// Done says whether the episode is over, and how it ended.
	Done() Outcome
}

// A Teacher is a world that can show how its task is done.
type Teacher interface {
	World

	// Teach returns a good action for the state the world is in, whatever led there: it recovers
	// from mistakes.
	Teach() []float32
}

// Outcome says whether an episode is over, and how it ended.
type Outcome struct {
	Over    bool   // no step is possible any more
	Success bool   // the task is done
	Why     string // in a few words: "the bee is on the blossom", "80 steps, and no end"; "" = not over
	Steps   int    // taken so far
}

// Spec describes a robot and its task.
type Spec struct {
	Task    string      // its name: "bench/sort"
	Goal    string      // what to do: "put the bee onto the blossom, and leave the ant"
	Robot   string      // the kind of robot: "planar-arm"
	State   []Dimension // of World.Feel
	Action  []Dimension // of World.Step
	Truth   []Dimension // of World.Truth
	Cameras []Camera    // of World.Draw; the first is the one that states refer to
	Rate    float64     // steps a second
	Steps   int         // the most steps of an episode
}

// A Dimension is one number of a state or an action.
type Dimension struct {
	Name     string  // "x", "gripper": see Role
	Unit     string  // "picture" = shares of the picture's side; "" = none
	Min, Max float64 // its limits
}

// A Camera is one point of view.
type Camera struct {
	Name string // "top"
	Side int    // the pixels that its pictures usually have
}

// Role is what a dimension means to a policy that plans with it.
type Role int

// The roles.
const (
	Other   Role = iota
	TipX         // where the tool is in the first camera's picture: 0 left, 1 right
	TipY         // the same: 0 top, 1 bottom
	MoveX        // how far to move the tool in one step, in the same measure
	MoveY        // the same, down
	Gripper      // the fingers' command: 0 open, 1 shut; as an action, shut above 0.5
	Opening      // what is felt between the fingers: 0 shut on nothing, 1 open
)

// roles are the names that dimensions with a role have.
var roles = map[string]Role{"x": TipX, "y": TipY, "dx": MoveX, "dy": MoveY, "gripper": Gripper, "opening": Opening}

// Role returns what the dimension means, by its name: "x" and "y" are TipX and TipY, "dx" and "dy"
// are MoveX and MoveY, "gripper" and "opening" are the fingers. All other names are Other.
func (d Dimension) Role() Role { return roles[d.Name] }

// Find returns the index of the first dimension with the role, or -1 if there is none.
func Find(dims []Dimension, r Role) int {
	for i, d := range dims {
		if d.Role() == r {
			return i
		}
	}
	return -1
}
