package plots

import (
	"math"

	"github.com/tlkit/transfer-learning/tlkit/curves"
)

// bySolver reports whether the run's axis counts the steps of a head's solver.
func bySolver(r curves.Run) bool { return r.Axis == curves.Iterations || r.Axis == curves.Strengths }

// border returns the step and the epoch at which fine-tuning starts.
func border(r curves.Run) (step int, epoch float64, ok bool) {
	if _, ok := r.Unfrozen(); !ok {
		return 0, 0, false
	}
	for _, m := range r.Marks {
		if m.Kind == curves.Unfreeze {
			return m.Step, m.Epoch, true
		}
	}
	for _, p := range r.Points {
		if p.Phase == curves.Head && p.Step >= step {
			step, epoch = p.Step, p.Epoch
		}
	}
	return step, epoch, true
}

// separate gives each of the two phases of a run its own axis: a head is fitted in solver steps and
// the network fine-tuned in epochs, which have no common unit. In the result, x is the step up to
// ch.solved, the length of the longest head, and after that ch.solved plus the epochs since. Runs
// without a solver or without fine-tuning are unchanged.
func (ch *curvesChart) separate(runs []curves.Run) {
	tuned := false
	for _, r := range runs {
		if !bySolver(r) {
			return
		}
		ch.axis = r.Axis
		step, _, ok := border(r)
		tuned = tuned || ok
		for _, p := range r.Points {
			if !ok {
				step = max(step, p.Step)
			}
		}
		ch.solved = max(ch.solved, float64(step))
	}
	if !tuned {
		ch.solved = 0
		return
	}
	for i := range runs {
		r := &runs[i]
		step, epoch, ok := border(*r)
		x := func(s int, e float64) float64 {
			if !ok || s <= step {
				return float64(s)
			}
			return ch.solved + math.Max(0, e-epoch)
		}
		for k, p := range r.Points {
			r.Points[k].Epoch = x(p.Step, p.Epoch)
		}
		for k, m := range r.Marks {
			r.Marks[k].Epoch = x(m.Step, m.Epoch)
			if m.Kind == curves.Unfreeze {
				r.Marks[k].Epoch = ch.solved
			}
		}
		r.Axis = curves.Epochs
	}
}

// where describes a place on the x axis in words.
func (ch *curvesChart) where(x float64) string {
	if ch.solved > 0 && x > ch.solved {
		return "epoch " + place(x-ch.solved) + " of fine-tuning"
	}
	return ch.axis + " " + place(x)
}

// setX sets the x axis of a panel over the span of all.
func (ch *curvesChart) setX(p *curvesPanel, x span) {
	before := x
	if ch.solved > 0 {
		before.hi = ch.solved
	}
	// A solver makes most of its progress in the first iterations.
	log := ch.axis == curves.Iterations && before.lo >= 1 && before.hi > 12
	head := whole(span{0, before.hi}, 8)
	if log {
		head = decades(before, "")
	}
	name := ch.axis
	switch {
	case ch.axis == curves.Iterations:
		name = "iteration of the solver"
	case ch.axis == curves.Strengths:
		name = "strength no., strongest first"
	}
	if log {
		name += ", log scale"
	}
	p.x, p.xName = head, name
	if ch.solved == 0 {
		return
	}
	tuning := max(1, x.hi-ch.solved)
	p.x, p.xName, p.headName = whole(span{0, tuning}, 6).after(head), curves.Epochs, ch.axis
	for i, t := range p.x.ticks { // the head's part only has room for a few labels
		if t.value <= ch.solved && log && t.value > 1 && math.Log10(t.value) != math.Trunc(math.Log10(t.value)) && ch.solved > 30 {
			p.x.ticks[i].label = ""
		}
	}
	switch {
	case ch.axis == curves.Strengths:
		ch.addNote("Frozen: strengths of L2, the strongest first.  Fine-tuned: epochs")
	case log:
		ch.addNote("Frozen: iterations of the head's solver, log scale.  Fine-tuned: epochs")
	default:
		ch.addNote("Frozen: iterations of the head's solver.  Fine-tuned: epochs")
	}
}

// settle excludes the first steps of a solver from the y axis if they lie far from all later ones:
// the loss of an untrained head says nothing about the trained one. The line then starts at the
// edge of the panel. settle describes in words what it left out.
func (ch *curvesChart) settle(p *curvesPanel, y func(from float64) span) (span, string) {
	all := y(math.Inf(-1))
	if ch.axis == curves.Epochs || p.metric == curves.Rate {
		return all, ""
	}
	for from := 2.0; from <= 4; from++ {
		rest := y(from)
		if rest.empty() || rest.hi-rest.lo <= 0 || rest.hi-rest.lo > 0.4*(all.hi-all.lo) {
			continue
		}
		seen := newSpan()
		for _, s := range p.series {
			for _, a := range s.samples {
				if a.x < from && (a.y < rest.lo || a.y > rest.hi) {
					seen.add(a.y)
				}
			}
		}
		if seen.empty() {
			continue
		}
		words := p.value(seen.lo)
		if high := p.value(seen.hi); high != words {
			words += " to " + high
		}
		return rest, p.metric.Title() + " " + words
	}
	return all, ""
}
