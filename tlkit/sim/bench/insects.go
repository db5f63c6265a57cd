package bench

import (
	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// bee is the number of the bee among the things; the others are ants.
const bee = 0

// somewhere draws a place where a thing can lie: the arm comes from below.
func somewhere(d *dice.Dice) vec { return vec{d.In(0.14, 0.86), d.In(0.14, 0.80)} }

// scatter lays out the insects, apart from each other and from the goal, and the tip away from
// the bee.
func scatter(w *World, d *dice.Dice, ants int) {
	w.goal = somewhere(d)
	for len(w.things) < 1+ants {
		p := somewhere(d)
		free := !w.bloom || p.dist(w.goal) >= 0.27
		for _, t := range w.things {
			free = free && p.dist(t.at) >= 0.22
		}
		if free {
			w.things = append(w.things, thing{at: p})
		}
	}
	for w.tip = w.things[bee].at; w.tip.dist(w.things[bee].at) <= 0.2; {
		w.tip = vec{d.In(0.1, 0.9), d.In(0.3, 0.9)}
	}
}

// fingers opens or shuts them. What is nearest within reach is held and goes where the tip goes.
func (w *World) fingers(shut bool) {
	if shut && !w.shut {
		best := grasp
		for i, t := range w.things {
			if d := t.at.dist(w.tip); d < best {
				best, w.held = d, i
			}
		}
		w.lifted = w.lifted || w.held > bee
	}
	if w.held >= 0 {
		w.things[w.held].at = w.tip
	}
	if !shut {
		w.held = -1
	}
	w.shut = shut
}

// fetch is how a teacher picks up the bee: there, and shut. Fingers shut on nothing or on an ant
// open first.
func (w *World) fetch() (move vec, shut bool) {
	if w.shut {
		return vec{}, false
	}
	d := w.things[bee].at.sub(w.tip)
	return d, d.length() < there
}

// sorting is the task Sort.
type sorting struct{ ants int }

func (t sorting) describe(s *sim.Spec) {
	s.Task, s.Goal = "bench/sort", "put the bee onto the blossom, and leave the ant"
	if t.ants > 1 {
		s.Task, s.Goal = [...]string{"bench/sort-two-ants", "bench/sort-three-ants"}[t.ants-2], "put the bee onto the blossom, and leave the ants"
	}
	s.Truth = []sim.Dimension{share("bee_x"), share("bee_y"), share("blossom_x"), share("blossom_y")}
}

func (t sorting) scene(w *World, d *dice.Dice) { scatter(w, d, t.ants) }
func (t sorting) truth(w *World) []vec         { return []vec{w.things[bee].at, w.goal} }

func (t sorting) acted(w *World, _ vec, shut bool) {
	had := w.held
	w.fingers(shut)
	if had == bee && !shut && w.tip.dist(w.goal) < near {
		w.end(true, "the bee is on the blossom")
	}
}

func (t sorting) teach(w *World) (move vec, shut bool) {
	if w.held != bee {
		return w.fetch()
	}
	d := w.goal.sub(w.tip)
	return d, d.length() >= there
}

func (t sorting) failed(w *World) string {
	if w.lifted {
		return "the bee is not on the blossom (an ant was lifted)"
	}
	return "the bee is not on the blossom"
}

// reaching is the task Reach.
type reaching struct{ ants int }

func (t reaching) describe(s *sim.Spec) {
	s.Task, s.Goal = "bench/reach", "take hold of the bee, not of an ant"
	s.Truth = []sim.Dimension{share("bee_x"), share("bee_y")}
}

func (t reaching) scene(w *World, d *dice.Dice) {
	w.bloom = false
	scatter(w, d, t.ants)
}

func (t reaching) truth(w *World) []vec                 { return []vec{w.things[bee].at} }
func (t reaching) teach(w *World) (move vec, shut bool) { return w.fetch() }
func (t reaching) failed(*World) string                 { return "the fingers hold nothing" }

func (t reaching) acted(w *World, _ vec, shut bool) {
	w.fingers(shut)
	switch {
	case w.held == bee:
		w.end(true, "the fingers hold the bee")
	case w.held > bee:
		w.end(false, "the fingers hold an ant")
	}
}
