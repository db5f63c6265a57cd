package weights

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	formula "github.com/tlkit/transfer-learning/internal/golden"
)

// onnxFiles are small networks that the onnx package wrote, see
// internal/golden/referee/onnx_zoo.py.
func onnxFiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../onnx/testdata/*.onnx")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	out := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(n)] = b
	}
	return out
}

func TestONNXFiles(t *testing.T) {
	for name, b := range onnxFiles(t) {
		f, ok := tryFile(t, b)
		if !ok || f.Format != "onnx" || f.ONNX() == nil || len(f.ONNX().Inputs) != 1 {
			t.Fatalf("%s: %v %+v", name, ok, f)
		}
		checked := 0
		for _, tensor := range f.tensors {
			if strings.HasPrefix(tensor.Name, "number.") || strings.HasPrefix(tensor.Name, "constant") || tensor.Name == "mean" {
				continue
			}
			got, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			if want := formula.Fill(tensor.Name, tensor.Shape, 1); !slices.Equal(got, want) {
				t.Errorf("%s: %s %v holds other numbers than were written", name, tensor.Name, tensor.Shape)
			}
			checked++
		}
		if checked < 5 {
			t.Errorf("%s: %d weights", name, checked)
		}
	}
	f, _ := openBytes(onnxFiles(t)["old.onnx"])
	g := f.ONNX()
	if g.Opset != 7 || g.Inputs[0].Name != "pictures" || !slices.Equal(g.Inputs[0].Shape, []int{-1, 3, -1, -1}) || g.Inputs[0].DType != "F32" || g.Outputs[0].Name != "logits" {
		t.Errorf("%+v", g)
	}
	n := g.Nodes[0]
	if n.Op != "Conv" || !slices.Equal(n.Inputs, []string{"pictures", "conv1.weight"}) || !slices.Equal(n.Attrs["pads"].Ints, []int64{1, 1, 1, 1}) || !n.Attrs["pads"].List {
		t.Errorf("%+v", n)
	}
	last := g.Nodes[len(g.Nodes)-1]
	if last.Op != "Gemm" || !slices.Equal(last.Attrs["alpha"].Floats, []float32{0.5}) || last.Attrs["alpha"].List {
		t.Errorf("%+v", last)
	}
	f, _ = openBytes(onnxFiles(t)["tokens.onnx"]) // Constant nodes are tensors too
	if len(f.ONNX().Nodes) == 0 || slices.ContainsFunc(f.ONNX().Nodes, func(n ONNXNode) bool { return n.Op == "Constant" }) {
		t.Error("a Constant node is left")
	}
}

// msg and num write a protobuf by hand.
func msg(field protowire.Number, parts ...string) string {
	return string(protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), []byte(strings.Join(parts, ""))))
}

func num(field protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v))
}

// onnxFile is a network of one node with what the parts add to its graph.
func onnxFile(parts ...string) []byte {
	node := msg(1, msg(1, "x"), msg(2, "y"), msg(4, "Relu"))
	input := msg(11, msg(1, "x"), msg(2, msg(1, num(1, 1), msg(2, msg(1, num(1, 1)), msg(1, num(1, 3))))))
	return []byte(num(1, 8) + msg(7, append([]string{node, input, msg(12, msg(1, "y")), onnxTensor("w", 1, []uint64{2}, msg(9, "\x00\x00\x00\x00\x00\x00\x80?"))}, parts...)...) + msg(8, num(2, 17)))
}

func onnxTensor(name string, kind uint64, dims []uint64, data ...string) string {
	t := ""
	for _, d := range dims {
		t += num(1, d)
	}
	return msg(5, append([]string{t + num(2, kind) + msg(8, name)}, data...)...)
}

func hostileONNX() map[string]struct {
	file []byte
	why  string
} {
	type row = struct {
		file []byte
		why  string
	}
	good := onnxFile()
	floats := msg(9, "\x00\x00\x00\x00\x00\x00\x80?")
	external := func(location string) []byte {
		return onnxFile(onnxTensor("v", 1, []uint64{2}, msg(13, msg(1, "location"), msg(2, location)), num(14, 1)))
	}
	nested := ""
	for range 2000 { // graphs in attributes of nodes in graphs ...
		nested = msg(1, msg(4, "If"), msg(5, msg(1, "then"), msg(6, nested)))
	}
	return map[string]row{
		"nothing but a version":   {[]byte(num(1, 8) + num(5, 1)), "no graph"},
		"no operator version":     {[]byte(num(1, 8) + msg(7)), "which version"},
		"two graphs":              {append(bytes.Clone(good), []byte(msg(7))...), "two graphs"},
		"a length past the end":   {good[:len(good)-9], "cut off or damaged"},
		"a group":                 {append([]byte(num(1, 8)+num(5, 1)), 0x3b), "wire type"},
		"a varint of 11 bytes":    {append([]byte(num(1, 8)+num(5, 1)), "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...), "cut off or damaged"},
		"field 0":                 {append([]byte(num(1, 8)+num(5, 1)), 0x02, 0x00), "cut off or damaged"},
		"functions":               {append(bytes.Clone(good), []byte(msg(25))...), "functions of its own"},
		"training":                {append(bytes.Clone(good), []byte(msg(20))...), "how to train"},
		"sparse tensors":          {onnxFile(msg(15)), "sparse"},
		"numbers beside the file": {external("weights.bin"), "weights.bin"},
		"numbers above it":        {external("../../../etc/passwd"), "only files of its own folder"},
		"numbers anywhere":        {external("/etc/passwd"), "only files of its own folder"},
		"numbers around a corner": {external("a/../b"), "only files of its own folder"},
		"too few numbers":         {onnxFile(onnxTensor("v", 1, []uint64{3}, floats)), "needs 12 bytes, has 8"},
		"a huge shape":            {onnxFile(onnxTensor("v", 1, []uint64{1 << 30, 1 << 30, 1 << 30}, floats)), "more elements than any file"},
		"a negative shape":        {onnxFile(onnxTensor("v", 1, []uint64{1<<64 - 1}, floats)), "has shape [-1]"},
		"nine axes":               {onnxFile(onnxTensor("v", 1, []uint64{1, 1, 1, 1, 1, 1, 1, 1, 2}, floats)), "more than 8 integers"},
		"no numbers":              {onnxFile(onnxTensor("v", 1, []uint64{2})), "has no numbers"},
		"numbers twice":           {onnxFile(onnxTensor("v", 7, []uint64{1}, msg(9, "12345678"), msg(7, "\x01"))), "twice"},
		"raw numbers twice":       {onnxFile(onnxTensor("v", 1, []uint64{2}, floats, floats)), "several pieces"},
		"floats as integers":      {onnxFile(onnxTensor("v", 1, []uint64{1}, msg(7, "\x01"))), "stored as integers"},
		"doubles as floats":       {onnxFile(onnxTensor("v", 1, []uint64{1}, msg(10, "12345678"))), "another type"},
		"text":                    {onnxFile(onnxTensor("v", 8, []uint64{1}, msg(6, "a"))), "text"},
		"4-bit numbers":           {onnxFile(onnxTensor("v", 22, []uint64{2}, msg(9, "a"))), "ONNX type 22"},
		"a segment":               {onnxFile(onnxTensor("v", 1, []uint64{2}, msg(3))), "segment"},
		"one name twice":          {onnxFile(onnxTensor("w", 1, []uint64{2}, floats)), "two tensors are named w"},
		"no name":                 {onnxFile(onnxTensor("", 1, []uint64{2}, floats)), "without a name"},
		"a name of 600 bytes":     {onnxFile(onnxTensor(strings.Repeat("n", 600), 1, []uint64{2}, floats)), "600 bytes"},
		"an attribute twice":      {onnxFile(msg(1, msg(4, "Conv"), msg(5, msg(1, "a"), num(3, 1)), msg(5, msg(1, "a"), num(3, 2)))), "attribute a twice"},
		"a constant of nothing":   {onnxFile(msg(1, msg(2, "c"), msg(4, "Constant"))), "holds no tensor"},
		"a name that is a number": {onnxFile(msg(1, num(1, 5))), "text was expected"},
		"a million integers":      {onnxFile(onnxTensor("v", 7, []uint64{1 << 21}, msg(7, strings.Repeat("\x00", 1<<21)))), "more than 1048576 integers"},
		"nodes without end":       {onnxFile(strings.Repeat(msg(1, msg(4, "Relu")), maxONNXNodes+1)), "more than 50000 nodes"},
		"names without end":       {onnxFile(msg(1, strings.Repeat(msg(1, strings.Repeat("n", 500)), 140_000))), "more than 64 MB"},
		"deeper than any stack":   {onnxFile(nested), ""},
	}
}

// Strangers' files are refused with a sentence, and none of them takes more memory than the
// largest description that is read, or a few times its own size.
func TestHostileONNX(t *testing.T) {
	if _, ok := tryFile(t, onnxFile()); !ok {
		t.Fatal("the file that all others are made from cannot be read")
	}
	for what, x := range hostileONNX() {
		t.Run(what, func(t *testing.T) {
			used := allocated(func() {
				_, err := openBytes(x.file)
				if x.why == "" {
					return // graphs inside attributes are not even looked at
				}
				checkRefusal(t, err, x.why)
			})
			if most := 32<<20 + 8*uint64(len(x.file)); used > most {
				t.Errorf("%d bytes of file, %d bytes allocated", len(x.file), used)
			}
		})
	}
}

// A file that ends anywhere is damaged, never half a network.
func TestTruncatedONNX(t *testing.T) {
	b := onnxFiles(t)["old.onnx"]
	for n := range len(b) {
		if f, err := openBytes(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are read as %d tensors", n, len(b), len(f.tensors))
		}
	}
}

func FuzzOpenONNX(f *testing.F) {
	for _, b := range onnxFiles(f) {
		f.Add(b)
	}
	for _, x := range hostileONNX() {
		if len(x.file) < 1<<12 {
			f.Add(x.file)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { tryFile(t, b) })
}

// onnxSeeds are changed field by field, so that lengths stay right and a mutant gets far.
func onnxSeeds(t testing.TB) []seed {
	var seeds []seed
	for _, b := range onnxFiles(t) {
		seeds = append(seeds, seed{whole: b, change: changeMessage})
	}
	for _, x := range hostileONNX() {
		if len(x.file) < 1<<12 {
			seeds = append(seeds, seed{whole: x.file, change: changeMessage})
		}
	}
	return seeds
}

// changeMessage changes one field of a message, or of one inside it.
func changeMessage(b []byte, rng *rand.Rand) []byte {
	type field struct {
		num     protowire.Number
		typ     protowire.Type
		start   int
		content []byte
		end     int
	}
	var fields []field
	for pos := 0; pos < len(b); {
		num, typ, n := protowire.ConsumeTag(b[pos:])
		if n < 0 {
			return mangle(b, rng)
		}
		size := protowire.ConsumeFieldValue(num, typ, b[pos+n:])
		if size < 0 {
			return mangle(b, rng)
		}
		f := field{num, typ, pos, b[pos+n : pos+n+size], pos + n + size}
		if typ == protowire.BytesType {
			f.content, _ = protowire.ConsumeBytes(f.content)
		}
		fields = append(fields, f)
		pos = f.end
	}
	if len(fields) == 0 {
		return mangle(append(bytes.Clone(b), 8, 1), rng)
	}
	f := fields[rng.IntN(len(fields))]
	other := fields[rng.IntN(len(fields))]
	put := func(insert []byte) []byte { return slices.Concat(b[:f.start], insert, b[f.end:]) }
	tagged := func(num protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), content)
	}
	if f.typ == protowire.BytesType && len(f.content) > 2 && rng.IntN(4) > 0 {
		return put(tagged(f.num, changeMessage(f.content, rng))) // further in
	}
	switch rng.IntN(6) {
	case 0:
		return put(nil)
	case 1:
		return put(slices.Concat(b[f.start:f.end], b[f.start:f.end]))
	case 2:
		return put(b[other.start:other.end])
	case 3:
		if f.typ == protowire.BytesType {
			return put(tagged(protowire.Number(1+rng.IntN(16)), f.content))
		}
	case 4:
		if f.typ == protowire.BytesType {
			return put(tagged(f.num, mangle(f.content, rng)))
		}
	}
	interesting := []uint64{0, 1, 2, 7, 11, 127, 1 << 20, 1<<31 - 1, 1 << 32, 1<<63 - 1, 1<<64 - 1}
	return put(protowire.AppendVarint(protowire.AppendTag(nil, f.num, protowire.VarintType), interesting[rng.IntN(len(interesting))]))
}
