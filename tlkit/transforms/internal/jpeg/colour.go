package jpeg

import "image"

// colour says how a file's components become RGB.
type colour int

const (
	grey colour = iota
	ycc
	rgb
	cmyk // inverted, as Adobe's programs write it and Pillow assumes
	ycck
)

// colour decides as libjpeg's default_decompress_parms does.
func (f *File) colour() colour {
	switch len(f.comps) {
	case 1:
		return grey
	case 4:
		if f.adobe > 0 {
			return ycck
		}
		return cmyk
	}
	switch {
	case f.jfif:
		return ycc
	case f.adobe == 0:
		return rgb
	case f.adobe < 0 && f.comps[0].id == 'R' && f.comps[1].id == 'G' && f.comps[2].id == 'B':
		return rgb
	}
	return ycc
}

// convert upsamples and converts the rows of a window.
func (f *File) convert(dst []uint8, window image.Rectangle, m *memory) {
	kind := f.colour()
	var rows [4][]uint8
	for y := window.Min.Y; y < window.Max.Y; y++ {
		for i := range f.comps {
			rows[i] = f.row(i, y, window, &m.rows[i])
		}
		out := dst[3*(y*f.Width+window.Min.X) : 3*(y*f.Width+window.Max.X)]
		switch kind {
		case grey:
			for x, v := range rows[0] {
				d := out[3*x : 3*x+3 : 3*x+3]
				d[0], d[1], d[2] = v, v, v
			}
		case ycc:
			yccRow(out, rows[0], rows[1], rows[2])
		case rgb:
			for x, v := range rows[0] {
				d := out[3*x : 3*x+3 : 3*x+3]
				d[0], d[1], d[2] = v, rows[1][x], rows[2][x]
			}
		case cmyk:
			inkRow(out, rows)
		case ycck:
			// libjpeg's YCCK is CMYK with Y, Cb, Cr for 255-C, 255-M, 255-Y. So YCC gives the
			// complements of the inverted inks that inkRow needs.
			yccRow(out, rows[0], rows[1], rows[2])
			for x, k := range rows[3] {
				d := out[3*x : 3*x+3 : 3*x+3]
				d[0], d[1], d[2] = ink(255-d[0], k), ink(255-d[1], k), ink(255-d[2], k)
			}
		}
	}
}

// inkRow turns inverted CMYK into RGB as Pillow does.
func inkRow(out []uint8, rows [4][]uint8) {
	for x, k := range rows[3] {
		d := out[3*x : 3*x+3 : 3*x+3]
		d[0], d[1], d[2] = ink(rows[0][x], k), ink(rows[1][x], k), ink(rows[2][x], k)
	}
}

// ink returns the light that an ink and black leave, both inverted (255 = no ink): white minus
// black minus the ink's share of the rest.
func ink(c, k uint8) uint8 {
	t := uint32(255-c)*uint32(k) + 128
	return k - uint8((t>>8+t)>>8)
}

// YCC to RGB in 16-bit fixed point:
//
//	R = Y               + 1.40200 Cr
//	G = Y - 0.34414 Cb  - 0.71414 Cr
//	B = Y + 1.77200 Cb
//
// The three sums of a pixel are done at once, in three lanes of a 64-bit word: G keeps 16
// fraction bits, because it is rounded after adding its two products; R and B are
// rounded before, as in libjpeg. Every lane carries a bias that keeps it positive.
const (
	laneR = 0
	laneB = 16
	laneG = 32 // fraction; the whole part begins at 48
	bias  = 512
)

const yLanes = 1<<laneR | 1<<laneB | 1<<(laneG+16)

var cbLanes, crLanes = func() (cb, cr [256]uint64) {
	const one = 1 << 16
	for i := range 256 {
		x := i - 128
		r := (91881*x + one/2) >> 16  // 1.40200
		b := (116130*x + one/2) >> 16 // 1.77200
		g1 := -22554*x + one/2        // 0.34414
		g2 := -46802 * x              // 0.71414
		cb[i] = uint64(b+bias)<<laneB + uint64(g1+bias<<16)<<laneG
		cr[i] = uint64(r+bias)<<laneR + uint64(g2)<<laneG // modulo 2^64
	}
	return
}()

// biased clips to 0..255 after subtracting the bias.
var biased = func() (t [2048]uint8) {
	for i := range t {
		t[i] = uint8(min(max(i-bias, 0), 255))
	}
	return
}()

func yccRow(out, y, cb, cr []uint8) {
	cb, cr = cb[:len(y)], cr[:len(y)]
	for x, l := range y {
		v := uint64(l)*yLanes + cbLanes[cb[x]] + crLanes[cr[x]]
		d := out[:3:3]
		d[0], d[1], d[2] = biased[v>>laneR&2047], biased[v>>(laneG+16)&2047], biased[v>>laneB&2047]
		out = out[3:]
	}
}
