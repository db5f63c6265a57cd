package insects

import "math"

// The pictures are frozen: the same number must give the same pixels on every machine and with
// every future version of Go. Three things could break that, and this file avoids them.
//
//   - Go may fuse a*b+c into one instruction that rounds once, and does so on arm64 but not on
//     amd64. An explicit conversion prevents it: products that are added to something are
//     written mul(a, b).
//   - math.Sin and its relatives are made of such sums, or of assembly. circle replaces them.
//   - math/rand/v2 does not promise the same numbers forever. dice replaces it.
//
// math.Sqrt, math.Floor, min and max are exact everywhere.

// mul multiplies and rounds, so that the product cannot be fused into a sum.
func mul(a, b float64) float64 { return float64(a * b) }

// mix goes from a (t = 0) to b (t = 1).
func mix(a, b, t float64) float64 { return a + mul(b-a, t) }

// hypot is the length of (x, y).
func hypot(x, y float64) float64 { return math.Sqrt(mul(x, x) + mul(y, y)) }

// clamp keeps x in 0..1.
func clamp(x float64) float64 { return min(max(x, 0), 1) }

// step goes smoothly from 0 at a to 1 at b.
func step(a, b, x float64) float64 {
	t := clamp((x - a) / (b - a))
	return mul(mul(t, t), 3-t-t)
}

// circle returns cosine and sine of an angle given in turns: a right angle is 0.25.
func circle(turns float64) (cos, sin float64) {
	turns -= math.Floor(turns)
	quarter := math.Floor(mul(turns, 4) + 0.5) // nearest multiple of a right angle
	// within an eighth of a turn, where short series are exact enough
	x := mul(turns-mul(quarter, 0.25), 2*math.Pi)
	q := mul(x, x)
	s := mul(x, 1-mul(q/6, 1-mul(q/20, 1-mul(q/42, 1-q/72))))
	c := 1 - mul(q/2, 1-mul(q/12, 1-mul(q/30, 1-mul(q/56, 1-q/90))))
	switch int(quarter) & 3 {
	case 0:
		return c, s
	case 1:
		return -s, c
	case 2:
		return -c, -s
	}
	return s, -c
}

// hash mixes 64 bits thoroughly (the finalizer of splitmix64).
func hash(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A dice is a small generator of random numbers, splitmix64.
type dice struct{ state uint64 }

// newDice starts a generator from several numbers; each of them matters.
func newDice(seeds ...uint64) *dice {
	d := &dice{state: 0x9e3779b97f4a7c15}
	for _, s := range seeds {
		d.state = hash(d.state ^ hash(s+0x632be59bd9b4e019))
	}
	return d
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return hash(d.state)
}

// unit returns a number in [0, 1).
func (d *dice) unit() float64 { return mul(float64(d.next()>>11), 1.0/(1<<53)) }

// uniform returns a number in [a, b).
func (d *dice) uniform(a, b float64) float64 { return mix(a, b, d.unit()) }

// intn returns a number in 0..n-1.
func (d *dice) intn(n int) int { return int(d.next() >> 33 % uint64(n)) }

// chance reports true with probability p.
func (d *dice) chance(p float64) bool { return d.unit() < p }

// bell returns a nearly normal number with mean 0 and deviation 1, never beyond 3.5.
func (d *dice) bell() float64 {
	return mul(d.unit()+d.unit()+d.unit()+d.unit()-2, 1.7320508075688772)
}

// speck is bell made from a single random number, for the grain of each pixel.
func (d *dice) speck() float64 {
	x := d.next()
	sum := int(x&0xffff) + int(x>>16&0xffff) + int(x>>32&0xffff) + int(x>>48) - 2*0xffff
	return mul(float64(sum), 1.7320508075688772/65536)
}

// pick returns one of the choices.
func pick[T any](d *dice, choices ...T) T { return choices[d.intn(len(choices))] }

// weighted returns an index with probability in proportion to its weight.
func (d *dice) weighted(weights ...float64) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	x := mul(d.unit(), total)
	for i, w := range weights {
		if x < w {
			return i
		}
		x -= w
	}
	return len(weights) - 1
}
