package plots

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pictures anew; look at each before committing it")

// TestGoldenPictures compares a few pictures, drawn at nominal size, with the
// ones that were looked at. Fonts are compiled in, so that a difference is a
// change of ours; a little room is left for other machines' arithmetic.
func TestGoldenPictures(t *testing.T) {
	all := gallery()
	for _, name := range []string{"curves", "curves-logistic", "confusion-5", "statistics-unit", "scatter", "agreement-1"} {
		got, err := all[name].Image(1)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".png")
		if *update {
			var b bytes.Buffer
			if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, got); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got.Bounds() != want.Bounds() {
			t.Errorf("%s: size %v, the golden picture has %v; look at it, then run with -update", name, got.Bounds(), want.Bounds())
			continue
		}
		if d := distance(got, want); d > 0.002 {
			t.Errorf("%s: %.2f %% of the picture changed, 0.2 %% is allowed; look at it (TLKIT_GALLERY), then run with -update", name, 100*d)
		}
	}
}

// distance is the share of pixels that changed visibly: by more than a tenth
// of the range in some channel.
func distance(a *image.RGBA, b image.Image) float64 {
	other := image.NewRGBA(a.Bounds())
	draw.Draw(other, other.Bounds(), b, b.Bounds().Min, draw.Src)
	changed := 0
	for i := 0; i < len(a.Pix); i += 4 {
		for c := range 3 {
			if math.Abs(float64(a.Pix[i+c])-float64(other.Pix[i+c])) > 25 {
				changed++
				break
			}
		}
	}
	return float64(changed) / float64(len(a.Pix)/4)
}

func BenchmarkDraw(b *testing.B) {
	all := gallery()
	for _, name := range []string{"curves", "confusion-5", "confusion-1000", "grid-predictions"} {
		f := all[name]
		b.Run(name+"/draw-2x", func(b *testing.B) {
			for b.Loop() {
				if _, err := f.Image(2); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/draw-1.5x", func(b *testing.B) {
			for b.Loop() {
				if _, err := f.Image(1.5); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/png-2x", func(b *testing.B) {
			var w bytes.Buffer
			for b.Loop() {
				w.Reset()
				if err := f.PNG(&w); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(w.Len())/1000, "kB")
		})
	}
	c := confused(1000, 50)
	b.Run("confusion-1000/order", func(b *testing.B) {
		for b.Loop() {
			neighbours(c.Counts)
		}
	})
	runs := fineTuned("x", 1)
	b.Run("curves/prepare", func(b *testing.B) {
		for b.Loop() {
			Curves(runs)
		}
	})
}

// What the palette changes cannot be seen: flat colours stay exact, and the
// smoothed edges move by little.
func TestPalette(t *testing.T) {
	for name, f := range gallery() {
		if fig, ok := f.(*figure); ok && fig.photos {
			continue
		}
		img, err := f.Image(2)
		if err != nil {
			t.Fatal(err)
		}
		p := paletted(img)
		worst, sum := 0, 0
		for i := 0; i < len(img.Pix); i += 4 {
			c := p.Palette[p.Pix[i/4]].(color.RGBA)
			for k, v := range []uint8{c.R, c.G, c.B} {
				d := int(img.Pix[i+k]) - int(v)
				worst, sum = max(worst, d, -d), sum+max(d, -d)
			}
		}
		if mean := float64(sum) / float64(len(img.Pix)) * 4 / 3; worst > 32 || mean > 0.25 {
			t.Errorf("%s: the palette moves a shade by up to %d of 255, %.2f on average", name, worst, mean)
		}
	}
}
