package plots

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a picture for a notebook, a terminal, a file or a paper.
type Figure interface {
	// PNG writes the picture at twice its nominal size. A figure without photos is reduced to
	// 256 colours: that halves the file and changes only the smoothed edges of letters and
	// lines.
	PNG(w io.Writer) error
	// SVG writes the picture as vectors, with text as outlines.
	SVG(w io.Writer) error
	// Text describes the picture in one to three sentences made from the data.
	Text() string
	// Size returns the nominal width and height in pixels.
	Size() (width, height int)
	// Image draws the picture at a scale: 1 is nominal, 2 is what PNG writes.
	Image(scale float64) (*image.RGBA, error)
}

// figure draws lazily: nothing is rasterised until PNG, SVG or Image is called.
type figure struct {
	width, height float64
	text          string
	draw          func(c *canvas)
	photos        bool // contains photos, which a palette would damage
	err           error
}

// failed returns a figure for data that cannot be drawn.
func failed(format string, args ...any) *figure {
	err := fmt.Errorf("plots: "+format, args...)
	return &figure{width: 1, height: 1, err: err, text: "No picture: " + err.Error()}
}

// maxSide keeps a figure of strange data from needing gigabytes: 2 x 12,000 squared would be 2.3
// GB, so the area is bounded too.
const (
	maxSide = 12000
	maxArea = 16e6
)

func (f *figure) Text() string { return f.text }

func (f *figure) Size() (int, int) { return int(math.Ceil(f.width)), int(math.Ceil(f.height)) }

func (f *figure) check(scale float64) error {
	if f.err != nil {
		return f.err
	}
	if !(scale >= 0.25 && scale <= 8) {
		return fmt.Errorf("plots: scale %v: want 0.25..8", scale)
	}
	if w, h := f.width*scale/2, f.height*scale/2; w > maxSide || h > maxSide || w*h > maxArea {
		return fmt.Errorf("plots: a picture of %.0f x %.0f at scale %g is too large: show fewer items", f.width, f.height, scale)
	}
	return nil
}

func (f *figure) Image(scale float64) (img *image.RGBA, err error) {
	if err := f.check(scale); err != nil {
		return nil, err
	}
	// The drawing libraries panic on what they cannot draw.
	defer func() {
		if r := recover(); r != nil {
			img, err = nil, fmt.Errorf("plots: drawing failed: %v", r)
		}
	}()
	w, h := f.Size()
	// vgimg copies a given image but draws directly on one that it makes. The size in pixels
	// comes from whole dots per inch, so scale is a multiple of 1/72.
	dpi := int(math.Round(72 * scale))
	raster := vgimg.NewWith(vgimg.UseWH(vg.Length(w), vg.Length(h)), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	pix, ok := raster.Image().(*image.RGBA)
	if !ok {
		return nil, errors.New("plots: the drawing library returned an unknown kind of picture")
	}
	f.draw(&canvas{vg: raster, pix: pix, height: float64(h), scale: float64(dpi) / 72})
	return pix, nil
}

func (f *figure) PNG(w io.Writer) error {
	img, err := f.Image(2)
	if err != nil {
		return err
	}
	var src image.Image = img
	if !f.photos {
		src = quantised(img)
	}
	if err := png.Encode(w, src); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	return nil
}

func (f *figure) SVG(w io.Writer) (err error) {
	if err := f.check(1); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("plots: drawing failed: %v", r)
		}
	}()
	width, height := f.Size()
	vector := vgsvg.New(vg.Length(width), vg.Length(height))
	c := &canvas{vg: vector, height: float64(height), scale: 2}
	c.rect(0, 0, float64(width), float64(height), white)
	f.draw(c)
	var buf, title bytes.Buffer
	if _, err := vector.WriteTo(&buf); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	if err := xml.EscapeText(&title, []byte(f.text)); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	// vgsvg has no place for a title, and calls its PNG data jpg.
	out := strings.Replace(buf.String(), `xlink">`, `xlink" role="img">`+"\n<title>"+title.String()+"</title>", 1)
	out = strings.ReplaceAll(out, `xlink:href="data:image/jpg;base64,`, `xlink:href="data:image/png;base64,`)
	if _, err := io.WriteString(w, out); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	return nil
}
