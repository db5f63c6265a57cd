package transforms

import (
	"fmt"
	"math"
)

// randomResizedCrop is the usual augmentation for training on photos.
type randomResizedCrop struct {
	size int
	settings
}

// RandomResizedCrop crops a part of the picture with random area, shape and position, and
// resizes it to size x size, as torchvision does.
func RandomResizedCrop(size int, options ...Option) Step {
	s := gather(options)
	filter, err := s.filter.orDefault()
	if err != nil {
		return refused{err}
	}
	if err := checkSize("RandomResizedCrop", size, size); err != nil {
		return refused{err}
	}
	s.filter = filter
	for _, r := range [...][2]float64{s.scale, s.ratio} {
		if !(r[0] > 0 && r[0] <= r[1] && r[1] < math.Inf(1)) {
			return refused{fmt.Errorf("transforms: RandomResizedCrop: Scale(%g, %g), Ratio(%g, %g): wanted 0 < from <= to",
				s.scale[0], s.scale[1], s.ratio[0], s.ratio[1])}
		}
	}
	return randomResizedCrop{size, s}
}

func (c randomResizedCrop) String() string {
	return fmt.Sprintf("RandomResizedCrop(%d, Scale(%g, %g), Ratio(%g, %g), %s)",
		c.size, c.scale[0], c.scale[1], c.ratio[0], c.ratio[1], c.filter)
}

func (c randomResizedCrop) plan(w, h int, s *stream) (plan, error) {
	src := c.choose(w, h, s)
	return plan{resampling: resampling{src, c.size, c.size, box{0, 0, c.size, c.size}, c.filter}}, nil
}

// choose draws up to ten times, and then takes the largest middle part of an allowed shape.
func (c randomResizedCrop) choose(w, h int, s *stream) box {
	area := float64(w) * float64(h)
	lo, hi := math.Log(c.ratio[0]), math.Log(c.ratio[1])
	for range 10 {
		target := area * s.uniform(c.scale[0], c.scale[1])
		ratio := math.Exp(s.uniform(lo, hi))
		cw := int(math.RoundToEven(math.Sqrt(target * ratio)))
		ch := int(math.RoundToEven(math.Sqrt(target / ratio)))
		if cw > 0 && cw <= w && ch > 0 && ch <= h {
			y := s.intn(h - ch + 1)
			return box{s.intn(w - cw + 1), y, cw, ch}
		}
	}
	cw, ch := w, h
	switch ratio := float64(w) / float64(h); {
	case ratio < c.ratio[0]:
		ch = int(math.RoundToEven(float64(w) / c.ratio[0]))
	case ratio > c.ratio[1]:
		cw = int(math.RoundToEven(float64(h) * c.ratio[1]))
	}
	cw, ch = min(max(cw, 1), w), min(max(ch, 1), h)
	return box{(w - cw) / 2, (h - ch) / 2, cw, ch}
}

// flip mirrors with a probability.
type flip struct{ probability float64 }

// RandomHorizontalFlip mirrors a picture left to right with a probability, 0.5 if none
// is given.
func RandomHorizontalFlip(probability ...float64) Step {
	f := flip{0.5}
	if len(probability) > 0 {
		f.probability = probability[0]
	}
	if len(probability) > 1 || !(f.probability >= 0 && f.probability <= 1) {
		return refused{fmt.Errorf("transforms: RandomHorizontalFlip(%v): wanted one probability from 0 to 1, or none for 0.5", probability)}
	}
	return f
}

func (f flip) String() string { return fmt.Sprintf("RandomHorizontalFlip(%g)", f.probability) }

func (f flip) picture(p *Picture, s *stream) (*Picture, error) {
	if s.unit() < f.probability {
		return p.upright(2), nil
	}
	return p, nil
}
