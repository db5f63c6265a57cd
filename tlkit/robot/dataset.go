package robot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/invoke"
	"github.com/tlkit/transfer-learning/internal/recorded"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// Data says how a LeRobot data set is read, where Spec.Task is its folder. The program has to import
// package episodes, which reads them. The zero value is for those that tlkit robot teach -o has written.
//
// Policies of waypoints need to know where in the picture the tip is. For a robot that does not say so
// itself, Tip names it. The policy's robot is then one with the state x, y and gripper, and the
// action dx, dy and gripper: shares of the picture, and 1 for fingers that are told to be shut.
type Data struct {
	// Camera is the one whose pictures are seen; "" = the only one.
	Camera string `json:"camera,omitempty"`
	// Tip names the two numbers of the state that say where the tip is in the picture, across and
	// down: by name, or as "observation.state.3".
	Tip [2]string `json:"tip,omitzero"`
	// Edges are what these numbers are at the picture's left, right, top and bottom edge; zero = 0,
	// 1, 0, 1: shares of the picture.
	Edges [4]float64 `json:"edges,omitzero"`
	// Gripper names the number of the action that commands the fingers, by name or as "action.6"; "" =
	// "gripper"; "none" = there are none, and what is learnt is where a demonstration ends. The fingers
	// are open where a demonstration begins.
	Gripper string `json:"gripper,omitempty"`
}

// noGripper is the Data.Gripper of a robot without fingers.
const noGripper = "none"

// The most numbers of states and actions that are kept, 256 MB.
const mostNumbers = 1 << 26

// pictureBytes is how much of pictures is in memory before their features are computed.
const pictureBytes = 128 << 20

// dataset is demonstrations of one's own.
type dataset struct {
	dir    string
	set    recorded.Set
	robot  sim.Spec // that the policy drives
	frames []policy.Frame
	first  []int // frame of each demonstration, and the end
	stated bool  // the set says what the limits of its numbers are
	mapped bool  // by Data, to a robot that moves its tip in the picture
	fault  error // that a fit ends with
}

// isFolder reports whether a task is a folder. Names of simulated tasks come first.
func isFolder(task string) bool {
	if slices.Contains(sim.Tasks(), task) {
		return false
	}
	st, err := os.Stat(task)
	return err == nil && st.IsDir()
}

// Simulated reports whether the task is a simulated one, not a data set.
func (l *Lab) Simulated() bool { return l.data == nil }

// simulator refuses what only a simulated task has.
func (l *Lab) simulator(what string) error {
	if l.data == nil {
		return nil
	}
	dir := invoke.Quote(l.data.dir)
	return advice.New(fmt.Errorf("robot: %s is a data set: there is no simulator to %s in", l.data.dir, what), "tlkit robot fit %s learns from it and gives offline figures; tlkit robot check %s audits it", dir, dir)
}

// openData opens the data set of the spec and checks what it says of the robot. Its faults are kept for
// the fit; errors are those of the spec.
func (l *Lab) openData(ctx context.Context) error {
	d := &dataset{dir: l.Spec.Task}
	l.data = d
	if l.Spec.Policy == Nearest {
		return advice.New(fmt.Errorf("robot: the policy %s has nothing to fit, and %s has no simulator to try it in", Nearest, d.dir), "fit %s or %s", Waypoints, Chunks)
	}
	d.fault = d.open(ctx, &l.Spec)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.Robot = d.robot
	return nil
}

