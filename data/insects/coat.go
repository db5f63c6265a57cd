package insects

// A coat is the colours of one insect.
type coat struct {
	head, chest, tail rgb     // tail: gaster or abdomen
	band              rgb     // second colour of a banded tail
	bands             int     // how many; 0 = one colour
	soft              float64 // how blurred the bands are
	tip               *rgb    // colour of the last part of the tail, when it differs
	hair              rgb
	furry             float64 // 0 bald to 1 bear-like
	gloss             float64
	leg, wing         rgb
}

// shared draws a colour that any insect can have: black, brown, rust, amber, grey, metallic.
func shared(d *dice) rgb {
	switch d.weighted(2, 3, 2, 2.5, 1, 0.8) {
	case 0:
		return hsvIn(d, span{0, 0.1}, span{0.1, 0.5}, span{0.05, 0.16})
	case 1:
		return hsvIn(d, span{0.03, 0.09}, span{0.4, 0.8}, span{0.16, 0.45})
	case 2:
		return hsvIn(d, span{0.0, 0.05}, span{0.55, 0.85}, span{0.35, 0.65})
	case 3:
		return hsvIn(d, span{0.07, 0.13}, span{0.5, 0.9}, span{0.55, 0.88})
	case 4:
		return hsvIn(d, span{0.08, 0.16}, span{0.05, 0.3}, span{0.4, 0.75})
	}
	return hsvIn(d, span{0.3, 0.62}, span{0.5, 0.8}, span{0.25, 0.6})
}

// antCoat draws the colours of an ant. own is the probability of colours typical of ants;
// banded is that of a banded tail, if they are not.
func antCoat(d *dice, own, banded float64) coat {
	var c coat
	if d.chance(own) {
		switch d.weighted(3, 2, 2, 2) {
		case 0: // black garden ant
			c.head = hsvIn(d, span{0, 0.1}, span{0.1, 0.5}, span{0.07, 0.18})
			c.chest, c.tail = c.head.scale(d.uniform(0.9, 1.3)), c.head.scale(d.uniform(0.7, 1.1))
		case 1: // wood ant: rust in front, dark behind
			c.chest = hsvIn(d, span{0.005, 0.05}, span{0.65, 0.9}, span{0.4, 0.62})
			c.head, c.tail = c.chest.scale(d.uniform(0.6, 1)), hsvIn(d, span{0, 0.06}, span{0.3, 0.6}, span{0.08, 0.2})
		case 2: // fire ant
			c.head = hsvIn(d, span{0.005, 0.045}, span{0.7, 0.9}, span{0.35, 0.65})
			c.chest, c.tail = c.head.scale(d.uniform(0.9, 1.15)), c.head.scale(d.uniform(0.5, 0.95))
		default: // carpenter ant
			c.head = hsvIn(d, span{0.03, 0.07}, span{0.5, 0.8}, span{0.15, 0.32})
			c.chest, c.tail = c.head.scale(d.uniform(0.9, 1.6)), c.head.scale(d.uniform(0.5, 0.9))
		}
	} else {
		c.head = shared(d)
		c.chest = c.head.mix(shared(d), d.uniform(0, 0.6))
		c.tail = c.head.mix(shared(d), d.uniform(0, 1))
	}
	c.band, c.soft = c.tail.mix(c.chest, 0.5).scale(0.6), 0.2
	if d.chance(banded) {
		c.bands, c.band, c.soft = 2+d.intn(3), shared(d), d.uniform(0.05, 0.25)
	}
	c.hair, c.furry, c.gloss = c.tail.add(0.4), 0, d.uniform(0.3, 1)
	c.leg = c.chest.mix(c.head, 0.5).scale(d.uniform(0.55, 0.95))
	c.wing = hsvIn(d, span{0.08, 0.6}, span{0, 0.15}, span{0.8, 1})
	return c
}

// beeCoat draws the colours of a bee. own is the probability of colours typical of bees;
// banded is that of bands, if they are not.
func beeCoat(d *dice, own, banded float64) coat {
	var c coat
	c.wing = hsvIn(d, span{0.08, 0.6}, span{0, 0.15}, span{0.8, 1})
	if d.chance(own) {
		if d.chance(0.65) { // honey bee
			c.tail = hsvIn(d, span{0.085, 0.125}, span{0.6, 0.9}, span{0.65, 0.92})
			c.band = hsvIn(d, span{0.04, 0.09}, span{0.4, 0.7}, span{0.08, 0.25})
			c.bands, c.soft = 4+d.intn(3), d.uniform(0.06, 0.2)
			c.hair = hsvIn(d, span{0.085, 0.12}, span{0.4, 0.7}, span{0.6, 0.85})
			c.chest, c.head = c.hair.scale(0.55), c.band.mix(c.hair, 0.25)
			c.furry = d.uniform(0.5, 0.9)
		} else { // bumble bee
			c.band = hsvIn(d, span{0.1, 0.145}, span{0.75, 0.95}, span{0.8, 0.98})
			c.tail = hsvIn(d, span{0, 0.1}, span{0.1, 0.4}, span{0.06, 0.14})
			c.bands, c.soft = 2+d.intn(2), d.uniform(0.08, 0.2)
			c.hair, c.chest, c.head = c.band, c.tail, c.tail
			white := hsvIn(d, span{0.08, 0.14}, span{0.02, 0.25}, span{0.85, 1})
			if d.chance(0.7) {
				c.tip = &white
			}
			c.furry = d.uniform(0.85, 1)
		}
	} else {
		c.tail = shared(d)
		c.chest = c.tail.mix(shared(d), d.uniform(0, 0.8))
		c.head = c.chest.scale(d.uniform(0.5, 1))
		c.hair = c.chest.mix(shared(d), d.uniform(0, 0.7)).scale(d.uniform(0.9, 1.3))
		c.band, c.soft = c.tail.scale(0.7), 0.3
		if d.chance(banded) {
			c.bands, c.band, c.soft = 3+d.intn(4), shared(d), d.uniform(0.05, 0.25)
		}
		c.furry = d.uniform(0.15, 0.8)
		if d.chance(0.2) { // carpenter bee: smoky wings
			c.wing = hsvIn(d, span{0.55, 0.75}, span{0.2, 0.5}, span{0.25, 0.5})
		}
	}
	c.gloss = d.uniform(0.15, 0.7)
	c.leg = c.head.mix(rgb{0.06, 0.05, 0.04}, d.uniform(0.3, 0.8))
	return c
}

// tailAt returns the colour of the tail at u, v. Bands curve around it.
func (c coat) tailAt(u, v float64) rgb {
	x := mul(1-u, 0.5) + mul(0.10, mul(v, v)) // 0 at the waist, 1 at the tip
	if c.tip != nil && x > 0.74 {
		return c.tail.mix(*c.tip, step(0.74, 0.82, x))
	}
	if c.bands == 0 {
		// The seams between the plates still show a little.
		w := mul(x, 5)
		w -= float64(int(w))
		return c.tail.mix(c.band, mul(0.45, 1-step(0, 0.16, w)))
	}
	w := mul(x, float64(c.bands))
	w -= float64(int(w))
	return c.tail.mix(c.band, step(0.48-c.soft, 0.48+c.soft, w)-step(1-c.soft, 1, w))
}
