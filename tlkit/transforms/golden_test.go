package transforms

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The golden values are Pillow's and torchvision's own results, made by
// internal/golden/referee/transforms.py.
type goldenFile struct {
	Resize   [][7]any
	Short    [][6]any
	Center   [][4]any
	Part     [][7]any
	Colour   [][4]any
	Imagenet [][5]any
	Keras    [][3]any
	Crop     [][5]any
	Files    map[string][4]any
	Measure  struct {
		Files     []string
		Mean, Std [3]float64
		Pixels    int64
	}
}

func loadGolden(t testing.TB) (g goldenFile) {
	readJSON(t, "golden.json", &g)
	return g
}

func readJSON(t testing.TB, name string, value any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, value); err != nil {
		t.Fatal(name, err)
	}
}

func whole(v any) int { return int(v.(float64)) }

func sumOf(b []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)) }

func sumOfFloats(x []float32) string {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sumOf(b)
}

func TestResizeEqualsPillow(t *testing.T) {
	rows := loadGolden(t).Resize
	if len(rows) < 100 {
		t.Fatalf("%d golden rows", len(rows))
	}
	for _, r := range rows {
		p := formula(whole(r[0]), whole(r[1]), whole(r[2]))
		q, err := p.Resize(whole(r[3]), whole(r[4]), Interpolation(r[5].(string)))
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(q.Pix); got != r[6] {
			t.Errorf("%v x %v picture %v to %v x %v by %v: %s, Pillow %v", r[1], r[0], r[2], r[3], r[4], r[5], got, r[6])
		}
	}
}

