package weights

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// h5Writer makes HDF5 files as plain as the format allows: what the tests of Python's files
// cannot have in the repository, because it would be too large.
type h5Writer struct {
	w   io.WriteSeeker
	pos uint64
}

func (h *h5Writer) put(b []byte) (address uint64) {
	address = h.pos
	if _, err := h.w.Write(b); err != nil {
		panic(err)
	}
	h.pos += uint64(len(b))
	return address
}

// object writes a header of messages: pairs of a type and its bytes.
func (h *h5Writer) object(messages ...[]byte) uint64 {
	var body []byte
	for _, m := range messages {
		body = append(body, m...)
	}
	head := append([]byte{1, 0}, binary.LittleEndian.AppendUint16(nil, uint16(len(messages)))...)
	head = binary.LittleEndian.AppendUint32(append(head, 1, 0, 0, 0), uint32(len(body)))
	return h.put(append(append(head, 0, 0, 0, 0), body...))
}

func h5Message(kind uint16, b ...byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	m := binary.LittleEndian.AppendUint16(nil, kind)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(b)))
	return append(append(m, 0, 0, 0, 0), b...)
}

func h5Link(name string, end uint64) []byte {
	return h5Message(6, binary.LittleEndian.AppendUint64(append([]byte{1, 0, byte(len(name))}, name...), end)...)
}

// array writes float32 numbers as they are.
func (h *h5Writer) array(shape []int, data []byte) uint64 {
	pos := h.put(data)
	space := []byte{1, byte(len(shape)), 0, 0, 0, 0, 0, 0}
	for _, d := range shape {
		space = binary.LittleEndian.AppendUint64(space, uint64(d))
	}
	place := binary.LittleEndian.AppendUint64([]byte{3, 1}, pos)
	return h.object(
		h5Message(1, space...),
		h5Message(3, 0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0),
		h5Message(8, binary.LittleEndian.AppendUint64(place, uint64(len(data)))...))
}

const h5Superblock = 96

func writeH5(w io.WriteSeeker, content func(h *h5Writer) (root uint64)) error {
	h := &h5Writer{w: w}
	h.put(make([]byte, h5Superblock))
	root := content(h)
	b := append([]byte(hdf5Magic), 0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0)
	for _, v := range []uint64{0, 1<<64 - 1, h.pos, 1<<64 - 1, 0, root} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	if _, err := w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// bigKeras writes a Keras 3 file of convolutions of 1 MB.
func bigKeras(t testing.TB, layers int) (path string, want []Want) {
	t.Helper()
	const out, inputs = 256, 114
	path = filepath.Join(t.TempDir(), "big.weights.h5")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kernel := []byte(strings.Repeat("\x00\x00\x80\x3f", 3*3*inputs*out))
	err = writeH5(f, func(h *h5Writer) uint64 {
		var links [][]byte
		for i := range layers {
			vars := h.object(h5Link("0", h.array([]int{3, 3, inputs, out}, kernel)), h5Link("1", h.array([]int{out}, kernel[:4*out])))
			name := "conv2d"
			if i > 0 {
				name += fmt.Sprint("_", i)
			}
			links = append(links, h5Link(name, h.object(h5Link("vars", vars))))
			want = append(want, Want{Name: "layers/" + name + "/vars/0", Shape: []int{3, 3, inputs, out}}, Want{Name: "layers/" + name + "/vars/1", Shape: []int{out}})
		}
		return h.object(h5Link("layers", h.object(links...)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return path, want
}

func BenchmarkKeras100MB(b *testing.B) {
	path, want := bigKeras(b, 100)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("match", func(b *testing.B) {
		info, _ := os.Stat(path)
		b.SetBytes(info.Size())
		b.ReportAllocs()
		for b.Loop() {
			f, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := Match(f, want, MatchOptions{}); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
}

// TestOpeningCostsNoMemory: opening reads what describes the numbers, and reading them
// does not hold them twice.
func TestOpeningCostsNoMemory(t *testing.T) {
	path, want := bigKeras(t, 20)
	var f *File
	var err error
	if used := allocated(func() { f, err = Open(path) }); err != nil || used > 1<<20 {
		t.Errorf("opening 21 MB made %d bytes of allocations, %v", used, err)
	}
	defer f.Close()
	values := 0
	used := allocated(func() {
		loaded, _, err2 := Match(f, want, MatchOptions{})
		err = err2
		for _, x := range loaded {
			values += len(x.Data)
		}
	})
	if err != nil || values != 20*(3*3*114*256+256) {
		t.Errorf("%d values, %v", values, err)
	}
	// The numbers, once, and a buffer of 256 kB for each.
	if most := uint64(4*values + 40*(256<<10) + 4<<20); used > most {
		t.Errorf("reading 21 MB made %d bytes of allocations, at most %d expected", used, most)
	}
}
