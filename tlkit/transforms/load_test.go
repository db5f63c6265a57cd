package transforms

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestLoadEqualsDecodeAndApply: decoding only what a crop needs must not change a value.
// The memory that Load decodes into is dirtied first, so that a pixel it should have
// decoded and did not shows.
func TestLoadEqualsDecodeAndApply(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	if err != nil || len(files) < 70 {
		t.Fatal(err, len(files))
	}
	if extra := os.Getenv("TLKIT_DATA"); extra != "" {
		photos, _ := filepath.Glob(filepath.Join(extra, "hymenoptera", "*", "*", "*.jpg"))
		for i := 0; i < len(photos); i += 40 {
			files = append(files, photos[i])
		}
	}
	s, _ := Statistics("half")
	preset := Preset{Size: 24, Resize: 28, Geometry: GeometryShort, Interpolation: Bicubic}.WithStatistics(s)
	crop, squash := preset, preset
	crop.Geometry, crop.CropFraction, crop.Interpolation = GeometryCrop, 0.6, Lanczos
	squash.Geometry, squash.Interpolation = GeometrySquash, Nearest
	pipelines := []Pipeline{
		preset.Eval(), crop.Eval(), squash.Eval(), preset.Train(7),
		Compose(CenterCrop(16), ToTensor()),
		Compose(CenterCrop(50), RandomHorizontalFlip(), ToTensor()),
		Compose(RandomResizedCrop(30, Scale(0.01, 0.1), Ratio(0.2, 5), Nearest), ToTensor()),
		Compose(RandomResizedCrop(9, Box), ColorJitter(0.4, 0.4, 0.4, 0.1), ToTensor()),
		Compose(RandomHorizontalFlip(), ToTensor()),
		Compose(ToTensor()),
	}
	for _, file := range files {
		if filepath.Ext(file) == ".json" {
			continue
		}
		pic, err := DecodeFile(file, DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range pipelines {
			for epoch := range 3 {
				r := Rand{Seed: 5, Epoch: epoch, Picture: i}
				want, err := p.Apply(pic, r)
				if err != nil {
					t.Fatal(file, err)
				}
				dirt := take(3 * pic.Width * pic.Height)
				for k := range *dirt {
					(*dirt)[k] = uint8(k*31 + epoch)
				}
				giveBack(dirt)
				got, err := p.LoadFile(nil, file, DecodeOptions{}, r)
				if err != nil {
					t.Fatal(file, err)
				}
				if got.Width != want.Width || got.Height != want.Height || !slices.Equal(got.Data, want.Data) {
					t.Errorf("%s, %v, epoch %d: another tensor than Decode and Apply give", file, p, epoch)
				}
			}
		}
	}
}
