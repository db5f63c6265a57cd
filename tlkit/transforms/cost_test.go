package transforms

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	stdjpeg "image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func jpegSegment(marker byte, body ...byte) []byte {
	b := []byte{0xff, marker}
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(body)))
	return append(b, body...)
}

// manyScans is a progressive JPEG of w x h zeros, whose scans after the first say in a few bytes that
// nothing changes.
func manyScans(w, h, components, scans int) []byte {
	b := []byte{0xff, 0xd8}
	b = append(b, jpegSegment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)...)
	frame := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(components)}
	for c := range components {
		frame = append(frame, byte(c+1), 0x11, 0)
	}
	b = append(b, jpegSegment(0xc2, frame...)...)
	oneCode := append([]byte{1}, make([]byte, 15)...) // one code of one bit
	b = append(b, jpegSegment(0xc4, append(append([]byte{0x00}, oneCode...), 0)...)...)
	b = append(b, jpegSegment(0xc4, append(append([]byte{0x10}, oneCode...), 0xe0)...)...) // a run of blocks that end
	blocks := ((w + 7) / 8) * ((h + 7) / 8)
	dc := []byte{byte(components)}
	for c := range components {
		dc = append(dc, byte(c+1), 0)
	}
	b = append(b, jpegSegment(0xda, append(dc, 0, 0, 0)...)...)
	b = append(b, make([]byte, (blocks*components+7)/8)...)
	runs := make([]byte, (blocks/(1<<14)+1)*15/8+1)
	for range scans {
		b = append(b, jpegSegment(0xda, 1, 1, 0, 1, 63, 0)...)
		b = append(b, runs...)
	}
	return append(b, 0xff, 0xd9)
}

// flatPNG is a PNG of zeros, of 16 bits in each of four channels.
func flatPNG(w, h int) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, body []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(body)))
		body = append([]byte(name), body...)
		b.Write(body)
		_ = binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(body))
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(w))
	chunk("IHDR", append(binary.BigEndian.AppendUint32(head, uint32(h)), 16, 6, 0, 0, 0))
	var z bytes.Buffer
	deflate, _ := zlib.NewWriterLevel(&z, zlib.BestSpeed)
	row := make([]byte, 1+8*w)
	for range h {
		_, _ = deflate.Write(row)
	}
	deflate.Close()
	chunk("IDAT", z.Bytes())
	chunk("IEND", nil)
	return b.Bytes()
}

// flatWebP is a lossless WebP of one colour, in a few bytes.
func flatWebP(w, h int) []byte {
	var bits, n uint64
	put := func(v uint64, count uint64) { bits |= v << n; n += count }
	put(uint64(w-1), 14)
	put(uint64(h-1), 14)
	put(0, 1+3+1+1+1) // no alpha, version 0, no transform, no cache, one group of codes
	body := []byte{0x2f}
	body = binary.LittleEndian.AppendUint64(body, bits)[:1+4]
	rest := bits >> 32
	shift := n - 32
	for range 5 {
		rest |= 1 << shift // a simple code of one symbol of one bit: 0
		shift += 4
	}
	body = append(body, binary.LittleEndian.AppendUint64(nil, rest)...)
	b := append([]byte("WEBPVP8L"), binary.LittleEndian.AppendUint32(nil, uint32(len(body)))...)
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(b))), b...)
}

// spent runs decode and returns the bytes that it allocated and the time it took.
func spent(decode func()) (allocated uint64, took time.Duration) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	decode()
	took = time.Since(start)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, took
}

