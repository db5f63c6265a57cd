package insects

import "math"

// ground paints what the insect sits on. The choice does not depend on the class.
func ground(d *dice, l *layer, clutter float64) {
	switch d.weighted(2, 1.2, 2.2, 2.2, 1.4, 1.4, 1.6, 1.3) {
	case 0:
		paper(d, l)
	case 1:
		wash(d, l)
	case 2:
		leaf(d, l)
	case 3:
		flower(d, l)
	case 4:
		sand(d, l)
	case 5:
		wood(d, l)
	case 6:
		bokeh(d, l)
	default:
		meadow(d, l)
	}
	for range int(mul(clutter, d.uniform(0, 4))) {
		litter(d, l)
	}
}

// paper is off-white with fibres, sometimes ruled.
func paper(d *dice, l *layer) {
	base := hsvIn(d, span{0.06, 0.16}, span{0.02, 0.18}, span{0.82, 0.97})
	n := noise{d.next()}
	grain := d.uniform(0.02, 0.07)
	l.flood(func(x, y float64) rgb {
		return base.scale(1 + mul(grain, n.cloud(x/3, y/3, 3)+n.value(x/60, y/60)-1))
	})
	if d.chance(0.3) { // ruled or squared
		ink := hsvIn(d, span{0.5, 0.66}, span{0.2, 0.5}, span{0.6, 0.8})
		gap := mul(l.size, d.uniform(0.06, 0.13))
		first := mul(gap, d.unit())
		s := l.size
		squared := d.chance(0.5)
		for v := first; v < s; v += gap {
			l.stroke([]point{{-2, v}, {s + 2, v}}, 0.4, 0.4)
			if squared {
				l.stroke([]point{{v, -2}, {v, s + 2}}, 0.4, 0.4)
			}
		}
		l.fill(flat(ink), 0.45)
	}
	for range d.intn(12) { // fibres
		p := point{mul(d.unit(), l.size), mul(d.unit(), l.size)}
		l.stroke(wander(d, p, walk{turn: d.unit(), length: mul(l.size, d.uniform(0.02, 0.08)), drift: 0.15, steps: 4}), 0.3, 0.2)
	}
	l.fill(flat(base.scale(0.82)), 0.6)
}

// wash is a soft gradient of two colours.
func wash(d *dice, l *layer) {
	h := d.unit()
	a := hsv(h, d.uniform(0.15, 0.6), d.uniform(0.45, 0.95))
	b := hsv(h+d.uniform(-0.12, 0.12), d.uniform(0.1, 0.6), d.uniform(0.5, 1))
	c, s := circle(d.unit())
	n := noise{d.next()}
	side := l.size
	half := mul(side, 0.5)
	l.flood(func(x, y float64) rgb {
		t := 0.5 + (mul(c, x-half)+mul(s, y-half))/side
		return a.mix(b, clamp(t+mul(0.15, n.cloud(x/40, y/40, 2)-0.5)))
	})
}

// leaf is one large leaf seen close, with veins.
func leaf(d *dice, l *layer) {
	green := hsvIn(d, span{0.19, 0.37}, span{0.4, 0.85}, span{0.3, 0.72})
	if d.chance(0.15) { // autumn
		green = hsvIn(d, span{0.02, 0.14}, span{0.5, 0.85}, span{0.45, 0.8})
	}
	n := noise{d.next()}
	side := l.size
	half := mul(side, 0.5)
	c, s := circle(d.unit())
	off := mul(side, d.uniform(-0.35, 0.35))
	gap := mul(side, d.uniform(0.13, 0.24))
	slant, cells := d.uniform(0.5, 1.1), d.uniform(5, 9)
	vein := d.uniform(0.12, 0.3)
	l.flood(func(x, y float64) rgb {
		// p along the midrib, q across it
		p := mul(c, x-half) + mul(s, y-half)
		q := mul(c, y-half) - mul(s, x-half) - off
		q += mul(4, n.value(p/50, 3)-0.5)
		far := math.Abs(q)
		w := (p - mul(far, slant) + mul(far, far)/(side*3) + mul(5, n.value(x/30, y/30))) / gap
		w -= math.Floor(w)
		side1 := 1 - step(0, 0.11, min(w, 1-w))
		mid := 1 - step(1, 4.5, far)
		fine := n.cloud(x/cells, y/cells, 2)
		t := max(mul(side1, 0.7-mul(0.4, clamp(far/side))), mid)
		col := green.scale(0.80 + mul(0.34, fine) + mul(0.16, w) - 0.08)
		return col.mix(hsv(0.2, 0.3, 0.9), mul(t, vein))
	})
	if d.chance(0.35) { // dew
		for range 2 + d.intn(7) {
			drop(d, l)
		}
	}
}

