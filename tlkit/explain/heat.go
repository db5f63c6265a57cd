package explain

import (
	"cmp"
	"image"
	"image/color"
	"math"
	"slices"
)

// Heat is how strongly each part of a picture speaks for an output: 0 = not at all, or against it.
type Heat struct {
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Values []float64 `json:"values"` // row by row, in units of the output
}

// rectify takes what speaks against the output for nothing.
func (h *Heat) rectify() {
	for i, v := range h.Values {
		h.Values[i] = max(v, 0)
	}
}

// Peak returns the largest value, and where it is in shares of the picture from its top left corner.
func (h *Heat) Peak() (value, x, y float64) {
	best := 0
	for i, v := range h.Values {
		if v > h.Values[best] {
			best = i
		}
	}
	return h.Values[best], (float64(best%h.Width) + 0.5) / float64(h.Width), (float64(best/h.Width) + 0.5) / float64(h.Height)
}

// Share returns the smallest share of the picture that has half of the heat: small for a map that points
// at one thing, a half for one that is equal everywhere or, with 1, for one without heat.
func (h *Heat) Share() float64 {
	sorted := slices.Clone(h.Values)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
	total, sum := 0.0, 0.0
	for _, v := range sorted {
		total += v
	}
	if total == 0 {
		return 1
	}
	for i, v := range sorted {
		if sum += v; sum >= total/2 {
			return float64(i+1) / float64(len(sorted))
		}
	}
	return 1
}

// Alike returns the rank correlation of two maps of the same size (Spearman's): 1 = the same order of
// parts, about 0 = nothing in common. A map that is much like that of random weights shows the picture,
// not what was learnt. It is NaN if the sizes differ or one map is equal everywhere.
func (h *Heat) Alike(other *Heat) float64 {
	if h.Width != other.Width || h.Height != other.Height {
		return math.NaN()
	}
	a, b := ranks(h.Values), ranks(other.Values)
	mean := float64(len(a)-1) / 2
	var ab, aa, bb float64
	for i := range a {
		x, y := a[i]-mean, b[i]-mean
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return math.NaN()
	}
	return ab / math.Sqrt(aa*bb)
}

// ranks returns the rank of each value; equal ones share the mean of theirs.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, o := range order[i:j] {
			out[o] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}

// opacity is how much of the heat's colour covers the picture.
const opacity = 0.45

// stops are the colours of heat, from none to the most: each lighter than the one before, so that they
// can be told apart without hue.
var stops = []color.NRGBA{{24, 18, 64, 255}, {96, 32, 112, 255}, {176, 48, 88, 255}, {235, 104, 52, 255}, {252, 190, 70, 255}, {255, 250, 190, 255}}

// Over draws the heat over a picture in grey, between its cells smoothly, from dark blue over red to light
// yellow; the most is the largest value. A map without heat leaves all of it dark.
func (h *Heat) Over(picture image.Image) image.Image {
	b := picture.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	peak, _, _ := h.Peak()
	for y := range b.Dy() {
		for x := range b.Dx() {
			v := 0.0
			if peak > 0 {
				v = h.at((float64(x)+0.5)/float64(b.Dx()), (float64(y)+0.5)/float64(b.Dy())) / peak
			}
			c, under := colourOf(v), color.GrayModel.Convert(picture.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y
			mix := func(over uint8) uint8 {
				return uint8(math.Round((1-opacity)*float64(under) + opacity*float64(over)))
			}
			out.SetRGBA(x, y, color.RGBA{mix(c.R), mix(c.G), mix(c.B), 255})
		}
	}
	return out
}

// at returns the value at a place in shares of the picture, linear between the middles of cells.
func (h *Heat) at(x, y float64) float64 {
	split := func(at float64, n int) (int, int, float64) {
		pos := min(max(at*float64(n)-0.5, 0), float64(n-1))
		low := min(int(pos), n-1)
		return low, min(low+1, n-1), pos - float64(low)
	}
	x0, x1, u := split(x, h.Width)
	y0, y1, v := split(y, h.Height)
	cell := func(x, y int) float64 { return h.Values[y*h.Width+x] }
	return (1-v)*((1-u)*cell(x0, y0)+u*cell(x1, y0)) + v*((1-u)*cell(x0, y1)+u*cell(x1, y1))
}

func colourOf(v float64) color.NRGBA {
	pos := min(max(v, 0), 1) * float64(len(stops)-1)
	i := min(int(pos), len(stops)-2)
	mix := func(a, b uint8) uint8 {
		return uint8(math.Round(float64(a) + (pos-float64(i))*(float64(b)-float64(a))))
	}
	return color.NRGBA{mix(stops[i].R, stops[i+1].R), mix(stops[i].G, stops[i+1].G), mix(stops[i].B, stops[i+1].B), 255}
}
