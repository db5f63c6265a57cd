package transforms

import (
	"context"
	"hash/crc32"
	"math"
	"reflect"
	"testing"
)

// TestRandomnessIsKeyed: the same key gives the same tensor whatever the number of
// workers; every part of the key matters.
func TestRandomnessIsKeyed(t *testing.T) {
	p := imagenetPreset()
	p.Size = 16
	p.Resize = 16
	pic := formula(50, 70, 0)
	run := func(pipe Pipeline, seed uint64, epoch, workers int) (sums []string) {
		err := Each(context.Background(), 12, workers, func(i int) (Tensor, error) {
			return pipe.Apply(pic, Rand{Seed: seed, Epoch: epoch, Picture: i})
		}, func(_ int, x Tensor, err error) error {
			sums = append(sums, sumOfFloats(x.Data))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return sums
	}
	base := run(p.Train(1), 2, 3, 1)
	if !reflect.DeepEqual(base, run(p.Train(1), 2, 3, 5)) {
		t.Error("the number of workers matters")
	}
	seen := map[string]bool{}
	for _, sums := range [][]string{base, run(p.Train(9), 2, 3, 2), run(p.Train(1), 9, 3, 2), run(p.Train(1), 2, 9, 2), run(p.Train(2), 1, 3, 2)} {
		for _, s := range sums {
			if seen[s] {
				t.Error("two keys, one picture")
			}
			seen[s] = true
		}
	}
	// Frozen: a run that is resumed after an update has to see the same pictures.
	if got := crc32.ChecksumIEEE([]byte(base[0] + base[11])); got != 0x880a394a {
		t.Errorf("%#x", got)
	}
}

// TestRandomResizedCropDistribution checks what torchvision's documentation promises:
// area uniform in scale, the logarithm of the ratio uniform, place uniform.
func TestRandomResizedCropDistribution(t *testing.T) {
	c := RandomResizedCrop(8, Scale(0.1, 0.3)).(randomResizedCrop)
	const n, w, h = 20000, 640, 480
	var area, ratio, left float64
	for i := range n {
		b := c.choose(w, h, newStream(3, Rand{Picture: i}))
		if b.x < 0 || b.y < 0 || b.w < 1 || b.h < 1 || b.x+b.w > w || b.y+b.h > h {
			t.Fatal(b)
		}
		area += float64(b.w*b.h) / (w * h) / n
		ratio += math.Log(float64(b.w)/float64(b.h)) / n
		left += float64(b.x) / float64(w-b.w) / n
	}
	// Three standard errors of the uniform distributions' means.
	if math.Abs(area-0.2) > 3*0.2/math.Sqrt(12*n) || math.Abs(ratio) > 3*2*math.Log(4./3)/math.Sqrt(12*n)+1e-3 || math.Abs(left-0.5) > 3/math.Sqrt(12*n) {
		t.Error(area, ratio, left)
	}
}

// TestRandomResizedCropFallback: shapes that ten draws cannot meet get torchvision's
// middle part, 4/3 as wide as high at most.
func TestRandomResizedCropFallback(t *testing.T) {
	c := RandomResizedCrop(8, Scale(1, 1)).(randomResizedCrop)
	for _, r := range []struct {
		w, h int
		want box
	}{
		{1000, 30, box{480, 0, 40, 30}},
		{30, 1000, box{0, 480, 30, 40}},
		{1, 1000, box{0, 499, 1, 1}},
	} {
		if got := c.choose(r.w, r.h, newStream(0, Rand{})); got != r.want {
			t.Errorf("%d x %d: %v, torchvision %v", r.w, r.h, got, r.want)
		}
	}
}

func TestFlipHalfOfThem(t *testing.T) {
	pic := formula(3, 4, 0)
	mirrored, err := pic.FlipHorizontal()
	if err != nil {
		t.Fatal(err)
	}
	for probability, want := range map[float64]int{0: 0, 0.5: 500, 1: 1000} {
		n := 0
		for i := range 1000 {
			q, err := Compose(RandomHorizontalFlip(probability)).Picture(pic, Rand{Picture: i})
			if err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(q, mirrored) {
				n++
			} else if !reflect.DeepEqual(q, pic) {
				t.Fatal("neither picture")
			}
		}
		if math.Abs(float64(n-want)) > 50 {
			t.Errorf("probability %g: %d of 1000", probability, n)
		}
	}
	if mirrored.Pix[0] != pic.Pix[9] || mirrored.Pix[3*4+2] != pic.Pix[2*12-1] {
		t.Error("not a mirror")
	}
}

func TestColorJitterLeavesAlone(t *testing.T) {
	pic := formula(10, 10, 0)
	q, err := Compose(ColorJitter(0, 0, 0, 0)).Picture(pic, Rand{})
	if err != nil || !reflect.DeepEqual(pic, q) {
		t.Error(err)
	}
	before := string(pic.Pix)
	for i := range 20 {
		q, err := Compose(ColorJitter(0.4, 0.4, 0.4, 0.5)).Picture(pic, Rand{Picture: i})
		if err != nil || reflect.DeepEqual(pic, q) {
			t.Error("unchanged", err)
		}
	}
	if string(pic.Pix) != before {
		t.Error("the picture given was changed")
	}
	for _, s := range []Step{ColorJitter(-1, 0, 0, 0), ColorJitter(0, 0, 0, 0.6), ColorJitter(math.NaN(), 0, 0, 0)} {
		if Compose(s).Err() == nil {
			t.Error(s)
		}
	}
}
