package insects

import "math"

// A noise is a field of smooth random values, the same for the same seed.
type noise struct{ seed uint64 }

func (n noise) lattice(x, y int64) float64 {
	h := hash(n.seed ^ uint64(x)*0x9e3779b97f4a7c15 ^ uint64(y)*0xc2b2ae3d27d4eb4f)
	return mul(float64(h>>11), 1.0/(1<<53))
}

// value returns the noise at a point, 0 to 1. Neighbouring lattice points are 1 apart.
func (n noise) value(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	tx, ty := x-fx, y-fy
	tx, ty = mul(mul(tx, tx), 3-tx-tx), mul(mul(ty, ty), 3-ty-ty)
	i, j := int64(fx), int64(fy)
	return mix(
		mix(n.lattice(i, j), n.lattice(i+1, j), tx),
		mix(n.lattice(i, j+1), n.lattice(i+1, j+1), tx), ty)
}

// cloud returns a sum of octaves, each half as strong and twice as fine: 0 to 1, around 0.5.
func (n noise) cloud(x, y float64, octaves int) float64 {
	sum, weight, w := 0.0, 0.0, 1.0
	for o := range octaves {
		sum += mul(noise{n.seed + uint64(o)*0x51ed27}.value(x, y), w)
		weight += w
		w /= 2
		x, y = x+x, y+y
	}
	return sum / weight
}
