package transforms

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestPresetSurvivesJSON(t *testing.T) {
	p := imagenetPreset()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"size":224`, `"resize":256`, `"geometry":"short"`, `"range":[0,1]`, `"mean":[0.485,0.456,0.406]`, `"channels":"RGB"`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("%s lacks %s", b, key)
		}
	}
	var q Preset
	if err := json.Unmarshal(b, &q); err != nil || q != p {
		t.Error(err, q)
	}
}

func TestDigest(t *testing.T) {
	p := imagenetPreset()
	same := p
	same.Name, same.Resize, same.CropFraction, same.Interpolation = "other", 0, 0.875, Bilinear
	if p.Digest() != same.Digest() {
		t.Error("the same pixels, another digest")
	}
	// This number is written into files: it may only move together with pixelVersion.
	if got := p.Digest()[:16]; got != "20727babf566f73a" {
		t.Errorf("digest %s", got)
	}
	seen := map[string]string{p.Digest(): "itself"}
	change := func(name string, f func(*Preset)) {
		q := p
		f(&q)
		if other, ok := seen[q.Digest()]; ok {
			t.Errorf("%s: the digest of %s", name, other)
		}
		seen[q.Digest()] = name
	}
	change("size", func(p *Preset) { p.Size = 225 })
	change("resize", func(p *Preset) { p.Resize = 257 })
	change("crop", func(p *Preset) { p.Geometry, p.CropFraction = GeometryCrop, 0.875 })
	change("squash", func(p *Preset) { p.Geometry = GeometrySquash })
	change("filter", func(p *Preset) { p.Interpolation = Bicubic })
	change("range", func(p *Preset) { p.Range[1] = 255 })
	change("mean", func(p *Preset) { p.Mean[2] = 0.4061 })
	change("std", func(p *Preset) { p.Std[0] = 0.2291 })
	change("channels", func(p *Preset) { p.Channels = "BGR" })
	change("not a number", func(p *Preset) { p.Mean[0] = float32(math.NaN()) })
}

func TestPresetValidate(t *testing.T) {
	if err := imagenetPreset().Validate(); err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for word, f := range map[string]func(*Preset){
		"size":          func(p *Preset) { p.Size = 1 << 20 },
		"resize":        func(p *Preset) { p.Resize = -1 },
		"crop_fraction": func(p *Preset) { p.CropFraction = math.NaN() },
		"geometry":      func(p *Preset) { p.Geometry = "" },
		"interpolation": func(p *Preset) { p.Interpolation = "area" },
		"channels":      func(p *Preset) { p.Channels = "rgb" },
		"range":         func(p *Preset) { p.Range = [2]float32{1, 1} },
		"mean":          func(p *Preset) { p.Mean[1] = nan },
		"std":           func(p *Preset) { p.Std[1] = 0 },
		"short side":    func(p *Preset) { p.Resize, p.Size, p.CropFraction = 0, 8000, 0.1 },
	} {
		p := imagenetPreset()
		f(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
		if _, err := p.Eval().Apply(formula(9, 9, 0), Rand{}); err == nil {
			t.Errorf("%s: Eval works", word)
		}
	}
	p := imagenetPreset()
	p.Std[0] = inf
	if p.Validate() == nil {
		t.Error("infinite deviation")
	}
}

// TestPresetPicture goes there and back for every row of statistics.
func TestPresetPicture(t *testing.T) {
	for _, name := range statisticsNames() {
		s, err := Statistics(name)
		if err != nil {
			t.Fatal(err)
		}
		p := Preset{Size: 30, Geometry: GeometrySquash}.WithStatistics(s)
		want, err := p.Eval().Picture(formula(40, 50, 1), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		x, err := p.Eval().Apply(formula(40, 50, 1), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Picture(x)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: not the picture it came from (%v)", name, err)
		}
	}
	if _, err := Statistics("imagenet21k"); err == nil || !strings.Contains(err.Error(), "imagenet") {
		t.Error(err)
	}
}

func TestDenormalize(t *testing.T) {
	s, _ := Statistics("imagenet")
	p := formula(5, 6, 0)
	x, err := Compose(ToTensor(), Normalize(s.Mean, s.Std)).Apply(p, Rand{})
	if err != nil {
		t.Fatal(err)
	}
	if err := Denormalize(x, s.Mean, s.Std); err != nil {
		t.Fatal(err)
	}
	if q, err := x.Picture(); err != nil || !reflect.DeepEqual(p, q) {
		t.Error("not the picture it came from", err)
	}
	if err := Denormalize(Tensor{Height: 2, Width: 2, Channels: 3}, s.Mean, s.Std); err == nil {
		t.Error("a tensor without values")
	}
}

// A grey preset gives each channel Pillow's convert("L"), in evaluation and in training.
func TestGreyPreset(t *testing.T) {
	pic := &Picture{6, 1, []uint8{10, 200, 30, 255, 0, 0, 1, 2, 3, 0, 0, 255, 255, 255, 255, 77, 78, 80}}
	got, err := Compose(Grayscale()).Picture(pic, Rand{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint8{124, 76, 2, 29, 255, 78} {
		if p := got.Pix[3*i : 3*i+3]; p[0] != want || p[1] != want || p[2] != want {
			t.Errorf("pixel %d is %v, Pillow's is %d", i, p, want)
		}
	}
	half, _ := Statistics("half")
	p := Preset{Size: 8, Geometry: GeometrySquash}.WithStatistics(half)
	colour, err := p.Eval().Apply(formula(20, 16, 1), Rand{})
	if err != nil {
		t.Fatal(err)
	}
	p.Channels = "grey"
	for name, pipeline := range map[string]Pipeline{"Eval": p.Eval(), "Train": p.Train(1)} {
		x, err := pipeline.Apply(formula(20, 16, 1), Rand{})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(x.Data); i += 3 {
			if x.Data[i] != x.Data[i+1] || x.Data[i] != x.Data[i+2] {
				t.Fatalf("%s: the channels differ: %v", name, x.Data[i:i+3])
			}
		}
		if name == "Eval" && reflect.DeepEqual(x.Data, colour.Data) {
			t.Error("the test picture has no colour")
		}
	}
}

// Square stops at the bytes that Eval turns into numbers.
func TestSquare(t *testing.T) {
	pic := NewPicture(50, 40)
	for i := range pic.Pix {
		pic.Pix[i] = uint8(i * 7)
	}
	base := Preset{Size: 20, Resize: 24, Geometry: GeometryShort, Range: [2]float32{0, 255}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
	for geometry, words := range map[Geometry]string{
		GeometryShort:  "with its short side resized to 24 pixels and the middle 20 x 20 cut out (bilinear)",
		GeometryCrop:   "cut to its middle square and resized to 20 x 20 (bilinear)",
		GeometrySquash: "resized to 20 x 20, whatever its shape (bilinear)",
	} {
		p := base
		p.Geometry = geometry
		square, err := p.Square().Picture(pic, Rand{})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := p.Eval().Apply(pic, Rand{})
		if err != nil {
			t.Fatal(err)
		}
		if len(square.Pix) != 20*20*3 {
			t.Fatalf("%s: %d bytes", geometry, len(square.Pix))
		}
		for i, v := range square.Pix {
			if float32(v) != whole.Data[i] {
				t.Fatalf("%s: byte %d is %d, the network reads %v", geometry, i, v, whole.Data[i])
			}
		}
		if got := p.SquareWords(); got != words {
			t.Errorf("%s: %q, want %q", geometry, got, words)
		}
	}
	base.Geometry, base.CropFraction = GeometryCrop, 0.875
	if got, want := base.SquareWords(), "cut to the middle square of 87.5 % of its short side and resized to 20 x 20 (bilinear)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	base.Size = 0
	if _, err := base.Square().Picture(pic, Rand{}); err == nil {
		t.Error("an invalid preset makes pictures")
	}
}

// A whole picture loses no corner, whatever the preset would cut off.
func TestWhole(t *testing.T) {
	p := Preset{Size: 8, Resize: 12, Geometry: GeometryShort, Interpolation: Bilinear, Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
	picture := NewPicture(40, 20)
	for y := range 5 {
		for x := range 5 {
			picture.Pix[3*(y*40+x)] = 255 // the red corner at the top left
		}
	}
	corner := func(p Preset) float32 {
		x, err := p.Eval().Apply(picture, Rand{})
		if err != nil {
			t.Fatal(err)
		}
		return x.Data[0]
	}
	if v := corner(p); v > 0.1 {
		t.Fatalf("the crop shows %.2f of the corner, so this tests nothing", v)
	}
	w := p.Whole(16)
	if v := corner(w); v < 0.5 || w.Size != 16 {
		t.Errorf("%.2f of the corner at %d pixels", v, w.Size)
	}
	if err := w.Validate(); err != nil {
		t.Error(err)
	}
}
