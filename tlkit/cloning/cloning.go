// Package cloning fits policies by behaviour cloning: gradient descent on the difference between what a
// network does and what was demonstrated.
//
//	p, err := cloning.Fit(ctx, engine, demonstrations, cloning.Options{})
//	fmt.Println(p.Steps, "steps, chosen by folds of demonstrations")
//
// The policy is a [policy.Chunk]: keypoints on the frozen map of a backbone, and a small network. It is for
// tasks that are not a sequence of places, which policy.Waypoint is for. Three things stand against
// learning the demonstrations by heart: the keypoints are seen from the tip; the maps are moved by whole
// cells, and the tip with them, which gives new scenes for nothing; and some of the hidden values are
// dropped. The network also learns to foretell where the tip will be later on, which acting does not use:
// it makes the keypoints find what the task is about.
//
// The same demonstrations, engine and seed give the same bits on one machine.
package cloning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/policy"
)

// Options of Fit. The zero value is the default.
type Options struct {
	Points int // keypoints; 0 = 16
	Ahead  int // actions predicted at once; 0 = 8
	Used   int // of them, those done before the next look; 0 = 8
	// Steps are the candidates for how many steps of gradient descent are taken, from which folds of
	// whole demonstrations choose; nil = DefaultSteps.
	Steps []int
	Seed  uint64 // of the initial weights and the order of frames
	// Progress gets the number of steps done, and of all. It may be nil.
	Progress func(done, total int)
}

// DefaultSteps are what folds choose from.
var DefaultSteps = []int{1000, 2000, 4000}

const (
	hidden     = 128
	modes      = 4 // ways to go on that the network may choose from
	batch      = 64
	rate       = 1e-3
	decay      = 1e-3
	dropout    = 0.2
	folds      = 3
	mostShift  = 2    // cells that a map is moved by, in each direction
	jitter     = 0.05 // deviation of the noise on a keypoint's place, in the unit of the network
	zoom       = 4    // places are multiplied by it for the network
	memory     = 0.995
	evalFrames = 512 // most frames that a fold is judged on
)

// horizons are the steps ahead for which the network foretells where the tip will be; the last one is
// the end of the demonstration.
var horizons = []int{16, 32, math.MaxInt}

func (o Options) complete() (Options, error) {
	for _, n := range []struct {
		v     *int
		usual int
	}{{&o.Points, 16}, {&o.Ahead, 8}, {&o.Used, min(8, cmp.Or(o.Ahead, 8))}} {
		if *n.v == 0 {
			*n.v = n.usual
		}
	}
	if o.Steps == nil {
		o.Steps = DefaultSteps
	}
	o.Steps = slices.Clone(o.Steps)
	slices.Sort(o.Steps)
	switch {
	case o.Points < 1 || o.Points > 256 || o.Ahead < 1 || o.Ahead > 100 || o.Used < 1 || o.Used > o.Ahead:
		return o, fmt.Errorf("cloning: %d keypoints, %d of %d actions used, want 1 to 256 keypoints and 1 to 100 actions", o.Points, o.Used, o.Ahead)
	case len(o.Steps) == 0 || o.Steps[0] < 1:
		return o, fmt.Errorf("cloning: steps %v, want positive numbers", o.Steps)
	}
	return o, nil
}

// Fit learns a policy from demonstrations.
//
// It is an error if the demonstrations show fewer than two scenes, if a number is not finite or an action
// beyond its limits, and if a number of the action has no limits. ctx stops the fit between steps.
func Fit(ctx context.Context, e *engine.Engine, d policy.Demonstrations, o Options) (*policy.Chunk, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	for _, n := range d.Spec.Action {
		if !(n.Max > n.Min) || math.IsInf(n.Max-n.Min, 0) {
			return nil, advice.New(fmt.Errorf("cloning: the action's %s is from %g to %g, which are no limits", n.Name, n.Min, n.Max), "give each number of the action its limits, which a chunk is learnt within")
		}
	}
	l, err := newLesson(d, o)
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(e, l)
	if err != nil {
		return nil, err
	}
	steps, err := choose(ctx, t, o)
	if err != nil {
		return nil, err
	}
	if _, err := t.train(ctx, -1, []int{steps}); err != nil {
		return nil, err
	}
	c, err := t.policy()
	if err != nil {
		return nil, err
	}
	c.Steps, c.Frames = steps, len(l.rows)
	return c, c.Check()
}

// choose returns the number of steps after which the loss on held-back demonstrations is lowest.
func choose(ctx context.Context, t *trainer, o Options) (int, error) {
	most := o.Steps[len(o.Steps)-1]
	t.total = folds*most + most
	if len(o.Steps) == 1 {
		t.total = most
		return most, nil
	}
	sums := make([]float64, len(o.Steps))
	for fold := range folds {
		if len(t.of(fold, true)) == 0 || len(t.of(fold, false)) == 0 {
			continue // fewer scenes than folds
		}
		losses, err := t.train(ctx, fold, o.Steps)
		if err != nil {
			return 0, err
		}
		for i, l := range losses {
			sums[i] += l
		}
	}
	best := 0
	for i, s := range sums {
		if math.IsNaN(s) {
			return 0, errors.New("cloning: the loss on held-back demonstrations is not a number")
		}
		if s < sums[best] {
			best = i
		}
	}
	return o.Steps[best], nil
}
