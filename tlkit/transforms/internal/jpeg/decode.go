package jpeg

import (
	"errors"
	"image"
	"io"
	"sync"
)

// memory is what decoding needs besides its result. It is reused, because allocating and clearing
// a megabyte per picture costs as much as the inverse DCT.
type memory struct {
	pix   []uint8
	coefs [][64]int16
	clean []uint8
	rows  [4][]uint8
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// keepBytes is the largest memory kept for the next picture.
const keepBytes = 64 << 20

// Decode decodes the picture into dst, Width*Height*3 bytes of RGB, but writes only the pixels in
// window. It still reads and checks all data; it saves the inverse DCT and the conversion of the
// rest, more than half of the work. It can be called once.
func (f *File) Decode(dst []uint8, window image.Rectangle) error {
	if len(dst) != 3*f.Width*f.Height {
		return errors.New("jpeg: the place for the picture has the wrong size")
	}
	if window.Empty() || !window.In(image.Rect(0, 0, f.Width, f.Height)) {
		return errors.New("jpeg: the window lies outside the picture")
	}
	if f.scans > 0 {
		return errors.New("jpeg: the file was decoded already")
	}
	m := memories.Get().(*memory)
	f.take(m)
	for i := range f.comps {
		c := &f.comps[i]
		c.need = c.samples(f, window)
		c.need = image.Rect(c.need.Min.X/8, c.need.Min.Y/8, roundUp(c.need.Max.X, 8), roundUp(c.need.Max.Y, 8))
	}
	err := f.decode()
	if err == nil {
		f.convert(dst, window, m)
	}
	m.clean = f.clean
	f.clean, f.data = nil, nil
	for i := range f.comps {
		f.comps[i].pix, f.comps[i].coefs = nil, nil
	}
	if cap(m.pix)+128*cap(m.coefs)+cap(m.clean) <= keepBytes {
		memories.Put(m)
	}
	return err
}

// take assigns each component its planes. All samples are written before they are read;
// coefficients are added up, so they must start as zeros.
func (f *File) take(m *memory) {
	blocks := 0
	for i := range f.comps {
		blocks += f.comps[i].blocks.w * f.comps[i].blocks.h
	}
	if cap(m.pix) < 64*blocks {
		m.pix = make([]uint8, 64*blocks)
	}
	pix := m.pix[:64*blocks]
	var coefs [][64]int16
	if f.progressive {
		if cap(m.coefs) < blocks {
			m.coefs = make([][64]int16, blocks)
		} else {
			clear(m.coefs[:blocks])
		}
		coefs = m.coefs[:blocks]
	}
	for i := range f.comps {
		n := f.comps[i].blocks.w * f.comps[i].blocks.h
		f.comps[i].pix, pix = pix[:64*n], pix[64*n:]
		if f.progressive {
			f.comps[i].coefs, coefs = coefs[:n], coefs[n:]
		}
	}
	f.clean = m.clean[:0]
}

// decode fills the planes.
func (f *File) decode() error {
	for {
		if err := f.decodeScan(); err != nil {
			return err
		}
		complete := true
		for i := range f.comps {
			complete = complete && f.comps[i].done
		}
		if complete && !f.progressive {
			return nil // nothing after this could change a sample
		}
		marker, err := f.segments()
		if err != nil {
			return err
		}
		if marker != markerEOI {
			continue
		}
		if !complete {
			return io.ErrUnexpectedEOF
		}
		for i := range f.comps {
			f.comps[i].reconstruct()
		}
		return nil
	}
}

// samples returns the samples of a component that a window of the picture needs, with two
// more on every side for the interpolation between them.
func (c *component) samples(f *File, window image.Rectangle) image.Rectangle {
	sx, sy := f.maxH/c.h, f.maxV/c.v
	r := image.Rect(window.Min.X/sx, window.Min.Y/sy, roundUp(window.Max.X, sx), roundUp(window.Max.Y, sy))
	return r.Inset(-2).Intersect(image.Rect(0, 0, c.size.w, c.size.h))
}
