package weights

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bigState writes a state dict of 45 MB, in 62 convolutions and as many biases,
// in the three formats.
func bigState(b *testing.B) (paths map[string]string, want []Want) {
	b.Helper()
	dir := b.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	const layers, out, inputs = 62, 256, 80
	var tensors []Tensor
	entries := []string{}
	records := map[string][]byte{}
	var keys []string
	var tail []byte
	add := func(name string, shape ...int) {
		n, _ := elements(shape)
		data := make([]float32, n)
		for i := range data {
			data[i] = rng.Float32() - 0.5
		}
		x := FromFloat32(name, shape, data)
		tensors = append(tensors, x)
		raw, _ := x.Bytes()
		key := fmt.Sprint(len(keys))
		keys = append(keys, key)
		records["data/"+key] = raw
		tail = append(binary.LittleEndian.AppendUint64(tail, uint64(n)), raw...)
		sizes, strides := make([]int64, len(shape)), make([]int64, len(shape))
		step := int64(1)
		for i := len(shape) - 1; i >= 0; i-- {
			sizes[i], strides[i] = int64(shape[i]), step
			step *= int64(shape[i])
		}
		entries = append(entries, pText(name), strings.Replace(pTensor(n, 0, sizes, strides), pText("0"), pText(key), 1))
	}
	for l := range layers {
		add(fmt.Sprintf("layer%d.conv.weight", l), out, inputs, 3, 3)
		add(fmt.Sprintf("layer%d.conv.bias", l), out)
		want = append(want, Want{Name: fmt.Sprintf("layer%d.conv.weight", l), Shape: []int{out, inputs, 3, 3}, Layout: OIHWtoHWIO}, Want{Name: fmt.Sprintf("layer%d.conv.bias", l), Shape: []int{out}})
	}
	paths = map[string]string{"zip": filepath.Join(dir, "zip.pth"), "legacy": filepath.Join(dir, "legacy.pth"), "safetensors": filepath.Join(dir, "x.safetensors")}
	body := pickled(pDict(entries...))
	if err := os.WriteFile(paths["zip"], torchZip(body, records), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(paths["legacy"], torchLegacy(body, keys, tail), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := WriteSafetensors(paths["safetensors"], tensors, nil); err != nil {
		b.Fatal(err)
	}
	return paths, want
}

func BenchmarkStateDict45MB(b *testing.B) {
	paths, want := bigState(b)
	for _, format := range []string{"zip", "legacy", "safetensors"} {
		b.Run("open/"+format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(paths[format])
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
		b.Run("read/"+format, func(b *testing.B) {
			info, _ := os.Stat(paths[format])
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(paths[format])
				if err != nil {
					b.Fatal(err)
				}
				for _, n := range f.Names() {
					x, _ := f.Tensor(n)
					if _, err := x.Float32(); err != nil {
						b.Fatal(err)
					}
				}
				f.Close()
			}
		})
		b.Run("match/"+format, func(b *testing.B) {
			info, _ := os.Stat(paths[format])
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(paths[format])
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
}
