package robot

import (
	"context"
	"strings"

	"github.com/tlkit/transfer-learning/tlkit/cloning"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// options are those of all fits of chunks.
func (l *Lab) options() cloning.Options {
	return cloning.Options{Seed: l.Spec.Seed, Progress: func(done, total int) { l.report.State("fitting", int64(done), int64(total)) }}
}

// chunk fits a policy of action chunks on so many demonstrations of a sight.
func (l *Lab) chunk(ctx context.Context, s Sight, demos int) (policy.Policy, error) {
	d, err := l.demonstrations(ctx, s, demos)
	if err != nil {
		return nil, err
	}
	return cloning.Fit(ctx, l.engine, d, l.options())
}

// told fits a policy of action chunks that is told the truth: what it fails at, no eyes would have helped
// with.
func (l *Lab) told(ctx context.Context, demos int) (policy.Policy, error) {
	d := policy.Demonstrations{Spec: l.Robot}
	for i := range demos {
		var frames []policy.Frame
		o, err := l.Demonstrate(ctx, i, func(f sim.Frame) error {
			frames = append(frames, policy.Frame{Episode: i, State: f.State, Action: f.Action, Seen: relative(l.Robot, f.Truth, f.State)})
			return nil
		})
		if err != nil {
			return nil, err
		}
		if o.Success {
			d.Frames = append(d.Frames, frames...)
		}
	}
	c, err := cloning.Fit(ctx, l.engine, d, l.options())
	return told{c}, err
}

// relative is the truth as seen from the tip.
func relative(s sim.Spec, truth, state []float32) []float32 {
	x, y := sim.Find(s.State, sim.TipX), sim.Find(s.State, sim.TipY)
	out := make([]float32, len(truth))
	for i, v := range truth {
		switch out[i] = v; {
		case x >= 0 && strings.HasSuffix(s.Truth[i].Name, "_x"):
			out[i] -= state[x]
		case y >= 0 && strings.HasSuffix(s.Truth[i].Name, "_y"):
			out[i] -= state[y]
		}
	}
	return out
}

// told is a policy that sees the truth instead of pictures.
type told struct{ *policy.Chunk }

// Start begins an episode, in a world of its own that is kept in the state of the real one.
func (t told) Start(scene uint64) (policy.Actor, error) {
	w, err := sim.Open(t.Robot.Task)
	if err != nil {
		return nil, err
	}
	if err := w.Reset(scene); err != nil {
		return nil, err
	}
	a, err := t.Chunk.Start(scene)
	return &toldActor{a, w}, err
}

type toldActor struct {
	policy.Actor
	world sim.World
}

// Act implements policy.Actor.
func (a *toldActor) Act(_, state []float32) (policy.Decision, error) {
	d, err := a.Actor.Act(relative(a.world.Spec(), a.world.Truth(), state), state)
	for i := 0; err == nil && i < len(d.Actions) && !a.world.Done().Over; i++ {
		err = a.world.Step(d.Actions[i])
	}
	return d, err
}