// drop is a bead of water: darker above, bright below, a glint.
func drop(d *dice, l *layer) {
	side := l.size
	r := mul(side, d.uniform(0.012, 0.035))
	p := point{mul(d.unit(), side), mul(d.unit(), side)}
	l.polygon(ring(p, r, mul(r, d.uniform(0.8, 1)), d.unit(), 20))
	l.fill(func(_, y float64) rgb { return rgb{0.1, 0.2, 0.1}.mix(rgb{0.95, 1, 0.9}, clamp(0.5+(y-p.y)/(2*r))) }, 0.35)
	l.polygon(ring(point{p.x - mul(r, 0.35), p.y - mul(r, 0.35)}, mul(r, 0.22), mul(r, 0.22), 0, 10))
	l.fill(flat(rgb{1, 1, 1}), 0.9)
}

// flower is a blossom seen from above, filling most of the picture.
func flower(d *dice, l *layer) {
	blurry(d, l, d.uniform(4, 9))
	side := l.size
	mid := point{mul(side, d.uniform(0.3, 0.7)), mul(side, d.uniform(0.3, 0.7))}
	hue := pick(d, d.uniform(0.88, 1.02), d.uniform(0.12, 0.17), d.uniform(0.72, 0.86), d.uniform(0.58, 0.68), d.uniform(0.02, 0.08))
	petal := hsv(hue, d.uniform(0.12, 0.85), d.uniform(0.75, 1))
	if d.chance(0.25) {
		petal = hsvIn(d, span{0.1, 0.16}, span{0, 0.1}, span{0.9, 1})
	}
	heart := hsvIn(d, span{0.06, 0.15}, span{0.6, 0.95}, span{0.45, 0.9})
	rows := 1 + d.intn(2)
	count := 5 + d.intn(14)
	long := mul(side, d.uniform(0.42, 0.75))
	wide := mul(long, d.uniform(1.3, 2.2)/float64(count)*2.2)
	n := noise{d.next()}
	for row := range rows {
		start := d.unit()
		for i := range count {
			t := start + (float64(i)+d.uniform(-0.15, 0.15))/float64(count)
			c, s := circle(t)
			r := mul(long, 1-mul(0.22, float64(row))) * 0.5
			spot := point{mid.x + mul(c, r), mid.y + mul(s, r)}
			l.polygon(ring(spot, r, mul(wide, 0.5), t, 30))
			tone := d.uniform(0.86, 1.04)
			l.fill(func(x, y float64) rgb {
				q := mul(c, y-mid.y) - mul(s, x-mid.x)
				p := mul(c, x-mid.x) + mul(s, y-mid.y)
				edge := clamp(math.Abs(q) / (wide * 0.55))
				lines := n.value(q/2.5, p/40)
				shade := tone - mul(0.28, mul(edge, edge)) + mul(0.1, lines-0.5) - mul(0.35, 1-step(0, mul(long, 0.5), p))
				return petal.scale(min(shade, 1.05))
			}, 1)
		}
	}
	r := mul(side, d.uniform(0.07, 0.16))
	l.polygon(ring(mid, r, r, 0, 36))
	l.fill(func(x, y float64) rgb {
		return heart.scale(1.05 - mul(0.45, hypot(x-mid.x, y-mid.y)/r) + mul(0.35, n.value(x/1.8, y/1.8)-0.5))
	}, 1)
}

