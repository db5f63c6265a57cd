package insects

// ant draws an ant: a large head with elbowed feelers and jaws, a slim chest, a narrow waist
// with a knot, an egg-shaped tail, and six long legs.
func (h *hexapod) ant(winged float64) {
	d := h.d
	thin := d.uniform(0.85, 1.2) // of the whole body
	reach := d.uniform(0.85, 1.2)
	bend := mul(d.bell(), 0.022) // of the tail against the chest
	nod := mul(d.bell(), 0.02)
	thick := d.uniform(0.017, 0.026)

	h.leg(legShape{root: point{0.32, 0.05}, thigh: 0.34 * reach, shin: 0.36 * reach, foot: 0.26 * reach, turn: d.uniform(0.12, 0.18), knee: -0.05, ankle: 0.03, thick: thick})
	h.leg(legShape{root: point{0.16, 0.05}, thigh: 0.36 * reach, shin: 0.38 * reach, foot: 0.28 * reach, turn: d.uniform(0.22, 0.27), knee: 0.05, ankle: 0.03, thick: thick})
	h.leg(legShape{root: point{0.02, 0.05}, thigh: 0.40 * reach, shin: 0.46 * reach, foot: 0.34 * reach, turn: d.uniform(0.33, 0.39), knee: 0.06, ankle: 0.02, thick: thick})

	hc, hs := circle(nod)
	headAt := point{0.42 + mul(0.24, hc), mul(0.24, hs)}
	ahead := func(x, y float64) point { // in units of the head
		return point{headAt.x + mul(hc, x) - mul(hs, y), headAt.y + mul(hs, x) + mul(hc, y)}
	}
	big := d.uniform(0.9, 1.15)
	// Jaws and feelers come from under the head.
	for _, side := range []float64{1, -1} {
		jaw := []point{ahead(0.13*big, side*0.09*big), ahead(0.27*big, side*0.085*big), ahead(0.30*big, side*0.01)}
		h.l.stroke(h.f.points(jaw), mul(h.px, 0.035), mul(h.px, 0.012))
	}
	h.l.fill(flat(h.coat.head.scale(0.7)), 1)
	h.feelers(feelerShape{root: ahead(0.1, 0.08), first: 0.36, second: 0.42, turn: d.uniform(0.09, 0.15), elbow: d.uniform(-0.17, -0.09), thick: thick * 0.75})

	tc, ts := circle(0.5 + bend)
	long := d.uniform(0.30, 0.40)
	fat := long * d.uniform(0.6, 0.78)
	tail := blob{center: point{-0.17 + mul(tc, 0.06+mul(long, 0.95)), mul(ts, 0.06+mul(long, 0.95))}, rx: long, ry: fat, turn: bend, egg: d.uniform(0.02, 0.2)}
	// The order is waist, chest, tail: each part covers the one before.
	h.l.capsule(h.f.point(point{-0.05, 0}), h.f.point(point{-0.24, mul(ts, 0.08)}), mul(h.px, 0.03), mul(h.px, 0.03))
	h.l.fill(flat(h.coat.chest.scale(0.6)), 1)
	h.l.solid(h.f, tail, h.coat.tailAt, h.lit, h.coat.gloss)
	if d.chance(0.4) {
		h.fur(tail, 30, 0.05, plain(h.coat.hair))
	}
	h.l.solid(h.f, blob{center: point{-0.16, mul(ts, 0.03)}, rx: 0.055, ry: 0.07 * thin}, plain(h.coat.chest), h.lit, h.coat.gloss)
	h.l.solid(h.f, blob{center: point{0.05, 0}, rx: 0.17, ry: 0.092 * thin, egg: 0.15}, plain(h.coat.chest.scale(0.92)), h.lit, h.coat.gloss)
	h.l.solid(h.f, blob{center: point{0.28, 0}, rx: 0.18, ry: 0.125 * thin, egg: 0.2}, plain(h.coat.chest), h.lit, h.coat.gloss)
	if d.chance(winged) { // a young queen or a drone
		spread := d.uniform(0.03, 0.14)
		for _, side := range []float64{1, -1} {
			h.wing(wingShape{hinge: point{0.12, 0.06}, turn: 0.5 - mul(spread, 0.7), length: 0.62, breadth: 0.16, side: side, opacity: d.uniform(0.3, 0.5)})
			h.wing(wingShape{hinge: point{0.2, 0.07}, turn: 0.5 - spread, length: 0.98, breadth: 0.18, side: side, opacity: d.uniform(0.3, 0.55)})
		}
	}
	h.l.solid(h.f, blob{center: headAt, rx: 0.2 * big, ry: 0.185 * big, turn: nod, egg: -0.16}, plain(h.coat.head), h.lit, h.coat.gloss)
	for _, side := range []float64{1, -1} {
		h.l.solid(h.f, blob{center: ahead(0.02, side*0.135*big), rx: 0.045, ry: 0.03, turn: nod}, plain(rgb{0.04, 0.03, 0.03}), h.lit, 1)
	}
}
