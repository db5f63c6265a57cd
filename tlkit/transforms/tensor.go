package transforms

import (
	"errors"
	"fmt"
)

// Tensor is a prepared picture: float32 in the order height, width, channel, which is [N, H, W, C]
// with N = 1.
type Tensor struct {
	Height, Width, Channels int
	Data                    []float32 // Height*Width*Channels values
}

// table is the steps from ToTensor on. Each of them maps the values of a channel one by one, so
// together they are three tables of 256 values, computed once with torch's float32 operations in
// torch's order.
type table struct {
	value  [3][256]float32 // by output channel
	source [3]int          // the source channel of each output channel: red, green, blue
}

// fill writes the picture's values.
func (t *table) fill(dst []float32, p *Picture) {
	r, g, b := &t.value[0], &t.value[1], &t.value[2]
	if t.source == [3]int{0, 1, 2} {
		src := p.Pix
		for len(src) >= 3 && len(dst) >= 3 {
			s, d := src[:3:3], dst[:3:3]
			d[0], d[1], d[2] = r[s[0]], g[s[1]], b[s[2]]
			src, dst = src[3:], dst[3:]
		}
		return
	}
	s0, s1, s2 := t.source[0], t.source[1], t.source[2]
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		s := p.Pix[i : i+3]
		dst[i], dst[i+1], dst[i+2] = r[s[s0]], g[s[s1]], b[s[s2]]
	}
}

// tensorStep changes a table.
type tensorStep struct {
	name  string
	apply func(*table)
}

func (t tensorStep) String() string { return t.name }

// ToTensor ends the part of a pipeline that works on pictures: bytes become float32 in [0, 1]. It
// does the same as torchvision's, except that channels come last.
func ToTensor() Step { return scale(0, 1, "ToTensor()") }

// scale maps bytes 0..255 to lo..hi. It divides, as torch does.
func scale(lo, hi float32, name string) Step {
	return tensorStep{name, func(t *table) {
		t.source = [3]int{0, 1, 2}
		for c := range 3 {
			for v := range 256 {
				x := float32(v)
				if lo != 0 || hi != 255 {
					x = float32(x / 255)
					if hi != lo+1 {
						x = float32(x * (hi - lo))
					}
					if lo != 0 {
						x = float32(x + lo)
					}
				}
				t.value[c][v] = x
			}
		}
	}}
}

// Normalize subtracts a mean and divides by a standard deviation in each channel.
func Normalize(mean, std [3]float32) Step {
	name := fmt.Sprintf("Normalize(%v, %v)", mean, std)
	for c := range 3 {
		if !finite(mean[c]) || !finite(std[c]) || std[c] == 0 {
			return refused{fmt.Errorf("transforms: %s: wanted finite means and deviations other than zero", name)}
		}
	}
	return tensorStep{name, func(t *table) {
		for c := range 3 {
			for v := range 256 {
				t.value[c][v] = float32(t.value[c][v]-mean[c]) / std[c]
			}
		}
	}}
}

// Denormalize reverses [Normalize] on a tensor, in place, to show what the network sees.
func Denormalize(t Tensor, mean, std [3]float32) error {
	if err := t.check(); err != nil {
		return err
	}
	for i := range t.Data {
		t.Data[i] = float32(t.Data[i]*std[i%3]) + mean[i%3]
	}
	return nil
}

// Picture turns values in [0, 1] back into a picture. Other values are clipped, and NaN becomes
// black. For normalised values, see [Preset.Picture].
func (t Tensor) Picture() (*Picture, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	p := NewPicture(t.Width, t.Height)
	for i, v := range t.Data {
		if v > 0 { // false for NaN
			p.Pix[i] = uint8(min(v, 1)*255 + 0.5)
		}
	}
	return p, nil
}

func (t Tensor) check() error {
	switch {
	case t.Channels != 3:
		return fmt.Errorf("transforms: a tensor of %d channels, wanted 3", t.Channels)
	case t.Height < 1 || t.Width < 1 || t.Height > maxSide || t.Width > maxSide:
		return fmt.Errorf("transforms: a tensor of %d x %d, wanted sides from 1 to %d", t.Height, t.Width, maxSide)
	case len(t.Data) != t.Height*t.Width*3:
		return fmt.Errorf("transforms: a tensor of %d x %d x 3 with %d values", t.Height, t.Width, len(t.Data))
	}
	return nil
}

func finite(v float32) bool { return v-v == 0 }

var errNoTensor = errors.New("transforms: the pipeline ends with a picture: add ToTensor(), or call Pipeline.Picture")
