package transforms

import "math"

// Rand determines the random numbers of one picture in one epoch. They depend only on the three
// fields and the seed given to [Preset.Train], and not on the number or order of workers or on
// other pictures. The zero value is fine if nothing is random.
type Rand struct {
	Seed    uint64 // of the run
	Epoch   int    // 0, 1, ...
	Picture int    // its place in the data set
}

// stream is a splitmix64 generator: a counter and a good mixing function. It is written out here
// so that no change of a library can change the numbers.
type stream struct{ state uint64 }

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

const golden = 0x9e3779b97f4a7c15

// newStream mixes the parts of the key one after the other, so that (epoch 1, picture 2) and
// (epoch 2, picture 1) have nothing in common.
func newStream(pipelineSeed uint64, r Rand) *stream {
	h := uint64(golden)
	for _, part := range [...]uint64{pipelineSeed, r.Seed, uint64(r.Epoch), uint64(r.Picture)} {
		h = mix(h+part*golden) + golden
	}
	return &stream{h}
}

func (s *stream) next() uint64 {
	s.state += golden
	return mix(s.state)
}

// unit returns a number in [0, 1).
func (s *stream) unit() float64 { return float64(s.next()>>11) / (1 << 53) }

// uniform returns a number in [a, b).
func (s *stream) uniform(a, b float64) float64 { return a + float64(s.unit()*(b-a)) }

// intn returns a number in 0..n-1. n is a number of pixels, so the bias of the product, below
// 1e-14, does not matter.
func (s *stream) intn(n int) int { return min(int(math.Floor(s.unit()*float64(n))), n-1) }
