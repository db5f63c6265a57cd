package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/words"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/rollout"
	"github.com/tlkit/transfer-learning/tlkit/run"
	"github.com/tlkit/transfer-learning/tlkit/show"
)

// robotFlags are the flags of tlkit robot's commands.
type robotFlags struct {
	spec     robot.Spec
	name     string
	episodes int
	controls int
	clips    int
	counts   []int
	film     string // what is wrong in it
	out      string // also write the policy to this file, or the demonstrations to this folder
	tip      []string
	edges    []float64
}

func (c *command) robot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "robot",
		Short: "Teach a simulated robot a task from a few demonstrations",
		Long: `Teach a robot arm a task by showing it. The arm sees with a frozen network, a small convex head
learns where the gripper next opens or closes, and a fixed controller goes there. The tasks are
simulated: bench/sort puts a bee onto a blossom and leaves the ants; mujoco/fetch-pick puts a
block onto a target, with the arm of Fetch in MuJoCo, which is fetched at first use.

  tlkit robot try bench/sort

records 50 demonstrations, fits a policy, and tries it in 100 scenes that no demonstration
shows, next to the same fit on networks with random weights.

Demonstrations of your own, as LeRobot data sets: check audits them, convert rewrites them, and fit
learns from them.`,
	}
	cmd.AddCommand(c.robotWatch(), c.robotTeach(), c.robotFit(), c.robotTry(), c.robotCurve(), c.robotAlarms(), c.robotServe(), c.robotCheck(), c.robotConvert())
	return cmd
}

// robotCommand is a command of tlkit robot, on an opened lab.
func (c *command) robotCommand(cmd *cobra.Command, r *robotFlags, do func(context.Context, *robot.Lab) error) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := agreed(c, func() (struct{}, error) {
			r.spec.Task = args[0]
			if err := r.data(); err != nil {
				return struct{}{}, err
			}
			place := c.place()
			if place.Name = r.name; place.Name == "" {
				place.Name = run.SafeName(args[0])
			}
			p := c.progress()
			defer p.close()
			lab, err := robot.Open(cmd.Context(), r.spec, place, p)
			if err != nil {
				return struct{}{}, err
			}
			defer lab.Close()
			return struct{}{}, do(cmd.Context(), lab)
		})
		return err
	}
	f := cmd.Flags()
	f.IntVar(&r.spec.Demos, "demos", 0, "demonstrations to learn from, 1 to 1000 (default: 50, or all of a data set)")
	f.Uint64Var(&r.spec.Seed, "seed", 1, "chooses the scenes of the demonstrations, 1 to 999")
	f.StringVar(&r.spec.Stage, "stage", "", "stage of the network whose map is used (default: the last with a cell every 16 pixels)")
	f.StringVar(&r.name, "name", "", "folder of the policy below .tlkit (default: the task's name)")
	modelFlag(cmd, &r.spec.Model)
	return cmd
}

// policyFlag says what is learnt.
func policyFlag(cmd *cobra.Command, r *robotFlags) {
	cmd.Flags().StringVar((*string)(&r.spec.Policy), "policy", string(robot.Waypoints), "waypoints; chunk, for what is not a sequence of places, such as pushing; or nearest, for try: the baseline that looks demonstrations up by pooled features")
}

// recordedFlags say how a data set is read.
func recordedFlags(cmd *cobra.Command, r *robotFlags) {
	f, d := cmd.Flags(), &r.spec.Data
	f.StringVar(&d.Camera, "camera", "", "of a data set: the camera whose pictures are seen (default: the only one)")
	f.StringSliceVar(&r.tip, "tip", nil, "of a data set: the two numbers of the state that are the tip's place in the picture, across and down, such as x,y or observation.state.3,observation.state.4")
	f.Float64SliceVar(&r.edges, "edges", nil, "what these are at the left, right, top and bottom edge, such as 0,640,0,480 (default 0,1,0,1)")
	f.StringVar(&d.Gripper, "gripper", "", "of a data set: the number of the action that commands the fingers, by name or as action.6; none = there are none")
}

// data takes the lists of recordedFlags.
func (r *robotFlags) data() error {
	d := &r.spec.Data
	if n := len(r.tip); n != 0 && copy(d.Tip[:], r.tip) != n || n == 1 {
		return advice.New(fmt.Errorf("robot: --tip names %d numbers, want two", n), "such as --tip x,y")
	}
	if n := len(r.edges); n != 0 && (copy(d.Edges[:], r.edges) != n || n != len(d.Edges)) {
		return advice.New(fmt.Errorf("robot: --edges has %d numbers, want four", n), "left, right, top, bottom, such as --edges 0,640,0,480")
	}
	return nil
}