func (d *dataset) open(ctx context.Context, s *Spec) (err error) {
	if recorded.Open == nil {
		return advice.New(fmt.Errorf("robot: %s is no simulated task, and this program does not read data sets", d.dir), `import the package that does: _ "github.com/tlkit/transfer-learning/tlkit/episodes"`)
	}
	if d.set, err = recorded.Open(d.dir); err != nil {
		if _, fix := advice.Split(err); fix == "" {
			err = advice.New(err, "take another copy of the data set, or record it again")
		}
		return err
	}
	demos := d.set.Count()
	switch {
	case demos < 2:
		return advice.New(fmt.Errorf("robot: %s has one demonstration, want 2 or more, to learn from some and judge by others", d.dir), "record more, 25 are a good start")
	case s.Demos > demos:
		return advice.New(fmt.Errorf("robot: %s has %d demonstrations, not %d", d.dir, demos, s.Demos), "ask for fewer, or leave --demos out")
	case s.Demos == 1:
		return advice.New(fmt.Errorf("robot: one demonstration of %s, want 2 or more, to learn from some and judge by others", d.dir), "ask for more: --demos 2")
	case s.Demos == 0:
		s.Demos = min(demos, mostDemos)
	}
	spec := d.set.Spec()
	if d.stated = spec.Task != ""; !d.stated {
		spec.Task = d.name()
	}
	if spec.Cameras, err = d.camera(spec.Cameras, s.Data.Camera); err != nil {
		return err
	}
	if err := d.read(ctx, spec, s.Demos); err != nil {
		return err
	}
	if err := d.understand(spec, *s); err != nil {
		return err
	}
	if err := d.check(s.Policy); err != nil || s.Policy == Chunks || d.mapped {
		return err
	}
	return d.ordered()
}

// name is the folder's own.
func (d *dataset) name() string {
	full, err := filepath.Abs(d.dir)
	if err != nil {
		full = d.dir
	}
	return filepath.Base(full)
}

func (d *dataset) close() {
	if d != nil && d.set != nil {
		d.set.Close()
	}
}

// camera chooses one of the cameras.
func (d *dataset) camera(all []sim.Camera, name string) ([]sim.Camera, error) {
	name = strings.TrimPrefix(name, "observation.images.")
	var names []string
	for _, c := range all {
		if names = append(names, c.Name); c.Name == name {
			return []sim.Camera{c}, nil
		}
	}
	switch {
	case len(all) == 0:
		return nil, advice.New(fmt.Errorf("robot: %s has no camera, so there is nothing to see", d.dir), "record one that sees the tip and the table")
	case name != "":
		return nil, advice.New(fmt.Errorf("robot: %s has no camera %q", d.dir, name), "there are %s", strings.Join(names, ", "))
	case len(all) > 1:
		return nil, advice.New(fmt.Errorf("robot: %s has the cameras %s", d.dir, strings.Join(names, ", ")), "choose the one that sees the tip and the table: --camera %s", names[0])
	}
	return all, nil
}

// read reads the states and actions of the demonstrations.
func (d *dataset) read(ctx context.Context, spec sim.Spec, demos int) error {
	for e := range demos {
		d.first = append(d.first, len(d.frames))
		err := d.set.Read(ctx, e, recorded.Want{}, func(f sim.Frame) error {
			if off := f.Time*spec.Rate - float64(f.Index); !(off >= -0.5 && off <= 0.5) {
				rate := ""
				if f.Index > 0 && f.Time > 0 {
					rate = fmt.Sprintf(", which is a rate of %.3g frames a second", float64(f.Index)/f.Time)
				}
				return fmt.Errorf("robot: %s: episode %d: frame %d is at %.3f s%s, but the set says %g frames a second", d.dir, e, f.Index, f.Time, rate, spec.Rate)
			}
			if len(d.frames)*(len(f.State)+len(f.Action)) > mostNumbers {
				return advice.New(fmt.Errorf("robot: %s: the first %d episodes have more than %d numbers of states and actions", d.dir, e+1, mostNumbers), "learn from fewer: --demos %d", max(e-1, 2))
			}
			d.frames = append(d.frames, policy.Frame{Episode: e, State: f.State, Action: f.Action})
			return nil
		})
		if err != nil {
			return d.leaveOut(ctx, err, e)
		}
	}
	d.first = append(d.first, len(d.frames))
	return nil
}

