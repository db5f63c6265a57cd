package bench

import (
	"math"

	"github.com/tlkit/transfer-learning/internal/dice"
	"github.com/tlkit/transfer-learning/tlkit/sim"
)

// pushing is the task Push: a cube of sugar slides under closed fingers.
//
// It moves quasi-statically: slowly enough that friction with the table stops it at once. Force
// and moment of that friction lie on a limit surface, taken as an ellipsoid, so that the motion
// follows from the push alone (Lynch, Maekawa and Tanie, 1992): the fingers stick where the force
// lies within their own cone of friction, and slide along the face where it does not.
type pushing struct{}

const (
	half     = 0.055 // of the sugar's side
	finger   = 0.022 // radius of the closed fingers
	cone     = 0.35  // coefficient of friction between fingers and sugar
	moment   = 0.042 // largest moment over largest force of the friction below: 0.76 of half, for a square
	substeps = 24    // of one step
	onto     = 0.05  // how near the sugar's middle counts
)

func (pushing) describe(s *sim.Spec) {
	s.Task, s.Goal, s.Steps = "bench/push", "push the sugar onto the blossom", 200
	s.Truth = []sim.Dimension{share("sugar_x"), share("sugar_y"), {Name: "sugar_cos", Min: -1, Max: 1}, {Name: "sugar_sin", Min: -1, Max: 1}, share("blossom_x"), share("blossom_y")}
}

func (pushing) scene(w *World, d *dice.Dice) {
	inner := func() vec { return vec{d.In(0.2, 0.8), d.In(0.2, 0.74)} }
	w.goal = inner()
	sugar := thing{at: w.goal}
	for sugar.at.dist(w.goal) < 0.25 {
		sugar.at = inner()
	}
	u := vec{d.In(-1, 1), d.In(-1, 1)}.unit()
	sugar.cos, sugar.sin = u.x, u.y
	for w.tip = sugar.at; w.tip.dist(sugar.at) < 0.2; {
		w.tip = vec{d.In(0.1, 0.9), d.In(0.3, 0.9)}
	}
	w.things, w.shut = []thing{sugar}, true
}

func (pushing) truth(w *World) []vec {
	s := w.things[0]
	return []vec{s.at, {s.cos, s.sin}, w.goal}
}

func (pushing) failed(*World) string { return "the sugar is not on the blossom" }

// acted slides the tip to where it went, and the sugar before it. The fingers stay shut.
func (pushing) acted(w *World, from vec, _ bool) {
	to, s := w.tip, &w.things[0]
	for i := 1; i <= substeps; i++ {
		s.give(from.add(to.sub(from).times(float64(i) / substeps)))
	}
	if s.at.dist(w.goal) < onto {
		w.end(true, "the sugar is on the blossom")
	}
}

// touch returns the point of the sugar that is nearest to p and the direction from p into the sugar
// there, both as the sugar sees them, and how far fingers at p reach into it (negative = not at all).
func (s *thing) touch(p vec) (at, into vec, depth float64) {
	q := p.sub(s.at).turnedBack(vec{s.cos, s.sin})
	at = vec{min(max(q.x, -half), half), min(max(q.y, -half), half)}
	if d := at.sub(q); d.length() > 1e-12 {
		return at, d.unit(), finger - d.length()
	}
	// The middle of the fingers is within the sugar: out through the nearest face.
	if x, y := half-math.Abs(q.x), half-math.Abs(q.y); x < y {
		side := math.Copysign(1, q.x)
		return vec{mul(side, half), q.y}, vec{-side, 0}, finger + x
	} else {
		side := math.Copysign(1, q.y)
		return vec{q.x, mul(side, half)}, vec{0, -side}, finger + y
	}
}

// give moves the sugar out of the way of fingers at p.
func (s *thing) give(p vec) {
	at, into, depth := s.touch(p)
	if depth <= 0 {
		return
	}
	move, spin := slide(at, into, into.times(depth))
	s.at = s.at.add(move.turned(vec{s.cos, s.sin}))
	u := vec{s.cos - mul(s.sin, spin), s.sin + mul(s.cos, spin)}.unit()
	s.cos, s.sin = u.x, u.y
	if _, into, left := s.touch(p); left > 0 { // what the linear step has left
		s.at = s.at.add(into.times(left).turned(vec{s.cos, s.sin}))
	}
	s.at = vec{min(max(s.at.x, 0.08), 0.92), min(max(s.at.y, 0.08), 0.92)}
}

// slide returns how a body moves and turns whose point at is pushed by v, along the inner normal
// into, as the body sees it.
func slide(at, into, v vec) (move vec, spin float64) {
	c2 := mul(moment, moment)
	d := c2 + at.dot(at)
	stick := vec{
		(mul(c2+mul(at.x, at.x), v.x) + mul(mul(at.x, at.y), v.y)) / d,
		(mul(mul(at.x, at.y), v.x) + mul(c2+mul(at.y, at.y), v.y)) / d,
	}
	along := into.left()
	// On an ellipsoid the force points as the body moves.
	if side := stick.dot(along); math.Abs(side) > mul(cone, stick.dot(into)) {
		edge := into.add(along.times(math.Copysign(cone, side)))
		turn := at.cross(edge) / c2
		point := edge.add(at.left().times(turn)) // how fast the touched point goes
		k := v.dot(into) / max(point.dot(into), 1e-9)
		return edge.times(k), mul(turn, k)
	}
	return stick, at.cross(stick) / c2
}

// teach goes behind the sugar and pushes it straight at the blossom; when the push has gone
// askew, it backs off and comes again.
func (pushing) teach(w *World) (move vec, shut bool) {
	s := w.things[0]
	ahead := w.goal.sub(s.at).unit()
	rel := w.tip.sub(s.at)
	behind, aside := -rel.dot(ahead), rel.cross(ahead)
	reach := s.reach(ahead.times(-1)) + finger
	switch {
	case behind > mul(reach, 0.8) && math.Abs(aside) < 0.02:
		// Steer: pushing on the far side of the middle turns the sugar back.
		aim := s.at.sub(ahead.times(mul(half, 0.5))).sub(w.tip).unit()
		return aim.times(min(speed, w.goal.dist(s.at)+0.01)), true
	case behind > reach+0.01:
		return s.at.sub(ahead.times(reach + 0.03)).sub(w.tip), true
	}
	// Around it: first away to the side, then back.
	side := ahead.left()
	if rel.dot(side) < 0 {
		side = side.times(-1)
	}
	wide := half*1.5 + finger + 0.03
	if rel.dot(side) < wide-0.015 {
		return s.at.add(side.times(wide)).sub(ahead.times(max(behind, -0.1))).sub(w.tip), true
	}
	return s.at.add(side.times(wide)).sub(ahead.times(reach + 0.05)).sub(w.tip), true
}

// reach returns how far the sugar extends in a direction.
func (s *thing) reach(dir vec) float64 {
	d := dir.turnedBack(vec{s.cos, s.sin})
	return half / max(math.Abs(d.x), math.Abs(d.y))
}