// filmResult is the JSON of tlkit robot watch.
type filmResult struct {
	Film  string `json:"film"`
	Words string `json:"words"`
}

func (c *command) robotWatch() *cobra.Command {
	r := &robotFlags{}
	cmd := c.robotCommand(&cobra.Command{
		Use:   "watch TASK",
		Short: "Film the teacher: an animated PNG, which every browser plays",
	}, r, func(ctx context.Context, lab *robot.Lab) error {
		film, err := lab.Watch(ctx, r.clips)
		if err != nil {
			return err
		}
		return c.sayFilm(lab, "watch.png", film)
	})
	cmd.Flags().IntVar(&r.clips, "clips", 6, "demonstrations to film, 1 to 24")
	return cmd
}

// sayFilm writes a film and says where it is.
func (c *command) sayFilm(lab *robot.Lab, name string, film show.Film) error {
	path, err := lab.Keep(name, film)
	if err != nil {
		return err
	}
	if c.result == nil {
		c.result = filmResult{path, film.Text()}
	}
	if !c.json {
		c.say("film     %s", path)
	}
	return nil
}

func (c *command) robotTeach() *cobra.Command {
	r := &robotFlags{}
	cmd := c.robotCommand(&cobra.Command{
		Use:   "teach TASK",
		Short: "Record demonstrations, and cache the features of their pictures",
		Long: `Let the teacher of a simulated task show it, and cache the features of the pictures. -o also writes
the demonstrations as a LeRobot data set. If TASK is the folder of a data set, its features are cached.`,
		Example: `  tlkit robot teach bench/sort --demos 25
  tlkit robot teach bench/sort --demos 25 -o demos`,
	}, r, func(ctx context.Context, lab *robot.Lab) error {
		if r.out != "" {
			if err := record(ctx, lab, r.out); err != nil {
				return err
			}
		}
		t, err := lab.Teach(ctx)
		if err != nil {
			return err
		}
		c.result = t
		if !c.json {
			c.say("%d demonstrations of %q, %d frames (%d of them in the cache)", t.Success, words.Plain(lab.Robot.Goal), t.Frames, t.Cached)
			if r.out != "" {
				c.say("data set %s", r.out)
			}
		}
		return nil
	})
	recordedFlags(cmd, r)
	cmd.Flags().StringVarP(&r.out, "out", "o", "", "also write the demonstrations to this folder, as a LeRobot data set")
	return cmd
}

// fitResult is the JSON of tlkit robot fit.
type fitResult struct {
	Task     string          `json:"task"`
	Kind     robot.Kind      `json:"kind,omitempty"` // "" = waypoints
	Demos    int             `json:"demos"`
	Stage    string          `json:"stage"`
	Frames   int             `json:"frames"`
	Strength float64         `json:"strength,omitempty"` // of waypoints
	Choices  []policy.Choice `json:"choices,omitempty"`
	Offline  *offline        `json:"offline,omitempty"` // of waypoints
	Steps    int             `json:"steps,omitempty"`   // of a chunk
	Policy   string          `json:"policy"`
}

// offline is what folds of whole demonstrations say, without a robot: shares of frames for which the
// place of the next event is found, within 0.05 of the picture. It is no success rate.
type offline struct {
	Found metrics.Fraction `json:"found"`
	Guess metrics.Fraction `json:"guess"` // the same for a place that is always the same
}

