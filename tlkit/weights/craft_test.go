package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

// A small assembler for pickles that torch would never write.

func pInt(n int64) string {
	b := binary.LittleEndian.AppendUint64([]byte{0x8a, 8}, uint64(n))
	return string(b)
}

func pText(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func pGlobal(module, name string) string { return "c" + module + "\n" + name + "\n" }

func pTuple(items ...string) string { return "(" + strings.Join(items, "") + "t" }

func pInts(n ...int64) string {
	items := make([]string, len(n))
	for i, x := range n {
		items[i] = pInt(x)
	}
	return pTuple(items...)
}

func pDict(keysAndValues ...string) string { return "}(" + strings.Join(keysAndValues, "") + "u" }

func pStorage(class, key string, length int64) string {
	return pTuple(pText("storage"), pGlobal("torch", class), pText(key), pText("cpu"), pInt(length)) + "Q"
}

// pTensor is a float tensor in storage "0" of length elements.
func pTensor(length, offset int64, shape, stride []int64) string {
	return pGlobal("torch._utils", "_rebuild_tensor_v2") + pTuple(pStorage("FloatStorage", "0", length), pInt(offset), pInts(shape...), pInts(stride...), "\x89", pGlobal("collections", "OrderedDict")+")R") + "R"
}

func pickled(body string) string { return "\x80\x02" + body + "." }

// torchZip wraps a pickle as torch.save does.
func torchZip(pickle string, records map[string][]byte) []byte {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	put := func(name string, content []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			panic(err)
		}
	}
	put("archive/data.pkl", []byte(pickle))
	for name, content := range records {
		put("archive/"+name, content)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// floats is storage "0" with the values 0, 1, 2 ...
func floats(n int) map[string][]byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i)))
	}
	return map[string][]byte{"data/0": b}
}

// torchLegacy wraps a pickle in the older format, with raw bytes per storage.
func torchLegacy(pickle string, keys []string, tail []byte) []byte {
	var list strings.Builder
	for _, k := range keys {
		list.WriteString(pText(k))
	}
	return []byte("\x80\x02\x8a\x0a" + string(torchMagic) + "." + pickled("M\xe9\x03") + pickled(pDict(pText("little_endian"), "\x88")) + pickle +
		pickled("]("+list.String()+"e") + string(tail))
}

// safetensorsFile puts a length before a header and data behind it.
func safetensorsFile(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func openBytes(b []byte) (*File, error) {
	return openWithFiles(b, shards())
}

// readAll reads every tensor in every way there is.
func readAll(f *File) error {
	for _, name := range f.Names() {
		t, ok := f.Tensor(name)
		if !ok {
			return fmt.Errorf("%s is listed but not found", name)
		}
		b, err := t.Bytes()
		if err != nil {
			return err
		}
		if len(b) != t.Len()*itemSizes[t.DType] {
			return fmt.Errorf("%s: %d bytes for %v of %s", name, len(b), t.Shape, t.DType)
		}
		if converters[t.DType] == nil {
			continue
		}
		values, err := t.Float32()
		if err != nil {
			return err
		}
		if len(values) != t.Len() {
			return fmt.Errorf("%s: %d values for %v", name, len(values), t.Shape)
		}
	}
	return nil
}

func mustOpen(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := openBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
