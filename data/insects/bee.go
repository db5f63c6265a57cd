package insects

// bee draws a bee: a broad head with large eyes, a round furry chest, a plump
// banded tail without a waist, four wings, six short legs.
func (h *hexapod) bee(winged float64) {
	d := h.d
	plump := d.uniform(0.88, 1.12)
	if h.coat.furry > 0.84 {
		plump *= 1.12
	}
	reach := d.uniform(0.8, 1.1)
	bend := mul(d.bell(), 0.016)
	nod := mul(d.bell(), 0.02)
	thick := d.uniform(0.026, 0.036)

	h.leg(legShape{root: point{0.40, 0.12}, thigh: 0.22 * reach, shin: 0.22 * reach, foot: 0.16 * reach, turn: d.uniform(0.12, 0.18), knee: -0.06, ankle: 0.03, thick: thick})
	h.leg(legShape{root: point{0.26, 0.14}, thigh: 0.24 * reach, shin: 0.24 * reach, foot: 0.18 * reach, turn: d.uniform(0.22, 0.27), knee: 0.07, ankle: 0.03, thick: thick})
	h.leg(legShape{root: point{0.10, 0.12}, thigh: 0.28 * reach, shin: 0.32 * reach, foot: 0.24 * reach, turn: d.uniform(0.31, 0.36), knee: 0.09, ankle: 0.03, thick: thick * 1.1})
	if d.chance(0.25) { // pollen on the hind legs
		yellow := hsvIn(d, span{0.08, 0.15}, span{0.7, 0.95}, span{0.75, 1})
		for _, side := range []float64{1, -1} {
			h.l.solid(h.f, blob{center: point{-0.16, side * 0.40 * reach}, rx: 0.09, ry: 0.055, turn: side * 0.42}, plain(yellow), h.lit, 0)
		}
	}
	hc, hs := circle(nod)
	headAt := point{0.42 + mul(0.26, hc), mul(0.26, hs)}
	ahead := func(x, y float64) point {
		return point{headAt.x + mul(hc, x) - mul(hs, y), headAt.y + mul(hs, x) + mul(hc, y)}
	}
	h.feelers(feelerShape{root: ahead(0.1, 0.06), first: 0.13, second: 0.24, turn: d.uniform(0.07, 0.12), elbow: d.uniform(-0.02, 0.05), thick: thick * 0.6})

	tc, ts := circle(0.5 + bend)
	long := 0.5 * d.uniform(0.9, 1.08)
	tail := blob{center: point{0.06 + mul(tc, long*0.95), mul(ts, long*0.95)}, rx: long, ry: 0.28 * plump, turn: bend, egg: d.uniform(0.08, 0.26)}
	h.l.solid(h.f, tail, h.coat.tailAt, h.lit, h.coat.gloss*(1-mul(h.coat.furry, 0.7)))
	if h.coat.furry > 0 {
		h.fur(tail, int(mul(h.coat.furry, 320)), 0.07, func(u, v float64) rgb { return h.coat.tailAt(u, v).mix(h.coat.hair, 0.25) })
	}
	// The head comes first: the fur of the chest covers its back.
	h.l.solid(h.f, blob{center: headAt, rx: 0.165, ry: 0.22, turn: nod, egg: -0.1}, plain(h.coat.head), h.lit, h.coat.gloss)
	for _, side := range []float64{1, -1} {
		h.l.solid(h.f, blob{center: ahead(0.01, side*0.165), rx: 0.125, ry: 0.07, turn: nod + mul(side, 0.04)}, plain(rgb{0.09, 0.06, 0.05}), h.lit, 0.9)
	}
	if h.coat.furry > 0 {
		h.fur(blob{center: ahead(0.02, 0), rx: 0.1, ry: 0.09}, int(mul(h.coat.furry, 26)), 0.06, plain(h.coat.hair))
	}
	chest := blob{center: point{0.25, 0}, rx: 0.27, ry: 0.265 * plump}
	beneath := h.coat.chest.mix(h.coat.hair, mul(h.coat.furry, 0.6))
	h.l.solid(h.f, chest, plain(beneath), h.lit, h.coat.gloss*0.4)
	if h.coat.furry > 0.84 { // a bumble bee's collar, dark between two bright
		h.fur(chest, 620, 0.085, func(u, _ float64) rgb {
			return h.coat.hair.mix(h.coat.chest, step(-0.62, -0.4, u)-step(0.02, 0.24, u))
		})
	} else {
		h.fur(chest, 60+int(mul(h.coat.furry, 560)), 0.085, func(u, v float64) rgb {
			return h.coat.hair.mix(beneath, mul(0.5, 1-mul(u, u)-mul(v, v)))
		})
	}
	if d.chance(winged) {
		spread := d.uniform(0.06, 0.21)
		opacity := d.uniform(0.32, 0.62)
		for _, side := range []float64{1, -1} {
			if d.chance(0.04) {
				continue // lost one
			}
			own := spread + mul(d.bell(), 0.012)
			h.wing(wingShape{hinge: point{0.18, 0.16}, turn: 0.5 - mul(own, 0.75), length: 0.66, breadth: 0.24, side: side, opacity: opacity})
			h.wing(wingShape{hinge: point{0.28, 0.17}, turn: 0.5 - own, length: 0.98, breadth: 0.25, side: side, opacity: opacity})
		}
	}
}
