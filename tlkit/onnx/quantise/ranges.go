package quantise

import (
	"fmt"
	"math"
)

// Method is how the range of an activation is found from what was observed.
type Method string

// The methods. Which is best depends on the network, so measure. Entropy, as in TensorRT, is not offered:
// it cuts off so much of a small network's activations that a tenth of the labels changed.
const (
	MinMax     Method = "min-max"       // the smallest and the largest value
	Percentile Method = "percentile"    // without the outermost 0.001 % on either side
	Squares    Method = "squared error" // with the least squared error of rounding and clipping
)

// Methods returns all methods.
func Methods() []Method { return []Method{MinMax, Percentile, Squares} }

const bins = 1 << 13 // of a histogram

// histogram counts the values of an activation in bins of equal width around zero.
type histogram struct {
	low, high float64 // the smallest and the largest value
	reach     float64 // the bins cover -reach to reach
	count     [bins]float64
}

func (h *histogram) add(values []float32) error {
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range values {
		low, high = min(low, v), max(high, v) // NaN stays
	}
	if !(low >= -math.MaxFloat32 && high <= math.MaxFloat32) && len(values) > 0 {
		return fmt.Errorf("values from %v to %v", low, high)
	}
	h.low, h.high = min(h.low, float64(low)), max(h.high, float64(high))
	most := max(-h.low, h.high)
	if h.reach == 0 {
		h.reach = max(most, 1e-6)
	}
	for h.reach < most {
		h.widen()
	}
	scale := float32(bins / 2 / h.reach)
	for _, v := range values {
		h.count[min(int(v*scale+bins/2), bins-1)]++
	}
	return nil
}

// widen doubles the reach.
func (h *histogram) widen() {
	var wider [bins]float64
	for i, n := range h.count {
		wider[bins/4+i/2] += n
	}
	h.count, h.reach = wider, 2*h.reach
}

// at is the middle of a bin.
func (h *histogram) at(i int) float64 { return (float64(i) + 0.5 - bins/2) * 2 / bins * h.reach }

// bounds returns the range of an activation by a method. It holds zero, which is exact then: padding
// is made of zeros.
func (h *histogram) bounds(m Method) (low, high float64) {
	low, high = h.low, h.high
	switch m {
	case Percentile:
		low, high = h.percentile(1e-5)
	case Squares:
		low, high = h.narrowed()
	}
	return min(low, 0), max(high, 0)
}

// percentile returns the range without a share of the values on either side.
func (h *histogram) percentile(share float64) (low, high float64) {
	total := 0.0
	for _, n := range h.count {
		total += n
	}
	low, high = h.low, h.high
	sum := 0.0
	for i := 0; i < bins; i++ {
		if sum += h.count[i]; sum > share*total {
			low = max(h.low, h.at(i))
			break
		}
	}
	sum = 0
	for i := bins - 1; i >= 0; i-- {
		if sum += h.count[i]; sum > share*total {
			high = min(h.high, h.at(i))
			break
		}
	}
	return low, high
}

// narrowed returns the part of the range with the least squared error.
func (h *histogram) narrowed() (low, high float64) {
	low, high = min(h.low, 0), max(h.high, 0)
	best := math.Inf(1)
	least, most := low, high
	for k := 100; k >= 20; k-- {
		a, b := least*float64(k)/100, most*float64(k)/100
		if c := h.squares(a, b); c < best {
			best, low, high = c, a, b
		}
	}
	return low, high
}

// squares is the mean squared error of rounding to 256 steps, and of clipping.
func (h *histogram) squares(low, high float64) float64 {
	step := (high - low) / 255
	sum := 0.0
	for i, n := range h.count {
		if n == 0 {
			continue
		}
		v := h.at(i)
		switch {
		case v < low:
			sum += n * (low - v) * (low - v)
		case v > high:
			sum += n * (v - high) * (v - high)
		default:
			sum += n * step * step / 12
		}
	}
	return sum
}
