package transforms

import (
	"fmt"
	"strings"
)

// Step is one element of [Compose]. The functions of this package make steps; [Func] makes one
// from a function of yours.
type Step interface{ String() string }

// pictureStep works on bytes.
type pictureStep interface {
	Step
	picture(p *Picture, s *stream) (*Picture, error)
}

// refused is a step with wrong arguments. Constructors return no error so that a pipeline reads
// as in Python; the pipeline passes the error to Apply.
type refused struct{ err error }

func (r refused) String() string { return "error: " + r.err.Error() }

// Func makes a step from a function. f must not change its argument. random returns numbers in
// [0, 1) that depend on [Rand], as in every random step.
func Func(name string, f func(p *Picture, random func() float64) (*Picture, error)) Step {
	return funcStep{name, f}
}

type funcStep struct {
	name string
	f    func(*Picture, func() float64) (*Picture, error)
}

func (f funcStep) String() string { return f.name }

func (f funcStep) picture(p *Picture, s *stream) (*Picture, error) {
	q, err := f.f(p, s.unit)
	if err != nil {
		return nil, fmt.Errorf("transforms: step %s: %w", f.name, err)
	}
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("transforms: step %s did not return a picture: %w", f.name, err)
	}
	return q, nil
}

// Pipeline is a sequence of steps, made by [Compose]. It never changes, and any number of
// goroutines may use it at once.
type Pipeline struct {
	steps    []Step
	pictures []Step // pictureStep or geometryStep, fused
	table    *table // nil when the pipeline ends with a picture
	seed     uint64
	err      error
}

// Compose makes a pipeline: steps on pictures, then ToTensor, then steps on tensors. A mistake
// is returned by [Pipeline.Err] and by every Apply.
func Compose(steps ...Step) Pipeline {
	p := Pipeline{steps: steps}
	for i, s := range steps {
		switch s := s.(type) {
		case refused:
			p.err = s.err
			return p
		case pictureStep, geometryStep:
			if p.table != nil {
				p.err = fmt.Errorf("transforms: Compose: step %d, %s, works on pictures but comes after ToTensor: move it before", i+1, s)
				return p
			}
			p.pictures = append(p.pictures, s)
		case tensorStep:
			if p.table == nil {
				if !strings.HasPrefix(s.name, "ToTensor") {
					p.err = fmt.Errorf("transforms: Compose: step %d, %s, works on tensors: put ToTensor() before it", i+1, s)
					return p
				}
				p.table = new(table)
			}
			s.apply(p.table)
		default:
			p.err = fmt.Errorf("transforms: Compose: step %d is a %T, which this package did not make: wrap it with Func", i+1, s)
			return p
		}
	}
	p.pictures = fuse(p.pictures)
	return p
}

// fuse joins a resize and the crop after it, so that only the pixels that remain are computed.
// The result is the same, bit for bit.
func fuse(steps []Step) (out []Step) {
	for i := 0; i < len(steps); i++ {
		if r, ok := steps[i].(resizeStep); ok && i+1 < len(steps) {
			if c, ok := steps[i+1].(centerCrop); ok {
				out = append(out, resizeCrop{r, c})
				i++
				continue
			}
		}
		out = append(out, steps[i])
	}
	return out
}

// Err returns what is wrong with the arguments of the steps, or nil.
func (p Pipeline) Err() error { return p.err }

// String lists the steps.
func (p Pipeline) String() string {
	names := make([]string, len(p.steps))
	for i, s := range p.steps {
		names[i] = s.String()
	}
	return "Compose(" + strings.Join(names, ", ") + ")"
}

// Picture runs only the steps before ToTensor, to look at an augmentation.
func (p Pipeline) Picture(pic *Picture, r Rand) (*Picture, error) {
	if p.err != nil {
		return nil, p.err
	}
	if err := pic.check(); err != nil {
		return nil, err
	}
	return run(p.pictures, pic, newStream(p.seed, r))
}

func run(steps []Step, pic *Picture, s *stream) (_ *Picture, err error) {
	for _, step := range steps {
		switch step := step.(type) {
		case geometryStep:
			var n plan
			n, err = step.plan(pic.Width, pic.Height, s)
			if err == nil {
				pic = pic.follow(n)
			}
		case pictureStep:
			pic, err = step.picture(pic, s)
		}
		if err != nil {
			return nil, err
		}
	}
	return pic, nil
}

// Apply prepares a picture. r determines the random steps; see [Rand].
func (p Pipeline) Apply(pic *Picture, r Rand) (Tensor, error) { return p.ApplyTo(nil, pic, r) }

// ApplyTo is [Pipeline.Apply] into memory of the caller, such as one picture's part of a batch.
// dst must have exactly height*width*3 values; nil allocates it.
func (p Pipeline) ApplyTo(dst []float32, pic *Picture, r Rand) (Tensor, error) {
	if p.err == nil && p.table == nil {
		return Tensor{}, errNoTensor
	}
	pic, err := p.Picture(pic, r)
	if err != nil {
		return Tensor{}, err
	}
	return p.fill(dst, pic)
}

// fill runs the steps from ToTensor on.
func (p Pipeline) fill(dst []float32, pic *Picture) (Tensor, error) {
	if dst == nil {
		dst = make([]float32, len(pic.Pix))
	}
	if len(dst) != len(pic.Pix) {
		return Tensor{}, fmt.Errorf("transforms: the pipeline gives %d x %d x 3 = %d values, the place given holds %d",
			pic.Height, pic.Width, len(pic.Pix), len(dst))
	}
	p.table.fill(dst, pic)
	return Tensor{Height: pic.Height, Width: pic.Width, Channels: 3, Data: dst}, nil
}
