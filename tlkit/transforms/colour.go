package transforms

import (
	"fmt"
	"math"
)

// jitter changes colours at random.
type jitter struct{ brightness, contrast, saturation, hue float64 }

// ColorJitter changes brightness, contrast, saturation and hue at random, in random
// order, as torchvision does on Pillow pictures: the first three by a factor between
// max(0, 1-x) and 1+x, the hue by a shift between -hue and hue of the colour circle.
// Zero leaves a property alone. hue is at most 0.5.
func ColorJitter(brightness, contrast, saturation, hue float64) Step {
	j := jitter{brightness, contrast, saturation, hue}
	for _, v := range [...]float64{brightness, contrast, saturation} {
		if !(v >= 0 && v <= 1e6) {
			return refused{fmt.Errorf("transforms: %s: wanted no negative numbers", j)}
		}
	}
	if !(hue >= 0 && hue <= 0.5) {
		return refused{fmt.Errorf("transforms: %s: wanted a hue from 0 to 0.5", j)}
	}
	return j
}

func (j jitter) String() string {
	return fmt.Sprintf("ColorJitter(%g, %g, %g, %g)", j.brightness, j.contrast, j.saturation, j.hue)
}

func (j jitter) picture(p *Picture, s *stream) (*Picture, error) {
	order := [4]int{0, 1, 2, 3}
	for i := 3; i > 0; i-- {
		k := s.intn(i + 1)
		order[i], order[k] = order[k], order[i]
	}
	// All four are drawn, used or not, so that the numbers of later steps do not depend on
	// which arguments are zero.
	factor := func(x float64) float64 { return s.uniform(max(0, 1-x), 1+x) }
	b, c, sat, hue := factor(j.brightness), factor(j.contrast), factor(j.saturation), s.uniform(-j.hue, j.hue)
	for _, what := range order {
		switch {
		case what == 0 && j.brightness > 0:
			p = p.brightness(b)
		case what == 1 && j.contrast > 0:
			p = p.contrast(c)
		case what == 2 && j.saturation > 0:
			p = p.saturation(sat)
		case what == 3 && j.hue > 0:
			p = p.hue(hue)
		}
	}
	return p, nil
}

// blend goes from a to b (factor 0 to 1) and beyond. Pillow computes in float32 and truncates;
// between 0 and 1 no result leaves the byte range, so one clip is enough.
func blend(a, b uint8, factor float32) uint8 {
	v := float32(a) + float32(factor*float32(int(b)-int(a)))
	switch {
	case v <= 0:
		return 0
	case v >= 255:
		return 255
	}
	return uint8(v)
}

// blendWith applies blend with the same grey value for all pixels.
func (p *Picture) blendWith(grey uint8, factor float64) *Picture {
	var table [256]uint8
	for v := range table {
		table[v] = blend(grey, uint8(v), float32(factor))
	}
	out := NewPicture(p.Width, p.Height)
	for i, v := range p.Pix {
		out.Pix[i] = table[v]
	}
	return out
}

func (p *Picture) brightness(factor float64) *Picture { return p.blendWith(0, factor) }

// contrast blends with the mean grey, rounded to a whole level.
func (p *Picture) contrast(factor float64) *Picture {
	var sum uint64
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		sum += uint64(luma(p.Pix[i : i+3]))
	}
	mean := float64(sum) / float64(p.Width*p.Height)
	return p.blendWith(uint8(mean+0.5), factor)
}

// saturation blends every pixel with its own grey.
func (p *Picture) saturation(factor float64) *Picture {
	out := NewPicture(p.Width, p.Height)
	f := float32(factor)
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		s, d := p.Pix[i:i+3:i+3], out.Pix[i:i+3:i+3]
		l := luma(s)
		d[0], d[1], d[2] = blend(l, s[0], f), blend(l, s[1], f), blend(l, s[2], f)
	}
	return out
}

// Grayscale replaces each of the three channels by the brightness, as torchvision's
// Grayscale(3) does: for networks trained on grey pictures.
func Grayscale() Step { return grayscale{} }

type grayscale struct{}

func (grayscale) String() string { return "Grayscale()" }

func (grayscale) picture(p *Picture, _ *stream) (*Picture, error) {
	out := NewPicture(p.Width, p.Height)
	for i := 0; i < len(p.Pix); i += 3 {
		l := luma(p.Pix[i : i+3])
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = l, l, l
	}
	return out, nil
}

// luma is Pillow's convert("L"): ITU-R 601 in 16-bit fixed point.
func luma(s []uint8) uint8 {
	return uint8((uint32(s[0])*19595 + uint32(s[1])*38470 + uint32(s[2])*7471 + 1<<15) >> 16)
}

// hue turns the colour circle in Pillow's 8-bit HSV, which loses some precision.
func (p *Picture) hue(shift float64) *Picture {
	out := NewPicture(p.Width, p.Height)
	turn := uint8(int32(shift * 255)) // truncated towards zero, then modulo 256
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		h, s, v := toHSV(p.Pix[i], p.Pix[i+1], p.Pix[i+2])
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = fromHSV(h+turn, s, v)
	}
	return out
}

// toHSV mixes float32 and float64 where Pillow's C does.
func toHSV(r, g, b uint8) (h, s, v uint8) {
	hi, lo := max(r, g, b), min(r, g, b)
	if hi == lo {
		return 0, 0, hi
	}
	span := float32(hi - lo)
	rc, gc, bc := float32(hi-r)/span, float32(hi-g)/span, float32(hi-b)/span
	var turn float32
	switch hi {
	case r:
		turn = bc - gc
	case g:
		turn = float32(2 + float64(rc) - float64(bc))
	default:
		turn = float32(4 + float64(gc) - float64(rc))
	}
	turn = float32(math.Mod(float64(turn)/6+1, 1))
	return clipByte(int(float64(turn) * 255)), clipByte(int(float64(span/float32(hi)) * 255)), hi
}

func fromHSV(h, s, v uint8) (r, g, b uint8) {
	if s == 0 {
		return v, v, v
	}
	turn := float64(h) * 6 / 255
	i := math.Floor(turn)
	f := float64(float32(turn - i))
	fs := float64(float32(float64(s) / 255))
	round := func(x float64) uint8 { return clipByte(int(math.Round(x))) }
	w := float64(v)
	p := round(w * (1 - fs))
	q := round(w * (1 - float64(fs*f)))
	t := round(w * (1 - float64(fs*(1-f))))
	switch int(i) % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}

func clipByte(v int) uint8 { return uint8(min(max(v, 0), 255)) }
