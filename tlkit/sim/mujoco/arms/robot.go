package arms

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"sync"

	"github.com/tlkit/transfer-learning/tlkit/sim/mujoco"
	"github.com/tlkit/transfer-learning/tlkit/sim/raster"
)

// robot is a model with an arm whose tool is pulled by a mocap body.
type robot struct {
	from   mujoco.Package
	file   string
	edits  map[string][][2]string // of files of the model: what is replaced, and by what
	mocap  string                 // body
	grip   string                 // site of the tool
	joints map[string][]float64   // where joints are at first
	home   [3]float64             // where the tool is at first
	turn   [4]float64             // of the mocap body
	open   []float64              // controls of the actuators
	closed []float64
	finger [2]string // joints
	wide   float64   // opening of both fingers together, in metres
	press  bool      // it has no use for its fingers: told to shut, it presses once

	camera         raster.Camera
	plane          float64       // height at which x and y are measured
	low, mid, high float64       // heights of the tool: at a thing, on the way, above all
	reach          [2][2]float64 // limits of the tool in the world, x and y

	loading      sync.Mutex // for what follows
	model        *mujoco.Model
	settled      state
	site, pulled int
	qpos         [2]int // of the fingers
	offset       vec    // from the tool to the mocap body
}

// state is what an episode starts from.
type state struct{ qpos, qvel []float64 }

// load opens MuJoCo and the model, once.
func (r *robot) load(ctx context.Context, o mujoco.Options) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	if r.model != nil {
		return nil
	}
	library, err := mujoco.Open(ctx, o)
	if err != nil {
		return err
	}
	files, err := mujoco.Scenes(ctx, r.from, o)
	if err != nil {
		return err
	}
	m, err := library.Load(edited{files, r.edits}, r.file)
	if err != nil {
		return err
	}
	if err := r.find(m); err != nil {
		return err
	}
	d, err := m.NewData()
	if err != nil {
		return err
	}
	if err := r.settle(m, d); err != nil {
		return err
	}
	r.settled, r.model = state{d.Qpos(), d.Qvel()}, m
	return nil
}

// find looks up the parts of the model.
func (r *robot) find(m *mujoco.Model) (err error) {
	if r.site, err = m.Find(mujoco.Site, r.grip); err != nil {
		return err
	}
	body, err := m.Find(mujoco.Body, r.mocap)
	if err != nil {
		return err
	}
	if r.pulled, err = m.MocapPlace(body); err != nil {
		return err
	}
	for i, name := range r.finger {
		if r.qpos[i], err = place(m, name); err != nil {
			return err
		}
	}
	return nil
}

// place returns where the numbers of a joint begin in qpos.
func place(m *mujoco.Model, joint string) (int, error) {
	j, err := m.Find(mujoco.Joint, joint)
	if err != nil {
		return 0, err
	}
	at, _, err := m.JointPlace(j)
	return at, err
}

// settle brings the arm to where its episodes begin.
func (r *robot) settle(m *mujoco.Model, d *mujoco.Data) error {
	qpos := d.Qpos()
	for name, v := range r.joints {
		at, err := place(m, name)
		if err != nil {
			return err
		}
		copy(qpos[at:], v)
	}
	if err := d.SetQpos(qpos); err != nil {
		return err
	}
	if err := d.SetCtrl(r.open); err != nil {
		return err
	}
	if err := d.SetMocap(r.pulled, r.home, r.turn); err != nil {
		return err
	}
	if err := d.Step(1000); err != nil {
		return err
	}
	at, _ := d.SitePose(r.site)
	for k := range at {
		r.offset[k] = r.home[k] - at[k]
	}
	r.home = at
	return nil
}

// start begins an episode: the arm is over the middle, with open fingers.
func (r *robot) start(seed uint64) (*scene, error) {
	d, err := r.model.NewData()
	if err != nil {
		return nil, err
	}
	look, err := r.model.NewLook()
	if err != nil {
		return nil, err
	}
	s := &scene{robot: r, data: d, look: look, drawn: raster.Studio(), seed: seed, height: r.high, things: map[string]vec{}}
	return s, nil
}

// restore sets positions, at rest.
func (s *scene) restore(qpos []float64) error {
	if err := s.data.SetQpos(qpos); err != nil {
		return err
	}
	if err := s.data.SetQvel(make([]float64, len(s.robot.settled.qvel))); err != nil {
		return err
	}
	if err := s.data.SetCtrl(s.robot.open); err != nil {
		return err
	}
	return s.data.Forward()
}

