package transforms

import (
	"strings"
	"testing"
)

// formula is the library's test picture number k: integers only, with low and high
// frequencies. The referee draws the same.
func formula(h, w, k int) *Picture {
	p := NewPicture(w, h)
	r := min(h, w) / (4 + k)
	for y := range h {
		for x := range w {
			for c := range 3 {
				v := x*(7+2*c) + y*(11-3*c) + x*y*(c+1+k)/32
				if (x-w/3)*(x-w/3)+(y-h/2)*(y-h/2) < r*r {
					v = 255 - v>>3
				}
				p.Pix[3*(y*w+x)+c] = uint8(v)
			}
		}
	}
	return p
}

func TestComposeRefuses(t *testing.T) {
	one := [3]float32{1, 1, 1}
	for _, c := range []struct {
		p    Pipeline
		want string
	}{
		{Compose(Normalize(one, one)), "put ToTensor() before it"},
		{Compose(ToTensor(), CenterCrop(3)), "comes after ToTensor"},
		{Compose(CenterCrop(3)), "add ToTensor()"},
		{Compose(Resize(0), ToTensor()), "wanted sides"},
		{Compose(Resize(10, Interpolation("cubic")), ToTensor()), "no interpolation"},
		{Compose(ResizeTo(10, 0), ToTensor()), "wanted sides"},
		{Compose(CenterCrop(-1), ToTensor()), "wanted sides"},
		{Compose(RandomResizedCrop(8, Scale(0, 1)), ToTensor()), "wanted 0 < from <= to"},
		{Compose(RandomHorizontalFlip(1.5), ToTensor()), "wanted one probability"},
		{Compose(ToTensor(), Normalize(one, [3]float32{})), "other than zero"},
		{Preset{}.Eval(), "size 0"},
		{Preset{Size: 8, Geometry: "long"}.Train(1), "geometry"},
	} {
		_, err := c.p.Apply(formula(20, 30, 0), Rand{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, wanted an error with %q", c.p, err, c.want)
		}
	}
}
