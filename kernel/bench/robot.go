package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/sim"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

const (
	robotTask     = "bench/sort"
	robotModel    = "mobilenetv2"
	robotDemos    = 25
	robotEpisodes = 100
	robotSide     = 160 // pixels of the task's camera
	// What R3M's evaluation trains with.
	clonedSteps = 20_000
	clonedSeed  = 1
	peerLooks   = 32 // at a time
	percent     = "%"
)

// robots times tlkit robot, and compares its success with that of behaviour cloning on pooled
// features, in PyTorch, on the same demonstrations and in the same scenes.
func (s *session) robots(ctx context.Context) error {
	t, err := s.tlkit(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	r := &robotBench{session: s, tlkit: t, steps: clonedSteps}
	if r.lab, err = robot.Open(ctx, robot.Spec{Task: robotTask, Model: robotModel, Demos: robotDemos}, run.Place{Offline: s.Offline}, s.Progress); err != nil {
		return err
	}
	defer r.lab.Close()
	if r.cloned, err = r.clone(ctx); err != nil {
		return err
	}
	if r.cloned != nil {
		defer r.cloned.close()
	}
	for _, step := range []func(context.Context) error{r.fits, r.tries, r.looks, r.memory} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// robotBench is the measurements of tlkit robot.
type robotBench struct {
	*session
	tlkit  *tlkit
	lab    *robot.Lab
	cloned *cloned // nil = there is no peer
	steps  int     // that PyTorch trains for
}

// fits times tlkit robot fit, with nothing cached and with all features.
func (r *robotBench) fits(ctx context.Context) error {
	fit := func(name string) (float64, error) {
		r.doing("fitting a policy")
		return r.tlkit.run(ctx, nil, "robot", "fit", robotTask, "--model", robotModel, "--demos", fmt.Sprint(robotDemos), "--name", name, "--json")
	}
	first, err := fit("first")
	if err != nil {
		return err
	}
	f := Figure{Name: fmt.Sprintf("robot, %d demonstrations to a policy", robotDemos), Model: robotModel, Ours: first, Unit: "s", Note: "process start included"}
	if r.cloned != nil {
		f = f.against(torch, r.cloned.By, r.cloned.seconds)
		f.Note = fmt.Sprintf("process start included; %s: features %.1f s, %d steps %.1f s", r.cloned.By, r.cloned.Features, r.steps, r.cloned.Fit)
	}
	r.add(f)
	var again []float64
	for i := range rounds {
		seconds, err := fit(fmt.Sprintf("again%d", i))
		if err != nil {
			return err
		}
		again = append(again, seconds)
	}
	r.add(Figure{Name: "the same, features cached", Model: robotModel, Ours: median(again), Unit: "s", Note: "process start included"})
	return nil
}

// tries times tlkit robot try, and compares successes in the same scenes.
func (r *robotBench) tries(ctx context.Context) error {
	r.doing("trying the policy")
	var answer struct{ Tries []rollout.Episode }
	seconds, err := r.tlkit.run(ctx, &answer, "robot", "try", robotTask, "--model", robotModel, "--demos", fmt.Sprint(robotDemos), "--name", "first",
		"--episodes", fmt.Sprint(robotEpisodes), "--controls", "0", "--clips", "0", "--json")
	if err != nil {
		return err
	}
	ours := &rollout.Try{Task: robotTask, Episodes: answer.Tries}
	timed := Figure{Name: fmt.Sprintf("robot, %d episodes in closed loop", robotEpisodes), Model: robotModel, Ours: seconds, Unit: "s", Note: "process start included"}
	right := Figure{Name: fmt.Sprintf("robot, success from %d demonstrations", robotDemos), Model: robotModel, Ours: 100 * ours.Success().Value(), Unit: percent, Note: ours.Success().String()}
	if r.cloned != nil {
		r.doing("trying PyTorch's policy")
		begin := time.Now()
		theirs, err := r.cloned.try(ctx, rollout.Scenes(robotEpisodes))
		if err != nil {
			return err
		}
		timed = timed.against(torch, r.cloned.By, time.Since(begin).Seconds())
		paired, err := rollout.Compare(theirs, ours)
		if err != nil {
			return err
		}
		right = right.against(torch, r.cloned.By, 100*theirs.Success().Value())
		right.Note += fmt.Sprintf("; R3M's protocol on the same demonstrations: %s; %d scenes to %d, p %.1g", theirs.Success(), paired.OnlyB, paired.OnlyA, paired.P)
	}
	r.add(timed)
	r.add(right)
	return nil
}

// looks times one look: from a picture of the camera to what the robot does.
func (r *robotBench) looks(ctx context.Context) error {
	r.doing("one look")
	fitted, err := r.lab.Fit(ctx)
	if err != nil {
		return err
	}
	eyes, err := r.lab.Eyes(robot.Pretrained)
	if err != nil {
		return err
	}
	network, err := eyes.Backbone.Open(ctx, eyes.Preset.Size)
	if err != nil {
		return err
	}
	world, err := sim.Open(robotTask)
	if err != nil {
		return err
	}
	pixels := make([]float32, eyes.Backbone.Batch*eyes.Preset.Size*eyes.Preset.Size*3)
	if eyes.Backbone.AnyBatch {
		pixels = pixels[:eyes.Preset.Size*eyes.Preset.Size*3]
	}
	var ours, theirs []float64
	for _, scene := range rollout.Scenes(robotEpisodes) {
		if err := world.Reset(scene); err != nil {
			return err
		}
		drawn, err := world.Draw(r.lab.Robot.Cameras[0].Name, r.lab.Robot.Cameras[0].Side)
		if err != nil {
			return err
		}
		actor, err := fitted.Policy.Start(scene)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := look(drawn, world.Feel(), sighted{eyes, network, pixels, actor}); err != nil {
			return err
		}
		ours = append(ours, time.Since(begin).Seconds()*1000)
		if r.cloned != nil {
			begin = time.Now()
			if _, err := r.cloned.act([]*image.NRGBA{drawn}, [][]float32{world.Feel()}); err != nil {
				return err
			}
			theirs = append(theirs, time.Since(begin).Seconds()*1000)
		}
	}
	f := Figure{Name: "robot, one look: picture to action", Model: robotModel, Ours: median(ours), Unit: milliseconds}
	if r.cloned != nil {
		f = f.against(torch, r.cloned.By, median(theirs))
	}
	r.add(f)
	return nil
}

// sighted is an actor with the network that it sees with.
type sighted struct {
	eyes    rollout.Eyes
	network func([]float32) ([]float32, error)
	pixels  []float32 // of a batch
	actor   policy.Actor
}

// look lets an actor see a picture and decide.
func look(drawn *image.NRGBA, state []float32, s sighted) error {
	picture, err := transforms.FromImage(drawn)
	if err != nil {
		return err
	}
	prepared, err := s.eyes.Preset.Eval().Apply(picture, transforms.Rand{})
	if err != nil {
		return err
	}
	copy(s.pixels, prepared.Data)
	seen, err := s.network(s.pixels)
	if err != nil {
		return err
	}
	_, err = s.actor.Act(seen[:s.eyes.Backbone.Features], state)
	return err
}

// memory measures that a fit takes no more of it for more demonstrations.
func (r *robotBench) memory(ctx context.Context) error {
	for _, demos := range []int{50, 400} {
		r.doing(fmt.Sprintf("memory of %d demonstrations", demos))
		_, peak, err := r.tlkit.used(ctx, nil, "robot", "fit", robotTask, "--model", robotModel, "--demos", fmt.Sprint(demos), "--name", fmt.Sprintf("memory%d", demos), "--json")
		if err != nil {
			return err
		}
		if peak > 0 {
			r.add(Figure{Name: fmt.Sprintf("robot, memory of a fit on %d demonstrations", demos), Model: robotModel, Ours: peak, Unit: "MiB"})
		}
	}
	return nil
}

// cloned is PyTorch's policy, in a Python that goes on.
type cloned struct {
	*talk
	fitted
	seconds float64 // until it was fitted, process start included
	lab     *robot.Lab
}

// fitted is what Python says when its policy is fitted.
type fitted struct {
	By            string
	Features, Fit float64 // seconds
}

// clone has PyTorch learn from the demonstrations that tlkit robot fit learns from; nil without Python.
func (r *robotBench) clone(ctx context.Context) (*cloned, error) {
	if r.Python == "" {
		return nil, nil
	}
	r.doing("drawing the demonstrations")
	frames, err := writeDemos(ctx, r.lab, r.tlkit.dir)
	if err != nil {
		return nil, err
	}
	net, err := r.load(ctx, robotModel)
	if err != nil {
		return nil, err
	}
	var limits [][2]float64
	for _, d := range r.lab.Robot.Action {
		limits = append(limits, [2]float64{d.Min, d.Max})
	}
	r.doing("PyTorch's policy")
	begin := time.Now()
	c := &cloned{lab: r.lab}
	c.talk, err = r.talk(ctx, peerJob{"what": "robot", "folder": r.tlkit.dir, "weights": net.Path, "frames": frames, "side": robotSide,
		"mean": net.Preset.Mean, "std": net.Preset.Std, "action": limits, "steps": r.steps, "seed": clonedSeed, "threads": 2})
	if err != nil {
		return nil, err
	}
	if err := c.read(&c.fitted); err != nil {
		c.close()
		return nil, err
	}
	c.seconds = time.Since(begin).Seconds()
	return c, nil
}

// writeDemos writes what the demonstrations show, as plain arrays: pixels of bytes [frames,side,side,3],
// states and actions of float32, little-endian.
func writeDemos(ctx context.Context, lab *robot.Lab, dir string) (frames int, err error) {
	files := map[string]*bufio.Writer{}
	for _, name := range []string{"pixels", "states", "actions"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		defer f.Close()
		files[name] = bufio.NewWriter(f)
	}
	for i := range robotDemos {
		_, err := lab.Demonstrate(ctx, i, func(f sim.Frame) error {
			frames++
			if err := writePixels(files["pixels"], f.Pictures[0]); err != nil {
				return err
			}
			if err := binary.Write(files["states"], binary.LittleEndian, f.State); err != nil {
				return err
			}
			return binary.Write(files["actions"], binary.LittleEndian, f.Action)
		})
		if err != nil {
			return 0, err
		}
	}
	for _, f := range files {
		if err := f.Flush(); err != nil {
			return 0, err
		}
	}
	return frames, nil
}

func writePixels(w io.Writer, drawn *image.NRGBA) error {
	p, err := transforms.FromImage(drawn)
	if err != nil {
		return err
	}
	_, err = w.Write(p.Pix)
	return err
}

// act asks for an action for each look.
func (c *cloned) act(pictures []*image.NRGBA, states [][]float32) ([][]float32, error) {
	data := make([]byte, 0, len(pictures)*robotSide*robotSide*3)
	for _, p := range pictures {
		picture, err := transforms.FromImage(p)
		if err != nil {
			return nil, err
		}
		data = append(data, picture.Pix...)
	}
	for _, s := range states {
		for _, v := range s {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	var answer struct{ Actions [][]float32 }
	if err := c.ask(map[string]int{"looks": len(pictures)}, data, &answer); err != nil {
		return nil, err
	}
	if len(answer.Actions) != len(pictures) {
		return nil, fmt.Errorf("%d actions for %d looks", len(answer.Actions), len(pictures))
	}
	return answer.Actions, nil
}

// try lets the policy act in each scene, one action for each look.
func (c *cloned) try(ctx context.Context, scenes []uint64) (*rollout.Try, error) {
	worlds := make([]sim.World, len(scenes))
	var live []sim.World
	for i, scene := range scenes {
		w, err := sim.Open(robotTask)
		if err != nil {
			return nil, err
		}
		if err := w.Reset(scene); err != nil {
			return nil, err
		}
		worlds[i], live = w, append(live, w)
	}
	for len(live) > 0 {
		for some := range slices.Chunk(live, peerLooks) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := c.step(some); err != nil {
				return nil, err
			}
		}
		live = slices.DeleteFunc(live, func(w sim.World) bool { return w.Done().Over })
	}
	t := &rollout.Try{Task: robotTask}
	for i, w := range worlds {
		o := w.Done()
		t.Episodes = append(t.Episodes, rollout.Episode{Scene: scenes[i], Success: o.Success, Steps: o.Steps, Looks: o.Steps, Why: o.Why})
	}
	return t, nil
}

// step moves some worlds by one action.
func (c *cloned) step(worlds []sim.World) error {
	var pictures []*image.NRGBA
	var states [][]float32
	for _, w := range worlds {
		p, err := w.Draw(c.lab.Robot.Cameras[0].Name, robotSide)
		if err != nil {
			return err
		}
		pictures, states = append(pictures, p), append(states, w.Feel())
	}
	actions, err := c.act(pictures, states)
	if err != nil {
		return err
	}
	for i, w := range worlds {
		if err := w.Step(actions[i]); err != nil {
			return err
		}
	}
	return nil
}
