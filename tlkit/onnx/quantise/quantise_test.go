package quantise

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/onnx/write"
)

// small has each kind of layer: a stem, a block with a depthwise convolution, a sum of two branches, a
// pool, parts joined, and a matrix.
type small struct{}

func (small) Build(b *backbone.Builder, x *Node) backbone.Output {
	conv := func(name string, x *Node, c backbone.Conv) *Node { return b.Conv(name, x, c) }
	x = backbone.ReLU(conv("stem", x, backbone.Conv{Out: 8, Kernel: 3, Stride: 2, Pad: 1, Bias: true}))
	y := backbone.ReLU6(conv("expand", x, backbone.Conv{Out: 16, Kernel: 1, Bias: true}))
	y = backbone.ReLU6(b.Depthwise("depthwise", y, backbone.Conv{Kernel: 3, Pad: 1}))
	y = conv("project", y, backbone.Conv{Out: 8, Kernel: 1, Bias: true})
	x = backbone.ReLU(Add(x, y))
	x = Concatenate([]*Node{x, backbone.ReLU(conv("side", x, backbone.Conv{Out: 8, Kernel: 1}))}, 3)
	x = b.Stage("end", backbone.MaxPool(x, backbone.Pool{Size: 2, Stride: 2}))
	return backbone.Output{Map: x, Features: backbone.GlobalAverage(x)}
}

const side = 16

