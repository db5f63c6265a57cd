package insects

// A hexapod is an insect to be drawn: where, in which light and in which colours.
type hexapod struct {
	d    *dice
	l    *layer
	f    frame
	lit  lamp
	coat coat
	px   float64 // pixels per unit

	winged bool // a wing was drawn
}

// A legShape is a leg from its root on the body to its foot.
type legShape struct {
	root              point
	thigh, shin, foot float64 // lengths of the parts
	turn, knee, ankle float64 // turns: of the thigh from straight ahead, then of each joint
	thick             float64
}

// leg draws the same leg on both sides, each with a pose of its own.
func (h *hexapod) leg(s legShape) {
	root, turn, knee, ankle, thick := s.root, s.turn, s.knee, s.ankle, s.thick
	for _, side := range []float64{1, -1} {
		a := turn + mul(h.d.bell(), 0.022)
		p := point{root.x, mul(root.y, side)}
		ps := []point{p}
		for i, length := range []float64{s.thigh, s.shin, s.foot} {
			t := a
			switch i {
			case 1:
				t += knee + mul(h.d.bell(), 0.018)
			case 2:
				t += knee + ankle + mul(h.d.bell(), 0.02)
			}
			cos, sin := circle(t)
			p = point{p.x + mul(length, cos), p.y + mul(side, mul(length, sin))}
			ps = append(ps, p)
		}
		q := h.f.points(ps)
		h.l.capsule(q[0], q[1], mul(h.px, thick), mul(h.px, thick*0.85))
		h.l.capsule(q[1], q[2], mul(h.px, thick*0.85), mul(h.px, thick*0.6))
		h.l.capsule(q[2], q[3], mul(h.px, thick*0.45), mul(h.px, thick*0.3))
		h.l.fill(flat(h.coat.leg), 1)
		if h.lit.soft < 1 { // a line of light along the upper side
			lift := point{mul(h.lit.x, mul(h.px, thick*0.35)), mul(h.lit.y, mul(h.px, thick*0.35))}
			for i := range 2 {
				h.l.capsule(point{q[i].x + lift.x, q[i].y + lift.y}, point{q[i+1].x + lift.x, q[i+1].y + lift.y}, mul(h.px, thick*0.3), mul(h.px, thick*0.2))
			}
			h.l.fill(flat(h.coat.leg.add(0.35)), 0.6)
		}
	}
}

// A feelerShape is an antenna: a straight first part, then a bent second.
type feelerShape struct {
	root          point
	first, second float64 // lengths
	turn, elbow   float64 // turns: of the first part from straight ahead, then of the second
	thick         float64
}

// feelers draws both antennae.
func (h *hexapod) feelers(s feelerShape) {
	root, turn, elbow, thick := s.root, s.turn, s.elbow, s.thick
	for _, side := range []float64{1, -1} {
		a := turn + mul(h.d.bell(), 0.02)
		p := point{root.x, mul(root.y, side)}
		ps := []point{p}
		add := func(t, length float64) {
			cos, sin := circle(t)
			p = point{p.x + mul(length, cos), p.y + mul(side, mul(length, sin))}
			ps = append(ps, p)
		}
		add(a, s.first)
		b := a + elbow + mul(h.d.bell(), 0.025)
		for i := range 4 {
			add(b+mul(float64(i), -0.012), s.second/4)
		}
		q := h.f.points(ps)
		h.l.capsule(q[0], q[1], mul(h.px, thick), mul(h.px, thick*0.8))
		h.l.stroke(q[1:], mul(h.px, thick*0.8), mul(h.px, thick))
	}
	h.l.fill(flat(h.coat.leg), 1)
}

