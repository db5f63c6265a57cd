package finetune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/curves"
	"github.com/tlkit/transfer-learning/tlkit/results"
)

// RateFind is the result of [FindRate]; see [results.RateFind].
type RateFind = results.RateFind

// FindRate trains with a rate that grows from step to step, keeping the proportions of the plan's
// groups, until the loss diverges. It suggests the rate at which the loss fell fastest. The net and
// head of d stay unchanged. A plan with a search is tried at its deepest stage.
//
// It is an error if the data or the plan are invalid, or if ctx is cancelled.
func FindRate(ctx context.Context, d Data, p Plan) (*RateFind, error) {
	o, err := d.check(p)
	if err != nil {
		return nil, err
	}
	p.Search, p.Patience = nil, 0
	p.Batch = min(p.Batch, len(d.Train))
	p.Groups = slices.Clone(p.Groups)
	for i := range p.Groups {
		p.Groups[i].After = 0
	}
	train, err := openPictures(ctx, d, view{items: d.Train, plan: p, borders: p.borders(d.Net), augmented: true})
	if err != nil {
		return nil, err
	}
	defer train.close()
	t, err := newTuner(d.Net, d.Engine, o, (&training{data: d, objective: o}).startingHead(p), p)
	if err != nil {
		return nil, err
	}
	defer t.close()
	out := &rateFind{}
	if err := out.climb(ctx, t, newFeeder(t, train, all(len(d.Train))), d.state); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("finetune: finding a rate: %w", err)
	}
	out.suggest()
	return &out.RateFind, nil
}

// rateFind is a result in the making.
type rateFind struct{ RateFind }

// climb takes a step at each rate until the loss diverges.
func (f *rateFind) climb(ctx context.Context, t *tuner, feed *feeder, report func(string, int, int)) error {
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	top := 0.0
	for _, g := range t.plan.Groups {
		top = max(top, g.Rate)
	}
	lowest := math.Inf(1)
	moved, rates := make([]int, len(t.plan.Groups)), make([]float64, len(t.plan.Groups))
	for b := range feed.run(feeding, 0, findSteps) {
		if b.err != nil {
			return b.err
		}
		step := len(f.Rates)
		rate := findFrom * math.Pow(findTo/findFrom, float64(step)/(findSteps-1))
		for i, g := range t.plan.Groups {
			rates[i], moved[i] = rate*g.Rate/top, step
		}
		o, err := t.run(b, t.plan.Rule.Now(moved, rates, t.plan.Rule.Momentum))
		if err != nil {
			return err
		}
		if !o.finite {
			return nil
		}
		report("trying rates", step+1, findSteps)
		f.Rates, f.Losses = append(f.Rates, rate), append(f.Losses, o.loss)
		smooth := f.smooth()
		last := smooth[len(smooth)-1].Value
		lowest = min(lowest, last)
		if step > 10 && last > 4*max(lowest, 0.05) {
			return nil
		}
	}
	return nil
}

func (f *rateFind) smooth() []curves.Point {
	points := make([]curves.Point, len(f.Losses))
	for i, loss := range f.Losses {
		points[i] = curves.Point{Step: i, Value: loss}
	}
	return curves.Smooth(points, 0.9)
}

// lowest returns the step at which the smoothed loss is lowest, or 0 if it is not lower than the
// first steps by more than their noise. What falls after that step only comes back from above.
func (f *rateFind) lowest(smooth []curves.Point) int {
	n := min(10, len(f.Losses)/4)
	if n < 3 {
		return 0
	}
	mean, square, at := 0.0, 0.0, 0
	for _, loss := range f.Losses[:n] {
		mean += loss / float64(n)
	}
	for _, loss := range f.Losses[:n] {
		square += (loss - mean) * (loss - mean) / float64(n-1)
	}
	for i := range smooth {
		if i >= n && (at == 0 || smooth[i].Value < smooth[at].Value) {
			at = i
		}
	}
	if noise := math.Sqrt(square / float64(n)); smooth[at].Value > mean-2*noise {
		return 0
	}
	return at
}

// suggest sets the rate at which the smoothed loss falls most steeply over the logarithm of the
// rate.
func (f *rateFind) suggest() {
	smooth := f.smooth()
	const reach = 4 // steps on each side, because a single batch says little
	steepest, end := 0.0, f.lowest(smooth)
	for i := reach; i+reach <= end; i++ {
		if slope := smooth[i+reach].Value - smooth[i-reach].Value; slope < steepest {
			steepest, f.Suggested = slope, f.Rates[i]
		}
	}
	if f.Suggested == 0 {
		f.Why = "no usable rate: the loss never fell by more than its noise; keep the plan's rate"
		return
	}
	f.Why = fmt.Sprintf("the loss falls fastest at %.2g; rates up to %.2g were tried", f.Suggested, f.Rates[len(f.Rates)-1])
}
