package policy

import (
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Oracle is the control that knows the truth: it asks the teacher of the simulated task where the
// next event is, and goes there with the controller of Waypoint. What it fails at, no eyes would
// have helped with.
type Oracle struct {
	task string
	body body
}

// NewOracle returns the oracle of a simulated task. It is an error if the task has no teacher, or a
// robot that the controller cannot drive.
func NewOracle(task string) (*Oracle, error) {
	o := &Oracle{task: task}
	w, err := o.open()
	if err != nil {
		return nil, err
	}
	o.body, err = newBody(w.Spec())
	return o, err
}

func (o *Oracle) open() (sim.Teacher, error) {
	w, err := sim.Open(o.task)
	if err != nil {
		return nil, err
	}
	teacher, ok := w.(sim.Teacher)
	if !ok {
		return nil, advice.New(fmt.Errorf("policy: the task %q has no teacher to ask", o.task), "a simulated task has one if its world is a sim.Teacher")
	}
	return teacher, nil
}

// Spec is the robot of the task.
func (o *Oracle) Spec() sim.Spec { return o.body.spec }

// Start begins an episode in a scene.
func (o *Oracle) Start(scene uint64) (Actor, error) {
	w, err := o.open()
	if err != nil {
		return nil, err
	}
	return &oracleActor{oracle: o, world: w, scene: scene}, nil
}

// oracleActor keeps a world of its own in the state of the real one, by the same actions.
type oracleActor struct {
	oracle *Oracle
	world  sim.Teacher
	scene  uint64
	done   [][]float32 // actions since the episode began
}

func (a *oracleActor) Act(_, state []float32) (Decision, error) {
	b := a.oracle.body
	place, err := a.next()
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Where: place, Sure: 1}
	if d.Actions = b.drive(state, place); b.empty(state) {
		d.Actions = b.release()
	}
	a.done = append(a.done, d.Actions...)
	return d, nil
}

// next lets the teacher go on until the next event, and returns where that is.
func (a *oracleActor) next() (place [2]float64, err error) {
	b := a.oracle.body
	if err := a.world.Reset(a.scene); err != nil {
		return place, err
	}
	for _, action := range a.done {
		if err := a.world.Step(action); err != nil {
			return place, err
		}
	}
	for !a.world.Done().Over {
		state, action := a.world.Feel(), slices.Clone(a.world.Teach())
		place = b.tip(state)
		if b.event(state, action) {
			return place, nil
		}
		if err := a.world.Step(action); err != nil {
			return place, err
		}
	}
	return b.tip(a.world.Feel()), nil
}
