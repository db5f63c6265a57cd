package plots

import (
	"bytes"
	"image/color"
	"testing"
)

func BenchmarkDraw(b *testing.B) {
	all := gallery()
	for _, name := range []string{"curves", "confusion-5", "confusion-1000", "grid-predictions", "map-1000", "map-pictures", "rankings-37", "per-class-1000"} {
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
		p := quantised(img)
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
