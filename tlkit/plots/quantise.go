package plots

import (
	"cmp"
	"image"
	"image/color"
	"slices"
)

// quantised reduces a drawing to 256 colours, one byte per pixel. A figure has a few flat
// colours and thousands of blends at smoothed edges. The flat ones come first by their number
// of pixels and stay exact; a blend becomes the nearest colour of the palette. The same drawing
// gives the same palette.
func quantised(img *image.RGBA) *image.Paletted {
	type rgb24 uint32
	b := img.Bounds()
	count := map[rgb24]int{}
	pixel := func(i int) rgb24 {
		return rgb24(img.Pix[i])<<16 | rgb24(img.Pix[i+1])<<8 | rgb24(img.Pix[i+2])
	}
	// Runs of the same colour are long, white most of all.
	each := func(do func(c rgb24, x, y, n int)) {
		for y := range b.Dy() {
			row := y * img.Stride
			for x := 0; x < b.Dx(); {
				c, n := pixel(row+4*x), 1
				for x+n < b.Dx() && pixel(row+4*(x+n)) == c {
					n++
				}
				do(c, x, y, n)
				x += n
			}
		}
	}
	each(func(c rgb24, _, _, n int) { count[c] += n })

	colours := make([]rgb24, 0, len(count))
	for c := range count {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(x, y rgb24) int { return cmp.Or(cmp.Compare(count[y], count[x]), cmp.Compare(x, y)) })
	part := func(c rgb24, shift uint) int { return int(c>>shift) & 255 }
	apart := func(x, y rgb24) int {
		r, g, b := part(x, 16)-part(y, 16), part(x, 8)-part(y, 8), part(x, 0)-part(y, 0)
		return r*r + g*g + b*b
	}
	const most = 256
	var chosen []rgb24
	// If the palette had many similar colours, whole ramps would have none. So colours close to a
	// chosen one are skipped; then, while there is room, closer ones are allowed.
	for _, room := range []int{14 * 14, 7 * 7, 0} {
		for _, c := range colours {
			if len(chosen) == most {
				break
			}
			if !slices.ContainsFunc(chosen, func(p rgb24) bool { return apart(c, p) <= room }) {
				chosen = append(chosen, c)
			}
		}
	}
	out := image.NewPaletted(b, make(color.Palette, len(chosen)))
	for i, c := range chosen {
		out.Palette[i] = color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 255}
	}
	index := make(map[rgb24]uint8, len(colours))
	for _, c := range colours {
		best, nearest := 0, 1<<30
		for i, p := range chosen {
			if d := apart(c, p); d < nearest {
				best, nearest = i, d
			}
		}
		index[c] = uint8(best)
	}
	each(func(c rgb24, x, y, n int) {
		i, row := index[c], out.Pix[y*out.Stride+x:]
		for k := range n {
			row[k] = i
		}
	})
	return out
}
