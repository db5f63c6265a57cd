package transforms

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/pixels"
)

// pngHeader is a PNG file that announces a size and has no pixels.
func pngHeader(w, h uint32) []byte {
	body := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	body = append(binary.BigEndian.AppendUint32(body, h), 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
}

// jpegWith is the fixture with another size in its header.
func jpegWith(t testing.TB, w, h uint16) []byte {
	b := bytes.Clone(fixture(t, "jpeg_420.jpg"))
	pos := bytes.Index(b, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(b[pos+5:], h)
	binary.BigEndian.PutUint16(b[pos+7:], w)
	return b
}

func fixture(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeRefuses(t *testing.T) {
	jpg, png, gif, webp := fixture(t, "jpeg_420.jpg"), fixture(t, "png_rgb.png"), fixture(t, "gif_animated.gif"), fixture(t, "webp_soft.webp")
	progressive := fixture(t, "jpeg_420_progressive.jpg")
	arithmetic := bytes.Replace(jpg, []byte{0xff, 0xc0}, []byte{0xff, 0xc9}, 1)
	deep := bytes.Clone(jpg)
	deep[bytes.Index(deep, []byte{0xff, 0xc0})+4] = 12
	for _, c := range []struct {
		name string
		data []byte
		kind DecodeKind
	}{
		{"nothing", nil, Empty},
		{"text", []byte("this is a text, not a picture"), NotPicture},
		{"html", []byte("\n<html><body>404</body></html>"), NotPicture},
		{"zip", []byte("PK\x03\x04 and so on"), NotPicture},
		{"heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), NotPicture},
		{"jpeg cut in the header", jpg[:100], Truncated},
		{"jpeg cut in the picture", jpg[:len(jpg)-200], Truncated},
		{"progressive cut before the last scan", progressive[:len(progressive)-60], Truncated},
		{"jpeg that lies about its size", jpegWith(t, 60000, 40), Truncated},
		{"jpeg of half a scan", append(bytes.Clone(jpg[:len(jpg)-200]), 0xff, 0xd9), Damaged},
		{"jpeg without height", jpegWith(t, 10, 0), Damaged},
		{"jpeg of 4 gigapixels", jpegWith(t, 65535, 65535), TooLarge},
		{"arithmetic jpeg", arithmetic, Unsupported},
		{"12-bit jpeg", deep, Unsupported},
		{"png cut off", png[:len(png)/2], Truncated},
		{"png 60,000 pixels wide, without pixels", pngHeader(60000, 100), Truncated},
		{"png of 3.6 gigapixels", pngHeader(60000, 60000), TooLarge},
		{"png wider than any", pngHeader(70000, 1), TooLarge},
		{"png without width", pngHeader(0, 5), Damaged},
		{"gif cut off", gif[:20], Truncated},
		{"gif without frames", append(append(bytes.Clone(gif[:10]), 0, 0, 0), 0x3b, 0), Damaged},
		{"webp cut off", webp[:len(webp)/2], Truncated},
		{"webp header only", webp[:16], Truncated},
	} {
		p, err := Decode(c.data, DecodeOptions{})
		var d *DecodeError
		if !errors.As(err, &d) || p != nil {
			t.Errorf("%s: got %v, wanted a DecodeError", c.name, err)
			continue
		}
		if d.Kind != c.kind {
			t.Errorf("%s: %q (%v), wanted %q", c.name, d.Kind, err, c.kind)
		}
		if sniff(c.data) != d.Format {
			t.Errorf("%s: format %q", c.name, d.Format)
		}
	}
}

func TestDecodeLimits(t *testing.T) {
	jpg := fixture(t, "jpeg_420.jpg") // 45 x 33
	var d *DecodeError
	if _, err := Decode(jpg, DecodeOptions{MaxPixels: 45*33 - 1}); !errors.As(err, &d) || d.Kind != TooLarge {
		t.Error(err)
	}
	if _, err := Decode(jpg, DecodeOptions{MaxPixels: 45 * 33}); err != nil {
		t.Error(err)
	}
	pixels.Allow(45*33 - 1)
	defer pixels.Allow(0)
	if _, err := Decode(jpg, DecodeOptions{}); !errors.As(err, &d) || d.Kind != TooLarge || !strings.Contains(err.Error(), "--max-pixels") {
		t.Error(err)
	}
	pixels.Allow(0)
	if _, err := Decode(jpg, DecodeOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := Decode(jpg, DecodeOptions{MaxBytes: int64(len(jpg)) - 1}); !errors.As(err, &d) || d.Kind != TooLarge {
		t.Error(err)
	}
}

func TestDecodeFileRefuses(t *testing.T) {
	dir := t.TempDir()
	var d *DecodeError
	if _, err := DecodeFile(dir, DecodeOptions{}); !errors.As(err, &d) || d.Kind != NotPicture || d.Path != dir {
		t.Error(err)
	}
	if _, err := DecodeFile(filepath.Join(dir, "none.jpg"), DecodeOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// The name says JPEG, the contents say PNG: contents count.
	path := filepath.Join(dir, "x.jpg")
	if err := os.WriteFile(path, fixture(t, "png_rgb.png"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeFile(path, DecodeOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := DecodeFile(path, DecodeOptions{MaxBytes: 10}); !errors.As(err, &d) || d.Kind != TooLarge || d.Path != path {
		t.Error(err)
	}
}

// TestEveryTruncation cuts one file of each kind at every byte: never a panic, and never a
// picture without its end, except where nothing but an end marker is missing.
func TestEveryTruncation(t *testing.T) {
	for name, spare := range map[string]int{
		"jpeg_420.jpg": 2, "jpeg_444_progressive.jpg": 0, "jpeg_optimized_restarts.jpg": 2, "jpeg_grey.jpg": 2,
		"png_palette_2.png": 12, "gif.gif": 2, "webp_hard.webp": 1, "webp_lossless.webp": 1,
	} {
		data := fixture(t, name)
		step := max(1, len(data)/300)
		for n := 0; n < len(data)-spare; n += step {
			if p, err := Decode(data[:n], DecodeOptions{}); err == nil {
				t.Errorf("%s cut to %d of %d bytes still gives %d x %d pixels", name, n, len(data), p.Width, p.Height)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{
		"gif_animated.gif", "gif_offset_transparent.gif", "jpeg_cmyk.jpg", "jpeg_ycck.jpg", "jpeg_420_progressive.jpg",
		"jpeg_progressive_restarts.jpg", "jpeg_440.jpg", "exif_6.jpg", "png_rgb16.png", "png_grey16.png",
		"png_palette_1_transparent.png", "webp_one.webp", "webp_alpha.webp", "webp_animated_alpha.webp",
	} {
		f.Add(fixture(f, name))
	}
	f.Add([]byte("a text"))
	f.Add([]byte{})
	f.Add(fixture(f, "jpeg_422.jpg")[:300])
	f.Add(pngHeader(60000, 10))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := DecodeOptions{MaxPixels: 1 << 16}
		p, err := Decode(data, o)
		if err != nil {
			var d *DecodeError
			if !errors.As(err, &d) || p != nil {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if err := p.check(); err != nil {
			t.Fatal(err)
		}
		if p.Width*p.Height > o.MaxPixels {
			t.Fatal("beyond the limit")
		}
		pipe := Compose(Resize(9), CenterCrop(8), ToTensor())
		want, err1 := pipe.Apply(p, Rand{})
		got, err2 := pipe.Load(nil, data, o, Rand{})
		if (err1 == nil) != (err2 == nil) {
			t.Fatal(err1, err2)
		}
		if err1 == nil && sumOfFloats(want.Data) != sumOfFloats(got.Data) {
			t.Fatal("Load and Decode disagree")
		}
	})
}
