package jpeg

import (
	"bytes"
	"image"
	std "image/jpeg"
	"math/rand/v2"
	"testing"
)

// The equality with libjpeg-turbo is tested in package transforms, on files that Pillow
// made. Here the standard library serves as a second, independent opinion on many more
// random pictures: its inverse DCT rounds differently, by 3 levels at most.
func TestCloseToStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		w, h, quality := 1+r.IntN(80), 1+r.IntN(80), 1+r.IntN(100)
		src := image.NewGray(image.Rect(0, 0, w, h))
		smooth := 1 + r.IntN(40)
		for i := range src.Pix {
			src.Pix[i] = uint8(i/smooth*7 + r.IntN(1+n))
		}
		var buf bytes.Buffer
		if err := std.Encode(&buf, src, &std.Options{Quality: quality}); err != nil {
			t.Fatal(err)
		}
		other, err := std.Decode(bytes.NewReader(buf.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != w || f.Height != h {
			t.Fatalf("%d x %d, wanted %d x %d", f.Width, f.Height, w, h)
		}
		got := make([]uint8, 3*w*h)
		if err := f.Decode(got, image.Rect(0, 0, w, h)); err != nil {
			t.Fatal(err)
		}
		for y := range h {
			for x := range w {
				a, b := int(got[3*(y*w+x)]), int(other.(*image.Gray).GrayAt(x, y).Y)
				if a-b > 3 || b-a > 3 {
					t.Fatalf("%d x %d at quality %d, pixel (%d, %d): %d, the standard library has %d", w, h, quality, x, y, a, b)
				}
			}
		}
	}
}

func TestHuffmanTables(t *testing.T) {
	// Two codes of one bit fill the tree; a third code has no room.
	if _, err := newHuffman([]uint8{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []uint8{1, 2}); err != nil {
		t.Error(err)
	}
	if _, err := newHuffman([]uint8{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []uint8{1, 2, 3}); err == nil {
		t.Error("three codes where two fit")
	}
	// One code of each length: 0, 10, 110, ... Every one is found, short ones through
	// the look-up, long ones without.
	counts, symbols := bytes.Repeat([]uint8{1}, 16), make([]uint8, 16)
	for i := range symbols {
		symbols[i] = uint8(i) << 4 // no value bits behind it
	}
	h, err := newHuffman(counts, symbols)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		word := uint16(0xffff) << (16 - i) // i ones, then a zero
		r := reader{buf: []uint8{uint8(word >> 8), uint8(word), 0, 0}}
		if got, ok := r.code(h); !ok || got != symbols[i] {
			t.Errorf("code %d: %v %v", i, got, ok)
		}
		if used := r.pos*8 - int(r.have); used != i+1 {
			t.Errorf("code %d: %d bits used", i, used)
		}
	}
	r := reader{buf: []uint8{0xff, 0xff, 0xff}}
	if _, ok := r.code(h); ok {
		t.Error("a code that does not exist was found")
	}
}

func TestDecodeOnce(t *testing.T) {
	var buf bytes.Buffer
	if err := std.Encode(&buf, image.NewGray(image.Rect(0, 0, 9, 9)), nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]uint8, 3*81)
	for _, window := range []image.Rectangle{{}, image.Rect(-1, 0, 5, 5), image.Rect(0, 0, 10, 9)} {
		if err := f.Decode(dst, window); err == nil {
			t.Error(window)
		}
	}
	if err := f.Decode(dst[1:], image.Rect(0, 0, 9, 9)); err == nil {
		t.Error("a place too small")
	}
	if err := f.Decode(dst, image.Rect(0, 0, 9, 9)); err != nil {
		t.Error(err)
	}
	if err := f.Decode(dst, image.Rect(0, 0, 9, 9)); err == nil {
		t.Error("decoded twice")
	}
}
