package finetune

import (
	"math"
	"math/rand/v2"
)

// mix blends each picture of the batch, and its targets, with the next one: Zhang et al. 2017,
// https://arxiv.org/abs/1710.09412. The share is the same for the whole batch.
func (f *feeder) mix(b *batch, n int) {
	rng := rand.New(rand.NewPCG(f.plan.Seed^0x6d6978, uint64(b.epoch)<<32|uint64(b.index)))
	share := float32(beta(rng, f.plan.Mixup))
	x, targets := append([]float32(nil), b.x...), append([]float32(nil), b.targets...)
	blend := func(out, values []float32, width int) {
		for i := range n {
			other := values[(i+1)%n*width:]
			for j := range width {
				out[i*width+j] = share*values[i*width+j] + (1-share)*other[j]
			}
		}
	}
	blend(b.x, x, f.width)
	blend(b.targets, targets, f.objective.k)
}

// beta draws from Beta(a, a) as the ratio of two gamma variates.
func beta(rng *rand.Rand, a float64) float64 {
	x, y := gamma(rng, a), gamma(rng, a)
	if x+y == 0 {
		return 0.5
	}
	return x / (x + y)
}

// gamma draws by the method of Marsaglia and Tsang 2000 for shapes of at least 1; for smaller ones,
// it scales a draw of shape a+1 by a power of a uniform number.
func gamma(rng *rand.Rand, a float64) float64 {
	if a < 1 {
		return gamma(rng, a+1) * math.Pow(rng.Float64(), 1/a)
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		z := rng.NormFloat64()
		v := math.Pow(1+c*z, 3)
		if v > 0 && math.Log(1-rng.Float64()) < z*z/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
