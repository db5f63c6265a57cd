// Package robot does whole jobs of teaching a robot a task: from a spec to demonstrations, a policy, and
// tries of it. The command line and package tlkit both call it, so they give the same numbers.
//
//	lab, err := robot.Open(ctx, robot.Spec{Task: "bench/sort", Demos: 50}, run.Place{}, nil)
//	fitted, err := lab.Fit(ctx)
//	tried, err := lab.Try(ctx, 100, 3)
//	fmt.Println(tried.Success()) // 97.0 % (97 of 100, 95 % 91.5-99.0)
//
// If the place has a name, the policy is kept in .tlkit/NAME/policy.safetensors, and a later job with the
// same spec reads it from there. Package features caches the features of demonstrations.
package robot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/settings"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	_ "github.com/tlkit/transfer-learning/tlkit/sim/bench"       // registers its tasks
	_ "github.com/tlkit/transfer-learning/tlkit/sim/mujoco/arms" // the same; loads nothing until one is opened
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// Spec says what to teach.
type Spec struct {
	Task  string `json:"task"`            // of package sim: "bench/sort"; or the folder of a LeRobot data set
	Data  Data   `json:"data,omitzero"`   // how that data set is read
	Model string `json:"model"`           // row of the zoo; "" = its first
	Stage string `json:"stage,omitempty"` // whose map is used; "" = the last one with a cell every 16 pixels
	// Policy is what is learnt; "" = Waypoints.
	Policy Kind   `json:"policy,omitempty"`
	Demos  int    `json:"demos"` // demonstrations to learn from; 0 = 50, or all of a data set
	Seed   uint64 `json:"seed"`  // chooses the scenes of the demonstrations, 1 to 999; 0 = 1
}

// Kind names a kind of policy.
type Kind = settings.Policy

// The kinds of policy.
const (
	// Waypoints learn on maps where the gripper next opens or closes, see policy.Waypoint.
	Waypoints Kind = "waypoints"
	// Nearest looks up the most similar demonstrated pictures by pooled features, see policy.Nearest: a
	// baseline without training.
	Nearest Kind = "nearest"
	// Chunks learn the next actions from keypoints on maps, for tasks that are not a sequence of places,
	// see policy.Chunk.
	Chunks Kind = "chunk"
)

const (
	usualDemos = 50
	mostDemos  = 1000 // so that seeds share no scene, and no demonstration shows one that is tried
	mostSeed   = 999
	// Noise of the teacher's arm, as a share of its limits, so that demonstrations show how to come
	// back.
	noise = 0.3
	// cell is the distance of the cells of the default map, in pixels.
	cell = 16
)

// Lab is an opened spec: the task, and the networks to see with.
type Lab struct {
	Spec  Spec     // with its defaults filled in
	Robot sim.Spec // the robot of the task

	data   *dataset // nil = the task is simulated
	place  run.Place
	report run.Progress
	closed func()
	engine *engine.Engine
	net    *zoo.Net
	eyes   map[Sight]*sighted
	fitted *Fitted // nil = not yet
}

// Sight is what a policy sees with.
type Sight int

// The sights. Those from Untrained on are controls: networks with random weights, numbered.
const (
	Pretrained Sight = iota // the map of the network
	Pooled                  // its pooled features, which do not say where
	Untrained
)

// sighted is a sight with what it has seen.
type sighted struct {
	eyes  rollout.Eyes
	shape [3]int // of the map; zero for pooled features
	seen  policy.Demonstrations
	kept  []int // frames of seen that have their features
	demos int
}

