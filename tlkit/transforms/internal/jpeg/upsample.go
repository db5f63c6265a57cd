package jpeg

import "image"

// row returns the part of row y of component i that is in the window. Like libjpeg, it
// interpolates where a component is halved ("fancy upsampling": three parts of the nearer sample,
// one of the farther) and otherwise repeats samples. buf is the component's row buffer.
func (f *File) row(i, y int, window image.Rectangle, buf *[]uint8) []uint8 {
	c := &f.comps[i]
	sx, sy := f.maxH/c.h, f.maxV/c.v
	stride := 8 * c.blocks.w
	// Only these samples are known. The outermost two serve as neighbours, so that the
	// interpolation is right at the ends of the window.
	known := c.samples(f, window)
	line := func(r int) []uint8 {
		r = min(max(r, 0), c.size.h-1)
		return c.pix[r*stride+known.Min.X : r*stride+known.Max.X]
	}
	start := window.Min.X - sx*known.Min.X
	end := start + window.Dx()
	if sx == 1 && sy == 1 {
		return line(y)[start:end]
	}
	n := sx * known.Dx()
	if cap(*buf) < n {
		*buf = make([]uint8, n)
	}
	out := (*buf)[:n]
	closer := y / sy
	far := closer - 1 + 2*(y&1) // the row on the other side, for sy == 2
	switch {
	case sx == 2 && sy == 1 && c.size.w > 2:
		halved(out, line(closer))
	case sx == 1 && sy == 2:
		interpolate(out, line(closer), line(far), uint32(1+y&1))
	case sx == 2 && sy == 2 && c.size.w > 2:
		quartered(out, line(closer), line(far))
	default:
		for x, v := range line(closer) {
			for k := range sx {
				out[sx*x+k] = v
			}
		}
	}
	return out[start:end]
}

// halved doubles a row. The two halves of a sample are rounded differently (1 and 2 of 4), so
// that errors do not all have the same sign.
func halved(out, src []uint8) {
	this := uint32(src[0])
	out[0] = src[0]
	o := out[1:]
	for _, v := range src[1:] {
		next := uint32(v)
		d := o[:2:2]
		d[0] = uint8((3*this + next + 2) >> 2)
		d[1] = uint8((3*next + this + 1) >> 2)
		o = o[2:]
		this = next
	}
	o[0] = uint8(this)
}

// interpolate returns the row a quarter of the way from near to far.
func interpolate(out, closer, far []uint8, round uint32) {
	far = far[:len(closer)]
	out = out[:len(closer)]
	for i, v := range closer {
		out[i] = uint8((3*uint32(v) + uint32(far[i]) + round) >> 2)
	}
}

// quartered interpolates in both directions at once, with one rounding.
func quartered(out, closer, far []uint8) {
	n := len(closer)
	far = far[:n]
	this := 3*uint32(closer[0]) + uint32(far[0])
	out[0] = uint8((4*this + 8) >> 4)
	o := out[1:]
	for i := 1; i < n; i++ {
		next := 3*uint32(closer[i]) + uint32(far[i])
		d := o[:2:2]
		d[0] = uint8((3*this + next + 7) >> 4)
		d[1] = uint8((3*next + this + 8) >> 4)
		o = o[2:]
		this = next
	}
	out[2*n-1] = uint8((4*this + 7) >> 4)
}
