package picturefile

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestZip(t *testing.T) {
	name := filepath.Join(t.TempDir(), "photos.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	add := func(h zip.FileHeader, content string) {
		t.Helper()
		e, err := w.CreateHeader(&h)
		if err == nil {
			_, err = e.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"b/2.jpg", "b/10.jpg", "a.PNG", "note.txt", "__MACOSX/b/._2.jpg", "b/.hidden.jpg", ".git/x.png", "../up.jpg"} {
		add(zip.FileHeader{Name: n, Method: zip.Deflate}, "of "+n)
	}
	add(zip.FileHeader{Name: "z.jpg", Flags: 1}, "secret")
	if _, err := w.CreateRaw(&zip.FileHeader{Name: "zeros.png", Method: zip.Deflate, UncompressedSize64: maxFile + 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := OpenZip(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if got, want := z.Pictures(), []string{"a.PNG", "b/10.jpg", "b/2.jpg", "z.jpg", "zeros.png"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i, want := range []string{"of a.PNG", "of b/10.jpg", "of b/2.jpg"} {
		if data, err := z.Read(i); err != nil || string(data) != want {
			t.Errorf("picture %d: %q, %v", i, data, err)
		}
	}
	for i, want := range map[int]string{3: "photos.zip/z.jpg: it is encrypted", 4: "photos.zip/zeros.png: 268435457 bytes"} {
		if _, err := z.Read(i); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("picture %d: %v, want %q", i, err, want)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.zip")
	if err := os.WriteFile(bad, []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenZip(bad); err == nil || !strings.Contains(err.Error(), "bad.zip") {
		t.Errorf("no archive: %v", err)
	}
}
