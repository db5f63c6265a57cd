package transforms_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// The two stages of a preset give the numbers of its pipeline, and presets of one shape share their
// first.
func TestStages(t *testing.T) {
	imagenet, err := transforms.Statistics("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	short := transforms.Preset{Size: 64, Resize: 72, Geometry: transforms.GeometryShort}.WithStatistics(imagenet)
	grey := short
	grey.Channels, grey.Range = "grey", [2]float32{-1, 1}
	bgr := short
	bgr.Channels = "BGR"
	wider := short
	wider.Resize = 80
	crop := transforms.Preset{Size: 64, Geometry: transforms.GeometryCrop, CropFraction: 0.875, Interpolation: transforms.Bicubic}.WithStatistics(imagenet)
	squash := transforms.Preset{Size: 64, Geometry: transforms.GeometrySquash}.WithStatistics(imagenet)
	nearest := squash
	nearest.Interpolation = transforms.Nearest

	photo := transforms.NewPicture(150, 90)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range photo.Pix {
		photo.Pix[i] = uint8(rng.UintN(256))
	}
	shapes := map[string]int{}
	for _, p := range []transforms.Preset{short, grey, bgr, wider, crop, squash, nearest} {
		want, err := p.Eval().Apply(photo, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		square, numbers, shape := p.Stages()
		pic, err := square.Picture(photo, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := numbers.Apply(pic, transforms.Rand{})
		if err != nil || !slices.Equal(got.Data, want.Data) {
			t.Errorf("%v: %v, or other numbers", p, err)
		}
		shapes[shape]++
	}
	if len(shapes) != 5 {
		t.Errorf("%d shapes, want 5: the first three are one", len(shapes))
	}
	if square, numbers, shape := (transforms.Preset{Size: -1}).Stages(); square.Err() == nil || numbers.Err() == nil || shape != "" {
		t.Error("a wrong preset has stages")
	}
}
