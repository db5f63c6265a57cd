package datasets

import (
	"os"
	"path/filepath"
	"testing"
)

// BMP, TIFF and PNM are pictures; a text that begins like one is not.
func TestFormatsOfPictures(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join("..", "transforms", "testdata")
	for i, name := range []string{"bmp_rgb.bmp", "bmp_bits.bmp", "tiff_rgb.tif", "tiff_bits_group4.tif", "pnm_rgb.ppm", "pnm_text.pgm", "pnm_bits.pbm", "pnm_text.pbm"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		label := filepath.Join(dir, []string{"a", "b"}[i%2])
		if err := os.MkdirAll(label, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(label, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"a/BMW.txt": "BMW is a maker of cars, and this is a text", "a/P1.tsv": "P1\tlabel\n1\t2\n", "b/P5.md": "P5 is a library for drawing"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(t.Context(), dir, Options{BadLimit: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Items) != 8 || len(d.Report.Unreadable) != 0 {
		t.Errorf("%d pictures, unreadable %v, want 8 and none", len(d.Items), d.Report.Unreadable)
	}
}
