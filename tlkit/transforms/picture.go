package transforms

import (
	"errors"
	"fmt"
	"image"
	"image/color"
)

// Picture is an RGB picture with 8 bits a channel. Pixel (x, y) is
// Pix[3*(y*Width+x):][:3], in the order red, green, blue. It implements [image.Image].
//
// The operations of this package never change a Picture they are given.
type Picture struct {
	Width, Height int
	Pix           []uint8
}

// NewPicture returns a black picture.
func NewPicture(width, height int) *Picture {
	return &Picture{Width: width, Height: height, Pix: make([]uint8, 3*width*height)}
}

// ColorModel is part of [image.Image].
func (p *Picture) ColorModel() color.Model { return color.RGBAModel }

// Bounds is part of [image.Image].
func (p *Picture) Bounds() image.Rectangle { return image.Rect(0, 0, p.Width, p.Height) }

// At is part of [image.Image].
func (p *Picture) At(x, y int) color.Color {
	if x < 0 || y < 0 || x >= p.Width || y >= p.Height {
		return color.RGBA{}
	}
	q := p.Pix[3*(y*p.Width+x):]
	return color.RGBA{q[0], q[1], q[2], 255}
}

// check returns an error if the fields of a picture contradict each other, so that loops can
// rely on the sizes.
func (p *Picture) check() error {
	switch {
	case p == nil:
		return errors.New("transforms: the picture is nil: decode one with Decode or DecodeFile first")
	case p.Width <= 0 || p.Height <= 0 || p.Width > maxSide || p.Height > maxSide:
		return fmt.Errorf("transforms: a picture of %d x %d pixels, wanted sides from 1 to %d", p.Width, p.Height, maxSide)
	case len(p.Pix) != 3*p.Width*p.Height:
		return fmt.Errorf("transforms: a picture of %d x %d pixels with %d bytes, wanted 3 a pixel: %d",
			p.Width, p.Height, len(p.Pix), 3*p.Width*p.Height)
	}
	return nil
}

// FromImage copies any Go image. Transparency is dropped, not composited, as in Decode.
func FromImage(im image.Image) (p *Picture, err error) {
	if im == nil {
		return nil, errors.New("transforms: FromImage: the image is nil")
	}
	defer func() { // an image whose fields contradict each other, or a foreign At
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("transforms: FromImage: the %T panicked: %v", im, r)
		}
	}()
	b := im.Bounds()
	if b.Dx() <= 0 || b.Dy() <= 0 || b.Dx() > maxSide || b.Dy() > maxSide {
		return nil, fmt.Errorf("transforms: FromImage: an image of %d x %d pixels, wanted sides from 1 to %d", b.Dx(), b.Dy(), maxSide)
	}
	out := NewPicture(b.Dx(), b.Dy())
	w := out.Width
	for y := range out.Height {
		dst := out.Pix[3*y*w : 3*(y+1)*w]
		switch s := im.(type) {
		case *Picture:
			copy(dst, s.Pix[3*y*w:])
		case *image.NRGBA:
			dropFourth(dst, s.Pix[s.PixOffset(b.Min.X, b.Min.Y+y):], 4)
		case *image.RGBA:
			if s.Opaque() {
				dropFourth(dst, s.Pix[s.PixOffset(b.Min.X, b.Min.Y+y):], 4)
				continue
			}
			anyRow(dst, im, b.Min.X, b.Min.Y+y)
		case *image.Gray:
			spreadGrey(dst, s.Pix[s.PixOffset(b.Min.X, b.Min.Y+y):], 1)
		case *image.Gray16: // big endian: the first byte is the high one
			spreadGrey(dst, s.Pix[s.PixOffset(b.Min.X, b.Min.Y+y):], 2)
		case *image.NRGBA64:
			highBytes(dst, s.Pix[s.PixOffset(b.Min.X, b.Min.Y+y):])
		case *image.RGBA64:
			if s.Opaque() {
				highBytes(dst, s.Pix[s.PixOffset(b.Min.X, b.Min.Y+y):])
				continue
			}
			anyRow(dst, im, b.Min.X, b.Min.Y+y)
		default:
			anyRow(dst, im, b.Min.X, b.Min.Y+y)
		}
	}
	return out, nil
}

// anyRow uses At, which is slow, for types of images that the decoders here do not make.
func anyRow(dst []uint8, im image.Image, x0, y int) {
	for i := 0; i < len(dst); i += 3 {
		c := color.NRGBAModel.Convert(im.At(x0+i/3, y)).(color.NRGBA)
		dst[i], dst[i+1], dst[i+2] = c.R, c.G, c.B
	}
}

func dropFourth(dst, src []uint8, step int) {
	for i := 0; i+3 <= len(dst); i += 3 {
		s := src[i/3*step:]
		dst[i], dst[i+1], dst[i+2] = s[0], s[1], s[2]
	}
}

func spreadGrey(dst, src []uint8, step int) {
	for i := 0; i+3 <= len(dst); i += 3 {
		v := src[i/3*step]
		dst[i], dst[i+1], dst[i+2] = v, v, v
	}
}

func highBytes(dst, src []uint8) {
	for i := 0; i+3 <= len(dst); i += 3 {
		s := src[i/3*8:]
		dst[i], dst[i+1], dst[i+2] = s[0], s[2], s[4]
	}
}
