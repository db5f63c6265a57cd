package learner

import (
	"context"
	"fmt"
	"math"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// RateFind is what a run through ever larger rates showed.
type RateFind struct {
	Points    []RatePoint `json:"points"`
	Suggested float64     `json:"suggested"` // where the smoothed loss falls fastest; 0 = it never fell
	Why       string      `json:"why"`
}

// Series are the rates and the losses of the steps, for plots.Rates.
func (f *RateFind) Series() (rates, losses []float64) {
	for _, p := range f.Points {
		rates, losses = append(rates, p.Rate), append(losses, p.Loss)
	}
	return rates, losses
}

// RatePoint is one step of it.
type RatePoint struct {
	Rate float64 `json:"rate"` // of the group with the largest one
	Loss float64 `json:"loss"` // of the step's batch
}

// findSteps and the rates they go through: Smith 2015, https://arxiv.org/abs/1506.01186, with the limits of fastai.
const (
	findSteps = 80
	findFrom  = 1e-6
	findTo    = 1
)

// FindRate trains with rates that grow from step to step, keeping the proportions of the plan's groups, until the loss
// has run away, and suggests the one where it fell fastest. Nothing of it stays: net and head of d are as they were. A
// plan that searches is tried at its deepest stage.
func FindRate(ctx context.Context, d TuneData, p TunePlan) (*RateFind, error) {
	obj, err := d.check(p)
	if err != nil {
		return nil, err
	}
	p.Search, p.Patience = nil, 0
	p.Batch = min(p.Batch, len(d.Train))
	top := 0.0
	p.Groups = append([]Group(nil), p.Groups...)
	for i := range p.Groups {
		top = max(top, p.Groups[i].Rate)
		p.Groups[i].After = 0
	}
	train, err := openPictures(ctx, d.Net, d.Engine, d.Train, p, p.borders(d.Net), true, d.state)
	if err != nil {
		return nil, err
	}
	defer train.close()
	start := obj.standardised(d.Head.Head)
	if p.Fresh {
		start = freshHead(d.Classes, d.Net.Row.Features, p.Seed)
	}
	t, err := newTuner(d.Net, d.Engine, obj, start, p)
	if err != nil {
		return nil, err
	}
	defer t.close()
	feed := d.feeder(t, train, all(len(d.Train)))
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	out := &RateFind{}
	lowest := math.Inf(1)
	moved, rates := make([]int, len(p.Groups)), make([]float64, len(p.Groups))
	for b := range feed.run(feeding, 0, findSteps) {
		if b.err != nil {
			return nil, b.err
		}
		step := len(out.Points)
		rate := findFrom * math.Pow(findTo/findFrom, float64(step)/(findSteps-1))
		for i, g := range p.Groups {
			rates[i], moved[i] = rate*g.Rate/top, step
		}
		o, err := t.run(b, p.Rule.Now(moved, rates, p.Rule.Momentum))
		if err != nil {
			return nil, err
		}
		if !o.finite {
			break
		}
		d.state("trying rates", step+1, findSteps)
		out.Points = append(out.Points, RatePoint{rate, o.loss})
		smooth := out.smooth()
		last := smooth[len(smooth)-1].Value
		lowest = min(lowest, last)
		if step > 10 && last > 4*max(lowest, 0.05) {
			break // it has run away
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("learner: finding a rate: %w", err)
	}
	out.suggest()
	return out, nil
}

func (f *RateFind) smooth() []curves.Point {
	points := make([]curves.Point, len(f.Points))
	for i, p := range f.Points {
		points[i] = curves.Point{Step: i, Value: p.Loss}
	}
	return curves.Smooth(points, 0.9)
}

// suggest takes the steepest fall of the smoothed loss over the logarithm of the rate.
func (f *RateFind) suggest() {
	smooth := f.smooth()
	const reach = 4 // steps to each side: a single batch says little
	steepest := 0.0
	for i := reach; i+reach < len(smooth); i++ {
		if slope := smooth[i+reach].Value - smooth[i-reach].Value; slope < steepest {
			steepest, f.Suggested = slope, f.Points[i].Rate
		}
	}
	if f.Suggested == 0 {
		f.Why = "the loss never fell: the head is fitted as well as these rates can make it, keep to the plan's"
		return
	}
	f.Why = fmt.Sprintf("the loss falls fastest at %.2g; it was tried up to %.2g", f.Suggested, f.Points[len(f.Points)-1].Rate)
}
