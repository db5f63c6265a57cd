package jpeg

// The inverse DCT of Loeffler, Ligtenberg and Moschytz in integers, with libjpeg's
// scaling ("islow"): 13 bits for the constants, 2 more bits kept between the passes.
// Another order of rounding gives other pixels.
const (
	constBits = 13
	passBits  = 2

	fix0_298631336 = 2446
	fix0_390180644 = 3196
	fix0_541196100 = 4433
	fix0_765366865 = 6270
	fix0_899976223 = 7373
	fix1_175875602 = 9633
	fix1_501321110 = 12299
	fix1_847759065 = 15137
	fix1_961570560 = 16069
	fix2_053119869 = 16819
	fix2_562915447 = 20995
	fix3_072711026 = 25172
)

// clampTable holds samples 0..255 for -128..127 and clips beyond, for indices that are
// masked with 1023.
var clampTable = func() (t [1024]uint8) {
	for i := range t {
		v := i
		if i >= 512 {
			v -= 1024
		}
		t[i] = uint8(min(max(v+128, 0), 255))
	}
	return
}()

// level clips a sample and adds 128. Sums of usual coefficients are within +-512, where a table
// is enough; others are clipped by hand.
func level(v int32) uint8 {
	if uint32(v+512) < 1024 {
		return clampTable[v&1023]
	}
	if v < 0 {
		return 0
	}
	return 255
}

// idct transforms a dequantised block, whose last coefficient in zigzag order is last,
// and writes its samples.
func idct(b *[64]int32, last int, dst []uint8, stride int) {
	if last == 0 { // flat
		v := level((b[0] + 4) >> 3)
		w := uint64(v) * 0x0101010101010101
		for range 8 {
			d := dst[:8:8]
			d[0], d[1], d[2], d[3] = uint8(w), uint8(w), uint8(w), uint8(w)
			d[4], d[5], d[6], d[7] = uint8(w), uint8(w), uint8(w), uint8(w)
			if len(dst) <= stride {
				break
			}
			dst = dst[stride:]
		}
		return
	}
	// In zigzag order a coefficient of row or column r comes no earlier than r*(r+1)/2.
	columns := 8
	for columns > 1 && last < int(firstInColumn[columns-1]) {
		columns--
	}
	for x := range columns {
		column(b, x)
	}
	for y := range 8 {
		r := (*[8]int32)(b[8*y:])
		d := dst[:8:8]
		if columns <= 4 {
			row4(r, d)
		} else {
			row8(r, d)
		}
		if len(dst) > stride {
			dst = dst[stride:]
		}
	}
}

// firstInColumn is the zigzag place of a column's first coefficient.
var firstInColumn = [8]uint8{0, 1, 5, 6, 14, 15, 27, 28}

func column(b *[64]int32, x int) {
	i0, i1, i2, i3 := b[x&7], b[x&7+8], b[x&7+16], b[x&7+24]
	i4, i5, i6, i7 := b[x&7+32], b[x&7+40], b[x&7+48], b[x&7+56]
	if i1|i2|i3|i4|i5|i6|i7 == 0 {
		v := i0 << passBits
		b[x&7], b[x&7+8], b[x&7+16], b[x&7+24] = v, v, v, v
		b[x&7+32], b[x&7+40], b[x&7+48], b[x&7+56] = v, v, v, v
		return
	}
	z1 := (i2 + i6) * fix0_541196100
	t2 := z1 - i6*fix1_847759065
	t3 := z1 + i2*fix0_765366865
	t0 := (i0 + i4) << constBits
	t1 := (i0 - i4) << constBits
	const round = 1 << (constBits - passBits - 1)
	e0, e3 := t0+t3+round, t0-t3+round
	e1, e2 := t1+t2+round, t1-t2+round

	z1, z2, z3, z4 := i7+i1, i5+i3, i7+i3, i5+i1
	z5 := (z3 + z4) * fix1_175875602
	z1 *= -fix0_899976223
	z2 *= -fix2_562915447
	z3 = z5 - z3*fix1_961570560
	z4 = z5 - z4*fix0_390180644
	o0 := i7*fix0_298631336 + z1 + z3
	o1 := i5*fix2_053119869 + z2 + z4
	o2 := i3*fix3_072711026 + z2 + z3
	o3 := i1*fix1_501321110 + z1 + z4

	const shift = constBits - passBits
	b[x&7] = (e0 + o3) >> shift
	b[x&7+56] = (e0 - o3) >> shift
	b[x&7+8] = (e1 + o2) >> shift
	b[x&7+48] = (e1 - o2) >> shift
	b[x&7+16] = (e2 + o1) >> shift
	b[x&7+40] = (e2 - o1) >> shift
	b[x&7+24] = (e3 + o0) >> shift
	b[x&7+32] = (e3 - o0) >> shift
}

