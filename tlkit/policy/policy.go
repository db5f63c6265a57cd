// Package policy holds robot policies that are learnt from demonstrations on the frozen features of
// a backbone: what to do, given what is seen and felt.
//
//	p, err := policy.FitWaypoint(ctx, demonstrations, policy.WaypointOptions{})
//	actor, err := p.Start(scene)
//	d, err := actor.Act(row, world.Feel()) // row: the map of the picture, from features.FromStage
//	for _, action := range d.Actions {
//		err = world.Step(action)
//	}
//
// [Waypoint] is the policy to use. It asks one question of each cell of a map: is the next event of
// the gripper here? A fixed controller moves there, and opens or closes the fingers. [Nearest] is the
// baseline without training, and [Oracle] the control that knows the truth. All three share the controller, so
// they differ only in where they believe the next event is.
//
// They suit tasks that are a sequence of places: pick, place, press, reach. They do not suit pushing
// along a path, or things that bend.
//
// The package is plain Go: no GoMLX, no files but those of [File.Write]. A fit is deterministic:
// the same demonstrations give the same bits, on any number of processors.
package policy

import "github.com/tlkit/transfer-learning/tlkit/sim"

// A Policy decides what a robot does.
type Policy interface {
	// Spec is the robot that the policy drives.
	Spec() sim.Spec
	// Start begins an episode. Scene is its number, which only controls need.
	Start(scene uint64) (Actor, error)
}

// An Actor acts in one episode, and remembers what it has seen in it.
type Actor interface {
	// Act decides what to do next: seen is the row of features of the picture, state what the robot
	// feels. It is an error if one of them has another length than in the demonstrations, or numbers
	// that are not finite.
	Act(seen, state []float32) (Decision, error)
}

// Decision is what to do, and why.
type Decision struct {
	Actions [][]float32 // for the next steps, in order; each has a number for each of Spec.Action
	Where   [2]float64  // the place of the next event: x and y in shares of the picture
	Sure    float64     // the probability that it is in that cell or one beside it; 0 = not known
	// Heat is the probability of each cell [h,w], row by row; nil for policies without a map.
	Heat []float32
	Note string // what the robot has noticed: "shut on nothing: open, look again"
	// Strange says how unlike the demonstrations the last looks are, as a share of the limit: above 1
	// they are not familiar. 0 = not known. See [Guard].
	Strange float64
}
