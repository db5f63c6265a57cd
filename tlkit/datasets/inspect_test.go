package datasets

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// webpOf is a lossless WebP of 1 x 1 pixel, the smallest there is.
var webpOf = func() []byte {
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		panic(err)
	}
	return b
}()

func TestInspect(t *testing.T) {
	big := jpegOf(1)
	// A comment segment longer than what is read first: the frame header comes after it.
	segment := append([]byte{0xff, 0xfe, 0xff, 0xff}, make([]byte, 0xffff-2)...)
	late := bytes.Clone(big[:2])
	for range 5 {
		late = append(late, segment...)
	}
	late = append(late, big[2:]...)
	for name, c := range map[string]struct {
		content []byte
		kind    kind
		why     string
	}{
		"a.jpg": {jpegOf(1), picture, ""}, "a.png": {pngOf(1), picture, ""}, "a.gif": {gifOf(1), picture, ""}, "a.webp": {webpOf, picture, ""},
		"png.jpg": {pngOf(2), picture, ""}, "bare": {jpegOf(3), picture, ""}, "late.jpg": {late, picture, ""},
		"t.txt": {[]byte("text"), notPicture, ""}, "BM.txt": {[]byte("BM is how this text begins"), notPicture, "not a picture"},
		"b.bmp": {[]byte("BM\x00\x00"), broken, "BMP; convert"}, "b.tif": {[]byte("II*\x00"), broken, "TIFF"}, "b.avif": {[]byte("\x00\x00\x00\x1cftypavif"), broken, "AVIF"},
		"short.jpg": {[]byte{0xff}, broken, "not a picture"}, "cut.webp": {webpOf[:16], broken, "header"},
		"zero.png": {append(bytes.Clone(pngOf(1)[:16]), append(make([]byte, 8), pngOf(1)[24:]...)...), broken, "header"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := inspect(root, name)
		root.Close()
		if got.kind != c.kind || !strings.Contains(got.why, c.why) || (got.sum != "") != (c.kind == picture) {
			t.Errorf("%s: %+v, want kind %d with %q", name, got, c.kind, c.why)
		}
	}
}

func TestHugeFileIsNotRead(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "disk.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(maxFile + 1); err != nil { // takes no room on disk
		t.Skipf("no sparse files here: %v", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if got := inspect(root, "disk.jpg"); got.kind != broken || !strings.Contains(got.why, fmt.Sprint(maxFile+1)) {
		t.Errorf("%+v", got)
	}
}

// angry is a decoder that panics, registered under a signature of its own.
func TestDecoderThatPanics(t *testing.T) {
	image.RegisterFormat("angry", "ANGRY", nil, func(io.Reader) (image.Config, error) { panic("no idea") })
	if err := checkHeader(strings.NewReader("ANGRY")); err == nil || !strings.Contains(err.Error(), "the decoder failed") {
		t.Errorf("got %v", err)
	}
}

func FuzzCheckHeader(f *testing.F) {
	for _, b := range [][]byte{jpegOf(1), pngOf(1), gifOf(1), webpOf, pngOf(1)[:30], jpegOf(1)[:100], webpOf[:20]} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := checkHeader(bytes.NewReader(b))
		if err != nil && strings.Contains(err.Error(), "the decoder failed") {
			t.Fatal(err) // guarded, but worth knowing
		}
		if _, ours := sniff(b); err == nil && !ours {
			t.Fatalf("a decoder takes %q, which has no signature of ours", b[:min(len(b), 16)])
		}
	})
}
