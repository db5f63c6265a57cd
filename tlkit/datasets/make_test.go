package datasets

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pixels is a small picture; each number gives another.
func pixels(n int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 8, 6))
	for y := range 6 {
		for x := range 8 {
			img.Set(x, y, color.RGBA{uint8(n), uint8(n >> 8), uint8(x*30 + y), 255})
		}
	}
	return img
}

func pngOf(n int) []byte {
	var b bytes.Buffer
	png.Encode(&b, pixels(n))
	return b.Bytes()
}

func jpegOf(n int) []byte {
	var b bytes.Buffer
	jpeg.Encode(&b, pixels(n*37), &jpeg.Options{Quality: 100})
	return b.Bytes()
}

func gifOf(n int) []byte {
	var b bytes.Buffer
	gif.Encode(&b, pixels(n*91), nil)
	return b.Bytes()
}

// files is a folder to make: slash path -> content. A path that ends in a slash
// is an empty folder.
type files map[string][]byte

func (f files) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// many adds n different pictures below a folder.
func (f files) many(folder string, n int) files {
	for i := range n {
		name := filepath.ToSlash(filepath.Join(folder, string(rune('a'+i/26%26))+string(rune('a'+i%26))+".png"))
		seed := i
		for _, b := range []byte(folder) {
			seed = seed*31 + int(b)
		}
		f[name] = pngOf(seed & 0xffff)
	}
	return f
}

func open(t testing.TB, name string, o Options) *Dataset {
	t.Helper()
	d, err := Open(context.Background(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// reason returns why a file was not used, or "".
func reason(list []Bad, rel string) string {
	for _, b := range list {
		if b.Rel == rel {
			return b.Why
		}
	}
	return ""
}

// rels lists the items of a split as "rel=label".
func rels(d *Dataset, split Split) string {
	var s []string
	for _, it := range d.In(split) {
		s = append(s, it.Rel+"="+d.Truth(it))
	}
	return strings.Join(s, " ")
}
