package robot

import (
	"context"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// parityScenes is the number of built-in scenes: scenes of bench/sort, which are drawn bit for bit the
// same everywhere.
const parityScenes = 3

// firstParity is far from the scenes of demonstrations and of tries.
const firstParity = 2_000_000

// ParityTolerance is the largest difference between machines of the channels' means in the built-in
// scenes, as a share of the largest. Places, probabilities and actions may differ by a hundredth of
// their ranges.
const (
	ParityTolerance = 2e-3
	parityDecision  = 0.01
)

// policyFile describes a fitted policy for a policy file.
func (l *Lab) policyFile(ctx context.Context, p policy.Policy, d policy.Demonstrations) (*policy.File, error) {
	s, err := l.sight(Pretrained)
	if err != nil {
		return nil, err
	}
	entries, err := l.entries(s)
	if err != nil {
		return nil, err
	}
	f := &policy.File{
		Policy: p, Learnt: d.Learnt(l.source()), Entries: entries,
		Sight: policy.Sight{Model: l.net.Row.Name, SHA256: l.net.Identity(), Stage: l.Spec.Stage, Map: s.shape, Preset: l.net.Preset},
	}
	l.report.State("what is familiar", 0, 0)
	if f.Familiarity, err = policy.FitFamiliarity(ctx, d); err != nil && d.Count() >= leastFamiliar {
		return nil, err
	}
	f.Parity, err = parity(ctx, f, s.eyes)
	return f, err
}

// leastFamiliar is the least number of demonstrations from which familiarity is learnt.
const leastFamiliar = 3

// source names what the demonstrations come from, of a data set without the way to it.
func (l *Lab) source() string {
	if l.data != nil {
		return l.data.name()
	}
	return l.Spec.Task
}

// Export writes the fitted policy to a file, with the contract of its robot: what [OpenPolicy] and
// tlkit robot serve read. The policy is fitted first if it has to be.
func (l *Lab) Export(ctx context.Context, path string) (*policy.File, error) {
	fitted, err := l.Fit(ctx)
	if err != nil {
		return nil, err
	}
	if err := fitted.File.Write(path); err != nil {
		return nil, fmt.Errorf("robot: %w", err)
	}
	return policy.Open(path)
}

// parity is what a network and a policy give for the built-in scenes: the means of the channels, then
// the decision from the middle of the demonstrated states.
func parity(ctx context.Context, f *policy.File, eyes rollout.Eyes) ([][]float32, error) {
	spec := f.Policy.Spec()
	state := make([]float32, len(spec.State))
	for i, r := range f.Learnt.State {
		state[i] = float32((r[0] + r[1]) / 2)
	}
	out := make([][]float32, parityScenes)
	pipeline := eyes.Preset.Eval()
	var failed error
	err := features.Forward(ctx, eyes.Backbone, features.Pass{
		Size: eyes.Preset.Size, Pictures: parityScenes,
		Prepare: func(i int) (t transforms.Tensor, err error) {
			picture, err := builtInScene(i)
			if err != nil {
				return t, err
			}
			return pipeline.Apply(picture, transforms.Rand{})
		},
		Use: func(rows []int, values []float32) (err error) {
			for k, i := range rows {
				if out[i], err = parityRow(f, values[k*eyes.Backbone.Features:][:eyes.Backbone.Features], state); err != nil {
					return err
				}
			}
			return nil
		},
		Bad: func(_ int, err error) { failed = err },
	})
	if err == nil {
		err = failed
	}
	return out, err
}

// builtInScene draws a built-in scene.
func builtInScene(i int) (*transforms.Picture, error) {
	world, err := sim.Open("bench/sort")
	if err != nil {
		return nil, err
	}
	if err := world.Reset(firstParity + uint64(i)); err != nil {
		return nil, err
	}
	drawn, err := world.Draw(world.Spec().Cameras[0].Name, world.Spec().Cameras[0].Side)
	if err != nil {
		return nil, err
	}
	return transforms.FromImage(drawn)
}

func parityRow(f *policy.File, seen, state []float32) ([]float32, error) {
	actor, err := f.Policy.Start(0)
	if err != nil {
		return nil, err
	}
	d, err := actor.Act(seen, state)
	if err != nil {
		return nil, err
	}
	channels := channelsOf(f.Sight.Map, len(seen))
	row := make([]float32, channels)
	for i, v := range seen {
		row[i%channels] += v / float32(len(seen)/channels)
	}
	row = append(row, float32(d.Where[0]), float32(d.Where[1]), float32(d.Sure))
	for i, dim := range f.Policy.Spec().Action {
		v := 0.0
		if len(d.Actions) > 0 && dim.Max > dim.Min {
			v = (float64(d.Actions[0][i]) - dim.Min) / (dim.Max - dim.Min)
		}
		row = append(row, float32(v))
	}
	return row, nil
}

func channelsOf(shape [3]int, numbers int) int {
	if shape[2] > 0 {
		return shape[2]
	}
	return numbers
}

// off is how far what a network and a policy give for the built-in scenes is from what the file says,
// as a share of what is allowed.
func off(f *policy.File, got [][]float32, channels int) float64 {
	var most float64
	for i, want := range f.Parity {
		if i >= len(got) || len(got[i]) != len(want) || len(want) < channels {
			return math.Inf(1)
		}
		var largest float64
		for _, v := range want[:channels] {
			largest = max(largest, math.Abs(float64(v)))
		}
		for k, v := range want {
			d := math.Abs(float64(got[i][k])-float64(v)) / parityDecision
			if k < channels {
				d = math.Abs(float64(got[i][k])-float64(v)) / (ParityTolerance * max(largest, 1e-6))
			}
			if !(d <= most) { // NaN as well
				most = d
			}
		}
	}
	return most
}

// Policy is an opened policy file, with the network that it sees with.
type Policy struct {
	*policy.File
	Eyes   rollout.Eyes
	Net    *zoo.Net // that the eyes belong to
	Parity float64  // the largest difference on the built-in scenes, as a share of the allowed one

	engine *engine.Engine
	closed func()
}

// OpenPolicy opens a policy file, loads its network and compares what both give for the built-in
// scenes with what the file says they gave when it was written. It is an error if the file is damaged
// or of something else, if the network's weights are others, and if the results differ. p may be nil.
func OpenPolicy(ctx context.Context, path string, place run.Place, p run.Progress) (*Policy, error) {
	f, err := policy.Open(path)
	if err != nil {
		return nil, err
	}
	out := &Policy{File: f}
	report, closed := place.Shown(p)
	out.closed = closed
	if err := out.open(ctx, path, place, report); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func (p *Policy) open(ctx context.Context, path string, place run.Place, report run.Progress) error {
	s := p.Sight
	o := place.Zoo(report)
	o.Preset = &s.Preset
	net, err := zoo.Load(ctx, s.Model, o)
	if err != nil {
		return fmt.Errorf("robot: the network of %s: %w", path, err)
	}
	if got := net.Identity(); got != s.SHA256 {
		return advice.New(fmt.Errorf("robot: %s was made with weights of %s that are %s, these are %s", path, s.Model, s.SHA256, got), "fit it again with these weights, or get the others")
	}
	if p.engine, err = openEngine(ctx, place, report); err != nil {
		return err
	}
	b, err := features.FromStage(net, p.engine, s.Stage)
	if err != nil {
		return err
	}
	if b.Map != s.Map {
		return fmt.Errorf("robot: the map behind %s of %s is %v, %s has %v", s.Stage, s.Model, b.Map, path, s.Map)
	}
	p.Eyes, p.Net = rollout.Eyes{Preset: net.Preset, Backbone: b}, net
	if len(p.File.Parity) != parityScenes {
		return fmt.Errorf("robot: %s has the results of %d built-in scenes, want %d", path, len(p.File.Parity), parityScenes)
	}
	got, err := parity(ctx, p.File, p.Eyes)
	if err != nil {
		return fmt.Errorf("robot: %s: %w", path, err)
	}
	if p.Parity = off(p.File, got, channelsOf(s.Map, b.Features)); !(p.Parity <= 1) {
		return advice.New(fmt.Errorf("robot: %s: the network gives other results for the built-in scenes than when the file was written, by %.3g times what is allowed", path, p.Parity), "run tlkit verify %s", s.Model)
	}
	return nil
}

// Fits reports how another robot differs from that of the policy, in an error with a line for each
// difference; nil = the policy can drive it.
func (p *Policy) Fits(other sim.Spec) error {
	spec := p.Policy.Spec()
	lines := spec.Differences(other)
	for i := range min(len(spec.Cameras), len(other.Cameras)) {
		if a, b := spec.Cameras[i], other.Cameras[i]; a.Name == b.Name && a.Side != b.Side && b.Side != 0 {
			lines = append(lines, fmt.Sprintf("camera %d, %s: %d pixels wide, want %d", i, a.Name, b.Side, a.Side))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	all := ""
	for _, line := range lines {
		all += "\n  " + line
	}
	return fmt.Errorf("robot: the policy was made for another robot than %q:%s", other.Robot, all)
}

// Engine names the engine that the network runs in.
func (p *Policy) Engine() string { return p.engine.Name }

// Close frees the engine.
func (p *Policy) Close() {
	if p.engine != nil {
		p.engine.Close()
	}
	p.closed()
}

// openEngine opens the engine of a job.
func openEngine(ctx context.Context, place run.Place, report run.Progress) (*engine.Engine, error) {
	report.State("opening engine", 0, 0)
	e, err := engine.Open(ctx, engine.Options{Install: !place.Offline, Report: report.State, Note: report.Say})
	if err != nil {
		return nil, err
	}
	if err := e.Agreed(); err != nil && !place.PlainGo {
		e.Close()
		return nil, err
	}
	return e, nil
}

// writePolicy keeps a policy where the place says.
func (l *Lab) writePolicy(f *policy.File) error {
	if l.PolicyFile() == "" {
		return nil
	}
	return l.write(func() error { return f.Write(l.PolicyFile()) })
}
