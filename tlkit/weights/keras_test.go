package weights

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kerasGolden is what internal/golden/referee/keras_files.py saw in Keras and h5py.
type kerasGolden struct {
	Files map[string]struct {
		Tensors []kerasRow
		Layers  []struct {
			KerasLayer
			Weights []kerasRow
		}
	}
}

type kerasRow struct {
	Name, DType string
	Shape       []int
	CRC32       uint32
}

func readKerasGolden(t testing.TB) kerasGolden {
	t.Helper()
	b, err := os.ReadFile("testdata/keras.json")
	if err != nil {
		t.Fatal(err)
	}
	var g kerasGolden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// packed gives a committed file that is kept compressed.
func packed(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryTensorEqualsKeras(t *testing.T) {
	g := readKerasGolden(t)
	if len(g.Files) < 25 {
		t.Fatalf("only %d golden files", len(g.Files))
	}
	for name, want := range g.Files {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "weights.bin") // its name says nothing
			if err := os.WriteFile(path, packed(t, name), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var names []string
			for _, x := range want.Tensors {
				names = append(names, x.Name)
			}
			if got := f.Names(); !slices.Equal(got, names) {
				t.Fatalf("names\ngot  %v\nwant %v", got, names)
			}
			for _, x := range want.Tensors {
				tensor, _ := f.Tensor(x.Name)
				b, err := tensor.Bytes()
				if err != nil {
					t.Fatal(err)
				}
				if sum := crc32.ChecksumIEEE(b); sum != x.CRC32 || tensor.DType != x.DType || !slices.Equal(tensor.Shape, x.Shape) {
					t.Errorf("%s: got %s %v with CRC %08x, want %s %v with %08x", x.Name, tensor.DType, tensor.Shape, sum, x.DType, x.Shape, x.CRC32)
				}
				if _, err := tensor.Float32(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestKerasNames: one list of layers fits all files of one network, in every form
// and with every numbering, and each weight is the one that Keras calls so.
func TestKerasNames(t *testing.T) {
	g := readKerasGolden(t)
	// The names of a fresh session are those that an architecture asks for.
	fresh := g.Files["k_legacy.h5"].Layers
	var layers []KerasLayer
	for _, l := range fresh {
		layers = append(layers, l.KerasLayer)
	}
	if len(layers) != 9 || layers[3].Name != "conv2d" {
		t.Fatalf("the network is %v", layers)
	}
	tried := 0
	for name, file := range g.Files {
		if len(file.Layers) == 0 {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			var want []Want
			sums := map[string]uint32{}
			for i, l := range file.Layers {
				for j, w := range l.Weights {
					key := layers[i].Name + "/" + layers[i].Vars[j]
					want = append(want, Want{Name: key, Shape: w.Shape})
					sums[key] = w.CRC32
				}
			}
			f := mustOpen(t, packed(t, name))
			loaded, _, err := Match(f, want, MatchOptions{Rename: KerasNames(f, layers), Ignore: []string{"head/", "layers/dense/"}})
			if err != nil {
				t.Fatal(err)
			}
			for key, x := range loaded {
				if sum := floatCRC(x.Data); sum != sums[key] {
					t.Errorf("%s: values have CRC %08x, want %08x", key, sum, sums[key])
				}
			}
		})
	}
	if tried < 8 {
		t.Errorf("only %d files with layers", tried)
	}
}

func TestKerasRefusals(t *testing.T) {
	for name, why := range map[string]string{
		"r_soft.h5":        "layers/soft: hdf5: points outside its file",
		"r_soft_latest.h5": "layers/soft: hdf5: points outside its file",
		"r_external.h5":    "is a link to another file, which is not followed",
		"r_storage.h5":     "its numbers are in another file",
		"r_virtual.h5":     "a virtual dataset",
		"r_twice.h5":       "an object that another name leads to",
		"r_circle.h5":      "an object that another name leads to",
		"r_lzf.h5":         "LZF",
		"r_open.h5":        "left open",
		"k_lambda.h5":      "layer twice is a Lambda, Python code",
		"k_lambda.keras":   "layer twice is a Lambda, Python code",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(packed(t, name))
			checkRefusal(t, err, why)
		})
	}
}

func TestWhatKerasSays(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"k_legacy.h5":         {"backend": "torch", "keras_version": "3.15.1"},
		"k_full.h5":           {"class_name": "Functional", "name": "tiny", "input_shape": ",8,8,3", "keras_version": "3.15.1"},
		"k3.keras":            {"class_name": "Functional", "name": "tiny", "input_shape": ",8,8,3", "keras_version": "3.15.1"},
		"h_full_varying.h5":   {"class_name": "Functional", "name": "m", "layers": "InputLayer 1", "keras_version": "2.4.3"},
		"k3_half.weights.h5":  {},
		"k_nested.h5":         {"class_name": "Sequential", "input_shape": ",8,8,3"},
		"h_latest_varying.h5": {"keras_version": "2.4.3"},
	} {
		f := mustOpen(t, packed(t, name))
		for key, value := range want {
			if f.Metadata[key] != value {
				t.Errorf("%s: %s is %q, want %q", name, key, f.Metadata[key], value)
			}
		}
	}
	const layers = "InputLayer 1, Conv2D 3, BatchNormalization 3, ReLU 1, SeparableConv2D 1, Add 2, DepthwiseConv2D 1, Dropout 1, GlobalAveragePooling2D 1, Dense 1"
	for _, name := range []string{"k_full.h5", "k3.keras"} {
		if got := mustOpen(t, packed(t, name)).Metadata["layers"]; len(got) != len(layers) || !strings.Contains(got, "BatchNormalization 3") {
			t.Errorf("%s: layers %s", name, got)
		}
	}
	took := mustOpen(t, []byte(`{"modelTopology":{"class_name":"A\u001b[2J","config":{"name":"n","layers":[]}},"weightsManifest":[{"paths":[],"weights":[{"name":"w","shape":[0],"dtype":"bool"}]}]}`))
	if _, kept := took.Metadata["class_name"]; kept || took.Metadata["name"] != "n" {
		t.Errorf("a stranger's text takes the terminal: %q", took.Metadata)
	}
	formats := map[string]string{"k_full.h5": formatKerasH5, "k3.weights.h5": formatKeras3, "k3.keras": formatKerasZip, "h_arrays.h5": formatHDF5}
	for name, want := range formats {
		if got := mustOpen(t, packed(t, name)).Format; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	f := mustOpen(t, packed(t, "h_arrays.h5"))
	if want := []string{"records: an array of records", "text: an array of text"}; !slices.Equal(f.Skipped, want) {
		t.Errorf("skipped %q, want %q", f.Skipped, want)
	}
}

// TestFlippedBitsInKeras: a .keras archive has a checksum, and it is compared
// before numbers are believed; packed chunks with fletcher32 likewise.
func TestFlippedBitsInKeras(t *testing.T) {
	for _, name := range []string{"k3.keras", "h_latest_gzip.h5"} {
		b := packed(t, name)
		want := contentCRC(t, mustOpen(t, b))
		found := 0
		for pos := 0; pos < len(b); pos += 41 {
			b[pos] ^= 1 << (pos % 8)
			f, err := openBytes(b)
			if err == nil {
				err = readAll(f)
			}
			if err == nil && contentCRC(t, f) != want {
				t.Fatalf("%s: a flipped bit in byte %d changes numbers and was not found", name, pos)
			}
			if err != nil {
				found++
			}
			b[pos] ^= 1 << (pos % 8)
		}
		if found < 40 {
			t.Errorf("%s: only %d found", name, found)
		}
	}
}

// kerasArchive packs an HDF5 file as Keras 3 does.
func kerasArchive(t testing.TB, method uint16, h5 []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: kerasWeights, Method: method})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(h5)
	z.Close()
	return b.Bytes()
}

// TestChunkChecksum: numbers with fletcher32, and nothing else that could notice.
func TestChunkChecksum(t *testing.T) {
	b := packed(t, "h_fletcher.h5")
	first, err := mustOpen(t, b).tensors[0].Bytes()
	if err != nil {
		t.Fatal(err)
	}
	pos := bytes.Index(b, first)
	if pos < 0 {
		t.Fatal("the numbers are not in the file as they are")
	}
	b[pos] ^= 1
	checkRefusal(t, readAll(mustOpen(t, b)), "the checksum of a chunk is wrong")
}

// TestArchiveChecksums: also where numbers are not read from the archive as they
// are, and where the archive is packed.
func TestArchiveChecksums(t *testing.T) {
	h5 := packed(t, "h_big_endian.h5")
	plain := mustOpen(t, h5)
	x := plain.tensors[0]
	first, err := x.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	swap(first, 4)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		b := kerasArchive(t, method, h5)
		if contentCRC(t, mustOpen(t, b)) != contentCRC(t, plain) {
			t.Errorf("method %d: other numbers than without archive", method)
		}
		if method == zip.Deflate {
			path := filepath.Join(t.TempDir(), "x.keras")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			os.Truncate(path, 100)
			checkRefusal(t, readAll(f), "changed while it was being read")
			f.Close()
			continue
		}
		pos := bytes.Index(b, first)
		if pos < 0 {
			t.Fatal("the numbers are not in the archive as they are")
		}
		b[pos] ^= 1
		checkRefusal(t, readAll(mustOpen(t, b)), "record model.weights.h5 is damaged")
	}
}

func TestKerasCutAnywhere(t *testing.T) {
	for _, name := range []string{"h_earliest.h5", "h_latest_gzip.h5", "k3_half.weights.h5"} {
		b := packed(t, name)
		for n := 0; n < len(b); n += 7 {
			f, err := openBytes(b[:n])
			if err == nil {
				err = readAll(f)
			}
			if err == nil {
				t.Fatalf("%s cut to %d of %d bytes was read", name, n, len(b))
			}
			if strings.Contains(err.Error(), "internal:") {
				t.Fatalf("%s cut to %d bytes: a panic was caught: %v", name, n, err)
			}
		}
	}
}
