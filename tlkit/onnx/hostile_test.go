package onnx

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/internal/machine"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// model4 is a network of a convolution to 4 channels, value "a", and then the nodes, up to value
// "z", [N,4].
func model4(nodes ...*protos.NodeProto) *protos.ModelProto {
	kernel := &protos.TensorProto{Name: "kernel", DataType: 1, Dims: []int64{4, 3, 1, 1}, FloatData: make([]float32, 12)}
	return &protos.ModelProto{IrVersion: 8, OpsetImport: []*protos.OperatorSetIdProto{{Version: 17}}, Graph: &protos.GraphProto{
		Name:        "g",
		Input:       []*protos.ValueInfoProto{{Name: "x", Type: tensorType(1, []int{1, 3, 8, 8})}},
		Output:      []*protos.ValueInfoProto{{Name: "z", Type: tensorType(1, []int{1, 4})}},
		Initializer: []*protos.TensorProto{kernel},
		Node:        append([]*protos.NodeProto{node("Conv", "x kernel", "a")}, nodes...),
	}}
}

func tensorType(kind int32, dims []int) *protos.TypeProto {
	shape := &protos.TensorShapeProto{}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &protos.TensorShapeProto_Dimension{Value: &protos.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	return &protos.TypeProto{Value: &protos.TypeProto_TensorType{TensorType: &protos.TypeProto_Tensor{ElemType: kind, Shape: shape}}}
}

// names are the names of values, with spaces between them.
type names string

func node(op string, in, out names, attrs ...*protos.AttributeProto) *protos.NodeProto {
	return &protos.NodeProto{OpType: op, Name: "n " + op, Input: strings.Fields(string(in)), Output: strings.Fields(string(out)), Attribute: attrs}
}

func ints(name string, v ...int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INTS, Ints: v}
}

func numbersOf(name string, v ...int64) *protos.TensorProto {
	return &protos.TensorProto{Name: name, DataType: 7, Dims: []int64{int64(len(v))}, Int64Data: v}
}

func write(t testing.TB, m *protos.ModelProto) string {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stranger.onnx")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// declared opens a file, plans the network up to cut and declares it for pictures of size pixels.
func declared(path, cut string, size int) (*backbone.Declaration, error) {
	net, err := Open(Ref{File: path, Cut: cut})
	if err != nil {
		return nil, err
	}
	d, err := backbone.Declare(net, size)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", path, err)
	}
	return d, nil
}

func pooled() *protos.NodeProto { return node("GlobalAveragePool", "b", "z") }

