package transforms

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// A thumbnail is the middle of the picture; of what is no picture, there is none.
func TestThumbnail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wide.png")
	m := image.NewRGBA(image.Rect(0, 0, 90, 30))
	for y := range 30 {
		for x := range 90 {
			c := color.RGBA{200, 0, 0, 255}
			if x >= 30 && x < 60 {
				c = color.RGBA{0, 0, 200, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	small := DecodeOptions{}.Thumbnail(file, 10)
	if small == nil || small.Bounds().Dx() != 10 || small.Bounds().Dy() != 10 {
		t.Fatalf("%v", small)
	}
	if r, _, b, _ := small.At(5, 5).RGBA(); r>>8 > 20 || b>>8 < 180 {
		t.Errorf("the middle has red %d and blue %d", r>>8, b>>8)
	}
	if err := os.Truncate(file, 40); err != nil {
		t.Fatal(err)
	}
	if o := (DecodeOptions{}); o.Thumbnail(file, 10) != nil || o.Thumbnail(file+"x", 10) != nil {
		t.Error("a thumbnail of a torn or missing file")
	}
}