// Open opens the task and the network. p may be nil, as in package run.
//
// It is an error if the task or the network is not known, if the robot of the task cannot be driven
// by waypoints, and if a number of the spec is out of range. What is wrong with a data set is an error
// of what learns from it: [Lab.Teach], [Lab.Fit] and [Lab.Export].
func Open(ctx context.Context, s Spec, place run.Place, p run.Progress) (*Lab, error) {
	s, err := s.complete()
	if err != nil {
		return nil, err
	}
	l := &Lab{Spec: s, place: place, eyes: map[Sight]*sighted{}}
	l.report, l.closed = place.Shown(p)
	if err := l.task(ctx); err != nil {
		l.Close()
		return nil, err
	}
	if l.data != nil && l.data.fault != nil {
		return l, nil
	}
	if err := l.open(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// task opens the task, after fetching what it needs.
func (l *Lab) task(ctx context.Context) error {
	if isFolder(l.Spec.Task) {
		return l.openData(ctx)
	}
	if !slices.Contains(sim.Tasks(), l.Spec.Task) {
		return advice.New(fmt.Errorf("robot: no task %q, and no folder of that name", l.Spec.Task), "there are %s; or name the folder of a LeRobot data set", strings.Join(sim.Tasks(), ", "))
	}
	if l.Spec.Data != (Data{}) {
		return advice.New(fmt.Errorf("robot: camera, tip, edges and gripper say how a data set is read, and %s is simulated", l.Spec.Task), "leave them out")
	}
	if err := sim.Install(ctx, l.Spec.Task, sim.Downloads{Offline: l.place.Offline, Report: l.report.State}); err != nil {
		return err
	}
	w, err := sim.Open(l.Spec.Task)
	if err != nil {
		return err
	}
	l.Robot = w.Spec()
	return nil
}

// complete fills in the defaults.
func (s Spec) complete() (Spec, error) {
	if s.Task == "" {
		return s, advice.New(errors.New("robot: no task"), "name one of %s, or the folder of a LeRobot data set", strings.Join(sim.Tasks(), ", "))
	}
	if s.Model == "" {
		s.Model = zoo.Rows()[0].Name
	}
	if s.Policy == Waypoints {
		s.Policy = "" // policies of before there was a choice stay what they are
	}
	if s.Policy != "" && s.Policy != Nearest && s.Policy != Chunks {
		return s, advice.New(fmt.Errorf("robot: a policy of kind %q", s.Policy), "want %s, %s or %s", Waypoints, Chunks, Nearest)
	}
	if s.Demos == 0 && !isFolder(s.Task) {
		s.Demos = usualDemos
	}
	if s.Seed == 0 {
		s.Seed = 1
	}
	if s.Demos < 0 || s.Demos > mostDemos {
		return s, fmt.Errorf("robot: %d demonstrations, want 1 to %d", s.Demos, mostDemos)
	}
	if s.Seed > mostSeed {
		return s, fmt.Errorf("robot: seed %d, want 1 to %d", s.Seed, mostSeed)
	}
	return s, nil
}

// open loads the network for the pictures of the robot's camera, and opens the engine.
func (l *Lab) open(ctx context.Context) error {
	row, err := zoo.Find(l.Spec.Model)
	if err != nil {
		return err
	}
	l.Spec.Model = row.Name
	preset := row.Preset.Whole(l.side(row))
	o := l.place.Zoo(l.report)
	o.Preset = &preset
	if l.net, err = zoo.Load(ctx, row.Name, o); err != nil && row.Preset.Size != preset.Size {
		preset = row.Preset.Whole(row.Preset.Size) // some take pictures of one size alone
		l.net, err = zoo.Load(ctx, row.Name, o)
	}
	if err != nil {
		return err
	}
	if l.Spec.Stage == "" {
		l.Spec.Stage = defaultStage(l.net)
	}
	if _, err := l.net.Stage(l.Spec.Stage); err != nil {
		return err
	}
	l.engine, err = openEngine(ctx, l.place, l.report)
	return err
}

// side is that of the pictures that the network sees: as they come from a simulated camera, and of
// others at most what the network is made for.
func (l *Lab) side(row zoo.Row) int {
	side := l.Robot.Cameras[0].Side
	if l.data != nil && (side == 0 || side > row.Preset.Size) {
		side = row.Preset.Size
	}
	return side
}

// defaultStage is the last stage with a cell every 16 pixels or more often: later ones know more
// about what, and less about where.
func defaultStage(net *zoo.Net) string {
	name := ""
	for _, s := range net.Declaration().Stages {
		if len(s.Shape) == 3 && (name == "" || s.Shape[0]*cell >= net.Preset.Size) {
			name = s.Name
		}
	}
	return name
}

// Close frees the engine.
func (l *Lab) Close() {
	if l.engine != nil {
		l.engine.Close()
	}
	l.data.close()
	l.closed()
}

// sight returns a sight, opened once.
func (l *Lab) sight(s Sight) (*sighted, error) {
	if l.data != nil && l.data.fault != nil {
		return nil, l.data.fault
	}
	if known := l.eyes[s]; known != nil {
		return known, nil
	}
	net, out := l.net, &sighted{}
	var err error
	if s >= Untrained {
		if net, err = net.Random(uint64(s-Untrained) + 1); err != nil {
			return nil, err
		}
	}
	b := features.FromNet(net, l.engine)
	if s != Pooled {
		if b, err = features.FromStage(net, l.engine, l.Spec.Stage); err != nil {
			return nil, err
		}
		out.shape = b.Map
	}
	out.eyes = rollout.Eyes{Preset: net.Preset, Backbone: b}
	l.eyes[s] = out
	return out, nil
}

// Eyes are how policies of a sight see.
func (l *Lab) Eyes(s Sight) (rollout.Eyes, error) {
	see, err := l.sight(s)
	if err != nil {
		return rollout.Eyes{}, err
	}
	return see.eyes, nil
}

// Folder is where the place keeps the job; "" = nowhere.
func (l *Lab) Folder() string {
	if l.place.Name == "" {
		return ""
	}
	return filepath.Join(l.place.Folder, run.Home, l.place.Name)
}

// PolicyFile is where the place keeps the policy; "" = nowhere, or there is nothing to keep.
func (l *Lab) PolicyFile() string {
	if l.place.Name == "" || l.Spec.Policy == Nearest {
		return ""
	}
	return filepath.Join(l.Folder(), "policy.safetensors")
}

// entries say what a policy was fitted on. A file with the same ones is not fitted again.
func (l *Lab) entries(s *sighted) (map[string]string, error) {
	about := l.Spec
	about.Task = l.source()
	spec, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	preset, err := json.Marshal(s.eyes.Preset)
	if err != nil {
		return nil, err
	}
	all := map[string]string{"tlkit.spec": string(spec), "tlkit.preset": string(preset), "tlkit.backbone": s.eyes.Backbone.Identity}
	if l.data == nil {
		all["tlkit.noise"] = fmt.Sprint(noise)
	}
	return all, nil
}

// kept returns the policy of an earlier job with the same spec, network and engine; nil = there is none.
func (l *Lab) kept(s *sighted) (*policy.File, error) {
	file := l.PolicyFile()
	if file == "" || l.data != nil { // data sets change
		return nil, nil
	}
	if _, err := os.Stat(file); err != nil {
		return nil, nil
	}
	f, err := policy.Open(file)
	if err != nil {
		l.report.Say(fmt.Sprintf("The policy of an earlier job cannot be used, so it is fitted again: %v", err))
		return nil, nil
	}
	want, err := l.entries(s)
	if err != nil {
		return nil, err
	}
	for key, value := range want {
		if f.Entries[key] != value {
			return nil, nil
		}
	}
	if len(l.Robot.Differences(f.Policy.Spec())) > 0 {
		return nil, nil
	}
	return f, nil
}
