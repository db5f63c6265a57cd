package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/maruel/safetensors"
)

// hostileSafetensors are files that must be refused, with a piece of the reason
// and what the library that writes for us makes of them. Where it accepts one,
// it could not be trusted with reading.
func hostileSafetensors() map[string]struct {
	file   []byte
	why    string
	maruel bool // maruel/safetensors v1.2.0 reads it
} {
	type row = struct {
		file   []byte
		why    string
		maruel bool
	}
	one := func(entry string, data int) []byte { return safetensorsFile(`{"w":`+entry+`}`, data) }
	return map[string]row{
		"past the end":        {one(`{"dtype":"F32","shape":[4],"data_offsets":[0,16]}`, 12), "data_offsets [0, 16] in 12", false},
		"negative offset":     {one(`{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}`, 16), "-16 is not a size", false},
		"negative dimensions": {one(`{"dtype":"F32","shape":[-2,-2],"data_offsets":[0,16]}`, 16), "-2 is not a size", false},
		"overflow":            {one(`{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}`, 0), "more elements", false},
		"overflow beside 0":   {one(`{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}`, 0), "more elements", false},
		"2^64 elements":       {one(`{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}`, 0), "not a size", false},
		"overlap":             {safetensorsFile(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "an overlap", false},
		"same bytes twice":    {safetensorsFile(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "an overlap", false},
		"hole":                {safetensorsFile(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), "a gap", false},
		"hole at the start":   {one(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`, 8), "a gap", false},
		"trailing bytes":      {one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, 5), "extra bytes", false},
		"offsets reversed":    {one(`{"dtype":"F32","shape":[1],"data_offsets":[4,0]}`, 4), "data_offsets [4, 0]", false},
		"size mismatch":       {one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`, 4), "needs 8 bytes", false},
		"same name twice":     {safetensorsFile(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "occurs twice", true},
		"name twice, escaped": {safetensorsFile(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "occurs twice", true},
		"field twice":         {one(`{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}`, 4), "occurs twice", true},
		"no dtype":            {one(`{"shape":[1],"data_offsets":[0,0]}`, 0), "needs dtype", true},
		"no shape":            {one(`{"dtype":"F32","data_offsets":[0,4]}`, 4), "needs dtype", true},
		"no offsets":          {one(`{"dtype":"F32","shape":[0]}`, 0), "needs dtype", true},
		"null shape":          {one(`{"dtype":"F32","shape":null,"data_offsets":[0,4]}`, 4), "got null", true},
		"other case":          {one(`{"DType":"F32","SHAPE":[1],"data_offsets":[0,4]}`, 4), "unknown field", true},
		"unknown field":       {one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}`, 4), "unknown field", true},
		"three offsets":       {one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}`, 4), "two sizes", true},
		"one offset":          {one(`{"dtype":"F32","shape":[0],"data_offsets":[0]}`, 0), "two sizes", true},
		"fraction":            {one(`{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}`, 4), "1.0 is not a size", false},
		"exponent":            {one(`{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}`, 4), "not a size", false},
		"dtype F4":            {one(`{"dtype":"F4","shape":[2],"data_offsets":[0,1]}`, 1), "dtype F4", false},
		"dtype is a number":   {one(`{"dtype":7,"shape":[2],"data_offsets":[0,1]}`, 1), "expected a string", false},
		"nine axes":           {one(`{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}`, 1), "more than 8", true},
		"deep":                {one(strings.Repeat("[", 100_000), 0), "nested deeper than 8", false},
		"deep in metadata":    {safetensorsFile(`{"__metadata__":{"a":{"b":"c"}}}`, 0), "expected a string", false},
		"metadata number":     {safetensorsFile(`{"__metadata__":{"a":1}}`, 0), "expected a string", false},
		"metadata twice":      {safetensorsFile(`{"__metadata__":{"a":"1","a":"2"},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "metadata a occurs twice", true},
		"two metadata":        {safetensorsFile(`{"__metadata__":{},"__metadata__":{},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "occurs twice", true},
		"array":               {safetensorsFile(`[]`, 0), "no format", true},
		"after the header":    {safetensorsFile(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} {}`, 1), "follows", false},
		"zeros after header":  {safetensorsFile("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}\x00\x00", 1), "follows", false},
		"not UTF-8":           {safetensorsFile("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1), "UTF-8", true},
		"name too long":       {safetensorsFile(`{"`+strings.Repeat("n", 513)+`":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "at most 512", true},
		"broken JSON":         {safetensorsFile(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]`, 1), "unexpected EOF", false},
		"header of 2^62":      {append(binary.LittleEndian.AppendUint64(nil, 1<<62), "{}"...), "no format", false},
		"header of 1 TB":      {append(binary.LittleEndian.AppendUint64(nil, 1<<40), "{}"...), "at most 33554432", false},
		"header past the end": {append(binary.LittleEndian.AppendUint64(nil, 3), "{}"...), "cut off", false},
		"length only":         {binary.LittleEndian.AppendUint64(nil, 2), "too few for a weights file", false},
	}
}

func TestHostileSafetensors(t *testing.T) {
	for name, x := range hostileSafetensors() {
		t.Run(name, func(t *testing.T) {
			used := allocated(func() {
				f, err := openBytes(x.file)
				if err == nil {
					err = readAll(f)
				}
				checkRefusal(t, err, x.why)
			})
			if used > 16<<20 {
				t.Errorf("%d bytes of file made %d bytes of allocations", len(x.file), used)
			}
			// Why our own reader is there: if this changes, look at it again.
			if _, err := safetensors.Parse(x.file); (err == nil) != x.maruel {
				t.Errorf("maruel/safetensors: %v, noted was accepted=%v", err, x.maruel)
			}
		})
	}
}

func TestReadableSafetensors(t *testing.T) {
	// MLX writes tensors in another order than their data; an empty tensor may
	// share its offset with its neighbour; F8 can be listed and copied.
	f := mustOpen(t, safetensorsFile(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"e":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},`+
		`"a":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]},"s":{"dtype":"F8_E4M3","shape":[],"data_offsets":[8,9]},"__metadata__":{"k":"v"}}   `, 9))
	if got := f.Names(); !slices.Equal(got, []string{"b", "e", "a", "s"}) || f.Metadata["k"] != "v" {
		t.Errorf("got %v %v", got, f.Metadata)
	}
	if err := readAll(f); err != nil {
		t.Error(err)
	}
	if e, _ := f.Tensor("e"); e.Len() != 0 || len(e.Shape) != 2 {
		t.Errorf("empty tensor %v", e.Shape)
	}
	if s, _ := f.Tensor("s"); s.Len() != 1 || len(s.Shape) != 0 {
		t.Errorf("scalar %v", s.Shape)
	}
}

// TestWritesWhatPythonWrites compares with a file of Python's safetensors, byte
// for byte.
func TestWritesWhatPythonWrites(t *testing.T) {
	f, err := Open("testdata/python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []Tensor
	for _, name := range f.Names() {
		x, _ := f.Tensor(name)
		tensors = append(tensors, x)
	}
	want, _ := os.ReadFile("testdata/python.safetensors")
	for range 2 {
		var got bytes.Buffer
		if err := EncodeSafetensors(&got, tensors, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("got\n%q\nwant\n%q", got.Bytes(), want)
		}
		slices.Reverse(tensors) // the order given does not matter
	}
}

func TestEverythingWrittenIsAligned(t *testing.T) {
	g, err := Open("testdata/dtypes_legacy.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	tensors := []Tensor{FromFloat32("x", []int{3}, []float32{1, 2, 3})}
	for _, name := range g.Names() {
		if x, _ := g.Tensor(name); x.DType != "C64" {
			tensors = append(tensors, x)
		}
	}
	path := filepath.Join(t.TempDir(), "out.safetensors")
	metadata := map[string]string{"b": "2", "a": "<&\u2028\"", "": ""}
	if err := WriteSafetensors(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fmt.Sprint(f.Metadata) != fmt.Sprint(metadata) {
		t.Errorf("metadata %q became %q", metadata, f.Metadata)
	}
	for _, x := range tensors {
		y, ok := f.Tensor(x.Name)
		if !ok || y.DType != x.DType || !slices.Equal(y.Shape, x.Shape) {
			t.Errorf("%s became %v", x.Name, y)
			continue
		}
		if y.st.base%int64(itemSizes[y.DType]) != 0 {
			t.Errorf("%s of %s begins at byte %d", y.Name, y.DType, y.st.base)
		}
		a, _ := x.Bytes()
		b, err := y.Bytes()
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: the bytes changed (%v)", x.Name, err)
		}
	}
}

func TestWritingRefuses(t *testing.T) {
	good := FromFloat32("a", []int{2}, []float32{1, 2})
	numbers, err := Open("testdata/dtypes_legacy.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer numbers.Close()
	c64, _ := numbers.Tensor("c64")
	dir := t.TempDir()
	for name, x := range map[string]struct {
		tensors []Tensor
		meta    map[string]string
		why     string
	}{
		"nothing":          {nil, nil, "no tensors"},
		"twice":            {[]Tensor{good, good}, nil, "two tensors"},
		"no name":          {[]Tensor{FromFloat32("", nil, []float32{1})}, nil, "not a name"},
		"reserved":         {[]Tensor{FromFloat32("__metadata__", nil, []float32{1})}, nil, "not a name"},
		"wrong length":     {[]Tensor{FromFloat32("a", []int{3}, []float32{1, 2})}, nil, "needs 3 values, got 2"},
		"negative":         {[]Tensor{FromFloat32("a", []int{-1, -2}, []float32{1, 2})}, nil, "negative"},
		"complex":          {[]Tensor{c64}, nil, "C64"},
		"by hand":          {[]Tensor{{Name: "a", DType: "I64", Shape: []int{0}}}, nil, "FromFloat32"},
		"metadata":         {[]Tensor{good}, map[string]string{"a": "\xff"}, "UTF-8"},
		"too many axes":    {[]Tensor{FromFloat32("a", make([]int, 9), nil)}, nil, "9 axes"},
		"name is not text": {[]Tensor{FromFloat32("\xff", nil, []float32{1})}, nil, "not a name"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("older"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := WriteSafetensors(path, x.tensors, x.meta)
		checkRefusal(t, err, x.why)
		if b, _ := os.ReadFile(path); string(b) != "older" {
			t.Errorf("%s: the older file was lost", name)
		}
	}
	if err := WriteSafetensors(filepath.Join(dir, "no", "folder"), []Tensor{good}, nil); err == nil {
		t.Error("written into a folder that is not there")
	}
}

// Counters are written as whole numbers of 64 bits.
func TestInt64ComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	made := FromFloat32("n.num_batches_tracked", nil, []float32{1 << 20}).Int64()
	if err := WriteSafetensors(path, []Tensor{made, FromFloat32("a", []int{1}, []float32{2})}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, _ := f.Tensor(made.Name)
	b, err := got.Bytes()
	if err != nil || got.DType != "I64" || len(got.Shape) != 0 || !bytes.Equal(b, []byte{0, 0, 16, 0, 0, 0, 0, 0}) {
		t.Errorf("%s %v %v %v", got.DType, got.Shape, b, err)
	}
}