// Hostile files are refused with an error that names the fault. Nothing panics, and no file of a
// few kilobytes takes more than 64 MB.
func TestHostile(t *testing.T) {
	changed := func(m *protos.ModelProto, change func(*protos.ModelProto)) *protos.ModelProto {
		change(m)
		return m
	}
	plain := func() *protos.ModelProto { return model4(node("Relu", "a", "b"), pooled()) }
	if _, err := declared(write(t, plain()), "", 8); err != nil {
		t.Fatalf("the file that the others are made from: %v", err)
	}
	library := func(numbers []int64, nodes ...*protos.NodeProto) *protos.ModelProto {
		m := model4(append(nodes, pooled())...)
		m.Graph.Initializer = append(m.Graph.Initializer, numbersOf("k", numbers...))
		return m
	}
	deep := []*protos.NodeProto{}
	for i := range 20_000 {
		deep = append(deep, node("Relu", names(fmt.Sprint("d", i)), names(fmt.Sprint("d", i+1))))
	}
	deep[0].Input[0], deep[len(deep)-1].Output[0] = "a", "b"
	for what, c := range map[string]struct {
		model *protos.ModelProto
		want  string
	}{
		"a circle":             {model4(node("Add", "a c", "b"), node("Relu", "b", "c"), pooled()), "circles"},
		"itself":               {model4(node("Relu", "b", "b"), pooled()), "circles"},
		"a value from nowhere": {model4(node("Add", "a nowhere", "b"), pooled()), `"nowhere", which no node computes`},
		"a value made twice":   {model4(node("Relu", "a", "b"), node("Tanh", "a", "b"), pooled()), `"b" is made twice`},
		"a weight made again":  {model4(node("Relu", "a", "kernel"), node("Relu", "a", "b"), pooled()), `"kernel" is made twice`},
		"no output":            {changed(plain(), func(m *protos.ModelProto) { m.Graph.Output = nil }), "no output"},
		"an output of nothing": {changed(plain(), func(m *protos.ModelProto) { m.Graph.Output[0].Name = "q" }), `"q", which no node computes`},
		"two inputs": {changed(plain(), func(m *protos.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, &protos.ValueInfoProto{Name: "y", Type: tensorType(1, []int{1})})
		}), "2 inputs"},
		"text as pictures":             {changed(plain(), func(m *protos.ModelProto) { m.Graph.Input[0].Type = tensorType(7, []int{1, 128}) }), "I64 [1 128]"},
		"five channels":                {changed(plain(), func(m *protos.ModelProto) { m.Graph.Input[0].Type = tensorType(1, []int{1, 5, 8, 8}) }), "[1 5 8 8]"},
		"oblong pictures":              {changed(plain(), func(m *protos.ModelProto) { m.Graph.Input[0].Type = tensorType(1, []int{1, 3, 8, 9}) }), "square"},
		"pictures by eight":            {changed(plain(), func(m *protos.ModelProto) { m.Graph.Input[0].Type = tensorType(1, []int{8000, 3, 8, 8}) }), "for 8000 pictures"},
		"a million pixels":             {changed(plain(), func(m *protos.ModelProto) { m.Graph.Input[0].Type = tensorType(1, []int{1, 3, 1e6, 1e6}) }), "at most 4096"},
		"version 3":                    {changed(plain(), func(m *protos.ModelProto) { m.OpsetImport[0].Version = 3 }), "version 3"},
		"version 99":                   {changed(plain(), func(m *protos.ModelProto) { m.OpsetImport[0].Version = 99 }), "version 99"},
		"a kernel of lists":            {model4(node("Conv", "a k", "b"), pooled()), `"k", which no node computes`},
		"a kernel that varies":         {model4(node("Conv", "a a", "b"), pooled()), ""},
		"no kernel":                    {model4(node("Conv", "a", "b"), pooled()), "kernel"},
		"no input":                     {model4(node("Relu", "", "b"), pooled()), "0 inputs"},
		"a stride of 0":                {model4(node("MaxPool", "a", "b", ints("kernel_shape", 2, 2), ints("strides", 0, 1)), pooled()), "strides"},
		"a pad of a billion":           {model4(node("MaxPool", "a", "b", ints("kernel_shape", 2, 2), ints("pads", 1e9, 0, 0, 0)), pooled()), "pads"},
		"a negative pad":               {model4(node("AveragePool", "a", "b", ints("kernel_shape", 2, 2), ints("pads", -5, 0, 0, 0)), pooled()), "pads"},
		"a window too large":           {model4(node("MaxPool", "a", "b", ints("kernel_shape", 99, 99)), pooled()), "too small for a window"},
		"a dilated pool":               {model4(node("MaxPool", "a", "b", ints("kernel_shape", 2, 2), ints("dilations", 2, 2)), pooled()), "dilation"},
		"groups":                       {model4(node("Conv", "a kernel", "b", &protos.AttributeProto{Name: "group", Type: protos.AttributeProto_INT, I: 1 << 40}), pooled()), "groups"},
		"a broken perm":                {model4(node("Transpose", "a", "b", ints("perm", 0, 0, 1, 9)), pooled()), "perm"},
		"a huge reshape":               {library([]int64{1 << 40, -1}, node("Reshape", "a k", "b")), "shape"},
		"a reshape by pixels":          {model4(node("Cast", "a", "i", &protos.AttributeProto{Name: "to", Type: protos.AttributeProto_INT, I: 7}), node("Reshape", "a i", "b"), pooled()), "want a list of integers"},
		"a huge tile":                  {library([]int64{1, 1 << 20, 1 << 6, 1}, node("Tile", "a k", "b")), "more than"},
		"a huge expand":                {library([]int64{1 << 30, 1, 4, 8, 8}, node("Expand", "a k", "b")), "more than"},
		"a huge constant":              {library([]int64{1 << 40}, node("ConstantOfShape", "k", "c"), node("Add", "a c", "b")), "numbers of a shape"},
		"a division by zero":           {library([]int64{0}, node("Div", "k k", "c"), node("Reshape", "a c", "b")), "division by zero"},
		"a rest by zero":               {library([]int64{0}, node("Mod", "k k", "c"), node("Reshape", "a c", "b")), ""},
		"an element too far":           {library([]int64{4}, node("Gather", "k k", "c"), node("Reshape", "a c", "b")), "element 4 of 1"},
		"an axis too far":              {model4(node("Concat", "a a", "b", &protos.AttributeProto{Name: "axis", Type: protos.AttributeProto_INT, I: 9}), pooled()), "axis 9"},
		"an attribute of another kind": {model4(node("ReduceMax", "a", "b", &protos.AttributeProto{Name: "keepdims", Type: protos.AttributeProto_STRING, S: []byte("yes")}), pooled()), "keepdims"},
		"training":                     {model4(node("BatchNormalization", "a kernel kernel kernel kernel", "b", &protos.AttributeProto{Name: "training_mode", Type: protos.AttributeProto_INT, I: 1}), pooled()), "training mode"},
		"other shapes":                 {model4(node("MatMul", "a kernel", "b"), pooled()), "MatMul"},
		"twenty thousand nodes":        {model4(append(deep, pooled())...), "more than 1117 operations"},
		"quantised": {changed(plain(), func(m *protos.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, &protos.TensorProto{Name: "q", DataType: 3, Dims: []int64{1 << 17}, RawData: make([]byte, 1<<17)})
			m.Graph.Node[1] = node("Add", "a q", "b")
		}), "quantised"},
		"another library's": {changed(plain(), func(m *protos.ModelProto) { m.Graph.Node[1].Domain = "com.microsoft" }), "com.microsoft.Relu"},
	} {
		t.Run(what, func(t *testing.T) {
			path := write(t, c.model)
			began, allocated := machine.ProcessorTime(), heapTotal()
			_, err := declared(path, "", 8)
			took, used := machine.ProcessorTime()-began, heapTotal()-allocated
			switch {
			case err == nil && c.want == "":
				// Unusual, but a network.
			case err == nil:
				t.Error("it was read")
			case !strings.HasPrefix(err.Error(), "onnx: ") || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "stranger.onnx"):
				t.Errorf("got %q, want something with %q and the file's name", err, c.want)
			}
			if err != nil {
				checkWords(t, err.Error())
			}
			if used > 64<<20 || took > mostTime {
				t.Errorf("%d MB allocated in %v", used>>20, took)
			}
		})
	}
}