// sand is bright soil with pebbles.
func sand(d *dice, l *layer) {
	base := hsvIn(d, span{0.05, 0.13}, span{0.12, 0.5}, span{0.45, 0.9})
	other := base.scale(d.uniform(0.6, 0.85))
	n := noise{d.next()}
	coarse := d.uniform(8, 30)
	l.flood(func(x, y float64) rgb {
		speck := n.value(mul(x, 0.9), mul(y, 0.9))
		return base.mix(other, n.cloud(x/coarse, y/coarse, 3)).scale(0.9 + mul(0.2, speck))
	})
	side := l.size
	for range 6 + d.intn(30) {
		p := point{mul(d.unit(), side), mul(d.unit(), side)}
		r := mul(side, d.uniform(0.008, 0.04))
		ry, turn := mul(r, d.uniform(0.6, 1)), d.unit()
		l.polygon(ring(point{p.x + 1.5, p.y + 2}, r, ry, turn, 16))
		l.fill(flat(rgb{0.05, 0.04, 0.03}), 0.3)
		l.polygon(ring(p, r, ry, turn, 16))
		col := base.mix(hsvIn(d, span{0, 0.15}, span{0, 0.3}, span{0.3, 0.9}), d.unit())
		l.fill(func(x, y float64) rgb { return col.scale(1.1 - mul(clamp(0.5+(y-p.y+x-p.x)/(3*r)), 0.4)) }, 1)
	}
}

// wood is bark or a plank: noise stretched in one direction.
func wood(d *dice, l *layer) {
	base := hsvIn(d, span{0.04, 0.11}, span{0.2, 0.65}, span{0.25, 0.75})
	n := noise{d.next()}
	c, s := circle(d.unit())
	long, fine := d.uniform(25, 70), d.uniform(2.5, 7)
	deep := d.uniform(0.3, 0.75)
	l.flood(func(x, y float64) rgb {
		p, q := mul(c, x)+mul(s, y), mul(c, y)-mul(s, x)
		q += mul(10, n.value(p/60, q/40))
		v := n.cloud(p/long, q/fine, 3)
		crack := step(0.30, 0.42, v)
		return base.scale(mix(1-deep, 1, crack)).scale(0.75 + mul(0.5, v))
	})
}

// bokeh is a garden far out of focus.
func bokeh(d *dice, l *layer) { blurry(d, l, d.uniform(5, 12)) }

func blurry(d *dice, l *layer, blur float64) {
	a := hsvIn(d, span{0.18, 0.4}, span{0.25, 0.75}, span{0.2, 0.7})
	if d.chance(0.2) {
		a = hsvIn(d, span{0.5, 0.64}, span{0.15, 0.5}, span{0.5, 0.9})
	}
	l.flood(flat(a))
	side := l.size
	for range 8 + d.intn(14) {
		r := mul(side, d.uniform(0.05, 0.22))
		l.polygon(ring(point{mul(d.unit(), side), mul(d.unit(), side)}, r, mul(r, d.uniform(0.5, 1)), d.unit(), 20))
		col := a.mix(natural(d), d.uniform(0.2, 0.8))
		l.fill(flat(col), d.uniform(0.4, 1))
	}
	l.blur(mul(blur, side/192))
}

// meadow is short grass or moss, in many layers of strokes.
func meadow(d *dice, l *layer) {
	base := hsvIn(d, span{0.17, 0.36}, span{0.3, 0.75}, span{0.25, 0.55})
	l.flood(flat(base.scale(0.6)))
	side := l.size
	lean := d.unit()
	for i := range 260 {
		p := point{mul(d.unit(), side), mul(d.unit(), side)}
		t := lean + mul(0.09, d.bell())
		ps := wander(d, p, walk{turn: t, length: mul(side, d.uniform(0.06, 0.2)), drift: 0.05, steps: 3})
		l.stroke(ps, mul(side, d.uniform(0.004, 0.010)), 0.3)
		bright := mix(0.6, 1.35, float64(i)/260)
		l.fill(flat(base.mix(hsv(0.2, 0.6, 0.9), mul(d.unit(), 0.3)).scale(mul(bright, d.uniform(0.8, 1.1)))), 0.95)
	}
	if d.chance(0.6) {
		l.blur(d.uniform(0.3, 1.6))
	}
}

