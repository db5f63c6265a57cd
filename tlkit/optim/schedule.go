package optim

import (
	"fmt"
	"math"
)

// Kind is the shape of a schedule.
type Kind string

// The kinds of schedule.
const (
	Constant Kind = "constant" // the rates as they are
	// OneCycle goes up and down again along cosines, and the momentum the other way: Smith 2018,
	// https://arxiv.org/abs/1803.09820.
	OneCycle Kind = "one_cycle"
	Cosine   Kind = "cosine"  // up along a straight line, then down to zero along a cosine
	Step     Kind = "step"    // times Drop after every Every epochs
	Plateau  Kind = "plateau" // times Drop when the loss has not fallen for more than Patience epochs
)

// Schedule says how the learning rates change during training: by a factor for the rates of all
// groups. It is plain data.
type Schedule struct {
	Kind     Kind    `json:"kind"`
	Warmup   float64 `json:"warmup,omitempty"`   // share of the steps that go up; OneCycle, Cosine
	Start    float64 `json:"start,omitempty"`    // factor of the first step; OneCycle (0 = 1/25), Cosine
	End      float64 `json:"end,omitempty"`      // factor of the last step; OneCycle (0 = Start/1e5)
	Every    int     `json:"every,omitempty"`    // epochs; Step
	Drop     float64 `json:"drop,omitempty"`     // factor in (0, 1]; Step, Plateau
	Patience int     `json:"patience,omitempty"` // epochs; Plateau
	// Momenta are the momentum at the smallest and at the largest rate; OneCycle. Zeros leave
	// the rule's momentum as it is.
	Momenta [2]float64 `json:"momenta,omitzero"`
}

// Check returns an error if the schedule is invalid.
func (s Schedule) Check() error {
	switch s.Kind {
	case Constant:
	case OneCycle, Cosine:
		if !(s.Warmup >= 0 && s.Warmup < 1) || !(s.Start >= 0 && s.Start <= 1) || !(s.End >= 0 && s.End <= 1) {
			return fmt.Errorf("optim: schedule %s with warm-up %v, start %v, end %v, want shares from 0 to 1, warm-up below 1", s.Kind, s.Warmup, s.Start, s.End)
		}
	case Step, Plateau:
		if !(s.Drop > 0 && s.Drop <= 1) || s.Patience < 0 || s.Kind == Step && s.Every < 1 {
			return fmt.Errorf("optim: schedule %s × %v every %d epochs, patience %d, want a factor in (0, 1], at least every epoch", s.Kind, s.Drop, s.Every, s.Patience)
		}
	default:
		return fmt.Errorf("optim: schedule %q, want %s, %s, %s, %s or %s", s.Kind, Constant, OneCycle, Cosine, Step, Plateau)
	}
	for _, m := range s.Momenta {
		if !(m >= 0 && m < 1) {
			return fmt.Errorf("optim: momenta %v, want numbers from 0 to below 1", s.Momenta)
		}
	}
	return nil
}

// Factor returns the factor of all rates at a step (0, 1, ...) of steps, perEpoch of them an epoch.
// It is 1 for Plateau, whose factor depends on the losses, see [Watch].
func (s Schedule) Factor(step, steps, perEpoch int) float64 {
	switch s.Kind {
	case OneCycle:
		low := orElse(s.Start, 1.0/25)
		return s.cycle(step, steps, low, 1, orElse(s.End, low/1e5))
	case Cosine:
		warmup := int(math.Round(s.Warmup * float64(steps)))
		if step < warmup {
			return s.Start + (1-s.Start)*float64(step)/float64(warmup)
		}
		return (1 + math.Cos(math.Pi*float64(step-warmup)/float64(max(steps-warmup, 1)))) / 2
	case Step:
		return math.Pow(s.Drop, float64(step/max(perEpoch, 1)/s.Every))
	}
	return 1
}

// Momentum returns the momentum of a step, which is standard unless the schedule moves it.
func (s Schedule) Momentum(step, steps int, standard float64) float64 {
	if s.Kind != OneCycle || s.Momenta == [2]float64{} {
		return standard
	}
	return s.cycle(step, steps, s.Momenta[0], s.Momenta[1], s.Momenta[0])
}

// cycle goes from low to high, and on to end, along two halves of a cosine, as PyTorch's OneCycleLR
// does.
func (s Schedule) cycle(step, steps int, low, high, end float64) float64 {
	cosine := func(first, last, share float64) float64 {
		return last + (first-last)/2*(1+math.Cos(math.Pi*min(share, 1)))
	}
	top := s.Warmup*float64(steps) - 1
	if last := float64(steps - 1); float64(step) > top {
		return cosine(high, end, (float64(step)-max(top, 0))/max(last-max(top, 0), 1))
	}
	return cosine(low, high, float64(step)/max(top, 1))
}

// Watch is the state of a Plateau schedule. The zero value has seen no epoch.
type Watch struct {
	Factor float64 `json:"factor"` // 0 stands for 1
	Best   float64 `json:"best"`   // smallest loss so far
	Bad    int     `json:"bad"`    // epochs since the smallest loss
	Seen   int     `json:"seen"`   // epochs
}

// Hear takes the loss of an epoch and returns the factor of all rates from now on. A loss is better
// if it is lower by a share of 1e-4, as in PyTorch.
func (w *Watch) Hear(s Schedule, loss float64) float64 {
	if w.Factor == 0 {
		w.Factor = 1
	}
	if w.Seen++; w.Seen == 1 || loss < w.Best*(1-1e-4) {
		w.Best, w.Bad = loss, 0
	} else if w.Bad++; w.Bad > s.Patience {
		w.Factor, w.Bad = w.Factor*s.Drop, 0
	}
	return w.Factor
}
