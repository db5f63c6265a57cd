package show

import (
	"fmt"
	"image"
	"image/png"
	"io"

	"golang.org/x/image/draw"
)

const (
	mostRows  = 20    // of a table made from a slice: the first and last ten
	mostRunes = 4_000 // of a value that only fmt can show
	mostWidth = 760   // pixels of a picture: the width of a figure
)

// Value shows any value: a figure, an image or a table as such, a value with a Text method
// as that text, structs, slices of structs and maps as a table, and anything else as fmt prints it,
// without its middle if it is long.
func (s *Screen) Value(v any) error {
	switch v := v.(type) {
	case Film:
		return s.Pictures("film", Foreign, v)
	case Figure:
		return s.Figure("figure", v)
	case Table:
		s.Table(v)
	case image.Image:
		return s.Pictures("picture", Foreign, photograph{img: v})
	case interface{ Text() string }:
		s.Text(v.Text())
	case string:
		s.Text(v)
	case error:
		s.Text(v.Error())
	default:
		if t, ok := tableOf(v); ok {
			s.Table(t)
			return nil
		}
		s.Text(middleOut(fmt.Sprintf("%+v", v)))
	}
	return nil
}

func middleOut(text string) string {
	r := []rune(text)
	if len(r) <= mostRunes {
		return text
	}
	return fmt.Sprintf("%s\n… %d characters more …\n%s", string(r[:mostRunes/2]), len(r)-mostRunes, string(r[len(r)-mostRunes/2:]))
}

// photograph makes an image a Figure.
type photograph struct{ img image.Image }

func (p photograph) Text() string {
	b := p.img.Bounds()
	return fmt.Sprintf("a picture of %d x %d pixels", b.Dx(), b.Dy())
}

// Image returns the picture at a scale: 1 is its own size, but at most as wide as a figure: the twelve
// million pixels of a camera are too much for a notebook.
func (p photograph) Image(scale float64) (*image.RGBA, error) {
	b := p.img.Bounds()
	if b.Empty() {
		return nil, fmt.Errorf("show: a picture of %d x %d pixels", b.Dx(), b.Dy())
	}
	w, h := b.Dx(), b.Dy()
	if w > mostWidth {
		w, h = mostWidth, max(1, h*mostWidth/w)
	}
	w, h = max(1, int(float64(w)*scale)), max(1, int(float64(h)*scale))
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(out, out.Bounds(), p.img, b, draw.Src, nil)
	return out, nil
}

func (p photograph) PNG(w io.Writer) error {
	img, err := p.Image(pictureScale)
	if err != nil {
		return err
	}
	return png.Encode(w, img)
}