// rest lets the tool come to rest at a place.
func (s *scene) rest(at vec) error {
	for k, o := range s.robot.offset {
		at[k] += o
	}
	if err := s.data.SetMocap(s.robot.pulled, at, s.robot.turn); err != nil {
		return err
	}
	if err := s.data.Step(200); err != nil {
		return err
	}
	s.aim = s.tip()
	return nil
}

// tool is where the tool is in the world.
func (s *scene) tool() vec {
	at, _ := s.data.SitePose(s.robot.site)
	return at
}

// seen is where the table below a place of the world is in the picture.
func (r *robot) seen(p vec) [2]float64 {
	x, y, _ := r.camera.Project(vec{p[0], p[1], r.plane})
	return [2]float64{x, y}
}

// tip is where the table below the tool is in the picture.
func (s *scene) tip() [2]float64 { return s.robot.seen(s.tool()) }

// opening is how far the fingers are apart: 0 shut, 1 wide open.
func (s *scene) opening() float64 {
	q := s.data.Qpos()
	return min(max((q[s.robot.qpos[0]]+q[s.robot.qpos[1]])/s.robot.wide, 0), 1)
}

// act is one step of the robot.
func (s *scene) act(move [2]float64, shut bool) error {
	r, from := s.robot, s.target()
	switch {
	case len(s.program) == 0 && shut != s.shut && !s.fixed:
		s.shut, s.program = shut, r.program(shut)
	case len(s.program) == 0:
		move = atMost(move, speed)
		s.aim = r.within([2]float64{s.aim[0] + move[0], s.aim[1] + move[1]})
	}
	if len(s.program) > 0 {
		now := s.program[0]
		s.height, s.fist, s.program = now.height, now.fist, s.program[1:]
	}
	if err := s.pull(from, s.target()); err != nil {
		return err
	}
	if r.press && len(s.program) == 0 {
		s.shut = false
	}
	return nil
}

// program is what the robot does when its fingers are told to shut or to open.
func (r *robot) program(shut bool) []stage {
	if r.press {
		return []stage{{r.mid, true}, {r.low, true}, {r.low, true}, {r.mid, true}, {r.high, true}}
	}
	return []stage{{r.mid, !shut}, {r.low, !shut}, {r.low, shut}, {r.mid, shut}, {r.high, shut}}
}

// target is where the tool is told to be in the world.
func (s *scene) target() vec {
	at, _ := s.robot.camera.OnHeight(s.aim[0], s.aim[1], s.robot.plane)
	return vec{at[0], at[1], s.height}
}

// within brings a place in the picture to where the tool can go.
func (r *robot) within(aim [2]float64) [2]float64 {
	at, ok := r.camera.OnHeight(aim[0], aim[1], r.plane)
	if !ok { // above the horizon
		return r.seen(r.home)
	}
	for i := range 2 {
		at[i] = min(max(at[i], r.reach[i][0]), r.reach[i][1])
	}
	return r.seen(at)
}

// A step is this many moves of the mocap body, so that the arm does not jerk.
const moves = 10

// pull moves the tool from one place to another in the time of a step.
func (s *scene) pull(from, to vec) error {
	r := s.robot
	control := r.open
	if s.fist {
		control = r.closed
	}
	if err := s.data.SetCtrl(control); err != nil {
		return err
	}
	timesteps := int(math.Round(1 / (rate * r.model.Timestep() * moves)))
	for i := 1; i <= moves; i++ {
		// The first seven moves go all the way, so that the arm has time to come up.
		t := min(float64(i)/7, 1)
		var at vec
		for k := range at {
			at[k] = from[k] + float64((to[k]-from[k])*t) + r.offset[k]
		}
		if err := s.data.SetMocap(r.pulled, at, r.turn); err != nil {
			return err
		}
		if err := s.data.Step(timesteps); err != nil {
			return err
		}
	}
	return nil
}

// edited is a package's files with some of their text replaced.
type edited struct {
	fs.FS
	edits map[string][][2]string // by name: old text and new
}

// Open implements fs.FS.
func (e edited) Open(name string) (fs.File, error) {
	f, err := e.FS.Open(name)
	list := e.edits[name]
	if err != nil || list == nil {
		return f, err
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	for _, edit := range list {
		if bytes.Count(raw, []byte(edit[0])) != 1 {
			f.Close()
			return nil, fmt.Errorf("%s does not have %q once: is it another version?", name, edit[0])
		}
		raw = bytes.Replace(raw, []byte(edit[0]), []byte(edit[1]), 1)
	}
	return replaced{f, bytes.NewReader(raw)}, nil
}

// replaced is a file with another content.
type replaced struct {
	fs.File
	content *bytes.Reader
}

func (r replaced) Read(p []byte) (int, error) { return r.content.Read(p) }
