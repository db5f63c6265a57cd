package sim_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"

	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// rail is the smallest world: a tool on a rail has to reach a mark, and to close its fingers there.
type rail struct {
	tip, mark float32
	done      sim.Outcome
}

func (r *rail) Spec() sim.Spec {
	return sim.Spec{
		Task: "example/rail", Goal: "close the fingers at the mark", Robot: "rail", Rate: 10, Steps: 40,
		State:   []sim.Dimension{{Name: "x", Unit: "picture", Max: 1}},
		Action:  []sim.Dimension{{Name: "dx", Unit: "picture", Min: -0.1, Max: 0.1}, {Name: "gripper", Max: 1}},
		Truth:   []sim.Dimension{{Name: "mark_x", Unit: "picture", Max: 1}},
		Cameras: []sim.Camera{{Name: "top", Side: 64}},
	}
}

func (r *rail) Reset(seed uint64) error {
	*r = rail{tip: 0.5, mark: float32(seed%10) / 10}
	return nil
}

func (r *rail) Draw(camera string, side int) (*image.NRGBA, error) {
	if camera != "top" || side < 8 {
		return nil, errors.New("rail: there is one camera, top")
	}
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		img.Set(int(r.mark*float32(side-1)), y, color.White)
	}
	return img, nil
}

func (r *rail) Feel() []float32   { return []float32{r.tip} }
func (r *rail) Truth() []float32  { return []float32{r.mark} }
func (r *rail) Done() sim.Outcome { return r.done }

func (r *rail) Step(action []float32) error {
	a, err := r.Spec().Limit(action)
	if err != nil {
		return err
	}
	r.tip += a[0]
	r.done.Steps++
	if near := max(r.tip-r.mark, r.mark-r.tip) < 0.05; a[1] > 0.5 {
		r.done.Over, r.done.Success, r.done.Why = true, near, "the fingers closed"
	} else if r.done.Steps == r.Spec().Steps {
		r.done.Over, r.done.Why = true, "out of steps"
	}
	return nil
}

func (r *rail) Teach() []float32 {
	d := r.mark - r.tip
	if max(d, -d) < 0.02 {
		return []float32{0, 1}
	}
	return []float32{min(max(d, -0.1), 0.1), 0}
}

func Example() {
	sim.Register("example/rail", func() sim.World { return new(rail) })
	w, err := sim.Open("example/rail")
	if err != nil {
		fmt.Println(err)
		return
	}
	seen := 0
	outcome, err := sim.Demonstrate(context.Background(), w.(sim.Teacher), 8, sim.Lesson{Side: 64}, func(f sim.Frame) error {
		fmt.Printf("%.1f s: at %.1f, moves %.1f\n", f.Time, f.State[0], f.Action[0])
		seen += len(f.Pictures)
		return nil
	})
	fmt.Println(outcome.Success, outcome.Steps, "steps,", seen, "pictures", err)
	// Output:
	// 0.0 s: at 0.5, moves 0.1
	// 0.1 s: at 0.6, moves 0.1
	// 0.2 s: at 0.7, moves 0.1
	// 0.3 s: at 0.8, moves 0.0
	// true 4 steps, 4 pictures <nil>
}