// fur draws hairs over a blob, rooted at random and pointing outwards. tint
// gives each hair's colour from where it is rooted.
func (h *hexapod) fur(b blob, count int, length float64, tint surface) {
	for range count {
		t, r := h.d.unit(), h.d.unit()
		r = 1 - mul(r, mul(r, 0.9)) // more of them towards the rim
		c, s := circle(t)
		u, v := mul(r, c), mul(r, s)
		tc, ts := circle(b.turn)
		place := func(u, v float64) point {
			x, y := mul(u, b.rx), mul(mul(v, b.ry), 1+mul(b.egg, u))
			return point{b.center.x + mul(tc, x) - mul(ts, y), b.center.y + mul(ts, x) + mul(tc, y)}
		}
		p := place(u, v)
		oc, os := circle(t + b.turn + mul(h.d.bell(), 0.05))
		long := mul(length, h.d.uniform(0.5, 1.1))
		q := point{p.x + mul(oc, long), p.y + mul(os, long)}
		lit := h.d.uniform(0.75, 1.2)
		if h.lit.soft < 1 {
			e := h.f.point(q)
			m := h.f.point(b.center)
			n := max(hypot(e.x-m.x, e.y-m.y), 1)
			lit = mul(lit, 1+mul(0.28, (mul(e.x-m.x, h.lit.x)+mul(e.y-m.y, h.lit.y))/n))
		}
		h.l.capsule(h.f.point(p), h.f.point(q), mul(h.px, 0.0085), mul(h.px, 0.002))
		h.l.fill(flat(tint(u, v).scale(lit)), 0.75)
	}
}

// A wingShape is one wing.
type wingShape struct {
	hinge           point
	turn            float64 // heading
	length, breadth float64 // breadth of the trailing side
	side            float64 // 1 left, -1 right
	opacity         float64
}

// wing draws one wing.
func (h *hexapod) wing(shape wingShape) {
	h.winged = true
	hinge, length, breadth, side := shape.hinge, shape.length, shape.breadth, shape.side
	c, s := circle(shape.turn)
	place := func(t, w float64) point {
		x, y := mul(t, length), mul(w, length)
		return point{hinge.x + mul(c, x) - mul(s, y), mul(side, hinge.y+mul(s, x)+mul(c, y))}
	}
	const n = 16
	edge := func(t float64) float64 { // trailing side: widest past the middle
		_, w := circle(mul(t, t+0.5) / 3)
		return mul(breadth, w)
	}
	var outline []point
	for i := 0; i <= n; i++ {
		t := mul(float64(i), 1.0/n)
		_, w := circle(t / 2)
		outline = append(outline, place(t, -mul(breadth*0.22, w)))
	}
	for i := n - 1; i > 0; i-- {
		t := mul(float64(i), 1.0/n)
		outline = append(outline, place(t, edge(t)))
	}
	sheen := noise{h.d.next()}
	tint := h.coat.wing
	h.l.polygon(h.f.points(outline))
	h.l.fill(func(x, y float64) rgb {
		v := sheen.cloud(x/mul(h.px, 0.25), y/mul(h.px, 0.25), 2)
		return tint.scale(0.82+mul(0.4, v)).mix(hsv(0.5+v, 0.35, 1), 0.12)
	}, shape.opacity)
	dark := tint.scale(0.35).mix(h.coat.leg, 0.5)
	vein := func(width, opacity float64, ps ...point) {
		h.l.stroke(h.f.points(ps), mul(h.px, width), mul(h.px, width*0.6))
		h.l.fill(flat(dark), opacity)
	}
	vein(0.012, 0.75, outline[:n]...) // leading edge
	vein(0.007, 0.5, place(0, 0), place(0.3, edge(0.3)*0.3), place(0.62, edge(0.62)*0.35), place(0.9, edge(0.9)*0.3))
	vein(0.007, 0.5, place(0.05, 0), place(0.35, edge(0.35)*0.62), place(0.75, edge(0.75)*0.75))
	vein(0.006, 0.45, place(0.45, -breadth*0.2), place(0.5, edge(0.5)*0.3), place(0.55, edge(0.55)*0.7))
	vein(0.006, 0.45, place(0.7, -breadth*0.15), place(0.74, edge(0.74)*0.4), place(0.78, edge(0.78)*0.75))
}
