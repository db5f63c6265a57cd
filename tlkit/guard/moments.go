package guard

import (
	"math"
	"slices"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// affine is how a picture is prepared: it maps red, green and blue in [0,1] to the three channels that
// reach the network.
type affine struct {
	mix   [3][3]float64
	shift [3]float64
}

// luma are the weights of red, green and blue in the brightness of a pixel (ITU-R 601, as Pillow).
var luma = [3]float64{0.299, 0.587, 0.114}

// source is the colour that each channel shows, red 0, green 1 and blue 2; for grey, itself.
func source(p transforms.Preset) [3]int {
	if p.Channels == "BGR" {
		return [3]int{2, 1, 0}
	}
	return [3]int{0, 1, 2}
}

// preparation is the affine map of a preset.
func preparation(p transforms.Preset) (a affine) {
	from := source(p)
	for c := range 3 {
		gain := gainOf(p, c)
		if p.Channels == "grey" {
			for s := range 3 {
				a.mix[c][s] = gain * luma[s]
			}
		} else {
			a.mix[c][from[c]] = gain
		}
		a.shift[c] = (float64(p.Range[0]) - float64(p.Mean[c])) / float64(p.Std[c])
	}
	return a
}

// gainOf is by how much a channel grows from black to white.
func gainOf(p transforms.Preset, c int) float64 {
	return float64(p.Range[1]-p.Range[0]) / float64(p.Std[c])
}

// moments are means and covariances of what each output of a stem adds up. Number 3c+s of an output is
// the kernel of channel c over colour s of the pictures in [0,1]. How pictures are prepared only
// decides how the nine are added, so one look at the pixels serves every candidate.
type moments []moment

type moment struct {
	mean [9]float64
	cov  [9][9]float64
}

// of returns mean and variance of an output when pictures are prepared by a.
func (m *moment) of(o *output, a affine) (mean, variance float64) {
	mean = o.bias
	var f [9]float64
	for c := range 3 {
		mean += a.shift[c] * o.sum[c]
		for s := range 3 {
			f[3*c+s] = a.mix[c][s]
		}
	}
	for i, x := range f {
		if x == 0 {
			continue
		}
		mean += x * m.mean[i]
		for j, y := range f {
			variance += x * y * m.cov[i][j]
		}
	}
	return mean, max(variance, 0)
}

// What ordinary photographs are like: mean and deviation of their red, green and blue in [0,1], and
// the correlations. The means are ImageNet's; the rest is the same, within a tenth, in every set of
// photographs that was measured: ImageNet, CIFAR-10, cats and dogs, insects, flowers.
var (
	photoMean        = [3]float64{0.485, 0.456, 0.406}
	photoSD          = [3]float64{0.28, 0.27, 0.28}
	photoCorrelation = [3][3]float64{{1, 0.93, 0.80}, {0.93, 1, 0.92}, {0.80, 0.92, 1}}
)

// reaches are distances in pixels over which the correlation of two pixels falls by e. Small pictures,
// and small pictures made large, differ in this, so each candidate is judged by the one that suits it
// best: how sharp pictures are must not decide how they are prepared.
var reaches = []float64{5, 8, 12, 20, 30, 50}

// usualReach is that of photographs at 224 pixels.
const usualReach = 30

// colourReach is how much further a colour goes on than the brightness.
const colourReach = 3

// photographs returns the moments over ordinary photographs.
func (s *stem) photographs(reach float64) moments {
	bright, colour := photoCovariance()
	near, far := s.correlations(reach), s.correlations(reach*colourReach)
	all := make(moments, len(s.outputs))
	for i, o := range s.outputs {
		k, l := s.spread(&o, near), s.spread(&o, far)
		m := &all[i]
		for a := range 9 {
			m.mean[a] = o.sum[a/3] * photoMean[a%3]
			for b := range 9 {
				m.cov[a][b] = k[a/3][b/3]*bright[a%3][b%3] + l[a/3][b/3]*colour[a%3][b%3]
			}
		}
	}
	return all
}

// photoCovariance divides the covariance of colours into the part that follows brightness, the mean of
// the three, and the rest.
func photoCovariance() (bright, colour [3][3]float64) {
	var total [3][3]float64
	var with [3]float64
	var grey float64
	for a := range 3 {
		for b := range 3 {
			total[a][b] = photoCorrelation[a][b] * photoSD[a] * photoSD[b]
			with[a] += total[a][b] / 3
			grey += total[a][b] / 9
		}
	}
	for a := range 3 {
		for b := range 3 {
			bright[a][b] = with[a] * with[b] / grey
			colour[a][b] = total[a][b] - bright[a][b]
		}
	}
	return bright, colour
}

// correlations of the pixels under a kernel by how far they are apart.
func (s *stem) correlations(reach float64) [][]float64 {
	table := make([][]float64, s.height)
	for dy := range table {
		for dx := range s.width {
			table[dy] = append(table[dy], math.Exp(-math.Hypot(float64(dy), float64(dx))/reach))
		}
	}
	return table
}

// spread returns the covariance of what two channels of a kernel add up, for pixels of variance 1.
func (s *stem) spread(o *output, correlation [][]float64) (k [3][3]float64) {
	taps := s.height * s.width
	for i := range taps {
		var sums [3]float64 // of the kernel around tap i
		for j := range taps {
			r := correlation[distance(i/s.width, j/s.width)][distance(i%s.width, j%s.width)]
			for c := range s.colours {
				sums[c] += r * o.kernel[c][j]
			}
		}
		for a := range s.colours {
			for b := range s.colours {
				k[a][b] += o.kernel[a][i] * sums[b]
			}
		}
	}
	return k
}

func distance(a, b int) int { return max(a-b, b-a) }

// divergences returns for each output how far what a candidate gives it is from what it remembers: the
// divergence of two normal distributions (Kullback-Leibler), 0 = the same.
func (s *stem) divergences(m moments, a affine) []float64 {
	out := make([]float64, len(s.outputs))
	for i := range s.outputs {
		o := &s.outputs[i]
		mean, variance := m[i].of(o, a)
		floor := 1e-3*o.variance + 1e-12
		v, w := variance+floor, o.variance+floor
		out[i] = min(0.5*(math.Log(w/v)+(v+(mean-o.mean)*(mean-o.mean))/w-1), 1e9)
	}
	return out
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}

// best returns the divergences for photographs of the reach that suits the candidate best.
func (s *stem) best(photographs []moments, a affine) []float64 {
	return slices.MinFunc(collect(photographs, func(m moments) []float64 { return s.divergences(m, a) }), func(a, b []float64) int {
		if average(a) < average(b) {
			return -1
		}
		return 1
	})
}

func collect[T, U any](in []T, f func(T) U) []U {
	out := make([]U, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// expected returns mean and deviation of a channel over ordinary photographs.
func expected(a affine, c int) (mean, sd float64) {
	mean = a.shift[c]
	for i := range 3 {
		mean += a.mix[c][i] * photoMean[i]
		for j := range 3 {
			sd += a.mix[c][i] * a.mix[c][j] * photoCorrelation[i][j] * photoSD[i] * photoSD[j]
		}
	}
	return mean, math.Sqrt(sd)
}

// spreadOf returns mean and deviation.
func spreadOf(values []float64) (mean, sd float64) {
	mean = average(values)
	for _, v := range values {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(max(len(values), 1)))
}
