package bench

import (
	"image"
	"math"

	"github.com/tlkit/transfer-learning/data/insects"
	"github.com/tlkit/transfer-learning/internal/dice"
)

// scenery is what a scene looks like at one side, as far as it does not depend on where things are.
type scenery struct {
	side   int
	still  []float32 // the table with the blossom: red, green, blue of each pixel, 0 to 1
	looks  []sprite  // of the things
	sun    vec       // where the light comes from, on the table
	metal  colour    // of the arm
	glove  colour    // of the joints and fingers
	canvas []float32 // the picture being drawn
	shade  []float32 // how much of the sun the arm takes from each pixel
}

type colour [3]float32

// A sprite is a cutout and its shadow.
type sprite struct {
	insects.Sprite
	shade []float32 // of each pixel; nil = none
}

// newScenery draws a scene. Its looks come from its seed alone, so that every side shows the same.
func newScenery(w *World, side int) *scenery {
	s := &scenery{side: side, canvas: make([]float32, 3*side*side), shade: make([]float32, side*side)}
	d := dice.New(w.seed, 2)
	turn := d.In(0.52, 0.73) // from the left, above
	s.sun = heading(turn)
	s.paints(d)
	table := insects.Table(d.Next(), side, 0.6)
	s.still = make([]float32, 3*side*side)
	for i := range side * side {
		for k := range 3 {
			s.still[3*i+k] = float32(table.Pix[4*i+k]) / 255
		}
	}
	size := float64(side)
	if petals := d.Next(); w.bloom {
		blossom := soft(insects.Blossom(petals, int(mul(0.3, size))), mul(0.008, size))
		s.paste(s.still, blossom, w.goal, 0.012, 0.45)
	}
	for i := range w.things {
		if _, sugar := w.task.(pushing); sugar {
			break
		}
		cut := insects.Cutout{Bee: i == bee, Side: int(mul(0.26, size)), Length: mul(0.21, size), Own: 0.3, Sun: turn}
		s.looks = append(s.looks, soft(insects.Insect(d.Next(), cut), mul(0.006, size)))
	}
	return s
}

// heading returns a direction given in turns, for directions of light: a polynomial is enough.
func heading(turn float64) vec {
	// Between 0.5 and 0.75 turns, from the left to above.
	t := mul(turn-0.5, 4)
	return vec{t - 1, -t}.unit()
}

// paints draws the colours of the arm.
func (s *scenery) paints(d *dice.Dice) {
	v := float32(d.In(0.6, 0.92))
	s.metal = colour{v, v, v + 0.03}
	s.glove = colour{0.95, 0.55, 0.12}
	mix := [3]float32{float32(d.In(0.1, 0.9)), float32(d.In(0.2, 0.6)), float32(d.In(0.1, 0.9))}
	if d.Chance(0.5) {
		s.glove = mix
	}
}

// soft gives a cutout a shadow blurred by radius pixels.
func soft(cut insects.Sprite, radius float64) sprite {
	a := make([]float32, cut.Side*cut.Side)
	for i := range a {
		a[i] = cut.Pix[4*i+3]
	}
	for range 2 {
		blur(a, cut.Side, max(int(mul(radius, 1)+0.5), 1))
	}
	return sprite{cut, a}
}

// blur is a box filter of 2r+1 pixels in both directions; beyond the edge is nothing.
func blur(a []float32, side, r int) {
	line := make([]float32, side)
	pass := func(at func(i int) *float32) {
		var sum float32
		for i := -r; i < side; i++ {
			if j := i + r; j < side {
				sum += *at(j)
			}
			if j := i - r - 1; j >= 0 {
				sum -= *at(j)
			}
			if i >= 0 {
				line[i] = max(sum, 0) / float32(2*r+1)
			}
		}
		for i, v := range line {
			*at(i) = v
		}
	}
	for k := range side {
		pass(func(i int) *float32 { return &a[k*side+i] })
		pass(func(i int) *float32 { return &a[i*side+k] })
	}
}

// draw returns what the camera sees.
func (s *scenery) draw(w *World) *image.NRGBA {
	copy(s.canvas, s.still)
	for i := len(s.looks) - 1; i >= 0; i-- {
		if i != w.held {
			s.paste(s.canvas, s.looks[i], w.things[i].at, 0.012, 0.45)
		}
	}
	if _, sugar := w.task.(pushing); sugar {
		s.sugar(w.things[0])
	}
	if w.held >= 0 { // lifted: the shadow is farther away
		s.paste(s.canvas, s.looks[w.held], w.things[w.held].at, 0.028, 0.36)
	}
	s.arm(w)
	img := image.NewNRGBA(image.Rect(0, 0, s.side, s.side))
	for i := range s.side * s.side {
		q, p := s.canvas[3*i:][:3], img.Pix[4*i:][:4]
		p[0], p[1], p[2], p[3] = level(q[0]), level(q[1]), level(q[2]), 255
	}
	return img
}

func level(v float32) uint8 { return uint8(mul32(min(max(v, 0), 1), 255) + 0.5) }

// paste lays a sprite over pixels with its middle at a place, and its shadow below, away from the
// sun by lift.
func (s *scenery) paste(on []float32, p sprite, at vec, lift float64, depth float32) {
	size := float64(s.side)
	x0, y0 := int(math.Floor(mul(at.x, size)+0.5))-p.Side/2, int(math.Floor(mul(at.y, size)+0.5))-p.Side/2
	off := s.sun.times(-mul(lift, size))
	s.each(x0+round(off.x), y0+round(off.y), p.Side, func(i, j int) {
		if a := p.shade[j]; a > 0 {
			f := 1 - mul32(depth, a)
			q := on[3*i:][:3]
			q[0], q[1], q[2] = q[0]*f, q[1]*f, q[2]*f
		}
	})
	s.each(x0, y0, p.Side, func(i, j int) {
		c := p.Pix[4*j:][:4]
		if c[3] > 0 {
			rest := 1 - c[3]
			q := on[3*i:][:3]
			q[0], q[1], q[2] = mul32(q[0], rest)+c[0], mul32(q[1], rest)+c[1], mul32(q[2], rest)+c[2]
		}
	})
}

func round(v float64) int { return int(math.Floor(v + 0.5)) }

// each calls f with the pixels i of the picture that a square of side pixels at x0, y0 covers, and
// those of the square.
func (s *scenery) each(x0, y0, side int, f func(i, j int)) {
	for y := max(0, -y0); y < side && y0+y < s.side; y++ {
		for x := max(0, -x0); x < side && x0+x < s.side; x++ {
			f((y0+y)*s.side+x0+x, y*side+x)
		}
	}
}
