package transforms

import (
	"fmt"
	"math"
)

// Option changes a default of [Resize] or [RandomResizedCrop]: an [Interpolation],
// [Scale] or [Ratio].
type Option interface{ set(*settings) }

type settings struct {
	filter       Interpolation
	scale, ratio [2]float64
}

func (i Interpolation) set(s *settings) { s.filter = i }

type (
	scaleOption [2]float64
	ratioOption [2]float64
)

func (o scaleOption) set(s *settings) { s.scale = o }
func (o ratioOption) set(s *settings) { s.ratio = o }

// Scale sets the range of the area that [RandomResizedCrop] chooses, as fractions of the picture's
// (default 0.08 to 1).
func Scale(lo, hi float64) Option { return scaleOption{lo, hi} }

// Ratio sets the range of width/height that [RandomResizedCrop] chooses from (default 3/4 to 4/3).
func Ratio(lo, hi float64) Option { return ratioOption{lo, hi} }

func gather(options []Option) settings {
	s := settings{filter: Bilinear, scale: [2]float64{0.08, 1}, ratio: [2]float64{3. / 4, 4. / 3}}
	for _, o := range options {
		if o != nil {
			o.set(&s)
		}
	}
	return s
}

// geometryStep is a step that only needs the size of a picture to choose its pixels, so that a
// decoder can skip the others.
type geometryStep interface {
	Step
	plan(w, h int, s *stream) (plan, error)
}

// plan is a resampling, with a black border where it is smaller than the crop.
type plan struct {
	resampling
	crop   centerCrop // the size of the result, zero for that of the resampling
	window box        // the place in it
}

func (p *Picture) follow(n plan) *Picture {
	out := p.resample(n.resampling)
	if n.crop == (centerCrop{}) {
		return out
	}
	return n.crop.pad(out, n.window)
}

// resizeStep resizes a picture: its short side to size or, if height is set, exactly to
// size x height.
type resizeStep struct {
	name         string
	size, height int
	filter       Interpolation
}

// Resize resizes a picture so that its short side has size pixels, and keeps its shape. As in
// torchvision, the long side is size*long/short, truncated to whole pixels.
func Resize(size int, options ...Option) Step {
	return makeResize(fmt.Sprintf("Resize(%d", size), size, 0, options)
}

// ResizeTo resizes a picture to width x height, whatever its shape was.
func ResizeTo(width, height int, options ...Option) Step {
	if height < 1 {
		return refused{checkSize("ResizeTo", width, height)}
	}
	return makeResize(fmt.Sprintf("ResizeTo(%d, %d", width, height), width, height, options)
}

func makeResize(name string, size, height int, options []Option) Step {
	filter, err := gather(options).filter.orDefault()
	if err != nil {
		return refused{err}
	}
	if err := checkSize("Resize", size, max(height, 1)); err != nil {
		return refused{err}
	}
	if filter != Bilinear {
		name += ", " + string(filter)
	}
	return resizeStep{name + ")", size, height, filter}
}

func (r resizeStep) String() string { return r.name }

// target returns the new size of a w x h picture.
func (r resizeStep) target(w, h int) (int, int) {
	switch {
	case r.height > 0:
		return r.size, r.height
	case w <= h:
		return r.size, r.size * h / w
	}
	return r.size * w / h, r.size
}

func (r resizeStep) plan(w, h int, _ *stream) (plan, error) {
	tw, th := r.target(w, h)
	// a picture of 1 x 60,000 would become enormous
	if err := checkSize(r.name, tw, th); err != nil {
		return plan{}, err
	}
	return plan{resampling: resampling{box{0, 0, w, h}, tw, th, box{0, 0, tw, th}, r.filter}}, nil
}

// centerCrop takes the middle of a picture.
type centerCrop struct{ w, h int }

// CenterCrop takes the size x size pixels in the middle. As in torchvision, the corner is rounded
// half to even, and a smaller picture is padded with black, with the odd pixel at the right and
// the bottom.
func CenterCrop(size int) Step {
	if err := checkSize("CenterCrop", size, size); err != nil {
		return refused{err}
	}
	return centerCrop{size, size}
}

func (c centerCrop) String() string { return fmt.Sprintf("CenterCrop(%d)", c.w) }

// windows returns the part of a w x h picture that is kept, and its place in the result.
func (c centerCrop) windows(w, h int) (src, dst box) {
	one := func(n, size int) (start, end, length int) {
		if n < size {
			return 0, (size - n) / 2, n
		}
		return int(math.RoundToEven(float64(n-size) / 2)), 0, size
	}
	src.x, dst.x, src.w = one(w, c.w)
	src.y, dst.y, src.h = one(h, c.h)
	dst.w, dst.h = src.w, src.h
	return src, dst
}

func (c centerCrop) plan(w, h int, _ *stream) (plan, error) {
	src, dst := c.windows(w, h)
	return plan{resampling{box{0, 0, w, h}, w, h, src, Nearest}, c, dst}, nil
}

func (c centerCrop) pad(p *Picture, dst box) *Picture {
	if p.Width == c.w && p.Height == c.h {
		return p
	}
	out := NewPicture(c.w, c.h)
	for y := range p.Height {
		copy(out.Pix[3*((dst.y+y)*c.w+dst.x):], p.Pix[3*y*p.Width:3*(y+1)*p.Width])
	}
	return out
}

// resizeCrop is Resize and CenterCrop in one.
type resizeCrop struct {
	resizeStep
	crop centerCrop
}

func (r resizeCrop) plan(w, h int, _ *stream) (plan, error) {
	tw, th := r.target(w, h)
	// Only the crop needs to fit into memory, but the kernels count in 32 bits.
	if max(tw, th) > 1<<24 {
		return plan{}, checkSize(r.name, tw, th)
	}
	src, dst := r.crop.windows(tw, th)
	return plan{resampling{box{0, 0, w, h}, tw, th, src, r.filter}, r.crop, dst}, nil
}

// cropResize is the evaluation of TensorFlow's EfficientNets: the middle square of
// fraction*min(w, h) pixels, resized.
type cropResize struct {
	fraction float64
	size     int
	filter   Interpolation
}

func (c cropResize) String() string {
	return fmt.Sprintf("CropResize(%g, %d, %s)", c.fraction, c.size, c.filter)
}

func (c cropResize) plan(w, h int, _ *stream) (plan, error) {
	// Truncated to whole pixels, with the corner rounded up, as in the original code. The small
	// addend keeps 240/272*272 at 240.
	side := max(1, int(float64(c.fraction*float64(min(w, h)))+1e-6))
	side = min(side, w, h)
	src := box{(w - side + 1) / 2, (h - side + 1) / 2, side, side}
	return plan{resampling: resampling{src, c.size, c.size, box{0, 0, c.size, c.size}, c.filter}}, nil
}
