package weights

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKerasBombs: small files that would cost much time or memory, each refused for it.
func TestKerasBombs(t *testing.T) {
	crafted := func(content func(h *h5Writer) uint64) []byte {
		f, err := os.Create(filepath.Join(t.TempDir(), "x.h5"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := writeH5(f, content); err != nil {
			t.Fatal(err)
		}
		f.Seek(0, io.SeekStart)
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	attribute := func(name string, n uint64, data string) []byte {
		b := append([]byte{3, 0}, binary.LittleEndian.AppendUint16(nil, uint16(len(name)+1))...)
		b = append(b, 8, 0, 12, 0, 0) // the type has 8 bytes, the space 12
		b = append(b, name+"\x00"...)
		b = append(b, 0x13, 0, 0, 0, 1, 0, 0, 0) // texts of one byte
		b = append(b, 2, 1, 0, 1)
		return h5Message(12, append(binary.LittleEndian.AppendUint64(b, n), data...)...)
	}
	float32Type := []byte{0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}
	array := func(side uint64, layout ...byte) func(h *h5Writer) uint64 {
		return func(h *h5Writer) uint64 {
			space := binary.LittleEndian.AppendUint64([]byte{1, 1, 0, 0, 0, 0, 0, 0}, side)
			return h.object(h5Link("w", h.object(h5Message(1, space...), h5Message(3, float32Type...), h5Message(8, layout...))))
		}
	}
	nowhere := []byte{255, 255, 255, 255, 255, 255, 255, 255}
	good := crafted(func(h *h5Writer) uint64 {
		return h.object(attribute("layer_names", 1, "a"), h5Link("a", h.object(attribute("weight_names", 1, "k"), h5Link("k", h.array([]int{1}, make([]byte, 4))))))
	})
	if f, err := openBytes(good); err != nil || f.Names()[0] != "a/k" || readAll(f) != nil {
		t.Fatalf("the good one: %v", err)
	}
	for why, b := range map[string][]byte{
		// no chunk is there
		"unpack to many times its size": crafted(array(1<<33, append([]byte{3, 2, 2}, append(nowhere, 0, 0, 16, 0, 4, 0, 0, 0)...)...)),
		// nothing was written
		"tensor w: hdf5: too large": crafted(array(1<<33, append([]byte{3, 1}, append(nowhere, make([]byte, 8)...)...)...)),
		"too many attributes": crafted(func(h *h5Writer) uint64 {
			var messages [][]byte
			for i := range 9000 {
				messages = append(messages, attribute(fmt.Sprint("layer_names", i), 1, "a"))
			}
			return h.object(messages...)
		}),
		"has 7 bytes for 1073741824 elements":   crafted(func(h *h5Writer) uint64 { return h.object(attribute("layer_names", 1<<30, "abc")) }),
		"would unpack to":                       kerasArchive(t, zip.Deflate, append(good, make([]byte, 100<<20)...)),
		"the description of its content is too": []byte(`{"modelTopology":null,"weightsManifest":[{"paths":[],"weights":[` + strings.Repeat("{},", 2_500_000) + `{}]}]}`),
		"model.json has 9000000 bytes, at most": []byte(`{"modelTopology":null` + strings.Repeat(" ", 9_000_000-21)),
		"model.json: nested deeper than":        []byte(`{"modelTopology":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `,"weightsManifest":[{}]}`),
	} {
		began := time.Now()
		var err error
		used := allocated(func() {
			var f *File
			f, err = openBytes(b)
			if err == nil {
				err = readAll(f)
			}
		})
		checkRefusal(t, err, why)
		if took := time.Since(began); used > 64<<20 || took > 10*time.Second {
			t.Errorf("%s: %d bytes of allocations, %v", why, used, took)
		}
	}
}
