package show

import (
	"image"
	"math/rand/v2"
	"testing"
)

// noisy is a picture as large as a grid of photographs, with noise of so many levels.
type noisy int

func (levels noisy) Image(float64) (*image.RGBA, error) {
	img, rng := image.NewRGBA(image.Rect(0, 0, 900, 900)), rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = uint8(128 + rng.IntN(int(levels)))
	}
	return img, nil
}

// Photographs lose quality where they would make a notebook large, and only there.
func TestPhotographsStaySmall(t *testing.T) {
	for _, levels := range []noisy{8, 16, 40} {
		picture, err := photographic(levels)
		if err != nil || len(picture) > 85_000 || len(picture) < 40_000 {
			t.Errorf("%d levels: %d bytes, %v, want 40,000 to 85,000", levels, len(picture), err)
		}
	}
}
