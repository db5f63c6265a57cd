package insects

import "image"

// A level holds the settings of one [Level].
type level struct {
	own        float64    // probability of colours that give the class away
	antWings   float64    // of an ant with wings
	beeWings   float64    // of a bee whose wings can be seen
	antBands   float64    // of an ant with a banded tail, when colours do not give it away
	beeBands   float64    // of a bee with one, likewise
	size       [2]float64 // half the body's length, share of the picture's side
	stray      float64    // how far from the middle, share of the free room
	squeeze    float64    // foreshortening, at most
	cover      float64    // probability of something in front
	covers     int        // at most so many things
	blur       float64    // pixels, at most
	grain      float64    // deviation of the film grain, at most
	camouflage float64    // how far the colours may go towards the ground
	clutter    float64
	drawn      float64 // probability of a drawn (not photographic) style
}

// levels were tuned once with the default probe: frozen MobileNetV2 (ImageNet), standardised
// features, logistic regression, 122 + 122 pictures to train and 500 + 500 to test. Its
// accuracy over five strengths of the penalty is
//
//	easy    96.0 - 96.8 %
//	medium  90.0 - 91.3 %
//	hard    80.2 - 83.1 %
//
// and that of a probe on 14 x 14 pixels or on mean colours is 50 to 53 % on all three
// (internal/golden/referee/insects.py).
var levels = map[Level]level{
	Easy: {
		own: 0.3, antWings: 0.14, beeWings: 0.83, antBands: 0.3, beeBands: 0.65, size: [2]float64{0.21, 0.36}, stray: 0.85,
		squeeze: 0.25, cover: 0.5, covers: 2, blur: 0.95, grain: 0.02, camouflage: 0.28, clutter: 0.75, drawn: 0.25,
	},
	Medium: {
		own: 0.12, antWings: 0.25, beeWings: 0.7, antBands: 0.45, beeBands: 0.55, size: [2]float64{0.17, 0.34}, stray: 0.95,
		squeeze: 0.3, cover: 0.65, covers: 2, blur: 1.3, grain: 0.035, camouflage: 0.45, clutter: 1, drawn: 0.25,
	},
	Hard: {
		own: 0, antWings: 0.4, beeWings: 0.55, antBands: 0.5, beeBands: 0.5, size: [2]float64{0.14, 0.32}, stray: 1,
		squeeze: 0.35, cover: 0.85, covers: 3, blur: 1.8, grain: 0.05, camouflage: 0.6, clutter: 1.5, drawn: 0.25,
	},
}

// draw makes one picture. Collecting the facts uses no random numbers.
func draw(d *dice, side int, bee bool, v level) (*image.NRGBA, Facts) {
	size := float64(side)
	back := newLayer(side)
	ground(d, back, v.clutter)
	if d.chance(0.4) { // the lens is on the insect
		back.blur(mul(d.uniform(0.3, 1.8), size/192))
	}

	scale := mul(size, d.uniform(v.size[0], v.size[1]))
	room := max(mul(size, 0.5)-mul(scale, 1.05), 0)
	half := mul(size, 0.5)
	spot := point{half + mul(mul(room, v.stray), d.uniform(-1, 1)), half + mul(mul(room, v.stray), d.uniform(-1, 1))}
	facts := Facts{X: spot.x, Y: spot.y, Length: mul(2, scale)}
	f := newFrame(placing{
		center: spot, scale: scale, turn: d.unit(), length: 1 - mul(v.squeeze, mul(d.unit(), d.unit())),
		width: 1 - mul(v.squeeze, mul(d.unit(), d.unit())), mirrored: d.chance(0.5),
	})
	sun := d.unit()
	sx, sy := circle(sun)
	low := d.uniform(0.45, 0.7)
	lit := lamp{x: mul(sx, low), y: mul(sy, low), z: 0.78, soft: d.uniform(0.35, 0.6)}

	var c coat
	if bee {
		c = beeCoat(d, v.own, v.beeBands)
	} else {
		c = antCoat(d, v.own, v.antBands)
	}
	style := 0
	if d.chance(v.drawn) {
		style = 1 + d.intn(2)
	}
	switch style {
	case 1: // printed: flat colours, dark rims
		lit.soft, lit.outline = 1, d.uniform(0.5, 0.85)
	case 2: // drawn in ink and tinted
		lit.soft, lit.outline = 1, 0.9
		pale := hsvIn(d, span{0.08, 0.16}, span{0.02, 0.2}, span{0.85, 1})
		t := d.uniform(0.3, 0.6)
		for _, p := range []*rgb{&c.head, &c.chest, &c.tail, &c.band} {
			*p = p.mix(pale, t)
		}
		c.leg = rgb{0.1, 0.08, 0.1}
	}
	hide := mul(v.camouflage, d.unit())
	p := back.pix[4*(int(spot.y)*side+int(spot.x)):]
	beneath := rgb{p[0], p[1], p[2]}
	for _, p := range []*rgb{&c.head, &c.chest, &c.tail, &c.band, &c.hair, &c.leg} {
		*p = p.mix(beneath.scale(0.4+p.light()), hide)
	}

	body := newLayer(side)
	h := &hexapod{d: d, l: body, f: f, lit: lit, coat: c, px: scale}
	if bee {
		h.bee(v.beeWings)
	} else {
		h.ant(v.antWings)
	}
	facts.Cos, facts.Sin = circle(f.turn)
	facts.Wings, facts.Bands = h.winged, c.bands > 0
	far := mul(scale, d.uniform(0.05, 0.13))
	back.shadow(body, int(-mul(sx, far)), int(-mul(sy, far)), mul(scale, d.uniform(0.02, 0.05)), d.uniform(0.3, 0.6))
	back.overlay(body)

	if d.chance(v.cover) {
		facts.Covered = true
		for range 1 + d.intn(v.covers) {
			// From outside the body towards it, so that part of it stays visible.
			turn := d.unit()
			c, s := circle(turn)
			r := mul(scale, d.uniform(0.35, 1.1))
			thing(d, back, point{spot.x + mul(c, r), spot.y + mul(s, r)}, mul(scale, d.uniform(0.5, 1.6)), natural(d))
		}
	}
	back.blur(mul(mul(v.blur, mul(d.unit(), d.unit())), size/192))
	develop(d, back, v.grain)
	return back.picture(), facts
}

// develop does what cameras do: exposure, contrast, a colour cast, dark corners, grain.
func develop(d *dice, l *layer, grain float64) {
	gain := rgb{d.uniform(0.92, 1.08), d.uniform(0.94, 1.06), d.uniform(0.9, 1.1)}.scale(d.uniform(0.88, 1.12))
	contrast := d.uniform(0.9, 1.12)
	corners := mul(0.35, mul(d.unit(), d.unit()))
	amount := mul(grain, d.unit())
	half := mul(float64(l.side), 0.5)
	film := newDice(d.next())
	for y := range l.side {
		for x := range l.side {
			p := l.pix[4*(y*l.side+x):][:4]
			r := hypot(float64(x)-half, float64(y)-half) / half
			f := 1 - mul(corners, mul(r, r)/2)
			for k, g := range [3]float64{gain.r, gain.g, gain.b} {
				v := mul(mul(p[k], g), f)
				v = mul(v-0.5, contrast) + 0.5
				if amount > 0.002 {
					v += mul(amount, film.speck())
				}
				p[k] = v
			}
		}
	}
}