func heapTotal() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// All operations that are not known are listed by name, before anything is built.
func TestUnsupported(t *testing.T) {
	inner := &protos.AttributeProto{Name: "then_branch", Type: protos.AttributeProto_GRAPH, G: &protos.GraphProto{}}
	m := model4(node("LRN", "a", "c"), node("GridSample", "c a", "d"), node("LRN", "d", "e"), node("If", "e", "b", inner), pooled(), node("Loop", "z", "unused"))
	_, err := declared(write(t, m), "", 8)
	e := (*UnsupportedError)(nil)
	if !errors.As(err, &e) || !slices.Equal(e.Ops, []string{"GridSample", "If (with a graph inside)", "LRN"}) || !strings.Contains(err.Error(), "GridSample, If (with a graph inside), LRN") {
		t.Errorf("%v", err)
	}
	// Operations behind the cut do not matter.
	if d, err := declared(write(t, m), "a", 8); err != nil || d.Features != 4 {
		t.Errorf("cut before them: %v", err)
	}
}

var (
	mutants     = flag.Int("mutants", 1500, "files that TestCampaign makes")
	mutantsSeed = flag.Uint64("mutants-seed", 3, "and what it starts from")
)

// allowance is what opening a file of so many bytes may allocate, altogether.
func allowance(bytes int) uint64 { return 32<<20 + 64*uint64(bytes) }