// natural draws a colour as found in a garden.
func natural(d *dice) rgb {
	switch d.intn(6) {
	case 0, 1:
		return hsvIn(d, span{0.2, 0.4}, span{0.3, 0.8}, span{0.25, 0.8})
	case 2:
		return hsvIn(d, span{0.05, 0.12}, span{0.2, 0.7}, span{0.25, 0.8})
	case 3:
		return hsvIn(d, span{0.1, 0.16}, span{0.4, 0.9}, span{0.7, 1})
	case 4:
		return hsvIn(d, span{0.6, 1.02}, span{0.3, 0.8}, span{0.5, 0.95})
	}
	return hsvIn(d, span{0, 1}, span{0, 0.12}, span{0.4, 0.95})
}

// A walk is a line that drifts off its heading.
type walk struct {
	turn, length, drift float64
	steps               int
}

// wander returns the points of a walk that starts at p.
func wander(d *dice, p point, w walk) []point {
	ps := []point{p}
	bend := mul(d.bell(), w.drift)
	n, turn := float64(w.steps), w.turn
	for range w.steps {
		c, s := circle(turn)
		p = point{p.x + mul(c, w.length/n), p.y + mul(s, w.length/n)}
		ps = append(ps, p)
		turn += bend / n
	}
	return ps
}

// blade returns the outline of a leaf between two points, pointed at both ends.
func blade(start, end point, width, bend float64, n int) []point {
	dx, dy := end.x-start.x, end.y-start.y
	place := func(t, w float64) point {
		_, hump := circle(t / 2)
		w += mul(bend, hump)
		return point{start.x + mul(dx, t) - mul(dy, w), start.y + mul(dy, t) + mul(dx, w)}
	}
	var ps []point
	for i := 0; i <= n; i++ {
		t := float64(i) / float64(n)
		_, w := circle(mul(t, t+0.6) / 3.2)
		ps = append(ps, place(t, mul(width, w)))
	}
	for i := n; i >= 0; i-- {
		t := float64(i) / float64(n)
		_, w := circle(mul(t, t+0.6) / 3.2)
		ps = append(ps, place(t, -mul(width, w)))
	}
	return ps
}

// litter draws one thing on the ground: a leaflet, a petal or a twig.
func litter(d *dice, l *layer) {
	side := l.size
	p := point{mul(d.unit(), side), mul(d.unit(), side)}
	thing(d, l, p, mul(side, d.uniform(0.08, 0.3)), natural(d))
}

// thing draws a leaflet, petal or twig of some length at p, with its shadow.
func thing(d *dice, l *layer, p point, length float64, col rgb) {
	c, s := circle(d.unit())
	end := point{p.x + mul(c, length), p.y + mul(s, length)}
	width, bend := d.uniform(0.1, 0.3), d.uniform(-0.3, 0.3)
	if d.chance(0.3) {
		width = d.uniform(0.015, 0.04)
	}
	shift := point{d.uniform(1, 3), d.uniform(1, 3)}
	l.polygon(blade(point{p.x + shift.x, p.y + shift.y}, point{end.x + shift.x, end.y + shift.y}, width, bend, 12))
	l.fill(flat(rgb{0.03, 0.03, 0.02}), 0.28)
	l.polygon(blade(p, end, width, bend, 12))
	n := noise{d.next()}
	l.fill(func(x, y float64) rgb {
		q := (mul(c, y-p.y) - mul(s, x-p.x)) / length
		return col.scale(0.92 + mul(0.25, n.value(x/4, y/4)-0.5) - mul(0.5, q))
	}, 1)
	if width > 0.08 {
		spine := blade(p, end, 0.0001, bend, 12)[:13]
		l.stroke(spine, 0.7, 0.3)
		l.fill(flat(col.mix(rgb{1, 1, 0.9}, 0.3)), 0.7)
	}
}
