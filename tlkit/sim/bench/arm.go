package bench

import "math"

const link = 0.66 // length of each of the arm's two links

// shoulder is where the arm is fixed: beyond the table's lower edge.
var shoulder = vec{0.5, 1.12}

// A rod is a tube from a to b, with a radius at each end.
type rod struct {
	a, b   vec
	ra, rb float64
	paint  colour
	gloss  float32 // strength of the highlight, 0 to 1
	form   form
}

type form int

const (
	rounded form = iota // with round ends
	band                // a ring about another rod: cut off at both ends
	disc                // the lid of a joint, seen from above: flat, with a bevelled rim
)

// posture is where the parts of the arm are.
type posture struct {
	elbow, palm   vec
	ahead, across vec // of the gripper
	open          float64
}

func (w *World) posture() (p posture) {
	d := w.tip.sub(shoulder)
	n := min(d.length(), 2*link-1e-6)
	u := d.unit()
	h := math.Sqrt(mul(link, link) - mul(mul(n, n), 0.25))
	p.elbow = shoulder.add(d.times(0.5)).add(vec{-u.y, u.x}.times(h))
	p.ahead = w.tip.sub(p.elbow).unit()
	p.across = p.ahead.left()
	p.palm = w.tip.sub(p.ahead.times(0.08))
	switch {
	case w.held >= 0:
		p.open = 0.031
	case w.shut:
		p.open = 0.0125
	default:
		p.open = 0.046
	}
	return p
}

// rods are the parts of the arm, from below to above.
func (s *scenery) rods(p posture) []rod {
	dark := colour{0.16, 0.17, 0.19}
	upper, fore := p.elbow.sub(shoulder).unit(), p.palm.sub(p.elbow).unit()
	wrist := p.palm.sub(fore.times(0.045))
	all := []rod{
		{a: shoulder, b: p.elbow, ra: 0.052, rb: 0.042, paint: s.metal, gloss: 0.5},
		{a: p.elbow.sub(upper.times(0.13)), b: p.elbow.sub(upper.times(0.095)), ra: 0.0455, rb: 0.0445, paint: s.glove, gloss: 0.5, form: band},
		{a: p.elbow, b: wrist, ra: 0.038, rb: 0.026, paint: s.metal, gloss: 0.5},
		{a: p.elbow.add(fore.times(0.085)), b: p.elbow.add(fore.times(0.11)), ra: 0.0385, rb: 0.0375, paint: s.glove, gloss: 0.5, form: band},
		{a: wrist.sub(fore.times(0.02)), b: wrist.add(fore.times(0.012)), ra: 0.0275, rb: 0.0275, paint: s.glove, gloss: 0.5, form: band},
		{a: p.elbow, b: p.elbow, ra: 0.047, rb: 0.047, paint: dark, gloss: 0.3, form: disc},
		{a: p.elbow, b: p.elbow, ra: 0.036, rb: 0.036, paint: s.glove, gloss: 0.6, form: disc},
		{a: p.elbow, b: p.elbow, ra: 0.011, rb: 0.011, paint: s.metal, gloss: 1},
		{a: wrist, b: p.palm.sub(fore.times(0.012)), ra: 0.021, rb: 0.021, paint: dark, gloss: 0.4},
	}
	root := p.across.times(max(p.open, 0.024))
	all = append(all, rod{a: p.palm.add(root), b: p.palm.sub(root), ra: 0.0185, rb: 0.0185, paint: s.glove, gloss: 0.7})
	for _, k := range []float64{-1, 1} {
		knuckle := p.palm.add(p.across.times(mul(k, p.open+0.012))).add(p.ahead.times(0.03))
		tip := p.palm.add(p.across.times(mul(k, p.open))).add(p.ahead.times(0.092))
		all = append(all,
			rod{a: p.palm.add(p.across.times(mul(k, max(p.open, 0.02)))), b: knuckle, ra: 0.0135, rb: 0.012, paint: s.glove, gloss: 0.7},
			rod{a: knuckle, b: tip, ra: 0.0115, rb: 0.0085, paint: s.glove, gloss: 0.7},
			rod{a: tip.sub(p.ahead.times(0.018)), b: tip, ra: 0.0095, rb: 0.0085, paint: dark, gloss: 0.3})
	}
	return all
}

