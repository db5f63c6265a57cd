package insects

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"math"
	"testing"
)

func spriteSum(s Sprite) uint32 {
	sum := crc32.NewIEEE()
	_ = binary.Write(sum, binary.LittleEndian, s.Pix)
	return sum.Sum32()
}

// Sprites and tables are frozen as the pictures are.
func TestCutoutsAreFrozen(t *testing.T) {
	for name, c := range map[string]struct{ got, want uint32 }{
		"bee":       {spriteSum(Insect(1, Cutout{Bee: true, Side: 42, Length: 34, Own: 0.3})), 0xccac073a},
		"ant":       {spriteSum(Insect(2, Cutout{Side: 42, Length: 34, Own: 0.3})), 0x6818c1c9},
		"blossom":   {spriteSum(Blossom(3, 48)), 0x6cb19c13},
		"table":     {crc32.ChecksumIEEE(Table(4, 160, 0.6).Pix), 0xcdf1f737},
		"table 480": {crc32.ChecksumIEEE(Table(5, 480, 1).Pix), 0xd0018866},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#08x, // was %#08x", name, c.got, c.want)
		}
	}
}

// A table drawn three times as large and made small again is about the same picture.
func TestTableIsTheSameAtAnySide(t *testing.T) {
	for seed := range uint64(12) {
		small, large := Table(seed, 96, 1), Table(seed, 288, 1)
		shrunk := image.NewNRGBA(small.Rect)
		for y := range 96 {
			for x := range 96 {
				for k := range 3 {
					sum := 0
					for j := range 9 {
						sum += int(large.Pix[large.PixOffset(3*x+j%3, 3*y+j/3)+k])
					}
					shrunk.Pix[shrunk.PixOffset(x, y)+k] = uint8(sum / 9)
				}
			}
		}
		if same, other := contrast(small, shrunk), contrast(small, Table(seed+100, 96, 1)); same > 22 || same > 0.8*other {
			t.Errorf("table %d: mean difference %.1f between two sizes, %.1f from another table", seed, same, other)
		}
	}
}

func contrast(a, b *image.NRGBA) float64 {
	sum := 0.0
	for i := range a.Pix {
		if i%4 != 3 {
			sum += math.Abs(float64(a.Pix[i]) - float64(b.Pix[i]))
		}
	}
	return sum / float64(len(a.Pix)/4*3)
}

// Cutouts are clear around the thing, opaque within, and never more than opaque.
func TestCutoutsAreCutOut(t *testing.T) {
	for seed := range uint64(20) {
		for name, s := range map[string]Sprite{"bee": Insect(seed, Cutout{Bee: true, Side: 64, Length: 52}), "ant": Insect(seed, Cutout{Side: 64, Length: 52}), "blossom": Blossom(seed, 64)} {
			var sum float32
			for i := 3; i < len(s.Pix); i += 4 {
				a := s.Pix[i]
				sum += a
				if a < 0 || a > 1.0001 {
					t.Fatalf("%s %d has coverage %v", name, seed, a)
				}
			}
			if share := sum / 64 / 64; s.Pix[3] != 0 || s.Pix[4*(32*64+32)+3] < 0.9 || share < 0.04 || share > 0.7 {
				t.Errorf("%s %d: corner %v, middle %v, share %v", name, seed, s.Pix[3], s.Pix[4*(32*64+32)+3], share)
			}
		}
	}
}

func TestCutoutsOfAnySide(t *testing.T) {
	for _, side := range []int{math.MinInt, -1, 0, 1, 2, 7} {
		if s := Insect(1, Cutout{Side: side, Length: 5}); s.Side < 1 || len(s.Pix) != 4*s.Side*s.Side {
			t.Errorf("side %d: %d, %d numbers", side, s.Side, len(s.Pix))
		}
		Blossom(1, side)
		Table(1, side, math.NaN())
	}
}

func ExampleInsect() {
	bee := Insect(1, Cutout{Bee: true, Side: 64, Length: 52})
	middle := bee.Pix[4*(32*64+32):][:4]
	fmt.Println(bee.Side, "pixels, covered in the middle:", middle[3] > 0.9, "and in the corner:", bee.Pix[3] > 0)
	// Output: 64 pixels, covered in the middle: true and in the corner: false
}
