package export

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead looks for bytes that open as a head but that Write could not have written: any head that
// opens must encode to the same bytes again.
func FuzzRead(f *testing.F) {
	whole, err := small().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, h := range tasks() {
		if other, err := h.encode(); err == nil {
			f.Add(other)
		}
	}
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("{}"))
	f.Add(bytes.Replace(whole, []byte("ants"), []byte("bees"), 1))
	f.Add(append([]byte{0x80, 2, 0, 0, 0, 0, 0, 0}, whole[8:]...))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "head.safetensors")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := Read(path)
		if err != nil {
			return
		}
		again, err := h.encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%d bytes open as a head and encode to different ones (%v)", len(data), err)
		}
	})
}
