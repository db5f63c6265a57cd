//go:build !tlkit_worker

package tlkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/policy"
	"github.com/tlkit/transfer-learning/tlkit/robot"
	"github.com/tlkit/transfer-learning/tlkit/show"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Robot describes a robot and the task it is taught. Only Name and Task are required.
//
//	var arm = tlkit.Robot{Name: "bee-to-blossom", Task: "bench/sort"}
//
//	%%
//	arm.Watch(6)             // the teacher, as a film
//	arm.Teach()              // demonstrations, and their features, cached
//	arm.Fit()                // learns where the fingers next open or close: convex, in seconds
//	arm.Try(100)             // in scenes that no demonstration shows; failures first, as films
//	arm.Curve(5, 10, 25, 50) // success against demonstrations, beside controls
//	arm.Export("bee.policy.safetensors") // for tlkit robot serve
type Robot struct {
	// Name of the folder .tlkit/NAME, where the results are stored.
	Name string
	// Task is a simulated one: "bench/sort", "bench/sort-two-ants", "bench/reach", or, in MuJoCo,
	// "mujoco/fetch-pick". Or it is the folder of a LeRobot data set, beside the notebook: Teach, Fit and
	// Export learn from it, and there is no simulator for the other methods. The cell imports what reads
	// it: _ "github.com/tlkit/transfer-learning/tlkit/episodes".
	Task string
	// Camera, Tip, Edges and Gripper say how a data set is read: see [robot.Data].
	Camera  string
	Tip     [2]string
	Edges   [4]float64
	Gripper string
	// Backbone is a network of [Models]; "" stands for mobilenetv2.
	Backbone string
	// Stage is the part of the network whose map is used; "" = the last one with a cell every 16
	// pixels. Layers of a Learner lists the stages.
	Stage string
	// Policy is "" for waypoints, which are learnt on maps, or "nearest", a baseline without training: the
	// most similar demonstrated pictures by pooled features, which know what but not where.
	Policy robot.Kind
	// Demos is the number of demonstrations to learn from; 0 = 50, or all of a data set.
	Demos int
	// Seed chooses the scenes of the demonstrations, 1 to 999; 0 = 1.
	Seed uint64
	// Scenes is the number of scenes in which Curve tries each policy; 0 = 100.
	Scenes int
}

// lab opens the robot for a method.
func (r Robot) lab(what string, do func(context.Context, *robot.Lab) error) {
	verbIn(what+" of "+r.Name, "", func(ctx context.Context) error {
		if r.Name == "" {
			return advice.New(errors.New("a robot without a name"), `write tlkit.Robot{Name: "bee-to-blossom", Task: "bench/sort"}`)
		}
		if os.Getenv(quickVar) == "1" && slices.Contains(sim.Tasks(), r.Task) {
			r.Demos = quickDemos
		}
		l, err := robot.Open(ctx, r.spec(), place(r.Name), reporter{})
		if err != nil {
			return err
		}
		defer l.Close()
		return do(ctx, l)
	})
}

// spec is what package robot is told.
func (r Robot) spec() robot.Spec {
	s := robot.Spec{
		Task: r.Task, Model: r.Backbone, Stage: r.Stage, Policy: r.Policy, Demos: r.Demos, Seed: r.Seed,
		Data: robot.Data{Camera: r.Camera, Tip: r.Tip, Edges: r.Edges, Gripper: r.Gripper},
	}
	if st, err := os.Stat(inFolder(r.Task)); err == nil && st.IsDir() && r.Task != "" && !slices.Contains(sim.Tasks(), r.Task) {
		s.Task = inFolder(r.Task)
	}
	return s
}

// Watch shows a film of the teacher, with a clip of each of the first demonstrations.
func (r Robot) Watch(clips int) {
	r.lab("Watch", func(ctx context.Context, l *robot.Lab) error {
		film, err := l.Watch(ctx, clips)
		if err != nil {
			return err
		}
		return play(l, "watch", film)
	})
}

// cellFilm is the most bytes of a film in a cell, so that a notebook stays small enough to be kept
// under version control. The file has all of it.
const cellFilm = 200_000

// quickDemos and quickEpisodes are the most in a quick notebook.
const quickDemos, quickEpisodes = 10, 20

// play shows a film. Outside of notebooks it is a file in the robot's folder.
func play(l *robot.Lab, name string, film show.Film) error {
	show.Default.Clear()
	path, err := l.Keep(name+".png", film)
	if err != nil {
		return err
	}
	if show.Default.InCell() {
		film.Most = cellFilm
		return show.Default.Pictures(name, show.Drawn, film)
	}
	show.Default.Text(film.Text() + " " + path)
	return nil
}

// Teach lets the teacher show the task, and computes the features of what it shows.
func (r Robot) Teach() {
	r.lab("Teach", func(ctx context.Context, l *robot.Lab) error {
		t, err := l.Teach(ctx)
		if err != nil {
			return err
		}
		show.Default.Clear()
		show.Default.Text(fmt.Sprintf("%d demonstrations: %s. %d frames, seen with the map behind %s of %s (%d of them were in the cache).", t.Success, l.Robot.Goal, t.Frames, l.Spec.Stage, l.Spec.Model, t.Cached))
		return nil
	})
}