// Files that are made to cost much: an answer within 200 MB and a share for each byte, and in
// seconds.
func TestHostilePicturesCostLittle(t *testing.T) {
	apps := append([]byte{0xff, 0xd8}, bytes.Repeat(jpegSegment(0xe1), 6<<20)...)
	for _, c := range []struct {
		name string
		data []byte
		kind DecodeKind // "" = it is decoded
	}{
		{"190 scans of 177 megapixels", manyScans(13300, 13300, 1, 190), TooLarge},
		{"177 megapixels of three components", manyScans(13300, 13300, 3, 10), TooLarge},
		{"177 megapixels, the first scan only", manyScans(13300, 13300, 3, 0), TooLarge},
		{"499 scans of 16 megapixels", manyScans(4000, 4000, 1, 499), Unsupported},
		{"501 scans of a small picture", manyScans(64, 64, 1, 501), Unsupported},
		{"499 scans of a small picture", manyScans(64, 64, 1, 498), ""},
		{"ten scans of 9 megapixels", manyScans(3000, 3000, 1, 10), ""},
		{"16-bit RGBA of 169 megapixels", flatPNG(13000, 13000), TooLarge},
		{"16-bit RGBA of 4 megapixels", flatPNG(2000, 2000), ""},
		{"lossless WebP of 177 megapixels", flatWebP(13300, 13300), TooLarge},
		{"lossless WebP of 4 megapixels", flatWebP(2000, 2000), ""},
		{"nothing but segments", apps, Truncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			allocated, took := spent(func() { _, err = Decode(c.data, DecodeOptions{}) })
			var d *DecodeError
			if c.kind == "" && err != nil || c.kind != "" && (!errors.As(err, &d) || d.Kind != c.kind) {
				t.Errorf("%v, want %q", err, c.kind)
			}
			// Planes that grow while they are filled are counted more than once.
			if most := uint64(freeMemory + 2*memoryPerByte*len(c.data)); allocated > most {
				t.Errorf("%d MB for %d bytes, want at most %d MB", allocated>>20, len(c.data), most>>20)
			}
			if took > 20*time.Second { // 2 s on a machine that has nothing else to do
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A file's header is judged before the rest is read.
func TestHeadersAreJudgedFirst(t *testing.T) {
	dir := t.TempDir()
	const size = 255 << 20
	for name, c := range map[string]struct {
		head []byte
		kind DecodeKind
	}{
		"zeros":                {nil, NotPicture},
		"text":                 {[]byte("hello"), NotPicture},
		"png of 3.6 gigapixel": {pngHeader(60000, 60000), TooLarge},
		"png of few pixels":    {pngHeader(10, 10), Truncated},
		"jpeg of 4 gigapixels": {jpegWith(t, 65535, 65535), TooLarge},
		"jpeg, then nothing":   {jpegWith(t, 9999, 9999), TooLarge},
		"jpeg without a frame": {[]byte{0xff, 0xd8, 0xff, 0xe1, 0, 2}, Truncated},
		"gif of few pixels":    {[]byte("GIF89a\x05\x00\x05\x00\x00\x00\x00"), Damaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "x")
			if err := os.WriteFile(path, c.head, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, size); err != nil {
				t.Skip(err)
			}
			var err error
			allocated, took := spent(func() { _, err = DecodeFile(path, DecodeOptions{}) })
			var d *DecodeError
			if !errors.As(err, &d) || d.Kind != c.kind {
				t.Errorf("%v, want %q", err, c.kind)
			}
			most := uint64(readAhead + freeMemory)
			if name == "jpeg, then nothing" {
				most += size // its header allows for that many bytes
			}
			if allocated > most || took > 20*time.Second {
				t.Errorf("%d MB, %s", allocated>>20, took)
			}
		})
	}
}

// What follows the picture is not needed, and what precedes it may be long.
func TestLongFilesAreRead(t *testing.T) {
	jpg := fixture(t, "jpeg_420.jpg")
	want, err := Decode(jpg, DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	segment := jpegSegment(0xe2, make([]byte, 65000)...)
	long := append(bytes.Clone(jpg[:2]), bytes.Repeat(segment, 40)...)
	long = append(long, jpg[2:]...)
	for name, data := range map[string][]byte{"2.6 MB of profiles before": long, "40 MB of film behind": append(bytes.Clone(jpg), make([]byte, 40<<20)...)} {
		path := filepath.Join(t.TempDir(), "x.jpg")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := DecodeFile(path, DecodeOptions{})
		if err != nil || !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A photograph of 50 megapixels is decoded, and so is a flat picture where more is allowed.
func TestLargePicturesAreDecoded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	im := image.NewYCbCr(image.Rect(0, 0, 8660, 5774), image.YCbCrSubsampleRatio420)
	state := uint32(1)
	for i := range im.Y {
		state = state*1664525 + 1013904223
		im.Y[i] = uint8(i/97) + uint8(state>>29)
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, im, &stdjpeg.Options{Quality: 80}); err != nil {
		t.Fatal(err)
	}
	p, err := Decode(b.Bytes(), DecodeOptions{})
	if err != nil || p.Width != 8660 {
		t.Errorf("50 megapixels in %d bytes: %v", b.Len(), err)
	}
	flat := flatPNG(5000, 5000)
	var d *DecodeError
	if _, err := Decode(flat, DecodeOptions{}); !errors.As(err, &d) || d.Kind != TooLarge {
		t.Errorf("275 MB for %d bytes: %v", len(flat), err)
	}
	if _, err := Decode(flat, DecodeOptions{MaxPixels: 30_000_000}); err != nil {
		t.Errorf("with more pixels allowed: %v", err)
	}
}

// The number of pixels is known, and judged, before anything is decoded.
func TestPixelsOfAHeader(t *testing.T) {
	for _, file := range []struct {
		data []byte
		want int
		kind DecodeKind
	}{
		{encodedPNG(t, 7, 5), 35, ""}, {encodedPNG(t, 7, 5)[:33], 35, ""}, {encodedPNG(t, 7, 5)[:20], 0, ""}, {nil, 0, Empty}, {[]byte("hello"), 0, NotPicture},
	} {
		n, err := DecodeOptions{}.Pixels(file.data)
		var d *DecodeError
		if errors.As(err, &d) != (file.kind != "") || d != nil && d.Kind != file.kind || n != file.want {
			t.Errorf("%d bytes: %d, %v, want %d, %q", len(file.data), n, err, file.want, file.kind)
		}
	}
	if _, err := (DecodeOptions{MaxPixels: 34}).Pixels(encodedPNG(t, 7, 5)); err == nil {
		t.Error("more pixels than are allowed")
	}
}

func encodedPNG(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, NewPicture(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