// arm draws the arm over the canvas, its shadow first. The shoulder is high above the table and
// the fingers close to it, so the shadow moves away from the arm and softens towards the shoulder.
func (s *scenery) arm(w *World) {
	rods := s.rods(w.posture())
	clear(s.shade)
	for _, r := range rods {
		if r.form == rounded && r.a != r.b {
			s.shadow(r, w.tip)
		}
	}
	for i, a := range s.shade {
		if a > 0 {
			f := 1 - mul32(0.42, a)
			q := s.canvas[3*i:][:3]
			q[0], q[1], q[2] = q[0]*f, q[1]*f, q[2]*f
		}
	}
	for _, r := range rods {
		s.tube(r)
	}
}

// shadow adds the shadow of a rod to the shade.
func (s *scenery) shadow(r rod, tip vec) {
	lift := func(p vec) float64 { return 0.016 + mul(0.05, min(p.dist(tip), 1)) }
	r.a, r.b = r.a.sub(s.sun.times(lift(r.a))), r.b.sub(s.sun.times(lift(r.b)))
	softA, softB := mul(lift(r.a), 0.35), mul(lift(r.b), 0.35)
	blurry := mul(max(softA, softB), float64(s.side))
	s.along(r, blurry, func(i int, g ground) {
		soft := softA + mul(softB-softA, g.t)
		soft = max(mul(soft, float64(s.side)), 0.7)
		cover := (g.radius + soft - g.far) / (soft + soft)
		if cover <= 0 {
			return
		}
		cover = min(cover, 1)
		cover = mul(mul(cover, cover), 3-cover-cover)
		s.shade[i] = max(s.shade[i], float32(cover))
	})
}

// ground is where a pixel lies about a rod, in pixels.
type ground struct {
	t      float64 // 0 at the start, 1 at the end
	past   float64 // how far beyond the nearer end, in lengths of the rod; negative between them
	radius float64 // of the rod there
	off    vec     // from the rod's middle line
	far    float64 // length of off
}

// along calls f with every pixel within margin pixels of a rod.
func (s *scenery) along(r rod, margin float64, f func(i int, g ground)) {
	size := float64(s.side)
	a, b, ra, rb := r.a.times(size), r.b.times(size), mul(r.ra, size), mul(r.rb, size)
	reach := max(ra, rb) + margin + 1
	x0, x1 := max(int(min(a.x, b.x)-reach), 0), min(int(max(a.x, b.x)+reach)+1, s.side)
	y0, y1 := max(int(min(a.y, b.y)-reach), 0), min(int(max(a.y, b.y)+reach)+1, s.side)
	d := b.sub(a)
	length2 := max(d.dot(d), 1e-9)
	for y := y0; y < y1; y++ {
		py := float64(y) + 0.5 - a.y
		for x := x0; x < x1; x++ {
			px := float64(x) + 0.5 - a.x
			t := (mul(px, d.x) + mul(py, d.y)) / length2
			past := max(-t, t-1)
			t = min(max(t, 0), 1)
			g := ground{t: t, past: past, radius: ra + mul(rb-ra, t)}
			g.off = vec{px - mul(t, d.x), py - mul(t, d.y)}
			limit := g.radius + margin + 1
			far2 := g.off.dot(g.off)
			if far2 >= mul(limit, limit) {
				continue
			}
			g.far = math.Sqrt(far2)
			f(y*s.side+x, g)
		}
	}
}

