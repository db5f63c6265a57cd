// Package dice is a small generator of random numbers whose numbers never change: the same on
// every processor and with every version of Go, which math/rand/v2 does not promise.
package dice

// A Dice is splitmix64. Its zero value is ready, and the same as New().
type Dice struct{ state uint64 }

// New starts a generator from several numbers, each of which matters, as does their order.
func New(seeds ...uint64) *Dice {
	d := new(Dice)
	for _, s := range seeds {
		d.state = mix(d.state ^ mix(s+0x632be59bd9b4e019))
	}
	return d
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Next returns 64 random bits.
func (d *Dice) Next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return mix(d.state)
}

// Unit returns a number in [0, 1). The conversions here keep products out of fused multiply-adds.
func (d *Dice) Unit() float64 { return float64(float64(d.Next()>>11) * (1.0 / (1 << 53))) }

// In returns a number in [a, b).
func (d *Dice) In(a, b float64) float64 { return a + float64((b-a)*d.Unit()) }

// Below returns a number in 0..n-1, or 0 if n < 1.
func (d *Dice) Below(n int) int {
	if n < 1 {
		return 0
	}
	return int(d.Next() >> 33 % uint64(n))
}

// Chance reports true with probability p.
func (d *Dice) Chance(p float64) bool { return d.Unit() < p }

// Bell returns a nearly normal number with mean 0 and deviation 1, never beyond 3.5.
func (d *Dice) Bell() float64 {
	return float64((d.Unit() + d.Unit() + d.Unit() + d.Unit() - 2) * 1.7320508075688772)
}
