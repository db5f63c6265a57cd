package robot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Taught counts the demonstrations of a spec.
type Taught struct {
	Demos   int `json:"demos"`
	Success int `json:"success"` // demonstrations in which the teacher did the task
	Frames  int `json:"frames"`
	Cached  int `json:"cached"` // frames whose features were in the cache
}

// demo is one demonstration, with its pictures.
type demo struct {
	frames   []policy.Frame
	pictures []*transforms.Picture
	outcome  sim.Outcome
}

// teacher opens the task for demonstrations.
func (l *Lab) teacher() (sim.Teacher, error) {
	if err := l.simulator("show the task"); err != nil {
		return nil, err
	}
	w, err := sim.Open(l.Spec.Task)
	if err != nil {
		return nil, err
	}
	t, ok := w.(sim.Teacher)
	if !ok {
		return nil, advice.New(fmt.Errorf("robot: %s has no teacher", l.Spec.Task), "name another of %v", sim.Tasks())
	}
	return t, nil
}

// scene is the number of the scene that a demonstration shows.
func (l *Lab) scene(demo int) uint64 { return (l.Spec.Seed-1)*mostDemos + uint64(demo) }

// Demonstrate lets the teacher show demonstration number 0, 1, and so on: what [Lab.Fit] learns from.
// each gets every frame, with its pictures.
func (l *Lab) Demonstrate(ctx context.Context, number int, each func(sim.Frame) error) (sim.Outcome, error) {
	t, err := l.teacher()
	if err != nil {
		return sim.Outcome{}, err
	}
	return sim.Demonstrate(ctx, t, l.scene(number), sim.Lesson{Side: l.Robot.Cameras[0].Side, Noise: noise}, each)
}

// demonstrate keeps one demonstration.
func (l *Lab) demonstrate(ctx context.Context, number int) (out demo, err error) {
	out.outcome, err = l.Demonstrate(ctx, number, func(f sim.Frame) error {
		picture, err := transforms.FromImage(f.Pictures[0])
		if err != nil {
			return err
		}
		out.frames = append(out.frames, policy.Frame{Episode: number, State: f.State, Action: f.Action, Light: policy.LightOf(picture)})
		out.pictures = append(out.pictures, picture)
		return nil
	})
	return out, err
}

// atATime is how many demonstrations are in memory with their pictures.
const atATime = 8

// Teach lets the teacher show the task, and computes the features of what it shows, which the cache
// keeps.
func (l *Lab) Teach(ctx context.Context) (*Taught, error) {
	s, err := l.sight(Pretrained)
	if err != nil {
		return nil, err
	}
	return l.see(ctx, s, l.Spec.Demos)
}

// see makes a sight see so many demonstrations.
func (l *Lab) see(ctx context.Context, s *sighted, demos int) (*Taught, error) {
	if l.data != nil {
		return l.data.see(ctx, l, s)
	}
	taught := &Taught{Demos: demos}
	s.kept = nil
	s.seen, s.demos = policy.Demonstrations{Spec: l.Robot, Map: s.shape}, demos
	for from := 0; from < demos; from += atATime {
		l.report.State("demonstrations", int64(from), int64(demos))
		shown := make([]demo, min(atATime, demos-from))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i := range shown {
			g.Go(func() (err error) {
				shown[i], err = l.demonstrate(gctx, from+i)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		if err := l.keep(ctx, s, shown, taught); err != nil {
			return nil, err
		}
	}
	l.report.State("demonstrations", int64(demos), int64(demos))
	return taught, nil
}

// keep adds demonstrations, with the features of their pictures, to what was seen. One in which the
// teacher failed is left out.
func (l *Lab) keep(ctx context.Context, s *sighted, shown []demo, taught *Taught) error {
	var frames []policy.Frame
	var pictures []*transforms.Picture
	job := features.Job{Preset: s.eyes.Preset, Backbone: s.eyes.Backbone, Note: l.report.Say, Picture: func(i int) (*transforms.Picture, error) { return pictures[i], nil }}
	for _, d := range shown {
		if !d.outcome.Success {
			continue
		}
		taught.Success++
		for i, p := range d.pictures {
			job.Items = append(job.Items, datasets.Item{Rel: fmt.Sprintf("frame %d of demonstration %d", i, d.frames[i].Episode), SHA256: features.Sum(p)})
		}
		frames, pictures = append(frames, d.frames...), append(pictures, d.pictures...)
	}
	if len(frames) == 0 {
		return nil
	}
	m, err := features.Extract(ctx, job)
	if err != nil {
		return err
	}
	for i := range frames {
		frames[i].Seen = slices.Clone(m.Row(i)) // of its own, so that it can be let go
		s.kept = append(s.kept, len(s.seen.Frames)+i)
	}
	s.seen.Frames = append(s.seen.Frames, frames...)
	s.thin()
	taught.Frames, taught.Cached = taught.Frames+len(frames), taught.Cached+m.Cached
	return nil
}

// mostSeen is how many frames keep their features, so that memory does not grow with the
// demonstrations.
const mostSeen = 2400

// thin lets go of features beyond mostSeen, at random. The first frame of each demonstration keeps
// its own, because it says which scene is shown.
func (s *sighted) thin() {
	let := rank(s.seen.Frames, s.kept)
	for _, i := range let {
		s.seen.Frames[i].Seen = nil
	}
	s.kept = s.kept[:len(s.kept)-len(let)]
}

// rank sorts frames by whether they keep their features, and returns those that do not.
func rank(frames []policy.Frame, all []int) (let []int) {
	if len(all) <= mostSeen {
		return nil
	}
	lot := func(i int) uint64 {
		if i == 0 || frames[i-1].Episode != frames[i].Episode {
			return 0
		}
		return dice.New(uint64(i)).Next()
	}
	slices.SortFunc(all, func(a, b int) int { return cmp.Or(cmp.Compare(lot(a), lot(b)), cmp.Compare(a, b)) })
	return all[mostSeen:]
}

// demonstrations returns the first so many demonstrations as a sight sees them.
func (l *Lab) demonstrations(ctx context.Context, which Sight, demos int) (policy.Demonstrations, error) {
	s, err := l.sight(which)
	if err != nil {
		return policy.Demonstrations{}, err
	}
	if thinned := len(s.kept) < len(s.seen.Frames); s.demos < demos || thinned && s.demos != demos {
		if _, err := l.see(ctx, s, demos); err != nil {
			return policy.Demonstrations{}, err
		}
	}
	out := s.seen
	out.Frames = nil
	for _, f := range s.seen.Frames {
		if f.Episode < demos {
			out.Frames = append(out.Frames, f)
		}
	}
	if len(out.Frames) == 0 {
		return out, errors.New("robot: the teacher failed in every demonstration")
	}
	return out, nil
}
