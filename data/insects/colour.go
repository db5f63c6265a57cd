package insects

import "math"

// rgb is a colour, components 0 to 1, in sRGB.
type rgb struct{ r, g, b float64 }

func (c rgb) mix(other rgb, t float64) rgb {
	return rgb{mix(c.r, other.r, t), mix(c.g, other.g, t), mix(c.b, other.b, t)}
}

// scale multiplies the brightness.
func (c rgb) scale(f float64) rgb { return rgb{mul(c.r, f), mul(c.g, f), mul(c.b, f)} }

// light is how bright the colour looks, 0 to 1.
func (c rgb) light() float64 { return mul(c.r, 0.3) + mul(c.g, 0.59) + mul(c.b, 0.11) }

// add brightens towards white by f.
func (c rgb) add(f float64) rgb { return c.mix(rgb{1, 1, 1}, clamp(f)) }

// hsv makes a colour of hue (in turns: 0 red, 1/3 green, 2/3 blue), saturation
// and value.
func hsv(h, s, v float64) rgb {
	h -= math.Floor(h)
	six := mul(h, 6)
	sector := math.Floor(six)
	f := six - sector
	p, q, t := mul(v, 1-s), mul(v, 1-mul(f, s)), mul(v, 1-mul(1-f, s))
	switch int(sector) {
	case 0:
		return rgb{v, t, p}
	case 1:
		return rgb{q, v, p}
	case 2:
		return rgb{p, v, t}
	case 3:
		return rgb{p, q, v}
	case 4:
		return rgb{t, p, v}
	}
	return rgb{v, p, q}
}

// A span is a range of numbers.
type span struct{ lo, hi float64 }

// hsvIn draws a colour from ranges of hue, saturation and value.
func hsvIn(d *dice, hue, saturation, value span) rgb {
	h, s, v := d.uniform(hue.lo, hue.hi), d.uniform(saturation.lo, saturation.hi), d.uniform(value.lo, value.hi)
	return hsv(h, s, v)
}