// Fit fits the policy, and shows what the folds of demonstrations said about its strength.
func (r Robot) Fit() {
	r.lab("Fit", func(ctx context.Context, l *robot.Lab) error {
		f, err := l.Fit(ctx)
		if err != nil {
			return err
		}
		show.Default.Clear()
		switch p := f.Policy.(type) {
		case *policy.Waypoint:
			show.Default.Table(strengths(p))
			show.Default.Text(fmt.Sprintf("Waypoints learnt from %d frames of %d demonstrations, %d numbers.", p.Frames, l.Spec.Demos, 2*len(p.Weight[0])))
			if !l.Simulated() {
				show.Default.Text(p.Offline())
			}
		case *policy.Chunk:
			show.Default.Text(fmt.Sprintf("Chunks of %d actions learnt from %d frames of %d demonstrations, in %d steps.", p.Ahead, p.Frames, l.Spec.Demos, p.Steps))
		}
		return nil
	})
}

// Export writes the policy to a file with the contract of its robot, for tlkit robot serve: cameras,
// states and actions with names, order, units and limits, the rate, the network with its preset, and
// what is familiar.
func (r Robot) Export(path string) {
	r.lab("Export", func(ctx context.Context, l *robot.Lab) error {
		f, err := l.Export(ctx, inFolder(path))
		if err != nil {
			return err
		}
		show.Default.Clear()
		show.Default.Text(fmt.Sprintf("%s: a policy from %d demonstrations of %s, with the contract of its robot, sha256 %s.", path, f.Learnt.Demonstrations, f.Learnt.Source, f.SHA256[:12]))
		return nil
	})
}

// strengths is what folds said about the strengths of waypoints.
func strengths(w *policy.Waypoint) show.Table {
	t := show.Table{Caption: "in demonstrations that the fit has not seen", Header: []string{"strength", "loss", "place within half a cell", "median distance"}}
	for _, c := range w.Choices {
		mark := ""
		if c.Strength == w.Strength {
			mark = " (taken)"
		}
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%g%s", c.Strength, mark), fmt.Sprintf("%.3f", c.Loss), c.Within.String(), fmt.Sprintf("%.1f %% of the picture", 100*c.Median)})
	}
	return t
}

// Try tries the policy in scenes that no demonstration shows, and shows its success with
// Wilson's 95 % interval and a film, failures first, with where it looks.
func (r Robot) Try(episodes int) {
	r.lab("Try", func(ctx context.Context, l *robot.Lab) error {
		clips := 6
		if show.Default.InCell() {
			clips = 3
		}
		if os.Getenv(quickVar) == "1" {
			episodes = min(episodes, quickEpisodes)
		}
		t, err := l.Try(ctx, episodes, 0)
		if err != nil {
			return err
		}
		film, err := l.Film(ctx, t.Try, clips)
		if err != nil {
			return err
		}
		if err := play(l, "try", film); err != nil {
			return err
		}
		show.Default.Text(fmt.Sprintf("Success: %s, from %d demonstrations.", t.Success(), l.Spec.Demos))
		return nil
	})
}

// Break tries the policy while something is wrong with its pictures, and first while nothing is: "raw"
// bytes, a camera that was "moved", "dim" light, "black" or "frozen" pictures. It shows success, and
// whether the policy noticed within three looks. It does not hold here, as it does behind tlkit robot
// serve.
func (r Robot) Break(episodes int, with ...robot.Disturbance) {
	r.lab("Break", func(ctx context.Context, l *robot.Lab) error {
		if os.Getenv(quickVar) == "1" {
			episodes = min(episodes, quickEpisodes)
		}
		all, err := l.Break(ctx, episodes, with...)
		if err != nil {
			return err
		}
		show.Default.Clear()
		t := show.Table{Left: 1, Header: []string{"what is wrong", "success", "noticed within three looks"}}
		for _, b := range all {
			t.Rows = append(t.Rows, []string{cmp.Or(string(b.Disturbance), "nothing"), b.Success.String(), b.Noticed.String()})
		}
		show.Default.Table(t)
		return nil
	})
}

// Curve draws success against the numbers of demonstrations, each in the same Scenes, at most 20 in a
// quick notebook, beside controls: random weights, the nearest demonstrations, the truth.
func (r Robot) Curve(demos ...int) {
	r.lab("Curve", func(ctx context.Context, l *robot.Lab) error {
		episodes := cmp.Or(r.Scenes, 100)
		if os.Getenv(quickVar) == "1" {
			episodes = min(episodes, quickEpisodes)
			demos = slices.DeleteFunc(slices.Clone(demos), func(n int) bool { return n > quickDemos })
		}
		c, err := l.Curve(ctx, demos, episodes)
		if err != nil {
			return err
		}
		show.Default.Clear()
		if err := show.Default.Figure("curve", c.Figure()); err != nil {
			return err
		}
		var said []string
		for _, p := range c.Lines[0].Points {
			said = append(said, fmt.Sprintf("%d demonstrations: %d scenes to %d, p %.1g", p.Demos, p.Paired.OnlyB, p.Paired.OnlyA, p.Paired.P))
		}
		show.Default.Text("Pretrained against random weights, in the same scenes: " + strings.Join(said, "; ") + ".")
		return nil
	})
}
