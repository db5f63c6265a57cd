package show

import (
	"cmp"
	"image"
	"image/color"
	"slices"
)

// paletteBits of each colour tell colours apart while a palette is chosen.
const paletteBits = 6

// A palette is the colours of a film, and finds the nearest of them. The first one is transparent.
type palette struct {
	colours color.Palette
	known   []int16 // index of each colour of 3 paletteBits; -1 = not looked up yet
}

// hue is one colour of a histogram: its sum, for the mean.
type hue struct {
	at    [3]uint8 // its paletteBits
	count int
}

// bucket is the place of a colour in a histogram.
func bucket(r, g, b uint8) int {
	const drop = 8 - paletteBits
	return int(r>>drop)<<(2*paletteBits) | int(g>>drop)<<paletteBits | int(b>>drop)
}

// newPalette chooses n colours for a histogram, by median cut: the box of colours that spreads most is
// split until there are enough. It is written here because the libraries for it take one picture, not a
// film. The colours to keep are in it as they are. The same histogram gives the same palette.
func newPalette(histogram []int, n int, keep []color.NRGBA) *palette {
	p := &palette{known: slices.Repeat([]int16{-1}, len(histogram)), colours: color.Palette{color.NRGBA{}}}
	for _, c := range keep {
		p.colours = append(p.colours, c)
	}
	var all []hue
	const mask = 1<<paletteBits - 1
	for i, count := range histogram {
		if count > 0 {
			all = append(all, hue{[3]uint8{uint8(i >> (2 * paletteBits) & mask), uint8(i >> paletteBits & mask), uint8(i & mask)}, count})
		}
	}
	for _, box := range cut(all, n-len(p.colours)) {
		p.colours = append(p.colours, middle(box))
	}
	for len(p.colours) < 17 { // with fewer, image/png would pack pixels
		p.colours = append(p.colours, color.NRGBA{A: 255})
	}
	return p
}

// cut splits colours into at most n boxes.
func cut(all []hue, n int) [][]hue {
	if len(all) == 0 {
		return nil
	}
	boxes := [][]hue{all}
	for len(boxes) < n {
		best, axis, most := -1, 0, 0.0
		for i, b := range boxes {
			if a, v := spread(b); v > most {
				best, axis, most = i, a, v
			}
		}
		if best < 0 { // every box has one colour
			break
		}
		low, high := halves(boxes[best], axis)
		boxes[best] = low
		boxes = append(boxes, high)
	}
	return boxes
}

// spread returns the axis on which a box spreads most, and the sum of squares along it.
func spread(box []hue) (axis int, squares float64) {
	for a := range 3 {
		var n, sum, square float64
		for _, h := range box {
			v, w := float64(h.at[a]), float64(h.count)
			n, sum, square = n+w, sum+w*v, square+w*v*v
		}
		if s := square - sum*sum/n; s > squares+1e-9 {
			axis, squares = a, s
		}
	}
	return axis, squares
}

// halves splits a box at the mean of an axis, so that both halves hold something.
func halves(box []hue, axis int) (low, high []hue) {
	slices.SortStableFunc(box, func(x, y hue) int { return cmp.Compare(x.at[axis], y.at[axis]) })
	var n, sum float64
	for _, h := range box {
		n, sum = n+float64(h.count), sum+float64(h.count)*float64(h.at[axis])
	}
	at, _ := slices.BinarySearchFunc(box, sum/n, func(h hue, mean float64) int { return cmp.Compare(float64(h.at[axis]), mean+1e-9) })
	at = min(max(at, 1), len(box)-1)
	return box[:at:at], box[at:]
}

// middle is the mean colour of a box.
func middle(box []hue) color.NRGBA {
	var n float64
	var sum [3]float64
	for _, h := range box {
		n += float64(h.count)
		for a, v := range h.at {
			sum[a] += float64(h.count) * float64(v)
		}
	}
	full := func(a int) uint8 { return uint8((sum[a]/n+0.5)*(1<<(8-paletteBits)) + 0.5) }
	return color.NRGBA{full(0), full(1), full(2), 255}
}

// index returns the nearest opaque colour of the palette.
func (p *palette) index(r, g, b uint8) uint8 {
	k := bucket(r, g, b)
	if p.known[k] < 0 {
		const half = 1 << (7 - paletteBits)
		away := func(x, y uint8) int { d := int(x) - int(y); return d * d }
		best, nearest := 1, 1<<30
		for i, c := range p.colours[1:] {
			c := c.(color.NRGBA)
			if d := away(c.R, r&^(2*half-1)|half) + away(c.G, g&^(2*half-1)|half) + away(c.B, b&^(2*half-1)|half); d < nearest {
				best, nearest = i+1, d
			}
		}
		p.known[k] = int16(best)
	}
	return uint8(p.known[k])
}

// paletted turns an opaque picture into colours of the palette; clear pixels stay clear.
func (p *palette) paletted(img *image.NRGBA) *image.Paletted {
	out := image.NewPaletted(img.Rect, p.colours)
	for i := range out.Pix {
		if c := img.Pix[4*i : 4*i+4]; c[3] > 0 {
			out.Pix[i] = p.index(c[0], c[1], c[2])
		}
	}
	return out
}
