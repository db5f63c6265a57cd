package policy

import (
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// phase is what the fingers are doing. Each has its own weights: where to go with empty fingers, and
// where with something in them.
type phase int

const (
	open phase = iota
	holding
	phases
)

// body knows where a robot's numbers stand, and moves it: the fixed controller.
type body struct {
	spec          sim.Spec
	x, y          int // of the state: the tip
	moveX, moveY  int // of the action
	shut, command int // the fingers' command, in the state and in the action; -1 = there are none
	opening       int // of the state, what is felt between the fingers; -1 = not felt
	reach         float64
	nothing       float64    // an opening below it is that of fingers that have shut on nothing
	between       [2]float64 // the fingers' commands between open and shut, in the state and in the action
}

// newBody finds what a controller needs in the description of a robot.
func newBody(s sim.Spec) (body, error) {
	b := body{
		spec: s, x: sim.Find(s.State, sim.TipX), y: sim.Find(s.State, sim.TipY), moveX: sim.Find(s.Action, sim.MoveX), moveY: sim.Find(s.Action, sim.MoveY),
		shut: sim.Find(s.State, sim.Gripper), command: sim.Find(s.Action, sim.Gripper), opening: sim.Find(s.State, sim.Opening),
	}
	for _, need := range []struct {
		name string
		at   int
	}{{"state x", b.x}, {"state y", b.y}, {"action dx", b.moveX}, {"action dy", b.moveY}} {
		if need.at < 0 {
			return b, advice.New(fmt.Errorf("policy: the robot %q of %q has no %s, which a policy of waypoints moves by", s.Robot, s.Task, need.name), "name the dimensions x, y, dx and dy where they are that; see sim.Role")
		}
	}
	if (b.shut < 0) != (b.command < 0) {
		return b, advice.New(fmt.Errorf("policy: the robot %q of %q has a gripper in its state or in its action, but not in both", s.Robot, s.Task), "name both gripper; see sim.Role")
	}
	b.reach = min(s.Action[b.moveX].Max, s.Action[b.moveY].Max)
	if !(b.reach > 0) {
		return b, fmt.Errorf("policy: the robot %q moves by at most %g a step, want more than 0", s.Robot, b.reach)
	}
	if b.shut >= 0 {
		b.between = [2]float64{middle(s.State[b.shut]), middle(s.Action[b.command])}
	}
	return b, nil
}

func middle(d sim.Dimension) float64 { return (d.Min + d.Max) / 2 }

func (b body) tip(state []float32) [2]float64 {
	return [2]float64{float64(state[b.x]), float64(state[b.y])}
}

// isShut reports whether the fingers are told to be shut.
func (b body) isShut(state []float32) bool {
	return b.shut >= 0 && float64(state[b.shut]) > b.between[0]
}

// empty reports whether the fingers have shut on nothing.
func (b body) empty(state []float32) bool {
	return b.isShut(state) && b.opening >= 0 && float64(state[b.opening]) < b.nothing
}

func (b body) phase(state []float32) phase {
	if b.isShut(state) && !b.empty(state) {
		return holding
	}
	return open
}

// event reports whether the fingers are told to do something else than they do.
func (b body) event(state, action []float32) bool {
	return b.shut >= 0 && b.isShut(state) != (float64(action[b.command]) > b.between[1])
}

// events returns, for each frame of an episode that has one, the place of the next event: where the
// tip is when the fingers' command changes. For a robot without fingers it is where the episode ends.
func (b body) events(frames []Frame) (all []target) {
	var next *[2]float64
	for i := len(frames) - 1; i >= 0; i-- {
		f := frames[i]
		if b.event(f.State, f.Action) || b.shut < 0 && next == nil {
			tip := b.tip(f.State)
			if b.shut < 0 { // and what the last action adds
				tip[0] += float64(f.Action[b.moveX])
				tip[1] += float64(f.Action[b.moveY])
			}
			next = &tip
		}
		if next != nil {
			all = append(all, target{frame: i, place: *next, phase: b.phase(f.State)})
		}
	}
	slices.Reverse(all)
	return all
}

// learnNothing learns the opening of fingers that have shut on nothing: less than half of what is
// usually felt while they are shut, because demonstrations mostly show what works. Where they are
// never shut, as in a task that ends when they shut, it is next to the lower limit.
func (b *body) learnNothing(frames []Frame) {
	if b.opening < 0 || b.shut < 0 {
		return
	}
	d := b.spec.State[b.opening]
	b.nothing = d.Min + 0.05*(d.Max-d.Min)
	var felt []float64
	for i, f := range frames {
		if b.isShut(f.State) && i > 0 && b.isShut(frames[i-1].State) {
			felt = append(felt, float64(f.State[b.opening]))
		}
	}
	if len(felt) > 0 {
		slices.Sort(felt)
		b.nothing = felt[len(felt)/2] / 2
	}
}

// steps is how many actions a decision has at most, before the robot looks again.
const steps = 4

// drive returns the next actions towards a place, and what the fingers do there.
func (b body) drive(state []float32, to [2]float64) [][]float32 {
	tip, shut := b.tip(state), b.isShut(state)
	var all [][]float32
	for range steps {
		dx, dy := to[0]-tip[0], to[1]-tip[1]
		far := math.Hypot(dx, dy)
		if far < b.reach/2 {
			if b.shut >= 0 {
				return append(all, b.action(0, 0, !shut))
			}
			return append(all, b.action(dx, dy, false))
		}
		if far > b.reach {
			dx, dy = dx*b.reach/far, dy*b.reach/far
		}
		tip[0], tip[1] = tip[0]+dx, tip[1]+dy
		all = append(all, b.action(dx, dy, shut))
	}
	return all
}

// release opens the fingers where they are.
func (b body) release() [][]float32 { return [][]float32{b.action(0, 0, false)} }

// action is one step. Dimensions that mean nothing to the controller stay at zero, or as near to it
// as their limits allow.
func (b body) action(dx, dy float64, shut bool) []float32 {
	out := make([]float32, len(b.spec.Action))
	for i, d := range b.spec.Action {
		out[i] = float32(min(max(0, d.Min), d.Max))
	}
	out[b.moveX], out[b.moveY] = float32(dx), float32(dy)
	if b.command >= 0 {
		d := b.spec.Action[b.command]
		out[b.command] = float32(d.Min)
		if shut {
			out[b.command] = float32(d.Max)
		}
	}
	return out
}

// checkSeen reports what an actor cannot act on.
func (b body) checkSeen(seen, state []float32, width int) error {
	if len(seen) != width {
		return advice.New(fmt.Errorf("policy: a row of %d features, want %d", len(seen), width), "use the backbone, stage and picture size of the demonstrations")
	}
	if at := notFinite(seen); at >= 0 {
		return fmt.Errorf("policy: feature %d is %v", at, seen[at])
	}
	if err := fits(state, b.spec.State, "state"); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}
