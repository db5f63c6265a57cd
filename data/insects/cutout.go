package insects

import "image"

// A Sprite is something drawn alone, in a square: premultiplied red, green, blue and coverage of
// each pixel, 0 to 1, row by row.
type Sprite struct {
	Side int
	Pix  []float32
}

func (l *layer) sprite() Sprite {
	s := Sprite{Side: l.side, Pix: make([]float32, len(l.pix))}
	for i, v := range l.pix {
		s.Pix[i] = float32(v)
	}
	return s
}

// Cutout says how an insect is drawn by [Insect].
type Cutout struct {
	Bee    bool    // else an ant
	Side   int     // of the sprite, in pixels
	Length float64 // of the body, in pixels, of at most about 0.8 of the side
	Own    float64 // probability of colours that tell ants from bees, 0 to 1
	Sun    float64 // where the light comes from, in turns: 0 the right, 0.25 below
}

// Insect draws an ant or a bee alone, as the pictures of [Draw] have it: seed chooses the individual
// and its pose. Sides are from 1 to 4096, larger and smaller ones are brought there.
func Insect(seed uint64, c Cutout) Sprite {
	d := newDice(Version, 77, seed)
	side := drawable(c.Side)
	half, middle := mul(c.Length, 0.5), mul(float64(side), 0.5)
	f := newFrame(placing{center: point{middle, middle}, scale: half, turn: d.unit(), length: 1, width: 1, mirrored: d.chance(0.5)})
	sx, sy := circle(c.Sun)
	low := d.uniform(0.45, 0.7)
	h := &hexapod{d: d, l: newLayer(side), f: f, px: half, lit: lamp{x: mul(sx, low), y: mul(sy, low), z: 0.78, soft: d.uniform(0.35, 0.6)}}
	if c.Bee {
		h.coat = beeCoat(d, c.Own, levels[Easy].beeBands)
		h.bee(levels[Easy].beeWings)
	} else {
		h.coat = antCoat(d, c.Own, levels[Easy].antBands)
		h.ant(levels[Easy].antWings)
	}
	return h.l.sprite()
}

// Blossom draws a flower seen from above, alone, filling the square.
func Blossom(seed uint64, side int) Sprite {
	d := newDice(Version, 78, seed)
	l := newLayer(drawable(side))
	mid := point{mul(float64(l.side), 0.5), mul(float64(l.side), 0.5)}
	petal := hsv(pick(d, d.uniform(0.88, 1.02), d.uniform(0.12, 0.17), d.uniform(0.72, 0.86), d.uniform(0.58, 0.68)), d.uniform(0.3, 0.85), d.uniform(0.8, 1))
	heart := hsvIn(d, span{0.06, 0.15}, span{0.6, 0.95}, span{0.45, 0.9})
	count := 6 + d.intn(6)
	r := mul(float64(l.side), 0.25)
	n := noise{d.next()}
	for i := range count {
		turn := float64(i) / float64(count)
		c, s := circle(turn)
		l.polygon(ring(point{mid.x + mul(c, r), mid.y + mul(s, r)}, mul(r, 0.95), mul(r, 3.4)/float64(count), turn, 40))
		tone := d.uniform(0.86, 1.04)
		l.fill(func(x, y float64) rgb {
			p := (mul(c, x-mid.x) + mul(s, y-mid.y)) / (r + r)            // 0 at the heart, 1 at the tip
			q := mul(float64(count), mul(c, y-mid.y)-mul(s, x-mid.x)) / r // across, about -3 to 3
			lines := n.value(mul(q, 2)+mul(float64(i), 17), mul(p, 1.5))
			return petal.scale(tone - mul(0.30, 1-p) - mul(0.012, mul(q, q)) + mul(0.10, lines-0.5)).add(mul(0.12, mul(p, p)))
		}, 1)
	}
	l.polygon(ring(mid, mul(r, 0.55), mul(r, 0.55), 0, 40))
	grain := mul(r, 0.075)
	l.fill(func(x, y float64) rgb {
		out := hypot(x-mid.x, y-mid.y) / mul(r, 0.55)
		return heart.scale(1.05 - mul(0.45, out) + mul(0.3, n.value(x/grain, y/grain)-0.5))
	}, 1)
	return l.sprite()
}

// Grounds are the tables of [Table], by number.
var Grounds = []string{"paper", "wash", "sand", "wood", "meadow"}

// Table draws one of the Grounds without an insect, as a camera sees it; seed chooses which and how
// it looks, the same at any side. Clutter is how much lies about: 0 nothing, 1 a few leaflets, petals
// and twigs.
func Table(seed uint64, side int, clutter float64) *image.NRGBA {
	d := newDice(Version, 79, seed)
	side = drawable(side)
	l := zoomed(side, float64(side)/160)
	// No leaves and blossoms among these: they would be taken for things on the table.
	[]func(*dice, *layer){paper, wash, sand, wood, meadow}[d.weighted(2, 1.5, 1.6, 1.5, 1.3)](d, l)
	for range int(mul(clamp(clutter), d.uniform(0, 4))) {
		litter(d, l)
	}
	develop(d, l, 0.02)
	return l.picture()
}

func drawable(side int) int { return min(max(side, 1), 4096) }
