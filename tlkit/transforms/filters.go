package transforms

import (
	"fmt"
	"math"
	"strings"
)

// Interpolation names a resize filter, as Pillow does.
type Interpolation string

// The six filters. The empty Interpolation means Bilinear, torchvision's default.
const (
	Nearest  Interpolation = "nearest"
	Box      Interpolation = "box"
	Bilinear Interpolation = "bilinear"
	Hamming  Interpolation = "hamming"
	Bicubic  Interpolation = "bicubic"
	Lanczos  Interpolation = "lanczos"
)

// filter is a symmetric kernel: weight at distance x, zero beyond support.
type filter struct {
	support float64
	weight  func(x float64) float64
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// filters has no entry for Nearest, which picks samples and needs no weights.
var filters = map[Interpolation]filter{
	Box: {0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}},
	Bilinear: {1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
	Hamming: {1, func(x float64) float64 {
		x = math.Abs(x)
		switch {
		case x == 0:
			return 1
		case x >= 1:
			return 0
		}
		x *= math.Pi
		return math.Sin(x) / x * (0.54 + float64(0.46*math.Cos(x)))
	}},
	Bicubic: {2, func(x float64) float64 { // a = -0.5
		x = math.Abs(x)
		switch {
		case x < 1:
			return float64((float64(1.5*x)-2.5)*x)*x + 1
		case x < 2:
			return (float64((float64((x-5)*x)+8)*x) - 4) * -0.5
		}
		return 0
	}},
	Lanczos: {3, func(x float64) float64 {
		if x >= -3 && x < 3 {
			return sinc(x) * sinc(x/3)
		}
		return 0
	}},
}

// orDefault returns the interpolation, Bilinear if it is empty, and an error if it is unknown.
func (i Interpolation) orDefault() (Interpolation, error) {
	switch {
	case i == "":
		return Bilinear, nil
	case i == Nearest || filters[i].weight != nil:
		return i, nil
	}
	return "", fmt.Errorf("transforms: no interpolation is called %q, wanted one of %s", string(i),
		strings.Join([]string{string(Nearest), string(Box), string(Bilinear), string(Hamming), string(Bicubic), string(Lanczos)}, ", "))
}

// precision is the number of fraction bits of a weight: 32 bits hold 8 bits of a sample, the
// weight, and two bits for the overshoot of the sharper kernels.
const precision = 32 - 8 - 2

// kernel resamples in one direction: output sample i is the sum of taps source samples from
// start[i] on, weighted by weights[i*taps:]. All rows have the same number of taps, some of them
// with weight zero, and start+taps stays inside the source.
type kernel struct {
	taps    int
	start   []int32
	weights []int32
}

// makeKernel returns the kernel for n outputs from first on, of a resize from size to out samples.
// It follows Pillow's ImagingResample step by step, in float64, because the last bit of a rounded
// weight sometimes decides the last bit of a pixel.
func makeKernel(size, out, first, n int, f filter) kernel {
	scale := float64(size) / float64(out)
	stretch := max(scale, 1)
	support := f.support * stretch
	k := kernel{start: make([]int32, n), taps: 1}
	// The largest possible width is often not reached; the widest row decides.
	lo, hi := make([]int, n), make([]int, n)
	for i := range n {
		// the conversion forbids a fused multiply-add
		center := float64((float64(first+i) + 0.5) * scale)
		lo[i] = max(int(center-support+0.5), 0)
		hi[i] = min(int(center+support+0.5), size)
		k.taps = max(k.taps, hi[i]-lo[i])
	}
	k.weights = make([]int32, n*k.taps)
	w := make([]float64, k.taps)
	inv := 1 / stretch
	for i := range n {
		// the conversion forbids a fused multiply-add
		center := float64((float64(first+i) + 0.5) * scale)
		sum := 0.0
		count := hi[i] - lo[i]
		for j := range count {
			w[j] = f.weight(float64((float64(lo[i]+j) - center + 0.5) * inv))
			sum += w[j]
		}
		// Near the right border the taps begin earlier, so that they end inside.
		start := max(0, min(lo[i], size-k.taps))
		k.start[i] = int32(start)
		row := k.weights[i*k.taps+lo[i]-start:]
		for j := range count {
			v := w[j]
			if sum != 0 {
				v /= sum
			}
			v *= 1 << precision
			if v < 0 {
				row[j] = int32(v - 0.5)
			} else {
				row[j] = int32(v + 0.5)
			}
		}
	}
	return k
}

// span is the range of source samples that the kernel reads.
func (k kernel) span() (first, last int) {
	first, last = int(k.start[0]), 0
	for _, s := range k.start {
		first, last = min(first, int(s)), max(last, int(s)+k.taps)
	}
	return first, last
}
