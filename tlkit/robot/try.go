package robot

import (
	"context"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
)

// Fitted is a fitted policy.
type Fitted struct {
	Policy policy.Policy // a *policy.Waypoint or a *policy.Chunk, as Spec.Policy says
	File   *policy.File  // the policy with the contract of its robot
	Frames int           // that were learnt from
	Kept   bool          // it was fitted by an earlier job
}

// Fit fits the policy on the demonstrations, or takes the policy of an earlier job with the same
// spec. With a name, it is kept. It is an error if the spec's policy has nothing to fit.
func (l *Lab) Fit(ctx context.Context) (*Fitted, error) {
	if l.Spec.Policy == Nearest {
		return nil, advice.New(fmt.Errorf("robot: the policy %s has nothing to fit: it looks demonstrations up", Nearest), "try it: tlkit robot try %s --policy %s", l.Spec.Task, Nearest)
	}
	if l.fitted != nil {
		return l.fitted, nil
	}
	s, err := l.sight(Pretrained)
	if err != nil {
		return nil, err
	}
	f, err := l.kept(s)
	if err != nil {
		return nil, err
	}
	if f != nil {
		l.fitted = &Fitted{Policy: f.Policy, File: f, Frames: f.Learnt.Frames, Kept: true}
		return l.fitted, nil
	}
	p, err := l.fit(ctx, Pretrained, l.Spec.Demos)
	if err != nil {
		return nil, l.inData(err)
	}
	d, err := l.demonstrations(ctx, Pretrained, l.Spec.Demos)
	if err != nil {
		return nil, err
	}
	if f, err = l.policyFile(ctx, p, d); err != nil {
		return nil, err
	}
	l.fitted = &Fitted{Policy: p, File: f, Frames: f.Learnt.Frames}
	return l.fitted, l.writePolicy(f)
}

// fit fits the policy of the spec on so many demonstrations of a sight.
func (l *Lab) fit(ctx context.Context, s Sight, demos int) (policy.Policy, error) {
	if l.Spec.Policy == Chunks {
		return l.chunk(ctx, s, demos)
	}
	return l.waypoint(ctx, s, demos)
}

// waypoint fits a policy on so many demonstrations of a sight.
func (l *Lab) waypoint(ctx context.Context, s Sight, demos int) (*policy.Waypoint, error) {
	d, err := l.demonstrations(ctx, s, demos)
	if err != nil {
		return nil, err
	}
	return policy.FitWaypoint(ctx, d, policy.WaypointOptions{Progress: func(done, total int) { l.report.State("fitting", int64(done), int64(total)) }})
}

// acting returns the policy of the spec, and what it sees with.
func (l *Lab) acting(ctx context.Context) (policy.Policy, Sight, error) {
	if l.Spec.Policy == Nearest {
		p, err := l.nearest(ctx, l.Spec.Demos)
		return p, Pooled, err
	}
	fitted, err := l.Fit(ctx)
	if err != nil {
		return nil, 0, err
	}
	return fitted.Policy, Pretrained, nil
}

// nearest is the baseline on so many demonstrations.
func (l *Lab) nearest(ctx context.Context, demos int) (*policy.Nearest, error) {
	d, err := l.demonstrations(ctx, Pooled, demos)
	if err != nil {
		return nil, err
	}
	return policy.FitNearest(d, 0)
}

// run tries a policy in the first so many scenes.
func (l *Lab) run(ctx context.Context, p policy.Policy, s Sight, episodes int) (*rollout.Try, error) {
	if episodes < 1 || episodes > mostEpisodes {
		return nil, fmt.Errorf("robot: %d episodes, want 1 to %d", episodes, mostEpisodes)
	}
	job := rollout.Job{Task: l.Spec.Task, Policy: p, Scenes: rollout.Scenes(episodes), Progress: func(done, total int) { l.report.State("trying", int64(done), int64(total)) }}
	if s >= 0 {
		see, err := l.sight(s)
		if err != nil {
			return nil, err
		}
		job.Eyes = &see.eyes
	}
	return rollout.Run(ctx, job)
}

// blind is the sight of a policy that sees nothing.
const blind Sight = -1

const mostEpisodes = 10_000

// Tried is a try of the policy beside its controls.
type Tried struct {
	*rollout.Try
	Controls []*rollout.Try // with random weights in the network, one for each
	// Paired compares each control (A) with the policy (B), scene by scene.
	Paired []metrics.Comparison
}

// Try tries the policy in scenes that no demonstration shows, one episode in each, and as controls the
// same fit on networks with random weights, in the same scenes.
func (l *Lab) Try(ctx context.Context, episodes, controls int) (*Tried, error) {
	if err := l.simulator("try the policy"); err != nil {
		return nil, err
	}
	if controls < 0 || controls > 100 {
		return nil, advice.New(fmt.Errorf("robot: %d networks with random weights", controls), "3 are usual, 0 are none")
	}
	if controls > 0 && l.Spec.Policy == Nearest {
		return nil, advice.New(fmt.Errorf("robot: networks with random weights are controls of the policy %s", Waypoints), "try %s without controls: --controls 0", Nearest)
	}
	p, sight, err := l.acting(ctx)
	if err != nil {
		return nil, err
	}
	t := &Tried{}
	if t.Try, err = l.run(ctx, p, sight, episodes); err != nil {
		return nil, err
	}
	for i := range controls {
		c, err := l.Control(ctx, l.Spec.Demos, episodes, i)
		if err != nil {
			return nil, err
		}
		paired, err := rollout.Compare(c, t.Try)
		if err != nil {
			return nil, err
		}
		t.Controls, t.Paired = append(t.Controls, c), append(t.Paired, paired)
	}
	return t, nil
}

// Control tries the same fit with random weights in the network, number 0, 1, and so on.
func (l *Lab) Control(ctx context.Context, demos, episodes, number int) (*rollout.Try, error) {
	if err := l.simulator("try the policy"); err != nil {
		return nil, err
	}
	s := Untrained + Sight(number)
	p, err := l.fit(ctx, s, demos)
	if err != nil {
		return nil, err
	}
	t, err := l.run(ctx, p, s, episodes)
	delete(l.eyes, s) // it was seen once
	return t, err
}

// Random is the share of successes of all controls together.
func (t *Tried) Random() metrics.Fraction {
	var all metrics.Fraction
	for _, c := range t.Controls {
		f := c.Success()
		all.Correct, all.Total = all.Correct+f.Correct, all.Total+f.Total
	}
	return all
}

// Worst is the comparison with the best of the controls: the one with the largest P. It is an error
// if there are none.
func (t *Tried) Worst() (metrics.Comparison, error) {
	if len(t.Paired) == 0 {
		return metrics.Comparison{}, errors.New("robot: no controls were tried")
	}
	worst := t.Paired[0]
	for _, c := range t.Paired[1:] {
		if c.P > worst.P {
			worst = c
		}
	}
	return worst, nil
}