// smallFile returns that network with random weights as a file.
func smallFile(t testing.TB) []byte {
	t.Helper()
	d, err := backbone.Declare(small{}, side)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	sizes, made := map[string]int{"fc.weight": 16 * 3, "fc.bias": 3}, map[string][]float32{}
	for _, w := range d.Weights {
		sizes[w.Name] = 1
		for _, n := range w.Shape {
			sizes[w.Name] *= n
		}
	}
	file, err := write.Bytes(write.Network{
		Picture: []int{side, side, 3},
		Build: func(pictures *Node) []write.Output {
			f := backbone.Unloaded(small{}, pictures).Features
			w := Parameter(f.Graph(), "fc.weight", shapes.Make(dtypes.Float32, 16, 3))
			bias := Parameter(f.Graph(), "fc.bias", shapes.Make(dtypes.Float32, 3))
			return []write.Output{{Name: "logits", Node: Add(Einsum("nc,ck->nk", f, w), Reshape(bias, 1, 3))}}
		},
		Weight: func(name string) ([]float32, bool) {
			if made[name] == nil {
				for range sizes[name] {
					made[name] = append(made[name], float32(rng.NormFloat64()*0.5))
				}
			}
			return made[name], true
		},
		Metadata: map[string]string{"kept": "yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func picture(seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 3))
	out := make([]float32, side*side*3)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

func run(t testing.TB, file []byte, outputs []string, x []float32) [][]float32 {
	t.Helper()
	s, err := testruntime.Open(t).Session(file, onnxruntime.SessionOptions{Outputs: outputs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{len(x) / (side * side * 3), side, side, 3}, Float32: x})
	if err != nil {
		t.Fatal(err)
	}
	var values [][]float32
	for _, o := range out {
		values = append(values, o.Float32)
	}
	return values
}

// observed returns the network after it has seen some pictures.
func observed(t testing.TB) (*Network, []byte) {
	t.Helper()
	file := smallFile(t)
	n, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for k := range uint64(16) {
		if err := n.Observe(run(t, n.Probe(), n.Observed(), picture(k))); err != nil {
			t.Fatal(err)
		}
	}
	return n, file
}

// With each method the integers compute nearly what the floats do, from a file that is read here too.
func TestInt8(t *testing.T) {
	n, file := observed(t)
	want := run(t, file, nil, picture(100))[0]
	scale := float64(slices.Max(want) - slices.Min(want))
	for _, m := range Methods() {
		for _, float := range [][2]int{{0, 0}, {1, 0}, {3, 1}} {
			t.Run(fmt.Sprint(m, float), func(t *testing.T) {
				packed, err := n.Int8(Options{Method: m, First: float[0], Last: float[1], Metadata: map[string]string{"a": "b"}})
				if err != nil {
					t.Fatal(err)
				}
				got := run(t, packed, nil, picture(100))[0]
				for i := range want {
					if off := math.Abs(float64(got[i]-want[i])) / scale; !(off < 0.05) {
						t.Errorf("%v, want %v", got, want)
					}
				}
				if slices.Equal(got, want) {
					t.Error("exactly the floats: nothing is quantised")
				}
				checkFile(t, packed, len(n.Layers())-float[0]-float[1])
				path := filepath.Join(t.TempDir(), "a.onnx")
				testpictures.Write(t, path, packed)
				if _, err := onnx.Open(onnx.Ref{File: path}); err != nil {
					t.Errorf("our reader: %v", err)
				}
			})
		}
	}
}

// checkFile looks at a file with another reader: so many layers have integer weights, of 7 bits, or 8
// for depthwise ones; each has a scale for each channel.
func checkFile(t *testing.T, file []byte, layers int) {
	t.Helper()
	var m protos.ModelProto
	if err := proto.Unmarshal(file, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.MetadataProps) != 1 || m.MetadataProps[0].GetKey() != "a" || m.MetadataProps[0].GetValue() != "b" {
		t.Errorf("metadata %v", m.MetadataProps)
	}
	seen, names := 0, map[string]bool{}
	scales := map[string]int{}
	for _, w := range m.Graph.Initializer {
		if names[w.GetName()] {
			t.Errorf("two tensors %s", w.GetName())
		}
		names[w.GetName()] = true
		if w.GetDataType() == int32(protos.TensorProto_FLOAT) && len(w.Dims) == 1 {
			scales[w.GetName()] = int(w.Dims[0])
		}
	}
	for _, w := range m.Graph.Initializer {
		if w.GetDataType() != int32(protos.TensorProto_INT8) || len(w.Dims) < 2 {
			continue
		}
		seen++
		most, channels := 0, int(w.Dims[0])
		if strings.HasPrefix(w.GetName(), "MatMul") || strings.HasPrefix(w.GetName(), "fc") || len(w.Dims) == 2 {
			channels = int(w.Dims[1])
		}
		for _, b := range w.RawData {
			most = max(most, int(math.Abs(float64(int8(b)))))
		}
		limit := 64
		if strings.Contains(w.GetName(), "depthwise") {
			limit = 127
		}
		if most != limit {
			t.Errorf("%s: the largest integer is %d, want %d", w.GetName(), most, limit)
		}
		if got := scales[w.GetName()+".scale"]; got != channels {
			t.Errorf("%s: %d scales for %d channels", w.GetName(), got, channels)
		}
	}
	if seen != layers {
		t.Errorf("%d layers with integers, want %d", seen, layers)
	}
	for _, o := range m.Graph.Node {
		if o.GetOpType() == "Relu" || o.GetOpType() == "Clip" {
			if layers == 6 {
				t.Errorf("%s %s is left", o.GetOpType(), o.GetName())
			}
		}
	}
}

// Zero is exact, whatever the range: padding is made of it.
func TestZeroIsExact(t *testing.T) {
	for _, values := range [][]float32{{0.3, 5}, {-3, -1}, {-1, 2.7}, {0, 0}, {1e-30, 1e-29}} {
		h := &histogram{}
		if err := h.add(values); err != nil {
			t.Fatal(err)
		}
		for _, m := range Methods() {
			if low, high := h.bounds(m); !(low <= 0 && high >= 0) {
				t.Errorf("%v by %s: %v to %v", values, m, low, high)
			}
		}
	}
}

// The methods that cut off outliers do, and the histogram widens without losing a value.
func TestRanges(t *testing.T) {
	h := &histogram{}
	rng := rand.New(rand.NewPCG(5, 6))
	total := 0
	for k := range 40 {
		values := make([]float32, 10000)
		for i := range values {
			values[i] = float32(rng.NormFloat64()) * float32(1+k/20)
		}
		if k == 39 {
			values[0] = 1000
		}
		if err := h.add(values); err != nil {
			t.Fatal(err)
		}
		total += len(values)
	}
	sum := 0.0
	for _, n := range h.count {
		sum += n
	}
	if sum != float64(total) {
		t.Errorf("%v values in the bins, want %d", sum, total)
	}
	if _, high := h.bounds(MinMax); high != 1000 {
		t.Errorf("min-max: %v", high)
	}
	if low, high := h.bounds(Percentile); !(high > 7 && high < 11 && low < -7) {
		t.Errorf("percentile: %v to %v", low, high)
	}
	if _, high := h.bounds(Squares); !(high < 900) {
		t.Errorf("squared error: %v", high)
	}
	if err := h.add([]float32{1, float32(math.NaN())}); err == nil {
		t.Error("NaN was counted")
	}
	if err := h.add([]float32{float32(math.Inf(1))}); err == nil {
		t.Error("infinity was counted")
	}
}

// Bad requests and bad files are errors.
func TestRefuses(t *testing.T) {
	n, file := observed(t)
	packed, err := n.Int8(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"nothing": {nil, "no graph"}, "text": {[]byte("not a file"), "quantise: "}, "half": {file[:len(file)/2], "quantise: "},
		"integers": {packed, "quantised already"},
	} {
		if _, err := Read(c.data); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := n.Int8(Options{First: 3, Last: len(n.Layers()) - 3}); err == nil || !strings.Contains(err.Error(), "stay in floats") {
		t.Errorf("nothing left: %v", err)
	}
	if err := n.Observe(nil); err == nil {
		t.Error("no outputs observed")
	}
	fresh, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Int8(Options{}); err == nil || !strings.Contains(err.Error(), "nothing was observed") {
		t.Errorf("%v", err)
	}
}

// Any bytes are a network or an error, and what is read gives a file again.
func FuzzRead(f *testing.F) {
	f.Add(smallFile(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Read(data)
		if err != nil {
			return
		}
		if _, err := Read(n.Probe()); err != nil {
			t.Errorf("the probe is not read: %v", err)
		}
		ones := make([][]float32, len(n.Observed()))
		for i := range ones {
			ones[i] = []float32{0, 1}
		}
		if err := n.Observe(ones); err != nil {
			t.Fatal(err)
		}
		_, _ = n.Int8(Options{Metadata: map[string]string{}})
	})
}
