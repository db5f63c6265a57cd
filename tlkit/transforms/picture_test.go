package transforms

import (
	"image"
	"image/color"
	"reflect"
	"testing"
)

// TestFromImage puts one picture through every kind of Go image.
func TestFromImage(t *testing.T) {
	want := formula(6, 9, 0)
	grey := NewPicture(9, 6)
	r := image.Rect(2, 3, 2+9, 3+6) // not at the origin, where an offset would hide
	nrgba, rgba, nrgba64, rgba64 := image.NewNRGBA(r), image.NewRGBA(r), image.NewNRGBA64(r), image.NewRGBA64(r)
	g8, g16 := image.NewGray(r), image.NewGray16(r)
	for y := range 6 {
		for x := range 9 {
			c := want.At(x, y).(color.RGBA)
			for i, v := range []uint8{c.R, c.R, c.R} {
				grey.Pix[3*(9*y+x)+i] = v
			}
			// Transparent, but not erased: alpha is dropped, not composited.
			nrgba.SetNRGBA(2+x, 3+y, color.NRGBA{c.R, c.G, c.B, uint8(17 * x)})
			rgba.SetRGBA(2+x, 3+y, c)
			wide := func(v uint8) uint16 { return uint16(v)<<8 | 0x99 }
			nrgba64.SetNRGBA64(2+x, 3+y, color.NRGBA64{wide(c.R), wide(c.G), wide(c.B), 0x1234})
			rgba64.SetRGBA64(2+x, 3+y, color.RGBA64{wide(c.R), wide(c.G), wide(c.B), 0xffff})
			g8.SetGray(2+x, 3+y, color.Gray{c.R})
			g16.SetGray16(2+x, 3+y, color.Gray16{wide(c.R)})
		}
	}
	for _, im := range []image.Image{want, nrgba, rgba, nrgba64, rgba64, struct{ image.Image }{rgba}} {
		if got, err := FromImage(im); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: another picture (%v)", im, err)
		}
	}
	for _, im := range []image.Image{g8, g16} {
		if got, err := FromImage(im); err != nil || !reflect.DeepEqual(got, grey) {
			t.Errorf("%T: another picture (%v)", im, err)
		}
	}
}
