package policy

import (
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Guard is a policy that says when what it sees or feels is unlike its demonstrations. Its actions
// are kept within what the demonstrations contain, and a tenth more on either side.
type Guard struct {
	Policy      Policy
	Familiarity *Familiarity // nil = every look is familiar
	Learnt      Learnt
	// Hold keeps the robot where it is while a look is not familiar.
	Hold bool
}

// Guard is the file's policy with its familiarity and its limits.
func (f *File) Guard(hold bool) Guard { return Guard{f.Policy, f.Familiarity, f.Learnt, hold} }

// beyond is how much further than the demonstrations a number may go, as a share of their range.
const beyond = 0.1

// Spec is that of the policy.
func (g Guard) Spec() sim.Spec { return g.Policy.Spec() }

// Start begins an episode.
func (g Guard) Start(scene uint64) (Actor, error) {
	a, err := g.Policy.Start(scene)
	if err != nil {
		return nil, err
	}
	return &guardActor{guard: g, actor: a, recall: recall{of: g.Familiarity}, spec: g.Policy.Spec()}, nil
}

type guardActor struct {
	guard  Guard
	actor  Actor
	recall recall
	spec   sim.Spec
	light  *Light // of the next look
}

// Light gives the light of the picture of the next look. Callers that see pictures look for this method.
func (a *guardActor) Light(l Light) { a.light = &l }

func (a *guardActor) Act(seen, state []float32) (Decision, error) {
	if err := fits(state, a.spec.State, "state"); err != nil {
		return Decision{}, fmt.Errorf("policy: %w", err)
	}
	strange, why := a.strange(seen, state)
	if strange > 1 && a.guard.Hold {
		d := Decision{Strange: strange, Note: why + "; hold"}
		for range steps {
			d.Actions = append(d.Actions, hold(a.spec, state))
		}
		if x, y := sim.Find(a.spec.State, sim.TipX), sim.Find(a.spec.State, sim.TipY); x >= 0 && y >= 0 {
			d.Where = [2]float64{float64(state[x]), float64(state[y])}
		}
		return d, nil
	}
	d, err := a.actor.Act(seen, state)
	if err != nil {
		return d, err
	}
	if d.Strange = strange; strange > 1 {
		d.Note = why
	}
	for _, action := range d.Actions {
		a.guard.Learnt.limit(a.spec.Action, action)
	}
	return d, nil
}

// strange says how unlike the demonstrations what is seen and felt is, as a share of the limit.
func (a *guardActor) strange(seen, state []float32) (strange float64, why string) {
	if a.guard.Familiarity != nil && len(seen) == a.guard.Familiarity.grid.Cells()*a.guard.Familiarity.grid.C && notFinite(seen) < 0 {
		strange, why = a.recall.judge(seen, state, a.light)
		a.light = nil
	}
	for i, r := range a.guard.Learnt.State {
		if role := a.spec.State[i].Role(); role == sim.Gripper || role == sim.Opening {
			continue // fingers that shut on nothing are no news to a policy
		}
		v, slack := float64(state[i]), beyond*(r[1]-r[0])+1e-6
		if v < r[0]-slack || v > r[1]+slack {
			return math.Inf(1), fmt.Sprintf("the state's %s is %.3g, in the demonstrations it is from %.3g to %.3g", a.spec.State[i].Name, v, r[0], r[1])
		}
	}
	return strange, why
}

// limit keeps an action within the demonstrations' and the robot's limits.
func (l Learnt) limit(dims []sim.Dimension, action []float32) {
	for i, r := range l.Action {
		slack := beyond * (r[1] - r[0])
		low, high := r[0]-slack, r[1]+slack
		if d := dims[i]; d.Min < d.Max {
			low, high = max(low, d.Min), min(high, d.Max)
		}
		action[i] = float32(min(max(float64(action[i]), low), high))
	}
}

// Still is the action that keeps the robot where it is: no move, the fingers as they are, and numbers
// that the state has too, such as the angles of joints, at their values.
func (g Guard) Still(state []float32) []float32 { return hold(g.Spec(), state) }

func hold(s sim.Spec, state []float32) []float32 {
	out := make([]float32, len(s.Action))
	for i, d := range s.Action {
		switch role := d.Role(); role {
		case sim.MoveX, sim.MoveY:
		default:
			v := min(max(0, d.Min), d.Max)
			for k, of := range s.State {
				if of.Name == d.Name {
					v = float64(state[k])
				}
			}
			out[i] = float32(v)
		}
	}
	return out
}
