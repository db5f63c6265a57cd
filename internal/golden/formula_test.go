package golden

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"testing"
)

// First bits and checksums as numpy computes them in referee/zoo.py: the two halves of the formula
// agree to the bit.
func TestFillGivesNumpysBits(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape []int
		gain  float64
		first uint32
		crc   uint32
	}{
		{"conv1.weight", []int{64, 3, 7, 7}, 1, 0x3c95337c, 0xc7356ef6},
		{"bn1.weight", []int{64}, 1, 0x3f6e1b2a, 0x894b56d0},
		{"bn1.running_mean", []int{64}, 1, 0x3d7013a4, 0x7d551f23},
		{"bn1.running_var", []int{64}, 1, 0x3f891b91, 0x5b1ccc8e},
		{"fc.weight", []int{1000, 512}, 0.8, 0xbb2e49cd, 0x6d709e57},
		{"fc.bias", []int{1000}, 1, 0xbbb714a0, 0x8b9e8c5b},
	} {
		values := Fill(c.name, c.shape, c.gain)
		buf := make([]byte, 0, 4*len(values))
		for _, v := range values {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if got := math.Float32bits(values[0]); got != c.first {
			t.Errorf("%s begins with %#08x, want %#08x", c.name, got, c.first)
		}
		if got := crc32.ChecksumIEEE(buf); got != c.crc {
			t.Errorf("%s has CRC-32 %#08x, want %#08x", c.name, got, c.crc)
		}
	}
}

func TestPictureGivesNumpysBytes(t *testing.T) {
	for k, want := range []uint32{0xaf7ce6be, 0x5780baa2} {
		if got := crc32.ChecksumIEEE(Picture(224, 224, k)); got != want {
			t.Errorf("picture %d has CRC-32 %#08x, want %#08x", k, got, want)
		}
	}
	in := Input(4, 2)
	if len(in) != 2*4*4*3 || in[0] != (float32(Picture(4, 4, 0)[0])-128)/64 {
		t.Errorf("%d numbers, the first is %g", len(in), in[0])
	}
}

func TestEveryFileReads(t *testing.T) {
	for _, kind := range []string{Formula, Weights} {
		names := Names(kind)
		if !slices.Contains(names, "mobilenetv2") {
			t.Errorf("%s: %v", kind, names)
		}
		for _, name := range names {
			g, ok, err := Find(name, kind)
			if err != nil || !ok || g.Name != name || len(g.By) == 0 || g.Tensors.All == "" || len(g.Tensors.Some) < 3 {
				t.Errorf("%s, %s: %v, %v, %+v", name, kind, ok, err, g)
			}
			for _, s := range append(g.Stages, Stage{"features", g.Features}) {
				if len(s.Values) != g.Pictures || len(s.Values[0]) == 0 || !(s.Largest > 0) {
					t.Errorf("%s, %s: stage %s is empty", name, kind, s.Name)
				}
			}
		}
	}
	if _, ok, err := Find("../formula", Formula); ok || err != nil {
		t.Errorf("a path was found: %v, %v", ok, err)
	}
}
