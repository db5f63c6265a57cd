// Package testpictures draws small pictures for tests.
package testpictures

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Shapes makes a folder with n noisy pictures of each label: discs and bars, in every
// colour, so that a network is needed and a small one suffices.
func Shapes(t testing.TB, labels []string, n int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(11, 5))
	for k, label := range labels {
		for i := range n {
			img := image.NewRGBA(image.Rect(0, 0, 64, 56))
			ink := color.RGBA{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), 255}
			cx, cy, r := 20+rng.IntN(24), 18+rng.IntN(20), 10+rng.IntN(6)
			for y := range 56 {
				for x := range 64 {
					c := color.RGBA{uint8(100 + rng.IntN(100)), uint8(100 + rng.IntN(100)), uint8(100 + rng.IntN(100)), 255}
					dx, dy := x-cx, y-cy
					if k == 0 && dx*dx+dy*dy < r*r || k == 1 && dx > -r && dx < r && dy > -r/4 && dy < r/4 || k == 2 && dx%5 == 0 {
						c = ink
					}
					img.SetRGBA(x, y, c)
				}
			}
			var buf bytes.Buffer
			if err := png.Encode(&buf, img); err != nil {
				t.Fatal(err)
			}
			Write(t, filepath.Join(dir, label, fmt.Sprintf("%02d.png", i)), buf.Bytes())
		}
	}
	return dir
}

// Write writes a file, with the folders above it.
func Write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
