package robot

import (
	"context"
	"fmt"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/plots"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
)

// Curve is success against the number of demonstrations, of the policy and of its controls, all in
// the same scenes.
type Curve struct {
	Task  string      `json:"task"`
	Goal  string      `json:"goal"`
	Lines []CurveLine `json:"lines"`
}

// CurveLine is one line of a [Curve]: the policy, or one of its controls.
type CurveLine struct {
	Name   string       `json:"name"`
	Points []CurvePoint `json:"points"`
}

// CurvePoint is the success after a number of demonstrations.
type CurvePoint struct {
	Demos    int                 `json:"demos"`
	Success  metrics.Fraction    `json:"success"`
	Interval metrics.Interval    `json:"interval"`
	Paired   *metrics.Comparison `json:"paired,omitempty"` // with random weights (A) in the same scenes
}

// The names of the lines.
const (
	pretrainedLine = "pretrained"
	truthLine      = "truth"
	nearestLine    = "nearest"
	pooledLine     = "pooled features"
	randomLine     = "random weights"
)

// Curve tries policies from each number of demonstrations, each in the same scenes: the waypoints on the
// pretrained network, the same on one with random weights, the nearest demonstrations by pooled
// features, and the controller when it is told the truth. With chunks, the lines are the chunks on the
// pretrained network, on one with random weights, on pooled features, and on the truth.
func (l *Lab) Curve(ctx context.Context, counts []int, episodes int) (*Curve, error) {
	if err := l.simulator("try policies"); err != nil {
		return nil, err
	}
	counts = slices.Clone(counts)
	slices.Sort(counts)
	counts = slices.Compact(counts)
	if len(counts) == 0 || counts[0] < 2 || counts[len(counts)-1] > mostDemos {
		return nil, fmt.Errorf("robot: a curve over %v demonstrations, want numbers from 2 to %d", counts, mostDemos)
	}
	c := &Curve{Task: l.Spec.Task, Goal: l.Robot.Goal, Lines: []CurveLine{{Name: pretrainedLine}, {Name: randomLine}, {Name: nearestLine}, {Name: truthLine}}}
	if l.Spec.Policy == Chunks {
		c.Lines[2].Name = pooledLine
	}
	var truth *rollout.Try
	if l.Spec.Policy != Chunks {
		oracle, err := policy.NewOracle(l.Spec.Task)
		if err != nil {
			return nil, err
		}
		if truth, err = l.run(ctx, oracle, blind, episodes); err != nil {
			return nil, err
		}
	}
	// From the largest number on, so that each demonstration is seen once.
	for _, n := range slices.Backward(counts) {
		tries := []*rollout.Try{nil, nil, nil, truth}
		for i, s := range []Sight{Pretrained, Untrained, Pooled} {
			t, err := l.point(ctx, s, n, episodes)
			if err != nil {
				return nil, err
			}
			tries[i] = t
		}
		if truth == nil { // a chunk has to learn what to do, told or not
			t, err := l.point(ctx, blind, n, episodes)
			if err != nil {
				return nil, err
			}
			tries[3] = t
		}
		paired, err := rollout.Compare(tries[1], tries[0])
		if err != nil {
			return nil, err
		}
		for i, t := range tries {
			p := CurvePoint{Demos: n, Success: t.Success(), Interval: t.Success().Interval()}
			if i == 0 {
				p.Paired = &paired
			}
			c.Lines[i].Points = slices.Insert(c.Lines[i].Points, 0, p)
		}
	}
	return c, nil
}

// point fits what belongs to a sight on so many demonstrations, and tries it.
func (l *Lab) point(ctx context.Context, s Sight, demos, episodes int) (*rollout.Try, error) {
	if s != Pooled || l.Spec.Policy == Chunks {
		fit := l.fit
		if s == blind {
			fit = func(ctx context.Context, _ Sight, demos int) (policy.Policy, error) { return l.told(ctx, demos) }
		}
		p, err := fit(ctx, s, demos)
		if err != nil {
			return nil, err
		}
		return l.run(ctx, p, s, episodes)
	}
	n, err := l.nearest(ctx, demos)
	if err != nil {
		return nil, err
	}
	return l.run(ctx, n, s, episodes)
}

// Figure draws the curve with its intervals.
func (c *Curve) Figure() plots.Figure {
	var lines []plots.Line
	scenes := 0
	for _, l := range c.Lines {
		line := plots.Line{Name: l.Name}
		for _, p := range l.Points {
			scenes = p.Success.Total
			line.Dots = append(line.Dots, plots.Dot{X: float64(p.Demos), Y: p.Success.Value(), Interval: p.Interval})
		}
		lines = append(lines, line)
	}
	return plots.Lines(fmt.Sprintf("%s, %d scenes each", c.Task, scenes), plots.Scale{Name: "demonstrations"}, plots.Scale{Name: "success", Unit: "%"}, lines)
}