// judged opens a file, declares its network, and checks that this stays within the budget and that
// an error is one for people. It reports whether the file is a network.
func judged(t testing.TB, path string, b []byte) (network bool, used uint64, took time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	before, began := heapTotal(), machine.ProcessorTime()
	_, err := declared(path, "", 16)
	took, used = machine.ProcessorTime()-began, heapTotal()-before
	if most := allowance(len(b)); used > most || took > mostTime {
		t.Errorf("%d bytes of file: %v, %d kB allocated, %d kB are allowed; %v", len(b), took, used>>10, most>>10, err)
	}
	if err != nil {
		checkWords(t, err.Error())
	}
	return err == nil, used, took
}

// checkWords looks for what no error for people has: control characters, addresses of code, pages of
// text.
func checkWords(t testing.TB, text string) {
	t.Helper()
	odd := func(r rune) bool { return r < ' ' || r == 0x7f }
	if !strings.HasPrefix(text, "onnx: ") || len(text) > 2000 || strings.ContainsFunc(text, odd) || strings.Contains(text, ".go:") || strings.Contains(text, "runtime error") || strings.Contains(text, "internal") {
		t.Errorf("not an error for people: %q", text)
	}
}

// TestCampaign changes the small networks at their weak points: names, settings, shapes, constants,
// operations, versions. Each mutant is opened, planned and declared; nothing may panic, take long or
// allocate much.
//
//	go test ./tlkit/onnx -run TestCampaign -v -timeout 0 -mutants 1000000
func TestCampaign(t *testing.T) {
	seeds := campaignSeeds(t)
	ops := slices.Sorted(maps.Keys(rules))
	rng := rand.New(rand.NewPCG(*mutantsSeed, 9))
	path := filepath.Join(t.TempDir(), "stranger.onnx")
	fine, most, slowest, began := 0, uint64(0), time.Duration(0), time.Now()
	for i := range *mutants {
		m := proto.Clone(seeds[rng.IntN(len(seeds))]).(*protos.ModelProto)
		for range 1 + rng.IntN(3) {
			mutate(m, ops, rng)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			continue // a name that is no UTF-8
		}
		network, used, took := judged(t, path, b)
		most, slowest = max(most, used), max(slowest, took)
		if network {
			fine++
		}
		if t.Failed() {
			t.Fatalf("mutant %d of seed %d", i, *mutantsSeed)
		}
	}
	t.Logf("%d mutants in %v, %d still a network; at most %d kB allocated and %v taken by one", *mutants, time.Since(began).Round(time.Second), fine, most>>10, slowest)
	if fine == 0 || fine == *mutants {
		t.Error("the mutants are no test")
	}
}

// campaignSeeds are the networks that mutants are made of.
func campaignSeeds(t testing.TB) (seeds []*protos.ModelProto) {
	t.Helper()
	files, _ := filepath.Glob("testdata/*.onnx")
	for _, name := range []string{"torchvision_vit_script_one", "timm_vit_dynamo_open", "timm_vit_dynamo_eight", "prepared", "quantised", "quantised_bytes"} {
		files = append(files, "testdata/exports/"+name+".onnx")
	}
	for _, n := range files {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		m := &protos.ModelProto{}
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, m)
	}
	return seeds
}

