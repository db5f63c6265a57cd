package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// golden is what internal/golden/referee/weights.py saw in torch.
type golden struct {
	Torch string
	Half  uint32
	Files map[string][]struct {
		Name    string
		DType   string
		Shape   []int
		CRC32   uint32
		Float32 *uint32
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func floatCRC(values []float32) uint32 {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return crc32.ChecksumIEEE(b)
}

func TestEveryTensorEqualsTorch(t *testing.T) {
	g := readGolden(t)
	if len(g.Files) < 20 {
		t.Fatalf("only %d golden files", len(g.Files))
	}
	for name, tensors := range g.Files {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var want []string
			for _, x := range tensors {
				want = append(want, x.Name)
			}
			got := f.Names()
			if f.Format == formatSafetensors { // torch.save keeps the order, safetensors sorts
				slices.Sort(want)
				slices.Sort(got)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("names\ngot  %v\nwant %v", got, want)
			}
			// Twice: the second reading takes the path of a record whose checksum is known.
			for range 2 {
				for _, x := range tensors {
					tensor, _ := f.Tensor(x.Name)
					if tensor.DType != x.DType || !slices.Equal(tensor.Shape, x.Shape) {
						t.Errorf("%s: got %s %v, want %s %v", x.Name, tensor.DType, tensor.Shape, x.DType, x.Shape)
					}
					b, err := tensor.Bytes()
					if err != nil {
						t.Fatal(err)
					}
					if sum := crc32.ChecksumIEEE(b); sum != x.CRC32 {
						t.Errorf("%s: bytes have CRC %08x, want %08x", x.Name, sum, x.CRC32)
					}
					values, err := tensor.Float32()
					if x.Float32 == nil {
						if err == nil {
							t.Errorf("%s: %s became float32", x.Name, x.DType)
						}
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					if sum := floatCRC(values); sum != *x.Float32 {
						t.Errorf("%s: float32 values have CRC %08x, want %08x", x.Name, sum, *x.Float32)
					}
				}
			}
		})
	}
}

func TestEveryHalf(t *testing.T) {
	values := make([]float32, 1<<16)
	for i := range values {
		if v := halfToFloat32(uint16(i)); v == v {
			values[i] = v
		}
	}
	// torch.nan_to_num also replaces infinities by the largest float32.
	values[0x7c00], values[0xfc00] = math.MaxFloat32, -math.MaxFloat32
	if got, want := floatCRC(values), readGolden(t).Half; got != want {
		t.Errorf("CRC of all halves %08x, want %08x", got, want)
	}
	if v := halfToFloat32(0x7c00); !math.IsInf(float64(v), 1) {
		t.Errorf("0x7c00 is %g", v)
	}
	if v := halfToFloat32(0xfe00); v == v {
		t.Errorf("0xfe00 is %g", v)
	}
}

func TestWhatWasFound(t *testing.T) {
	for name, want := range map[string]struct{ format, entry, prefix string }{
		"zip.pth":               {formatTorchZip, "", ""},
		"legacy.pth":            {formatTorchLegacy, "", ""},
		"checkpoint.pth":        {formatTorchZip, "state_dict", "_orig_mod.module."},
		"checkpoint_legacy.pth": {formatTorchLegacy, "state_dict", "_orig_mod.module."},
		"parallel.pth":          {formatTorchZip, "model", "module."},
	} {
		f, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if f.Format != want.format || f.Metadata["entry"] != want.entry || f.Metadata["prefix"] != want.prefix {
			t.Errorf("%s: got %s %v, want %v", name, f.Format, f.Metadata, want)
		}
		f.Close()
	}
	f, err := Open("testdata/quantised.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := []string{"weight: an object of the Python class torch._utils._rebuild_qtensor"}; !slices.Equal(f.Skipped, want) {
		t.Errorf("skipped %q, want %q", f.Skipped, want)
	}
}

// TestRealCIFARResNets opens real files when they are there: TLKIT_DATA names the
// folder.
func TestRealCIFARResNets(t *testing.T) {
	data := os.Getenv("TLKIT_DATA")
	if data == "" {
		t.Skip("TLKIT_DATA is not set: the CIFAR ResNet checkpoints are not here")
	}
	for _, x := range []struct {
		name            string
		tensors, values int
	}{{"resnet20-12fca82f.th", 97, 271098}, {"resnet56-4bfd9763.th", 277, 857082}} {
		f, err := Open(filepath.Join(data, "cifar10_resnet", x.name))
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("TLKIT_DATA has no cifar10_resnet/%s", x.name)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		values := 0
		for _, name := range f.Names() {
			tensor, _ := f.Tensor(name)
			v, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			if d := nonFinite(v); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			values += len(v)
		}
		if len(f.Names()) != x.tensors || values != x.values || f.Metadata["prefix"] != "module." {
			t.Errorf("%s: %d tensors, %d values, %v", x.name, len(f.Names()), values, f.Metadata)
		}
	}
}