func (c *command) robotFit() *cobra.Command {
	r := &robotFlags{}
	cmd := c.robotCommand(&cobra.Command{
		Use:   "fit TASK",
		Short: "Fit a policy on demonstrations, and write it to a file",
		Long: `Fit a policy on demonstrations. -o writes it to a file with the contract of its robot: cameras,
names, order, units and limits of states and actions, rate, network, preset, what is familiar, and
the sha256 of it all. tlkit robot serve reads such files, and tlkit verify checks them.

TASK may be the folder of a LeRobot data set (2.1 or 3.0) of your own. Its state has to say where in
the picture of the camera the tip is, and its action what the gripper is told: --tip and --gripper
name these numbers. The figures are offline then: there is no simulator to try the policy in.`,
		Example: `  tlkit robot fit bench/sort --demos 25
  tlkit robot fit ~/lerobot/pick-the-cube --camera top --tip tip_x,tip_y --edges 0,640,0,480 --gripper gripper.pos
  tlkit robot fit bench/sort -o bee.policy.safetensors`,
	}, r, func(ctx context.Context, lab *robot.Lab) error {
		fitted, err := lab.Fit(ctx)
		if err != nil {
			return err
		}
		file := lab.PolicyFile()
		if r.out != "" {
			if _, err := lab.Export(ctx, r.out); err != nil {
				return err
			}
			file = r.out
		}
		out := fitResult{Task: lab.Spec.Task, Kind: lab.Spec.Policy, Demos: lab.Spec.Demos, Stage: lab.Spec.Stage, Frames: fitted.Frames, Policy: file}
		said, figures := "", ""
		var t show.Table
		switch p := fitted.Policy.(type) {
		case *policy.Waypoint:
			out.Strength, out.Choices = p.Strength, p.Choices
			t.Header = []string{"strength", "loss", "within half a cell", "median"}
			for _, choice := range p.Choices {
				t.Rows = append(t.Rows, []string{fmt.Sprintf("%g", choice.Strength), fmt.Sprintf("%.3f", choice.Loss), choice.Within.String(), fmt.Sprintf("%.3f", choice.Median)})
			}
			if found := p.Chosen().Near; found.Total > 0 {
				out.Offline = &offline{found, p.Guess}
			}
			said = fmt.Sprintf("strength %g", p.Strength)
			if !lab.Simulated() {
				figures = p.Offline()
			}
		case *policy.Chunk:
			out.Steps = p.Steps
			said = fmt.Sprintf("%d keypoints, %d steps", len(p.Points), p.Steps)
		}
		if c.result = out; c.json {
			return nil
		}
		if t.Rows != nil {
			c.sayTable(t)
		}
		c.say("%s, on %d frames of %d demonstrations, map of %s", said, fitted.Frames, lab.Spec.Demos, lab.Spec.Stage)
		if figures != "" {
			c.say("%s", figures)
		}
		c.say("policy   %s", file)
		return nil
	})
	policyFlag(cmd, r)
	recordedFlags(cmd, r)
	cmd.Flags().StringVarP(&r.out, "out", "o", "", "also write the policy to this file, such as bee.policy.safetensors")
	return cmd
}

// tryResult is the JSON of tlkit robot try.
type tryResult struct {
	Task       string              `json:"task"`
	Model      string              `json:"model"`
	Stage      string              `json:"stage"`
	Demos      int                 `json:"demos"`
	Episodes   int                 `json:"episodes"`
	Success    float64             `json:"success"` // share of the episodes
	Interval   metrics.Interval    `json:"interval"`
	Random     *float64            `json:"random"` // share with random weights, of all controls together; null without
	RandomEach []float64           `json:"random_each"`
	Paired     *metrics.Comparison `json:"paired,omitempty"` // of the best control (A) with the policy (B)
	Policy     string              `json:"policy"`
	Tries      []rollout.Episode   `json:"tries"`
}

func (c *command) robotTry() *cobra.Command {
	r := &robotFlags{}
	cmd := c.robotCommand(&cobra.Command{
		Use:   "try TASK",
		Short: "Try the policy in scenes that no demonstration shows",
		Long: `Try the policy in closed loop, in scenes that no demonstration shows. As controls, the same fit
on networks with random weights tries the same scenes. A policy that is not fitted yet is fitted
first. The success rate has its 95 % Wilson interval, and p is from the exact McNemar test,
scene by scene, against the best control.`,
		Example: `  tlkit robot try bench/sort
  tlkit robot try bench/sort --demos 10 --episodes 100 --json`,
	}, r, func(ctx context.Context, lab *robot.Lab) error {
		if lab.Spec.Policy == robot.Nearest {
			r.controls = 0 // they are networks for waypoints
		}
		t, err := lab.Try(ctx, r.episodes, r.controls)
		if err != nil {
			return err
		}
		if err := c.sayTried(lab, t); err != nil || r.clips == 0 {
			return err
		}
		film, err := lab.Film(ctx, t.Try, r.clips)
		if err != nil {
			return err
		}
		return c.sayFilm(lab, "try.png", film)
	})
	policyFlag(cmd, r)
	cmd.Flags().IntVar(&r.clips, "clips", 6, "scenes to film, failures first, with where the policy looks; 0 = none")
	cmd.Flags().IntVar(&r.episodes, "episodes", 100, "scenes to try")
	cmd.Flags().IntVar(&r.controls, "controls", 3, "networks with random weights to compare with; 0 = none")
	return cmd
}

