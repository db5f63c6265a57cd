package guard

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// looked is what one picture, prepared, looks like.
type looked struct {
	samples [][3]float32 // some of its pixels, as they reach the network
	steps   []float32    // of the brightness from each of them to the pixel below
	sum     float64      // of all values, to tell pictures apart
	low     [3]float32
	high    [3]float32
	beside  float64 // mean square of what pixels differ from those below, if it is [height,width,3]
	kin     float64 // correlation of the thirds of the values: of red with green, if they are planes
	plane   float64 // and if its channels are three planes, one after the other
}

const (
	samplesEach = 300  // pixels of a picture
	level       = 1e-3 // less than half of one of 255 levels
)

// look looks at picture number i.
func look(t transforms.Tensor, i int) (*looked, error) {
	if t.Channels != 3 || t.Height < 1 || t.Width < 1 || len(t.Data) != t.Height*t.Width*3 {
		return nil, fmt.Errorf("guard: picture %d is %d x %d x %d with %d values, want height x width x 3", i, t.Height, t.Width, t.Channels, len(t.Data))
	}
	l := &looked{low: [3]float32(t.Data[:3]), high: [3]float32(t.Data[:3])}
	for k := 0; k < len(t.Data); k += 3 {
		for c, v := range t.Data[k : k+3] {
			if v-v != 0 {
				return nil, fmt.Errorf("guard: picture %d holds the value %v, want finite ones", i, v)
			}
			l.sum += float64(v) * float64(k%1009+1)
			l.low[c], l.high[c] = min(l.low[c], v), max(l.high[c], v)
		}
	}
	l.sample(t, rand.New(rand.NewPCG(uint64(i), 3)))
	return l, nil
}

// sample takes some pixels, and compares pixels with those below them.
func (l *looked) sample(t transforms.Tensor, rng *rand.Rand) {
	row := 3 * t.Width
	n, size := 0, t.Height*t.Width
	var apart [3][]float64
	for range samplesEach {
		k := 3 * rng.IntN(t.Height*t.Width)
		l.samples = append(l.samples, [3]float32(t.Data[k:k+3]))
		step := float32(0)
		if k+row < len(t.Data) {
			step = (t.Data[k] - t.Data[k+row]) + (t.Data[k+1] - t.Data[k+row+1]) + (t.Data[k+2] - t.Data[k+row+2])
			a, b, c := float64(t.Data[k]), float64(t.Data[k+row]), float64(t.Data[k+t.Width])
			l.beside += (a - b) * (a - b)
			l.plane += (a - c) * (a - c)
			n++
		}
		l.steps = append(l.steps, max(step, -step))
		for c, j := range [3]int{k / 3, size + k/3, 2*size + k/3} {
			apart[c] = append(apart[c], float64(t.Data[j]))
		}
	}
	l.kin = max(correlation(apart[0], apart[1]), correlation(apart[1], apart[2]))
	l.beside /= float64(max(n, 1))
	l.plane /= float64(max(n, 1))
}

// blank reports whether all pixels are the same.
func (l *looked) blank() bool { return l.low == l.high }

// constant reports whether the picture is of one colour, as far as an eye sees.
func (l *looked) constant(p transforms.Preset) bool {
	for c := range 3 {
		if float64(l.high[c]-l.low[c]) > 2.5/255*math.Abs(gainOf(p, c)) {
			return false
		}
	}
	return true
}

// grey reports whether red, green and blue of all samples are the same.
func (l *looked) grey(p transforms.Preset) bool {
	return !slices.ContainsFunc(l.samples, func(x [3]float32) bool {
		u := colour(x, p)
		return max(u[0], u[1], u[2])-min(u[0], u[1], u[2]) > 2*level
	})
}

// colour brings a pixel back to red, green and blue in [0,1].
func colour(x [3]float32, p transforms.Preset) (u [3]float64) {
	for c, k := range source(p) {
		u[k] = zeroOf(p, c) + float64(x[c])/gainOf(p, c)
	}
	return u
}

// planes reports whether the picture is three planes that are read as pixels. Then the value that is a
// width further on is the pixel below, which is much like this one, otherwise a pixel a third of the
// picture away; and the thirds of the values are the same picture in three colours. Either alone is
// also so in pictures of lines.
func (l *looked) planes() bool { return l.beside > 1.3*l.plane && l.kin > 0.4 }

// share returns how many of the pictures are such, in [0,1].
func share(pictures []*looked, such func(*looked) bool) float64 {
	n := 0
	for _, l := range pictures {
		if such(l) {
			n++
		}
	}
	return float64(n) / float64(max(len(pictures), 1))
}
