// Package rollout tries a policy in closed loop: in each scene, the policy sees, acts, and sees what
// its action has changed, until the task is done or time is up.
//
//	tried, err := rollout.Run(ctx, rollout.Job{Task: "bench/sort", Policy: p, Eyes: eyes, Scenes: rollout.Scenes(100)})
//	fmt.Println(tried.Success()) // 92.0 % (92 of 100, 95 % 85.0-95.9)
//
// The scenes are numbered, and no demonstration shows one of them. Policies that are tried in the
// same scenes are compared scene by scene, see [Compare].
package rollout

import (
	"context"
	"errors"
	"fmt"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Job is one try of a policy.
type Job struct {
	Task   string // of package sim
	Policy policy.Policy
	Eyes   *Eyes    // nil = the policy sees nothing
	Scenes []uint64 // one episode in each
	Looks  int      // after which an episode is ended; 0 = when its task is done, or its time is up

	// Watch is called before each step, and after the last one of an episode. It may draw the world,
	// but not change it. It may be nil.
	Watch func(Moment) error
	// Progress gets the number of episodes that have ended, and of all. It may be nil.
	Progress func(done, total int)
}

// Eyes are how a policy sees: a camera, the preparation of its pictures, and a frozen network.
type Eyes struct {
	Preset   transforms.Preset
	Backbone features.Backbone
	// Before changes a picture of a scene before it is prepared, to try what a robot may meet: a camera
	// that was moved, a lamp that is weaker. It is called from several goroutines. nil = nothing changes.
	Before func(scene uint64, p *transforms.Picture) (*transforms.Picture, error)
}

// Moment is one step of an episode.
type Moment struct {
	Scene    uint64
	Step     int
	World    sim.World
	Decision policy.Decision // that the step belongs to
}

// Try is the result of a job.
type Try struct {
	Task     string    `json:"task"`
	Episodes []Episode `json:"episodes"` // in the order of Job.Scenes
}

// Episode is how one scene ended.
type Episode struct {
	Scene   uint64 `json:"scene"`
	Success bool   `json:"success"`
	Steps   int    `json:"steps"`
	Looks   int    `json:"looks"`           // times that the policy saw and decided
	Alarm   int    `json:"alarm,omitempty"` // the first look that was not familiar, from 1; 0 = none. See policy.Guard
	Why     string `json:"why"`             // how it ended, in a few words
}

// firstScene is far from the scenes of demonstrations, which are counted from 0.
const firstScene = 1_000_000

// Scenes returns the numbers of n scenes to try a policy in. Demonstrations are of scenes below them.
func Scenes(n int) []uint64 {
	all := make([]uint64, max(n, 0))
	for i := range all {
		all[i] = firstScene + uint64(i)
	}
	return all
}

// Success is the share of scenes in which the task was done.
func (t *Try) Success() metrics.Fraction {
	f := metrics.Fraction{Total: len(t.Episodes)}
	for _, e := range t.Episodes {
		if e.Success {
			f.Correct++
		}
	}
	return f
}

// Compare compares two tries in the same scenes: A is without, B is with. It is an error if their
// scenes differ.
func Compare(a, b *Try) (metrics.Comparison, error) {
	if len(a.Episodes) != len(b.Episodes) {
		return metrics.Comparison{}, fmt.Errorf("rollout: %d episodes against %d, want the same scenes", len(a.Episodes), len(b.Episodes))
	}
	truth, as, bs := make([]int, len(a.Episodes)), make([]int, len(a.Episodes)), make([]int, len(a.Episodes))
	for i := range truth {
		if a.Episodes[i].Scene != b.Episodes[i].Scene || a.Task != b.Task {
			return metrics.Comparison{}, fmt.Errorf("rollout: episode %d is scene %d of %s against scene %d of %s, want the same", i, a.Episodes[i].Scene, a.Task, b.Episodes[i].Scene, b.Task)
		}
		truth[i], as[i], bs[i] = 1, number(a.Episodes[i].Success), number(b.Episodes[i].Success)
	}
	return metrics.Compare(truth, as, bs)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Run tries a policy. All episodes go on side by side, so that the network sees many pictures at a
// time. The result depends only on the job.
//
// It is an error if the task is not known, if its robot is another one than the policy's (each
// difference is named), and if a step fails. ctx stops it between steps.
func Run(ctx context.Context, job Job) (*Try, error) {
	r, err := start(job)
	if err != nil {
		return nil, err
	}
	for live := r.episodes; len(live) > 0; {
		if err := r.round(ctx, live); err != nil {
			return nil, err
		}
		var left []*episode
		for _, e := range live {
			if !e.world.Done().Over && (job.Looks == 0 || e.looks < job.Looks) {
				left = append(left, e)
			}
		}
		if live = left; job.Progress != nil {
			job.Progress(len(r.episodes)-len(live), len(r.episodes))
		}
	}
	t := &Try{Task: job.Task}
	for _, e := range r.episodes {
		o := e.world.Done()
		t.Episodes = append(t.Episodes, Episode{Scene: e.scene, Success: o.Success, Steps: o.Steps, Looks: e.looks, Alarm: e.alarm, Why: o.Why})
	}
	return t, nil
}

// running is a job on its way.
type running struct {
	Job
	episodes []*episode
	camera   sim.Camera
	pipeline transforms.Pipeline
}

type episode struct {
	scene uint64
	world sim.World
	actor policy.Actor
	looks int
	alarm int // the first look that was not familiar
	light policy.Light
}

// start opens the worlds.
func start(job Job) (*running, error) {
	if len(job.Scenes) == 0 {
		return nil, advice.New(errors.New("rollout: no scenes to try"), "rollout.Scenes(100) numbers some")
	}
	r := &running{Job: job}
	if job.Eyes != nil {
		r.pipeline = job.Eyes.Preset.Eval()
	}
	for _, scene := range job.Scenes {
		w, err := sim.Open(job.Task)
		if err != nil {
			return nil, err
		}
		if r.episodes == nil {
			spec := job.Policy.Spec()
			if lines := spec.Differences(w.Spec()); len(lines) > 0 {
				return nil, advice.New(fmt.Errorf("rollout: the policy was made for %s of %s, which differs from %s of %s: %s", spec.Robot, spec.Task, w.Spec().Robot, job.Task, lines[0]), "fit a policy on demonstrations of %s", job.Task)
			}
			r.camera = spec.Cameras[0]
		}
		if err := w.Reset(scene); err != nil {
			return nil, err
		}
		actor, err := job.Policy.Start(scene)
		if err != nil {
			return nil, err
		}
		r.episodes = append(r.episodes, &episode{scene: scene, world: w, actor: actor})
	}
	return r, nil
}

// lit is an actor that judges the light of the pictures, see policy.Guard.
type lit interface{ Light(policy.Light) }

// round lets each live episode look once and do what was decided.
func (r *running) round(ctx context.Context, live []*episode) error {
	if r.Eyes == nil {
		for _, e := range live {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.act(e, nil); err != nil {
				return err
			}
		}
		return nil
	}
	var unseen error
	err := features.Forward(ctx, r.Eyes.Backbone, features.Pass{
		Size: r.Eyes.Preset.Size, Pictures: len(live),
		Prepare: func(i int) (transforms.Tensor, error) { return r.look(live[i]) },
		Use: func(which []int, rows []float32) error {
			for k, i := range which {
				if err := r.act(live[i], rows[k*r.Eyes.Backbone.Features:][:r.Eyes.Backbone.Features]); err != nil {
					return fmt.Errorf("rollout: scene %d: %w", live[i].scene, err)
				}
			}
			return nil
		},
		Bad: func(i int, err error) {
			if unseen == nil {
				unseen = fmt.Errorf("rollout: scene %d: %w", live[i].scene, err)
			}
		},
	})
	if err != nil {
		return err
	}
	return unseen
}

// look draws what the camera sees and prepares it.
func (r *running) look(e *episode) (t transforms.Tensor, err error) {
	drawn, err := e.world.Draw(r.camera.Name, r.camera.Side)
	if err != nil {
		return t, err
	}
	picture, err := transforms.FromImage(drawn)
	if err != nil {
		return t, err
	}
	if r.Eyes.Before != nil {
		if picture, err = r.Eyes.Before(e.scene, picture); err != nil {
			return t, err
		}
	}
	if _, ok := e.actor.(lit); ok {
		e.light = policy.LightOf(picture)
	}
	return r.pipeline.Apply(picture, transforms.Rand{})
}

// act decides and does it.
func (r *running) act(e *episode, seen []float32) error {
	if a, ok := e.actor.(lit); ok && seen != nil {
		a.Light(e.light)
	}
	d, err := e.actor.Act(seen, e.world.Feel())
	if err != nil {
		return err
	}
	if len(d.Actions) == 0 {
		return errors.New("the policy decided on no action")
	}
	if e.looks++; d.Strange > 1 && e.alarm == 0 {
		e.alarm = e.looks
	}
	for _, action := range d.Actions {
		if err := r.watch(e, d); err != nil {
			return err
		}
		if err := e.world.Step(action); err != nil {
			return err
		}
		if e.world.Done().Over {
			return r.watch(e, d)
		}
	}
	return nil
}

func (r *running) watch(e *episode, d policy.Decision) error {
	if r.Watch == nil {
		return nil
	}
	return r.Watch(Moment{Scene: e.scene, Step: e.world.Done().Steps, World: e.world, Decision: d})
}