func (c *command) sayTried(lab *robot.Lab, t *robot.Tried) error {
	s := t.Success()
	out := tryResult{Task: lab.Spec.Task, Model: lab.Spec.Model, Stage: lab.Spec.Stage, Demos: lab.Spec.Demos, Episodes: s.Total, Success: s.Value(), Interval: s.Interval(), RandomEach: []float64{}, Policy: lab.PolicyFile(), Tries: t.Episodes}
	for _, control := range t.Controls {
		out.RandomEach = append(out.RandomEach, control.Success().Value())
	}
	if len(t.Controls) > 0 {
		share, worst := t.Random().Value(), metrics.Comparison{}
		worst, err := t.Worst()
		if err != nil {
			return err
		}
		out.Random, out.Paired = &share, &worst
	}
	c.result = out
	if c.json {
		return nil
	}
	c.say("success  %s, from %d demonstrations", s, lab.Spec.Demos)
	if out.Paired != nil {
		c.say("random   %s with random weights, %d networks", t.Random(), len(t.Controls))
		c.say("paired   %d scenes to %d against the best of them, p %.1g", out.Paired.OnlyB, out.Paired.OnlyA, out.Paired.P)
	}
	for _, e := range t.Episodes {
		if !e.Success {
			c.say("failed   scene %d: %s", e.Scene, e.Why)
		}
	}
	if lab.PolicyFile() != "" {
		c.say("policy   %s", lab.PolicyFile())
	}
	return nil
}

func (c *command) robotCurve() *cobra.Command {
	r := &robotFlags{}
	cmd := c.robotCommand(&cobra.Command{
		Use:   "curve TASK",
		Short: "Draw success against the number of demonstrations, with controls",
		Long: `Try policies from 5, 10, 25 and 50 demonstrations in the same scenes, and draw success against the
number of demonstrations, with 95 % intervals: waypoints on the pretrained network, the same on a
network with random weights, the nearest demonstrations by pooled features, and the same controller
when it is told where to go.`,
		Example: `  tlkit robot curve bench/sort
  tlkit robot curve bench/sort --counts 10,100 --json`,
	}, r, func(ctx context.Context, lab *robot.Lab) error {
		curve, err := lab.Curve(ctx, r.counts, r.episodes)
		if err != nil {
			return err
		}
		path, err := lab.Keep("curve.png", curve.Figure())
		if err != nil {
			return err
		}
		c.result = curve
		if c.json {
			return nil
		}
		t := show.Table{Left: 1, Header: []string{"demonstrations"}}
		for _, p := range curve.Lines[0].Points {
			t.Header = append(t.Header, fmt.Sprint(p.Demos))
		}
		for _, line := range curve.Lines {
			row := []string{line.Name}
			for _, p := range line.Points {
				row = append(row, p.Success.String())
			}
			t.Rows = append(t.Rows, row)
		}
		c.sayTable(t)
		c.say("figure   %s", path)
		return nil
	})
	policyFlag(cmd, r)
	cmd.Flags().IntSliceVar(&r.counts, "counts", []int{5, 10, 25, 50}, "numbers of demonstrations")
	cmd.Flags().IntVar(&r.episodes, "episodes", 100, "scenes to try")
	return cmd
}

func (c *command) robotAlarms() *cobra.Command {
	r := &robotFlags{}
	cmd := c.robotCommand(&cobra.Command{
		Use:   "alarms TASK",
		Short: "Count how often the policy notices that something is wrong with its pictures",
		Long: `Try the policy in scenes that no demonstration shows: undisturbed, where each alarm is a false one,
and with something wrong, where an alarm counts within the first three looks:

  raw     bytes 0 to 255, where the network expects the numbers of its preset
  moved   the camera, by 5 % of the picture: left, right, up or down
  dim     the lamp, at 30 %
  black   pictures
  frozen  the first picture stays

An alarm means that what is seen is not familiar: unlike the demonstrations, by a limit that
demonstrations set which were held back. Robots that tlkit robot serve drives then hold.`,
		Example: "  tlkit robot alarms bench/sort\n  tlkit robot alarms bench/sort --film moved",
	}, r, func(ctx context.Context, lab *robot.Lab) error {
		if r.film != "" {
			film, err := lab.Disturbed(ctx, robot.Disturbance(r.film), r.clips)
			if err != nil {
				return err
			}
			return c.sayFilm(lab, "alarms-"+r.film+".png", film)
		}
		all, err := lab.Alarms(ctx, r.episodes)
		if err != nil {
			return err
		}
		c.result = all
		if c.json {
			return nil
		}
		t := show.Table{Left: 1, Header: []string{"what is wrong", "episodes with an alarm", "within"}}
		for _, a := range all {
			name, within := string(a.Disturbance), fmt.Sprintf("%d looks", a.Looks)
			if a.Looks == 0 {
				name, within = "nothing", "the episode"
			}
			t.Rows = append(t.Rows, []string{name, a.Alarm.String(), within})
		}
		c.sayTable(t)
		return nil
	})
	cmd.Flags().IntVar(&r.episodes, "episodes", 100, "scenes to try")
	cmd.Flags().StringVar(&r.film, "film", "", "only film the robot with this wrong, such as dim: it holds where what it sees is not familiar")
	cmd.Flags().IntVar(&r.clips, "clips", 4, "scenes to film")
	return cmd
}
