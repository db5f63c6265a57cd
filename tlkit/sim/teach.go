package sim

import (
	"context"
	"fmt"
	"image"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/dice"
)

// A Frame is one step of an episode: what was seen and felt, and what was done then.
type Frame struct {
	Index    int
	Time     float64        // seconds since the episode began: Index / Spec.Rate
	Pictures []*image.NRGBA // one of each camera, in the order of Spec.Cameras; nil if not drawn
	State    []float32      // World.Feel
	Action   []float32      // what the teacher wanted to do, without the noise
	Truth    []float32      // World.Truth
}

// Lesson says how a teacher shows its task.
type Lesson struct {
	Side int // of the pictures in pixels; 0 = none are drawn

	// Noise disturbs what the arm does, so that the demonstrations show how to come back: its
	// deviation is that share of each limit; 0.3 is usual. The action in the frame is the
	// undisturbed one.
	Noise float64

	// Slip is the probability that the fingers do the opposite in a step.
	Slip float64
}

// Demonstrate lets the teacher do its task in scene seed. It calls each with every frame as it comes
// and keeps none; an error of each ends the episode and is returned.
func Demonstrate(ctx context.Context, w Teacher, seed uint64, l Lesson, each func(Frame) error) (Outcome, error) {
	if !(l.Noise >= 0 && l.Noise <= 10 && l.Slip >= 0 && l.Slip <= 1) { // NaN as well
		return Outcome{}, advice.New(fmt.Errorf("sim: a lesson with noise %v and slip %v", l.Noise, l.Slip), "noise is from 0 to 10, slip from 0 to 1")
	}
	if err := w.Reset(seed); err != nil {
		return Outcome{}, err
	}
	spec, d := w.Spec(), dice.New(seed, 0xabcdef)
	for i := 0; !w.Done().Over; i++ {
		if err := ctx.Err(); err != nil {
			return w.Done(), err
		}
		f := Frame{Index: i, Time: float64(i) / spec.Rate, State: w.Feel(), Action: w.Teach(), Truth: w.Truth()}
		if l.Side > 0 {
			for _, c := range spec.Cameras {
				picture, err := w.Draw(c.Name, l.Side)
				if err != nil {
					return w.Done(), err
				}
				f.Pictures = append(f.Pictures, picture)
			}
		}
		if err := each(f); err != nil {
			return w.Done(), err
		}
		if err := w.Step(disturb(spec, f.Action, l, d)); err != nil {
			return w.Done(), err
		}
	}
	return w.Done(), nil
}

// disturb is what an arm does that does not quite do what it was told.
func disturb(s Spec, action []float32, l Lesson, d *dice.Dice) []float32 {
	out := make([]float32, len(action))
	for i, v := range action {
		dim := s.Action[i]
		if dim.Role() == Gripper {
			if out[i] = v; d.Chance(l.Slip) {
				out[i] = float32(dim.Min+dim.Max) - v
			}
			continue
		}
		out[i] = float32(float64(v) + float64(l.Noise*float64(float64(dim.Max-dim.Min)/2*d.Bell())))
	}
	return out
}