// mutate makes one change.
func mutate(m *protos.ModelProto, ops []string, rng *rand.Rand) {
	g := m.Graph
	interesting := []int64{-1 << 63, -1 << 31, -5, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 255, 4096, 1 << 20, 1 << 31, 1 << 40, 1<<63 - 1}
	number := func() int64 { return interesting[rng.IntN(len(interesting))] }
	if len(g.Node) == 0 {
		return
	}
	n, other := g.Node[rng.IntN(len(g.Node))], g.Node[rng.IntN(len(g.Node))]
	switch rng.IntN(16) {
	case 0:
		n.OpType = ops[rng.IntN(len(ops))]
	case 1:
		if len(n.Input) > 0 && len(other.Output) > 0 {
			n.Input[rng.IntN(len(n.Input))] = other.Output[0]
		}
	case 2:
		if len(n.Input) > 0 {
			n.Input = n.Input[:rng.IntN(len(n.Input))]
		}
	case 3, 4:
		if len(n.Attribute) > 0 {
			a := n.Attribute[rng.IntN(len(n.Attribute))]
			a.I, a.F = number(), float32(number())
			for i := range a.Ints {
				if rng.IntN(2) == 0 {
					a.Ints[i] = number()
				}
			}
		}
	case 5:
		names := strings.Fields("axes pads strides perm dilations kernel_shape axis keepdims group to ceil_mode split start end")
		n.Attribute = append(n.Attribute, ints(names[rng.IntN(len(names))], number(), number(), number(), number()))
	case 6, 7, 8:
		var some []*protos.TensorProto
		for _, t := range g.Initializer {
			if t.DataType == 7 && len(t.RawData) >= 8 {
				some = append(some, t)
			}
		}
		for _, n := range g.Node {
			for _, a := range n.Attribute {
				if a.T != nil && a.T.DataType == 7 && len(a.T.RawData) >= 8 {
					some = append(some, a.T)
				}
			}
		}
		if len(some) > 0 {
			raw := some[rng.IntN(len(some))].RawData
			binary.LittleEndian.PutUint64(raw[8*rng.IntN(len(raw)/8):], uint64(number()))
		}
	case 9:
		if t := g.Initializer[rng.IntN(len(g.Initializer))]; len(t.Dims) > 1 { // another shape of as many numbers
			t.Dims[0], t.Dims[1] = t.Dims[1], t.Dims[0]
		}
	case 10:
		in := g.Input[0].Type.GetTensorType()
		if rng.IntN(3) == 0 {
			in.ElemType = int32(rng.IntN(17))
		} else {
			in.Shape.Dim[rng.IntN(len(in.Shape.Dim))].Value = &protos.TensorShapeProto_Dimension_DimValue{DimValue: number()}
		}
	case 11:
		m.OpsetImport[0].Version = int64(5 + rng.IntN(23))
	case 12:
		if len(n.Output) > 0 {
			n.Output[0] = []string{g.Input[0].Name, n.Output[0] + "\x1b[2J", strings.Repeat("n", 500)}[rng.IntN(3)]
		}
	case 13:
		if len(n.Input) > 0 {
			n.Input[rng.IntN(len(n.Input))] = g.Initializer[rng.IntN(len(g.Initializer))].Name
		}
	case 14:
		if len(n.Input) > 0 {
			n.Input[rng.IntN(len(n.Input))] = ""
		}
	case 15: // a node twice, with results of its own, or moved
		c := proto.Clone(n).(*protos.NodeProto)
		if len(c.Output) > 0 && rng.IntN(2) == 0 {
			c.Output[0] += " again"
		}
		g.Node = append(g.Node, c)
	}
}

func FuzzOpen(f *testing.F) {
	for _, m := range campaignSeeds(f) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { judged(t, filepath.Join(t.TempDir(), "stranger.onnx"), b) })
}

// FuzzMutants is FuzzOpen for changes that keep a file a protobuf: the bytes choose them.
func FuzzMutants(f *testing.F) {
	seeds, ops := campaignSeeds(f), slices.Sorted(maps.Keys(rules))
	for i := range uint64(64) {
		f.Add(i, byte(i%4))
	}
	f.Fuzz(func(t *testing.T, seed uint64, more byte) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := proto.Clone(seeds[rng.IntN(len(seeds))]).(*protos.ModelProto)
		for range 1 + more%5 {
			mutate(m, ops, rng)
		}
		if b, err := proto.Marshal(m); err == nil {
			judged(t, filepath.Join(t.TempDir(), "stranger.onnx"), b)
		}
	})
}