// leaveOut adds to an error of an episode how to do without it.
func (d *dataset) leaveOut(ctx context.Context, err error, episode int) error {
	if _, fix := advice.Split(err); fix != "" || ctx.Err() != nil {
		return err
	}
	dir := invoke.Quote(d.dir)
	return advice.New(err, "to see all faults: tlkit robot check %s; to leave the episode out: tlkit robot convert %s NEW --leave-out %d", dir, dir, episode)
}

// understand makes the robot that the policy drives, and its frames.
func (d *dataset) understand(spec sim.Spec, s Spec) error {
	m := s.Data
	if s.Policy == Chunks {
		if m.Tip != [2]string{} || m.Gripper != "" || m.Edges != [4]float64{} {
			return advice.New(fmt.Errorf("robot: the policy %s takes states and actions as they are, so tip, edges and gripper mean nothing to it", Chunks), "leave them out, or fit %s", Waypoints)
		}
		d.robot = spec
		d.limit()
		return nil
	}
	m.Camera = ""
	if m == (Data{}) && plansInPicture(spec) {
		d.robot = spec
		d.limit()
		return nil
	}
	d.mapped = true
	return d.remap(spec, m)
}

// plansInPicture reports whether a robot says itself where its tip is in the picture.
func plansInPicture(s sim.Spec) bool {
	for _, need := range []struct {
		dims []sim.Dimension
		role sim.Role
	}{{s.State, sim.TipX}, {s.State, sim.TipY}, {s.Action, sim.MoveX}, {s.Action, sim.MoveY}} {
		if at := sim.Find(need.dims, need.role); at < 0 || need.dims[at].Unit != "picture" {
			return false
		}
	}
	return (sim.Find(s.State, sim.Gripper) < 0) == (sim.Find(s.Action, sim.Gripper) < 0)
}

// limit gives numbers without limits those of the data. LeRobot's statistics are often of other data.
func (d *dataset) limit() {
	for _, part := range []struct {
		dims []sim.Dimension
		of   func(policy.Frame) []float32
	}{{d.robot.State, func(f policy.Frame) []float32 { return f.State }}, {d.robot.Action, func(f policy.Frame) []float32 { return f.Action }}} {
		for i := range part.dims {
			if dim := &part.dims[i]; !d.stated || !(dim.Max > dim.Min) {
				dim.Min, dim.Max = d.span(func(f policy.Frame) float64 { return float64(part.of(f)[i]) })
			}
		}
	}
}

// span is the least and the largest of a number of the frames.
func (d *dataset) span(of func(policy.Frame) float64) (least, most float64) {
	least, most = of(d.frames[0]), of(d.frames[0])
	for _, f := range d.frames {
		least, most = min(least, of(f)), max(most, of(f))
	}
	return least, most
}

// check looks for what cannot be learnt from, before any picture is seen.
func (d *dataset) check(kind Kind) error {
	if kind != Chunks {
		if _, err := (policy.Demonstrations{Spec: d.robot}).Events(); err != nil {
			return d.within(err)
		}
	}
	for e := range len(d.first) - 1 {
		one := policy.Demonstrations{Spec: d.robot, Frames: d.frames[d.first[e]:d.first[e+1]]}
		dir := invoke.Quote(d.dir)
		if err := one.CheckNumbers(); err != nil {
			why, fix := advice.Split(d.within(err))
			return advice.New(errors.New(why), "%s, or leave the episode out: tlkit robot convert %s NEW --leave-out %d", fix, dir, e)
		}
		if kind == Chunks {
			continue
		}
		if n, err := one.Events(); err != nil {
			return d.within(err)
		} else if n == 0 {
			return advice.New(fmt.Errorf("robot: %s: episode %d has no event: the gripper's command never changes in its %d frames", d.dir, e, len(one.Frames)),
				"leave it out: tlkit robot convert %s NEW --leave-out %d; for a task without events, such as pushing: --policy %s", dir, e, Chunks)
		}
	}
	return nil
}

