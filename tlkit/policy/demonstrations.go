package policy

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// Demonstrations are what a policy learns from.
type Demonstrations struct {
	Spec   sim.Spec
	Map    [3]int // of Frame.Seen: [h,w,C]; zero = pooled features
	Frames []Frame
}

// Frame is one step of a demonstration.
type Frame struct {
	Episode int       // frames of an episode follow each other, in the order of time
	State   []float32 // a number for each of Spec.State
	Action  []float32 // a number for each of Spec.Action
	// Seen is the features of the picture; nil = left out to save memory, so that this frame is not
	// learnt from. The first frame of an episode has some.
	Seen  []float32
	Light Light // of the picture; zero = not known. Only Familiarity needs it
}

// target is what a frame teaches: the place of the next event.
type target struct {
	frame int
	place [2]float64
	phase phase
	scene int // number of the scene; frames of one scene are in one fold
}

// The least number of scenes to learn from: with one, nothing can be held back.
const leastScenes = 2

// targets checks the demonstrations and returns what they teach, and the robot that shows it.
func (d Demonstrations) targets() (body body, all []target, err error) {
	if body, err = newBody(d.Spec); err != nil {
		return body, nil, err
	}
	if err := d.check(); err != nil {
		return body, nil, err
	}
	body.learnNothing(d.Frames)
	spans := d.spans()
	scenes := 0
	for _, s := range spans {
		found := body.events(d.Frames[s.from:s.to])
		if len(found) == 0 {
			return body, nil, advice.New(fmt.Errorf("policy: demonstration %d has no event: the gripper's command never changes in its %d frames", d.Frames[s.from].Episode, s.to-s.from), "leave it out; for a task without events, such as pushing, fit a Chunk: --policy chunk")
		}
		for _, t := range found {
			if t.frame, t.scene = t.frame+s.from, s.scene; d.Frames[t.frame].Seen != nil {
				all = append(all, t)
			}
		}
		scenes = max(scenes, s.scene+1)
	}
	switch {
	case len(spans) < leastScenes:
		return body, nil, advice.New(fmt.Errorf("policy: %d demonstrations, want %d or more", len(spans), leastScenes), "show some more, 25 are a good start: tlkit robot teach --demos 25")
	case scenes < leastScenes:
		return body, nil, advice.New(fmt.Errorf("policy: all %d demonstrations show the same scene, so nothing says what would work in another", len(spans)), "show other scenes: move the things, and the arm, before each demonstration")
	}
	return body, all, nil
}

// span is the frames of one demonstration, and the number of its scene.
type span struct{ from, to, scene int }

// spans lists the demonstrations. Those that begin with the same picture and the same state show the
// same scene.
func (d Demonstrations) spans() (all []span) {
	scenes := map[uint64]int{}
	seed := maphash.MakeSeed() // only equality counts
	for from := 0; from < len(d.Frames); {
		to := from + 1
		for to < len(d.Frames) && d.Frames[to].Episode == d.Frames[from].Episode {
			to++
		}
		sum := maphash.Comparable(seed, fmt.Sprint(d.Frames[from].Seen, d.Frames[from].State))
		if _, ok := scenes[sum]; !ok {
			scenes[sum] = len(scenes)
		}
		all = append(all, span{from, to, scenes[sum]})
		from = to
	}
	return all
}

// check looks for what no policy can learn from.
func (d Demonstrations) check() error {
	if len(d.Frames) == 0 {
		return advice.New(errors.New("policy: no demonstrations"), "tlkit robot teach TASK --demos 25 records some")
	}
	width := d.Map[0] * d.Map[1] * d.Map[2]
	if d.Map == [3]int{} {
		width = len(d.Frames[0].Seen)
	}
	if width < 1 {
		return fmt.Errorf("policy: a map of %v, want three positive numbers", d.Map)
	}
	for i, f := range d.Frames {
		first := i == 0 || d.Frames[i-1].Episode != f.Episode
		if len(f.Seen) != width && (f.Seen != nil || first) {
			return fmt.Errorf("policy: frame %d (demonstration %d) has %d features, want %d", i, f.Episode, len(f.Seen), width)
		}
		if at := notFinite(f.Seen); at >= 0 {
			return fmt.Errorf("policy: feature %d of frame %d (demonstration %d) is %v: the weights are broken or the preset is wrong", at, i, f.Episode, f.Seen[at])
		}
		if err := d.fits(f); err != nil {
			return fmt.Errorf("policy: frame %d (demonstration %d): %w", i, f.Episode, err)
		}
	}
	return nil
}

// fits reports the first number of a frame that does not fit the robot.
func (d Demonstrations) fits(f Frame) error {
	if err := fits(f.State, d.Spec.State, "state"); err != nil {
		return err
	}
	return fits(f.Action, d.Spec.Action, "action")
}

// CheckNumbers reports the first state or action that is not finite, beyond its limits, or of another
// count than the robot has. It needs no features.
func (d Demonstrations) CheckNumbers() error {
	first := 0
	for i, f := range d.Frames {
		if i > 0 && d.Frames[i-1].Episode != f.Episode {
			first = i
		}
		if err := d.fits(f); err != nil {
			return fmt.Errorf("policy: demonstration %d, frame %d: %w", f.Episode, i-first, err)
		}
	}
	return nil
}

// Events counts what waypoints are learnt from: the frames in which the gripper is told to open or
// close; of a robot without a gripper, the demonstrations. It needs no features. It is an error if the
// robot is not one that waypoints can drive.
func (d Demonstrations) Events() (n int, err error) {
	b, err := newBody(d.Spec)
	if err != nil {
		return 0, err
	}
	for i, f := range d.Frames {
		if b.shut < 0 && (i == 0 || d.Frames[i-1].Episode != f.Episode) || b.event(f.State, f.Action) {
			n++
		}
	}
	return n, nil
}

// fits reports the first number that does not fit its dimension.
func fits(values []float32, dims []sim.Dimension, what string) error {
	if len(values) != len(dims) {
		return fmt.Errorf("%s of %d numbers, want %d: is the robot another one?", what, len(values), len(dims))
	}
	for i, v := range values {
		d := dims[i]
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return advice.New(fmt.Errorf("the %s's %s is %v", what, d.Name, v), "leave the demonstration out, or record it again")
		}
		// A little beyond is rounding.
		if slack := 1e-3 * (d.Max - d.Min); what == "action" && d.Max > d.Min && (float64(v) < d.Min-slack || float64(v) > d.Max+slack) {
			return advice.New(fmt.Errorf("the action's %s is %g, beyond its limits of %g to %g", d.Name, v, d.Min, d.Max), "check the units and the order of the numbers")
		}
	}
	return nil
}

// notFinite returns the place of the first NaN or infinity, -1 = there is none.
func notFinite(values []float32) int {
	for i, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return i
		}
	}
	return -1
}
