package weights

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func craftedH5(t testing.TB, content func(h *h5Writer) uint64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crafted.h5")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := writeH5(f, content); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// chunked is one array of side numbers in as many chunks, each with n bytes of the file from a zlib
// stream on, that pass through filters of gzip.
type chunkedH5 struct {
	chunks, side, n, filters int
}

func (c chunkedH5) write(h *h5Writer) uint64 {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(make([]byte, 4*c.side))
	z.Close()
	data := h.put(append(packed.Bytes(), make([]byte, max(0, c.n-packed.Len()))...))
	n := max(c.n, packed.Len())
	none := uint64(1<<64 - 1)
	node := []byte{'T', 'R', 'E', 'E', 1, 0, byte(c.chunks), byte(c.chunks >> 8)}
	node = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(node, none), none)
	for i := range c.chunks {
		node = binary.LittleEndian.AppendUint32(node, uint32(n))
		node = binary.LittleEndian.AppendUint32(node, 0)
		node = binary.LittleEndian.AppendUint64(node, uint64(i*c.side))
		node = binary.LittleEndian.AppendUint64(node, 0)
		node = binary.LittleEndian.AppendUint64(node, data)
	}
	tree := h.put(node)
	space := binary.LittleEndian.AppendUint64([]byte{1, 1, 0, 0, 0, 0, 0, 0}, uint64(c.chunks*c.side))
	layout := binary.LittleEndian.AppendUint64([]byte{3, 2, 2}, tree)
	layout = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(layout, uint32(c.side)), 4)
	filters := []byte{2, byte(c.filters)}
	for range c.filters {
		filters = append(filters, 1, 0, 0, 0, 0, 0)
	}
	return h.object(h5Link("w", h.object(
		h5Message(1, space...),
		h5Message(3, 0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0),
		h5Message(11, filters...),
		h5Message(8, layout...))))
}

// What walks in HDF5 files may cost. Before there were budgets for chunks as they are in the file,
// for filters and for names, these took up to minutes and gigabytes.
func TestHDF5CostsAreInProportion(t *testing.T) {
	sharing := func(h *h5Writer) uint64 { // 2,000 arrays of 256 kB that are the same bytes
		data := h.put(make([]byte, 256<<10))
		space := binary.LittleEndian.AppendUint64([]byte{1, 1, 0, 0, 0, 0, 0, 0}, 64<<10)
		place := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte{3, 1}, data), 256<<10)
		var links [][]byte
		for i := range 2_000 {
			links = append(links, h5Link(fmt.Sprint("w", i), h.object(
				h5Message(1, space...),
				h5Message(3, 0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0),
				h5Message(8, place...))))
		}
		return h.object(links...)
	}
	names := func(h *h5Writer) uint64 { // 60,000 names that are parts of one text
		text := h.put(append([]byte(strings.Repeat("n", 4000)), 0))
		heap := append([]byte("HEAP"), 0, 0, 0, 0)
		for _, v := range []uint64{4001, 0, text} {
			heap = binary.LittleEndian.AppendUint64(heap, v)
		}
		heapAt := h.put(heap)
		const n = 60_000
		node := []byte{'S', 'N', 'O', 'D', 1, 0, n & 0xff, n >> 8}
		for i := range n {
			node = binary.LittleEndian.AppendUint64(node, uint64(i%100))
			node = append(binary.LittleEndian.AppendUint64(node, h5Superblock), make([]byte, 24)...)
		}
		table := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, h.put(node)), heapAt)
		return h.object(h5Message(17, table...))
	}
	for _, c := range []struct {
		what    string
		content func(h *h5Writer) uint64
		why     string // "" = it may be opened
	}{
		{"50,000 chunks", chunkedH5{chunks: 50_000, side: 1, filters: 1}.write, ""},
		{"2,000 small chunks", chunkedH5{chunks: 2_000, side: 1, filters: 1}.write, ""},
		{"20,000 chunks that are all the same megabyte", chunkedH5{chunks: 20_000, side: 1, n: 1 << 20, filters: 1}.write, "the chunks have more bytes in total"},
		{"chunks that unpack to a gigabyte", chunkedH5{chunks: 1_000, side: 1 << 18, filters: 1}.write, "too large"},
		{"32 filters", chunkedH5{chunks: 100, side: 1 << 10, filters: 32}.write, "32 filters"},
		{"2,000 arrays in the same place", sharing, "the total size of its tensors"},
		{"60,000 names from one text", names, "the names of a group"},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := craftedH5(t, c.content)
			began, before := time.Now(), allocations()
			_, ok := tryFile(t, b)
			t.Logf("%d bytes: %v, %d MB of allocations", len(b), time.Since(began).Round(time.Millisecond), (allocations()-before)>>20)
			if c.why == "" {
				if !ok {
					_, err := openBytes(b)
					t.Errorf("refused: %v", err)
				}
				return
			}
			f, err := openBytes(b)
			if err == nil {
				err = readAll(f)
			}
			checkRefusal(t, err, c.why)
		})
	}
}
