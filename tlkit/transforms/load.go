package transforms

import (
	"errors"
	"fmt"
	"image"
)

// LoadFile decodes the picture in a file and prepares it. The result is that of [DecodeFile] and
// [Pipeline.ApplyTo], but for JPEG it is faster: parts of the picture that a crop at the beginning
// of the pipeline removes are not converted to pixels.
func (p Pipeline) LoadFile(dst []float32, path string, o DecodeOptions, r Rand) (Tensor, error) {
	o = o.withDefaults()
	data, err := readPicture(path, o)
	var t Tensor
	if err == nil {
		t, err = p.Load(dst, data, o, r)
	}
	return t, withPath(err, path)
}

// Load is [Pipeline.LoadFile] for a file's contents.
func (p Pipeline) Load(dst []float32, data []byte, o DecodeOptions, r Rand) (Tensor, error) {
	if p.err == nil && p.table == nil {
		return Tensor{}, errNoTensor
	}
	if p.err != nil {
		return Tensor{}, p.err
	}
	o = o.withDefaults()
	if first, ok := p.first().(geometryStep); ok && sniff(data) == "jpeg" && int64(len(data)) <= o.MaxBytes {
		t, ok, err := p.loadPart(first, dst, data, o, r)
		if ok || err != nil {
			return t, err
		}
	}
	pic, err := Decode(data, o)
	if err != nil {
		return Tensor{}, err
	}
	return p.ApplyTo(dst, pic, r)
}

func (p Pipeline) first() Step {
	if len(p.pictures) == 0 {
		return nil
	}
	return p.pictures[0]
}

// loadPart decodes only the pixels that the first step needs. ok is false for pictures that must
// be turned first.
func (p Pipeline) loadPart(first geometryStep, dst []float32, data []byte, o DecodeOptions, r Rand) (t Tensor, ok bool, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = &DecodeError{Format: "jpeg", Kind: Damaged, Detail: fmt.Sprint("the decoder gave up: ", e)}
		}
	}()
	f, err := openJPEG(data, o)
	if err != nil {
		return t, false, decodeError("jpeg", err)
	}
	if !o.IgnoreOrientation && tiffOrientation(f.Exif) != 1 {
		return t, false, nil
	}
	s := newStream(p.seed, r)
	n, err := first.plan(f.Width, f.Height, s)
	if err != nil {
		return t, false, err
	}
	// The rest of this memory is not cleared, because nothing reads it.
	buf := take(3 * f.Width * f.Height)
	pic := &Picture{f.Width, f.Height, *buf}
	b := n.reads()
	if err := f.Decode(pic.Pix, image.Rect(b.x, b.y, b.x+b.w, b.y+b.h)); err != nil {
		giveBack(buf)
		return t, false, decodeError("jpeg", jpegError(err))
	}
	out, err := run(p.pictures[1:], pic.follow(n), s)
	if err == nil {
		t, err = p.fill(dst, out)
	}
	// A step of the user may still hold a picture that uses this memory.
	if kept := n.window == pic.whole() && n.width == pic.Width && n.height == pic.Height; !kept {
		giveBack(buf)
	}
	return t, err == nil, err
}

// withPath adds the file to a DecodeError.
func withPath(err error, path string) error {
	var d *DecodeError
	if errors.As(err, &d) {
		d.Path = path
	}
	return err
}
