package arms

import (
	"math"

	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// fetchPush is the task of mujoco/fetch-push. The fingers are shut and stay down on the table.
type fetchPush struct{}

func (fetchPush) robot() *robot { return fetchArm }

func (fetchPush) spec() sim.Spec {
	return fetchArm.describe(sim.Spec{
		Task: "mujoco/fetch-push", Goal: "push the block onto the target", Robot: "fetch", Steps: 100,
		Truth: []sim.Dimension{share("block_x"), share("block_y"), share("target_x"), share("target_y")},
	})
}

// Distances of a push, in metres.
const (
	behind = 0.075 // how far behind the block a push begins
	wide   = 0.085 // how far beside it the fingers go around
	lined  = 0.012 // how far beside its middle they may push
)

func (fetchPush) arrange(s *scene, d *dice.Dice) error {
	block, target := inner(d), inner(d)
	for apart(block, target) < 0.1 {
		target = inner(d)
	}
	start := onTable(d)
	for apart(start, block) < 0.12 {
		start = onTable(d)
	}
	s.things["target"] = target
	if err := s.lay(block); err != nil {
		return err
	}
	if err := s.dress(d); err != nil {
		return err
	}
	s.fixed, s.shut, s.fist = true, true, true
	if err := s.data.SetCtrl(s.robot.closed); err != nil {
		return err
	}
	for _, height := range []float64{s.robot.high, s.robot.low} {
		if err := s.rest(vec{start[0], start[1], height}); err != nil {
			return err
		}
	}
	s.height = s.robot.low
	return nil
}

// inner is a place on the table that the fingers can get behind.
func inner(d *dice.Dice) vec { return vec{d.In(1.25, 1.43), d.In(0.64, 0.86), tableTop} }

func (fetchPush) truth(s *scene) []vec { return []vec{s.block(), s.things["target"]} }

// teach goes behind the block and pushes it straight at the target; when the push has gone askew, it
// backs off and comes again.
func (fetchPush) teach(s *scene) (move [2]float64, shut bool) {
	b, target, tool := s.block(), s.things["target"], s.tool()
	far := apart(b, target)
	ahead := [2]float64{(target[0] - b[0]) / max(far, 1e-9), (target[1] - b[1]) / max(far, 1e-9)}
	back := -((tool[0]-b[0])*ahead[0] + (tool[1]-b[1])*ahead[1])
	aside := (tool[0]-b[0])*-ahead[1] + (tool[1]-b[1])*ahead[0] // to the left of the way
	at := func(along, left float64) vec {
		return vec{b[0] + ahead[0]*along - ahead[1]*left, b[1] + ahead[1]*along + ahead[0]*left}
	}
	switch {
	case back > 0.03 && math.Abs(aside) < lined: // push, and steer back to the middle
		return s.towards(at(0, -aside/2), far+0.004), true
	case back > behind-0.015:
		return s.towards(at(-behind, 0), 1), true
	}
	left := math.Copysign(wide, aside)
	if math.Abs(aside) < wide-0.02 { // away from it first
		return s.towards(at(min(-back, 0.1), left), 1), true
	}
	return s.towards(at(-behind-0.01, left), 1), true
}

// towards is the move to a place, of at most so many metres.
func (s *scene) towards(to vec, most float64) [2]float64 {
	tool := s.tool()
	if far := apart(to, tool); far > most {
		for k := range 2 {
			to[k] = tool[k] + (to[k]-tool[k])*most/far
		}
	}
	there, tip := s.robot.seen(to), s.tip()
	return [2]float64{there[0] - tip[0], there[1] - tip[1]}
}

func (fetchPush) judge(s *scene) {
	if apart(s.block(), s.things["target"]) < near/2 {
		s.end(true, "the block is on the target")
	}
}

func (fetchPush) failed() string { return "the block is not on the target" }
