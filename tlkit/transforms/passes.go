package transforms

// A plane is rows of pixels that begin stride bytes apart.
type plane struct {
	pix    []uint8
	stride int
}

// horizontal resamples the rows of src along x. The kernel's pixel number first is the first
// pixel of src.
func horizontal(dst []uint8, src plane, rows int, k kernel, first int) {
	n := len(k.start)
	f := horizontalN
	switch k.taps {
	case 2:
		f = horizontal2
	case 3:
		f = horizontal3
	case 4:
		f = horizontal4
	}
	if first != 0 {
		start := make([]int32, n)
		for i, s := range k.start {
			start[i] = s - int32(first)
		}
		k.start = start
	}
	_, last := k.span()
	for r := range rows {
		f(dst[3*r*n:3*(r+1)*n], src.pix[r*src.stride:r*src.stride+3*last], k)
	}
}

const half = 1 << (precision - 1)

func horizontal2(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:2:2]
		p := row[3*int(s):][:6:6]
		c0, c1 := c[0], c[1]
		r := half + int32(p[0])*c0 + int32(p[3])*c1
		g := half + int32(p[1])*c0 + int32(p[4])*c1
		b := half + int32(p[2])*c0 + int32(p[5])*c1
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[2:]
	}
}

func horizontal3(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:3:3]
		p := row[3*int(s):][:9:9]
		c0, c1, c2 := c[0], c[1], c[2]
		r := half + int32(p[0])*c0 + int32(p[3])*c1 + int32(p[6])*c2
		g := half + int32(p[1])*c0 + int32(p[4])*c1 + int32(p[7])*c2
		b := half + int32(p[2])*c0 + int32(p[5])*c1 + int32(p[8])*c2
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[3:]
	}
}

func horizontal4(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:4:4]
		p := row[3*int(s):][:12:12]
		c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
		r := half + int32(p[0])*c0 + int32(p[3])*c1 + int32(p[6])*c2 + int32(p[9])*c3
		g := half + int32(p[1])*c0 + int32(p[4])*c1 + int32(p[7])*c2 + int32(p[10])*c3
		b := half + int32(p[2])*c0 + int32(p[5])*c1 + int32(p[8])*c2 + int32(p[11])*c3
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[4:]
	}
}

func horizontalN(out, row []uint8, k kernel) {
	w := k.weights
	for _, s := range k.start {
		c := w[:k.taps]
		p := row[3*int(s):][:3*k.taps]
		r, g, b := int32(half), int32(half), int32(half)
		for len(c) >= 2 && len(p) >= 6 {
			q := p[:6:6]
			c0, c1 := c[0], c[1]
			r += int32(q[0])*c0 + int32(q[3])*c1
			g += int32(q[1])*c0 + int32(q[4])*c1
			b += int32(q[2])*c0 + int32(q[5])*c1
			c, p = c[2:], p[6:]
		}
		if len(c) > 0 && len(p) >= 3 {
			r += int32(p[0]) * c[0]
			g += int32(p[1]) * c[0]
			b += int32(p[2]) * c[0]
		}
		o := out[:3:3]
		o[0], o[1], o[2] = clip8(r), clip8(g), clip8(b)
		out, w = out[3:], w[k.taps:]
	}
}

// vertical resamples columns: row y of dst, n bytes long, is a sum of rows of src. The
// kernel's row number first is row 0 of src.
func vertical(dst []uint8, n int, src plane, k kernel, first int) {
	var sums []int32
	for y, s := range k.start {
		dst := dst[y*n : (y+1)*n]
		w := k.weights[y*k.taps : (y+1)*k.taps]
		pos := (int(s) - first) * src.stride
		row := func(i int) []uint8 { return src.pix[pos+i*src.stride : pos+i*src.stride+n] }
		switch k.taps {
		case 1:
			copy(dst, row(0))
		case 2:
			vertical2(dst, row(0), row(1), w[0], w[1])
		case 3:
			vertical3(dst, [3][]uint8{row(0), row(1), row(2)}, [3]int32(w))
		case 4:
			vertical4(dst, [4][]uint8{row(0), row(1), row(2), row(3)}, [4]int32(w))
		default:
			if sums == nil {
				sums = make([]int32, n)
			}
			for j := range sums {
				sums[j] = half
			}
			i := 0
			for ; i+4 <= k.taps; i += 4 {
				add4(sums, [4][]uint8{row(i), row(i + 1), row(i + 2), row(i + 3)}, [4]int32(w[i:]))
			}
			for ; i < k.taps; i++ {
				if c := w[i]; c != 0 {
					for j, v := range row(i) {
						sums[j] += int32(v) * c
					}
				}
			}
			for j, v := range sums {
				dst[j] = clip8(v)
			}
		}
	}
}

func vertical2(dst, a, b []uint8, c0, c1 int32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for j := range dst {
		dst[j] = clip8(half + int32(a[j])*c0 + int32(b[j])*c1)
	}
}

func vertical3(dst []uint8, rows [3][]uint8, w [3]int32) {
	a, b, c := rows[0][:len(dst)], rows[1][:len(dst)], rows[2][:len(dst)]
	c0, c1, c2 := w[0], w[1], w[2]
	for j := range dst {
		dst[j] = clip8(half + int32(a[j])*c0 + int32(b[j])*c1 + int32(c[j])*c2)
	}
}

func vertical4(dst []uint8, rows [4][]uint8, w [4]int32) {
	a, b, c, d := rows[0][:len(dst)], rows[1][:len(dst)], rows[2][:len(dst)], rows[3][:len(dst)]
	c0, c1, c2, c3 := w[0], w[1], w[2], w[3]
	for j := range dst {
		dst[j] = clip8(half + int32(a[j])*c0 + int32(b[j])*c1 + int32(c[j])*c2 + int32(d[j])*c3)
	}
}

func add4(sums []int32, rows [4][]uint8, w [4]int32) {
	a, b, c, d := rows[0][:len(sums)], rows[1][:len(sums)], rows[2][:len(sums)], rows[3][:len(sums)]
	c0, c1, c2, c3 := w[0], w[1], w[2], w[3]
	for j := range sums {
		sums[j] += int32(a[j])*c0 + int32(b[j])*c1 + int32(c[j])*c2 + int32(d[j])*c3
	}
}

// clip8 drops the fraction bits of a sum and clips to a byte.
func clip8(v int32) uint8 {
	if uint32(v) < 256<<precision {
		return uint8(v >> precision)
	}
	return uint8(^(v >> 31))
}