// within puts the folder before an error.
func (d *dataset) within(err error) error {
	why, fix := advice.Split(err)
	dir := invoke.Quote(d.dir)
	if fix == "" {
		fix = "tlkit robot check " + dir + " says what else is wrong"
	}
	return advice.New(fmt.Errorf("robot: %s: %s", d.dir, strings.TrimPrefix(why, "policy: ")), "%s", fix)
}

// inData puts the folder before an error of a policy that learns from a data set.
func (l *Lab) inData(err error) error {
	if l.data != nil && strings.HasPrefix(err.Error(), "policy: ") {
		return l.data.within(err)
	}
	return err
}

// see reads the pictures of the first so many demonstrations, and computes their features.
func (d *dataset) see(ctx context.Context, l *Lab, s *sighted) (*Taught, error) {
	demos := l.Spec.Demos
	taught := &Taught{Demos: demos, Success: demos, Frames: d.first[demos]}
	frames := slices.Clone(d.frames[:d.first[demos]])
	s.kept = make([]int, len(frames))
	for i := range s.kept {
		s.kept[i] = i
	}
	s.kept = s.kept[:len(frames)-len(rank(frames, s.kept))] // the same as thin leaves
	wanted := make([]bool, len(frames))
	for _, i := range s.kept {
		wanted[i] = true
	}
	b := &batch{lab: l, sighted: s, frames: frames}
	for e := range demos {
		l.report.State("demonstrations", int64(e), int64(demos))
		first := d.first[e]
		var own error // not one of the episode
		err := d.set.Read(ctx, e, recorded.Want{Camera: d.robot.Cameras[0].Name, Skip: func(i int) bool { return !wanted[first+i] }}, func(f sim.Frame) error {
			if f.Pictures[0] == nil {
				return nil
			}
			picture, err := transforms.FromImage(f.Pictures[0])
			if err != nil {
				return err
			}
			own = b.add(ctx, first+f.Index, picture)
			return own
		})
		if own != nil {
			return nil, own
		}
		if err != nil {
			return nil, d.leaveOut(ctx, err, e)
		}
	}
	if err := b.flush(ctx); err != nil {
		return nil, err
	}
	l.report.State("demonstrations", int64(demos), int64(demos))
	s.seen, s.demos = policy.Demonstrations{Spec: d.robot, Map: s.shape, Frames: frames}, demos
	taught.Cached = b.cached
	return taught, nil
}

// batch is pictures whose features are computed together.
type batch struct {
	lab      *Lab
	sighted  *sighted
	frames   []policy.Frame
	at       []int // of the pictures, in frames
	pictures []*transforms.Picture
	bytes    int
	cached   int // so far
}

func (b *batch) add(ctx context.Context, frame int, p *transforms.Picture) error {
	b.frames[frame].Light = policy.LightOf(p)
	b.at, b.pictures = append(b.at, frame), append(b.pictures, p)
	if b.bytes += len(p.Pix); b.bytes < pictureBytes {
		return nil
	}
	return b.flush(ctx)
}

// flush computes the features of the pictures and lets the pictures go.
func (b *batch) flush(ctx context.Context) error {
	if len(b.pictures) == 0 {
		return nil
	}
	job := features.Job{Preset: b.sighted.eyes.Preset, Backbone: b.sighted.eyes.Backbone, Note: b.lab.report.Say, Picture: func(i int) (*transforms.Picture, error) { return b.pictures[i], nil }}
	for i, p := range b.pictures {
		job.Items = append(job.Items, datasets.Item{Rel: fmt.Sprintf("frame %d of the data set", b.at[i]), SHA256: features.Sum(p)})
	}
	m, err := features.Extract(ctx, job)
	if err != nil {
		return err
	}
	for i, at := range b.at {
		b.frames[at].Seen = slices.Clone(m.Row(i))
	}
	b.cached += m.Cached
	b.at, b.pictures, b.bytes = nil, nil, 0
	return nil
}