// TestShortSideAndCrop also proves that the fused resize and crop computes the same
// pixels as torchvision's two steps.
func TestShortSideAndCrop(t *testing.T) {
	for _, r := range loadGolden(t).Short {
		size, crop, filter := whole(r[2]), whole(r[3]), Interpolation(r[4].(string))
		q, err := Compose(Resize(size, filter), CenterCrop(crop)).Picture(formula(whole(r[0]), whole(r[1]), 0), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(q.Pix); got != r[5] {
			t.Errorf("%v: got %s", r, got)
		}
	}
}

func TestCenterCropRoundsAndPads(t *testing.T) {
	for _, r := range loadGolden(t).Center {
		q, err := Compose(CenterCrop(whole(r[2]))).Picture(formula(whole(r[0]), whole(r[1]), 0), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(q.Pix); got != r[3] {
			t.Errorf("%v: got %s", r, got)
		}
	}
}

func TestPartResizeEqualsTorchvision(t *testing.T) {
	p := formula(120, 160, 1)
	for _, r := range loadGolden(t).Part {
		n := whole(r[4])
		q := p.resample(resampling{box{whole(r[1]), whole(r[0]), whole(r[3]), whole(r[2])}, n, n, box{0, 0, n, n}, Interpolation(r[5].(string))})
		if got := sumOf(q.Pix); got != r[6] {
			t.Errorf("%v: got %s", r, got)
		}
	}
}

func TestColourEqualsTorchvision(t *testing.T) {
	wheel := NewPicture(96, 64)
	for i := range 64 * 96 {
		wheel.Pix[3*i], wheel.Pix[3*i+1], wheel.Pix[3*i+2] = uint8(i*7), uint8(i/24*5), uint8(i*i/50)
	}
	pictures := []*Picture{formula(60, 80, 0), wheel}
	for _, r := range loadGolden(t).Colour {
		p, v := pictures[whole(r[0])], r[2].(float64)
		q := map[string]func(float64) *Picture{
			"brightness": p.brightness, "contrast": p.contrast, "saturation": p.saturation, "hue": p.hue,
		}[r[1].(string)](v)
		if got := sumOf(q.Pix); got != r[3] {
			t.Errorf("%v: got %s", r, got)
		}
	}
}

func imagenetPreset() Preset {
	s, _ := Statistics("imagenet")
	return Preset{Name: "test", Size: 224, Resize: 256, Geometry: GeometryShort}.WithStatistics(s)
}

// TestImageNetEvaluation compares the float32 values bit for bit: torch's operations
// here are one division, one subtraction and one division, and IEEE 754 leaves no choice.
func TestImageNetEvaluation(t *testing.T) {
	byHand := Compose(Resize(256), CenterCrop(224), ToTensor(),
		Normalize([3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}))
	for _, r := range loadGolden(t).Imagenet {
		for _, p := range []Pipeline{byHand, imagenetPreset().Eval()} {
			x, err := p.Apply(formula(whole(r[0]), whole(r[1]), 0), Rand{})
			if err != nil {
				t.Fatal(err)
			}
			if x.Height != 224 || x.Width != 224 || x.Channels != 3 {
				t.Fatalf("%v: shape %d %d %d", r, x.Height, x.Width, x.Channels)
			}
			sum, largest := 0.0, 0.0
			for _, v := range x.Data {
				sum += float64(v)
				largest = max(largest, math.Abs(float64(v)))
			}
			mean := sum / float64(len(x.Data))
			if math.Abs(mean-r[3].(float64)) > 1e-9 || math.Abs(largest-r[4].(float64)) > 1e-6 {
				t.Errorf("%v: mean %v, largest %v", r, mean, largest)
			}
			if got := sumOfFloats(x.Data); got != r[2] {
				t.Errorf("%v: got %s", r, got)
			}
		}
	}
}

func TestKerasModes(t *testing.T) {
	for _, r := range loadGolden(t).Keras {
		s, err := Statistics(r[0].(string))
		if err != nil {
			t.Fatal(err)
		}
		p := Preset{Size: 32, Geometry: GeometrySquash, Interpolation: Nearest}.WithStatistics(s)
		x, err := p.Eval().Apply(formula(90, 70, 0), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		// Keras divides by 127.5 and subtracts 1, we subtract 0.5 and divide by it:
		// one float32 rounding apart.
		tolerance := 3e-7
		if r[0] == "caffe" {
			tolerance = 2e-5 // of values up to 150
		}
		for i, pos := range []int{0, 1, 2, 300, 1601, 3071} {
			want := r[2].([]any)[i].(float64)
			if math.Abs(float64(x.Data[pos])-want) > tolerance {
				t.Errorf("%v: value %d is %v, Keras %v", r[0], pos, x.Data[pos], want)
			}
		}
		sum := 0.0
		for _, v := range x.Data {
			sum += float64(v)
		}
		if mean := sum / float64(len(x.Data)); math.Abs(mean-r[1].(float64)) > tolerance {
			t.Errorf("%v: mean %v, Keras %v", r[0], mean, r[1])
		}
	}
}

func TestCropGeometry(t *testing.T) {
	for _, r := range loadGolden(t).Crop {
		s, _ := Statistics("lite")
		p := Preset{Size: whole(r[3]), Geometry: GeometryCrop, CropFraction: r[2].(float64), Interpolation: Bicubic}.WithStatistics(s)
		q, err := p.Eval().Picture(formula(whole(r[0]), whole(r[1]), 0), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(q.Pix); got != r[4] {
			t.Errorf("%v: got %s", r, got)
		}
	}
}

func TestDecodeEqualsPillow(t *testing.T) {
	files := loadGolden(t).Files
	if len(files) < 70 {
		t.Fatalf("%d golden files", len(files))
	}
	for name, r := range files {
		for _, ignore := range []bool{false, true} {
			p, err := DecodeFile(filepath.Join("testdata", name), DecodeOptions{IgnoreOrientation: ignore})
			if err != nil {
				t.Error(err)
				break
			}
			want := r[2]
			if ignore {
				want = r[3]
			} else if p.Width != whole(r[0]) || p.Height != whole(r[1]) {
				t.Errorf("%s: %d x %d, Pillow %v x %v", name, p.Width, p.Height, r[0], r[1])
			}
			if got := sumOf(p.Pix); got != want {
				t.Errorf("%s (ignore orientation %v): %s, Pillow %v", name, ignore, got, want)
			}
		}
	}
}

// TestPhotos wants real photos, which are not part of the repository: only their sums are.
func TestPhotos(t *testing.T) {
	root := os.Getenv("TLKIT_DATA")
	if root == "" {
		t.Skip("TLKIT_DATA is not set: no folder with the hymenoptera photos to decode")
	}
	root = filepath.Join(root, "hymenoptera")
	if _, err := os.Stat(root); err != nil {
		t.Skip("TLKIT_DATA has no hymenoptera folder")
	}
	var rows map[string][4]any
	readJSON(t, "hymenoptera.json", &rows)
	for name, r := range rows {
		p, err := DecodeFile(filepath.Join(root, filepath.FromSlash(name)), DecodeOptions{})
		if err != nil {
			t.Error(err)
			continue
		}
		if got := sumOf(p.Pix); p.Width != whole(r[0]) || p.Height != whole(r[1]) || got != r[2] {
			t.Errorf("%s: %d x %d %s, Pillow %v", name, p.Width, p.Height, got, r)
		}
	}
}
