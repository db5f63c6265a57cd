package transforms

import (
	"bytes"
	"errors"
	"image"
	"testing"
)

// BMP, TIFF and PNM give the pixels that Pillow gives, see internal/golden/referee/formats.py.
func TestFormatsEqualPillow(t *testing.T) {
	var golden struct{ Files map[string][3]any }
	readJSON(t, "formats.json", &golden)
	if len(golden.Files) < 20 {
		t.Fatalf("%d files", len(golden.Files))
	}
	for name, want := range golden.Files {
		data := fixture(t, name)
		p, err := Decode(data, DecodeOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Width != whole(want[0]) || p.Height != whole(want[1]) || sumOf(p.Pix) != want[2] {
			t.Errorf("%s: %d x %d, %s; Pillow has %v", name, p.Width, p.Height, sumOf(p.Pix), want)
		}
		if cfg, _, err := image.DecodeConfig(bytes.NewReader(data)); err != nil || cfg.Width*cfg.Height != p.Width*p.Height {
			t.Errorf("%s: DecodeConfig = %v, %v", name, cfg, err)
		}
		// Cut off: an error, or where only padding is missing the same picture.
		for n := 0; n < len(data); n += 1 + len(data)/50 {
			cut, err := Decode(data[:n], DecodeOptions{})
			var d *DecodeError
			if err == nil && !bytes.Equal(cut.Pix, p.Pix) || err != nil && !errors.As(err, &d) {
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(data), err)
			}
		}
	}
}

func TestHostileFormats(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		kind DecodeKind
	}{
		"pnm of 4 gigapixels":      {"P6 65535 65535 255\n", TooLarge},
		"pnm of nothing":           {"P6 13000 13000 255\n", TooLarge},
		"pnm with a long number":   {"P5 99999999999999999999999 1 255\n", Damaged},
		"pnm of no brightness":     {"P5 1 1 0\n\x00", Damaged},
		"pnm with a word":          {"P2 1 x 255\n1", Damaged},
		"pnm without pixels":       {"P5 5 5 255\n", Truncated},
		"pnm of letters":           {"P1 2 2\n01a1", Damaged},
		"tiff header only":         {"II*\x00\x08\x00\x00\x00", Truncated},
		"tiff of pages far beyond": {"II*\x00\xff\xff\xff\x7f", Truncated},
		"bmp header only":          {"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", Truncated},
	} {
		allocated, _ := spent(func() {
			_, err := Decode([]byte(c.data), DecodeOptions{})
			var d *DecodeError
			if !errors.As(err, &d) || d.Kind != c.kind {
				t.Errorf("%s: %v, want %q", name, err, c.kind)
			}
		})
		if allocated > freeMemory {
			t.Errorf("%s: %d MB", name, allocated>>20)
		}
	}
}