const (
	rowShift = constBits + passBits + 3
	rowRound = 1 << (rowShift - 1)
)

func row8(r *[8]int32, d []uint8) {
	_ = d[7]
	z1 := (r[2] + r[6]) * fix0_541196100
	t2 := z1 - r[6]*fix1_847759065
	t3 := z1 + r[2]*fix0_765366865
	t0 := (r[0]+r[4])<<constBits + rowRound
	t1 := (r[0]-r[4])<<constBits + rowRound
	e0, e3, e1, e2 := t0+t3, t0-t3, t1+t2, t1-t2

	z1, z2, z3, z4 := r[7]+r[1], r[5]+r[3], r[7]+r[3], r[5]+r[1]
	z5 := (z3 + z4) * fix1_175875602
	z1 *= -fix0_899976223
	z2 *= -fix2_562915447
	z3 = z5 - z3*fix1_961570560
	z4 = z5 - z4*fix0_390180644
	o0 := r[7]*fix0_298631336 + z1 + z3
	o1 := r[5]*fix2_053119869 + z2 + z4
	o2 := r[3]*fix3_072711026 + z2 + z3
	o3 := r[1]*fix1_501321110 + z1 + z4

	d[0], d[7] = level((e0+o3)>>rowShift), level((e0-o3)>>rowShift)
	d[1], d[6] = level((e1+o2)>>rowShift), level((e1-o2)>>rowShift)
	d[2], d[5] = level((e2+o1)>>rowShift), level((e2-o1)>>rowShift)
	d[3], d[4] = level((e3+o0)>>rowShift), level((e3-o0)>>rowShift)
}

// row4 is row8 for rows whose last four inputs are zero; the sums
// are the same.
func row4(r *[8]int32, d []uint8) {
	_ = d[7]
	r1, r2, r3 := r[1], r[2], r[3]
	t2 := r2 * fix0_541196100
	t3 := r2 * (fix0_541196100 + fix0_765366865)
	t0 := r[0]<<constBits + rowRound
	e0, e3, e1, e2 := t0+t3, t0-t3, t0+t2, t0-t2

	z5 := (r3 + r1) * fix1_175875602
	z1, z2 := r1*-fix0_899976223, r3*-fix2_562915447
	z3, z4 := z5-r3*fix1_961570560, z5-r1*fix0_390180644
	o0 := z1 + z3
	o1 := z2 + z4
	o2 := r3*fix3_072711026 + z2 + z3
	o3 := r1*fix1_501321110 + z1 + z4

	d[0], d[7] = level((e0+o3)>>rowShift), level((e0-o3)>>rowShift)
	d[1], d[6] = level((e1+o2)>>rowShift), level((e1-o2)>>rowShift)
	d[2], d[5] = level((e2+o1)>>rowShift), level((e2-o1)>>rowShift)
	d[3], d[4] = level((e3+o0)>>rowShift), level((e3-o0)>>rowShift)
}
