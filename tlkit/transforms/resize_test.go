package transforms

import (
	"image"
	"strings"
	"testing"
)

func TestResizeRefuses(t *testing.T) {
	p := formula(5, 7, 0)
	for name, f := range map[string]func() (*Picture, error){
		"wanted sides":          func() (*Picture, error) { return p.Resize(0, 5, Bilinear) },
		"at most":               func() (*Picture, error) { return p.Resize(65535, 65535, Bilinear) },
		"no interpolation":      func() (*Picture, error) { return p.Resize(5, 5, "sinc") },
		"with 3 bytes":          func() (*Picture, error) { return (&Picture{2, 2, make([]uint8, 3)}).Resize(5, 5, Box) },
		"is nil":                func() (*Picture, error) { return (*Picture)(nil).Resize(5, 5, Box) },
		"sides from 1":          func() (*Picture, error) { return (&Picture{}).FlipHorizontal() },
		"does not lie inside":   func() (*Picture, error) { return p.Crop(3, 3, 5, 1) },
		"of -1 x 1":             func() (*Picture, error) { return p.Crop(0, 0, -1, 1) },
		"Resize(10)":            func() (*Picture, error) { return Compose(Resize(10)).Picture(NewPicture(65535, 1), Rand{}) },
		"FromImage: the *image": func() (*Picture, error) { return FromImage(&image.Gray{Rect: image.Rect(0, 0, 9, 9)}) },
		"FromImage: the image ": func() (*Picture, error) { return FromImage(nil) },
	} {
		q, err := f()
		if err == nil || q != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// FuzzResize: whatever the sizes, no panic; and a crop fused with its resize gives what
// the two give one after the other.
func FuzzResize(f *testing.F) {
	f.Add(uint8(3), uint8(5), uint8(7), uint8(2), uint8(4), uint8(1))
	f.Add(uint8(1), uint8(200), uint8(1), uint8(90), uint8(40), uint8(5))
	f.Add(uint8(200), uint8(1), uint8(90), uint8(1), uint8(60), uint8(3))
	f.Add(uint8(255), uint8(30), uint8(20), uint8(28), uint8(9), uint8(0))
	f.Fuzz(func(t *testing.T, w, h, tw, th, crop, filter uint8) {
		p := formula(int(h)+1, int(w)+1, 1)
		chosen := []Interpolation{Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos}[filter%6]
		whole, err := p.Resize(int(tw)+1, int(th)+1, chosen)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Compose(CenterCrop(int(crop)+1)).Picture(whole, Rand{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Compose(ResizeTo(int(tw)+1, int(th)+1, chosen), CenterCrop(int(crop)+1)).Picture(p, Rand{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Width != want.Width || sumOf(got.Pix) != sumOf(want.Pix) {
			t.Fatalf("%d x %d to %d x %d by %s, crop %d", w, h, tw, th, chosen, crop)
		}
	})
}