// tube draws a rod, lit as a round body.
func (s *scenery) tube(r rod) {
	l := newLight(s.sun)
	long := mul(r.a.dist(r.b), float64(s.side))
	s.along(r, 0, func(i int, g ground) {
		cover := min(g.radius+0.5-g.far, 1)
		if r.form == band {
			cover = min(cover, 0.5-mul(g.past, long))
		}
		if cover <= 0 {
			return
		}
		k := 1 / max(g.radius, 1)
		if r.form == disc { // flat up to its rim
			k = mul(k, max(0, mul(4, mul(g.far, k)-0.75)))
		}
		tone, shine := l.on(mul(g.off.x, k), mul(g.off.y, k))
		shine = mul32(shine, r.gloss)
		v, q := float32(cover), s.canvas[3*i:][:3]
		rest := 1 - v
		for c := range 3 {
			lit := min(mul32(r.paint[c], tone)+shine, 1)
			q[c] = mul32(q[c], rest) + mul32(lit, v)
		}
	})
}

// light is where the light comes from, and the direction halfway between it and the eye above.
type light struct{ lx, ly, lz, hx, hy, hz float64 }

func newLight(sun vec) light {
	x, y, z := mul(sun.x, 0.62), mul(sun.y, 0.62), 0.785
	n := math.Sqrt(mul(x, x) + mul(y, y) + mul(z+1, z+1))
	return light{x, y, z, x / n, y / n, (z + 1) / n}
}

// on returns how bright a surface is whose normal leans by nx, ny, and the highlight on it.
func (l light) on(nx, ny float64) (tone, shine float32) {
	flat := min(mul(nx, nx)+mul(ny, ny), 1)
	nz := math.Sqrt(1 - flat)
	lit := max(mul(nx, l.lx)+mul(ny, l.ly)+mul(nz, l.lz), 0)
	h := max(mul(nx, l.hx)+mul(ny, l.hy)+mul(nz, l.hz), 0)
	for range 4 { // 16th power
		h = mul(h, h)
	}
	return float32(0.36 + mul(0.74, lit) - mul(0.16, mul(flat, flat))), float32(mul(0.32, mul(h, h)) + mul(0.1, h))
}

// sugar draws the cube: its top, two bright sides below it and its shadow.
func (s *scenery) sugar(t thing) {
	size := float64(s.side)
	u := vec{t.cos, t.sin}
	square := func(at vec, half, soft float64, f func(i int, cover float32, p vec)) {
		c := at.times(size)
		reach := mul(mul(half, size), 1.5) + soft + 2
		for y := max(int(c.y-reach), 0); y < min(int(c.y+reach)+1, s.side); y++ {
			for x := max(int(c.x-reach), 0); x < min(int(c.x+reach)+1, s.side); x++ {
				p := vec{float64(x) + 0.5 - c.x, float64(y) + 0.5 - c.y}.turnedBack(u)
				edge := mul(half, size) - max(math.Abs(p.x), math.Abs(p.y))
				if cover := min((edge+soft)/(soft+soft), 1); cover > 0 {
					f(y*s.side+x, float32(cover), p.times(1/mul(half, size)))
				}
			}
		}
	}
	square(t.at.sub(s.sun.times(0.02)), half, mul(0.012, size), func(i int, cover float32, _ vec) {
		f := 1 - mul32(0.4, cover)
		q := s.canvas[3*i:][:3]
		q[0], q[1], q[2] = q[0]*f, q[1]*f, q[2]*f
	})
	square(t.at, half, 0.5, func(i int, cover float32, p vec) {
		// The top is a smaller square; the bevels around it are brighter towards the sun.
		tone := float32(0.955)
		if m := max(math.Abs(p.x), math.Abs(p.y)); m > 0.84 {
			n := vec{math.Copysign(1, p.x), 0}
			if math.Abs(p.y) > math.Abs(p.x) {
				n = vec{0, math.Copysign(1, p.y)}
			}
			tone = float32(0.86 + mul(0.14, n.turned(u).dot(s.sun)))
		} else if grain := (int(mul(p.x, 9)+20)*7 + int(mul(p.y, 9)+20)*13) % 5; grain == 0 {
			tone = 0.93 // crystals
		}
		rest, q := 1-cover, s.canvas[3*i:][:3]
		for c, v := range (colour{1, 0.985, 0.95}) {
			q[c] = mul32(q[c], rest) + mul32(mul32(v, tone), cover)
		}
	})
}
