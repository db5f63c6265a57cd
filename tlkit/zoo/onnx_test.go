package zoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
)

// onnxGolden is what ONNX Runtime computed for the small files in testdata/onnx, see internal/golden/referee/onnx_zoo.py.
type onnxGolden struct {
	File     string      `json:"file"`
	Size     int         `json:"size"`
	Cut      string      `json:"cut"`   // as asked for
	Value    string      `json:"value"` // where it is cut
	Features [][]float64 `json:"features"`
	Logits   [][]float64 `json:"logits"`
}

func onnxGoldens(t testing.TB) []onnxGolden {
	t.Helper()
	raw, err := os.ReadFile("testdata/onnx/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Nets []onnxGolden `json:"nets"`
	}
	if err := json.Unmarshal(raw, &all); err != nil || len(all.Nets) < 7 {
		t.Fatal(len(all.Nets), err)
	}
	return all.Nets
}

// plainPreset is for pictures that are made, not prepared.
func plainPreset(size int) *transforms.Preset {
	return &transforms.Preset{Name: "plain", Size: size, Geometry: "short", Range: [2]float32{0, 1}, Std: [3]float32{1, 1, 1}, Channels: "RGB"}
}

func loadTiny(t testing.TB, file, cut string, size int) *Net {
	t.Helper()
	name := filepath.Join("testdata/onnx", file)
	if cut != "" {
		name += "#" + cut
	}
	n, err := Load(context.Background(), name, Options{Preset: plainPreset(size)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Every operation that is read, on files in the dialects of TensorFlow and of PyTorch old and new: features and logits
// are those of ONNX Runtime, within Tolerance, for two pictures at a time also where the file was written for one.
func TestONNXAgainstRuntime(t *testing.T) {
	b := pureGo(t)
	for _, g := range onnxGoldens(t) {
		t.Run(g.File+"#"+g.Cut, func(t *testing.T) {
			n := loadTiny(t, g.File, g.Cut, g.Size)
			if want := g.File + "#" + g.Value; n.Row.Name != want {
				t.Errorf("it is cut as %q, want %q", n.Row.Name, want)
			}
			if (n.declared.Classes > 0) != (g.Logits != nil) {
				t.Errorf("%d classes, logits in the golden: %v", n.declared.Classes, g.Logits != nil)
			}
			got, err := n.everything(b, golden.Input(g.Size, 2), 2)
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string]struct {
				want [][]float64
				have []float32
			}{"features": {g.Features, got.features}, "logits": {g.Logits, got.logits}} {
				if d := relative(pair.want, pair.have); !(d <= Tolerance) {
					t.Errorf("%s differ by %.2g of the largest, %.0e is allowed", what, d, Tolerance)
				} else {
					t.Logf("%s: %.1e", what, d)
				}
			}
		})
	}
}

// relative is the largest difference as a share of the largest number.
func relative(want [][]float64, have []float32) float64 {
	flat := slices.Concat(want...)
	if len(flat) != len(have) {
		return math.Inf(1)
	}
	var largest, off float64
	for i, w := range flat {
		largest = max(largest, math.Abs(w))
		if d := math.Abs(w - float64(have[i])); d > off || math.IsNaN(d) {
			off = d
		}
	}
	if len(flat) == 0 {
		return 0
	}
	return off / largest
}

// The gradient of every weight, along a direction of its own, is the slope that two runs show: what is read can be
// trained. Only what the classifier beyond the cut has stays still.
func TestONNXGradients(t *testing.T) {
	b := pureGo(t)
	for _, g := range onnxGoldens(t) {
		if g.Cut != "" {
			continue
		}
		t.Run(g.File, func(t *testing.T) {
			n := loadTiny(t, g.File, "", g.Size)
			slopes(t, b, n, g.Size)
		})
	}
}

func slopes(t *testing.T, b compute.Backend, n *Net, size int) {
	t.Helper()
	store := model.NewStore()
	defer store.Finalize()
	if err := n.Variables(store.RootScope()); err != nil {
		t.Fatal(err)
	}
	input := tensors.FromFlatDataAndDimensions(golden.Input(size, 2), 2, size, size, 3)
	var keys []string
	for _, w := range n.declared.Weights {
		if w.Stage != backbone.Classifier && w.Trainable {
			keys = append(keys, w.Name)
		}
	}
	// One number that depends on all features alike in no way: their sum with different signs and sizes.
	loss := func(scope *model.Scope, x *graph.Node) *graph.Node {
		f := backbone.Part{}.Graph(n.Row.arch, scope, x).Features
		factors := graph.AddScalar(graph.Sin(graph.MulScalar(graph.IotaFull(x.Graph(), f.Shape()), 1.7)), 0.3)
		return graph.ReduceAllSum(graph.Mul(f, factors))
	}
	gradients, err := model.NewExec(b, store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		l := loss(scope, x)
		var at []*graph.Node
		for _, k := range keys {
			at = append(at, scope.GetVariable(k).NodeValue(x.Graph()))
		}
		return append(graph.Gradient(l, at...), l)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := gradients.Call(input)
	if err != nil {
		t.Fatal(err)
	}
	value, err := model.NewExec(b, store, loss)
	if err != nil {
		t.Fatal(err)
	}
	at := func(key string, shape []int, values []float32) float64 {
		v := store.RootScope().GetVariable(key)
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(slices.Clone(values), shape...)); err != nil {
			t.Fatal(err)
		}
		got, err := value.Call1(input)
		if err != nil {
			t.Fatal(err)
		}
		return float64(tensors.ToScalar[float32](got))
	}
	moving := 0
	for i, key := range keys {
		gradient, err := tensors.CopyFlatData[float32](out[i])
		if err != nil {
			t.Fatal(err)
		}
		start, shape, _ := n.Tensor(key)
		direction := golden.Fill(key+" direction", []int{len(start), 1}, 1)
		want, size := 0.0, 0.0
		for k, g := range gradient {
			want += float64(g) * float64(direction[k])
			size += float64(g) * float64(g)
		}
		if size > 0 {
			moving++
		}
		// Several widths: kinks (ReLU, pools) disturb one, rounding another.
		best := math.Inf(1)
		var seen []string
		for _, h := range []float64{3e-3, 1e-3, 3e-4, 1e-4, 3e-5} {
			up, down := slices.Clone(start), slices.Clone(start)
			for k := range up {
				up[k] += float32(h * float64(direction[k]))
				down[k] -= float32(h * float64(direction[k]))
			}
			slope := (at(key, shape, up) - at(key, shape, down)) / (2 * h)
			seen = append(seen, fmt.Sprintf("%.4g", slope))
			best = min(best, math.Abs(slope-want)/(0.05*math.Sqrt(size)+math.Abs(want)+1e-3))
		}
		at(key, shape, start)
		if best > 0.03 {
			t.Errorf("%s: the gradient says %.4g, runs beside it say %v", key, want, seen)
		}
	}
	if moving < len(keys)*9/10 {
		t.Errorf("only %d of %d weights have a gradient", moving, len(keys))
	}
}

// Stages: what comes before a border and what comes behind it, put together, is the whole, and the weights are dealt
// to the stages that use them.
func TestONNXParts(t *testing.T) {
	b := xla(t) // the backend in pure Go stumbles over the second half of tensorflow.onnx
	for _, g := range onnxGoldens(t) {
		if g.Cut != "" {
			continue
		}
		n := loadTiny(t, g.File, "", g.Size)
		if len(n.declared.Stages) == 0 {
			t.Errorf("%s has no stages", g.File)
		}
		for _, s := range n.declared.Stages {
			store := model.NewStore()
			if err := n.Variables(store.RootScope()); err != nil {
				t.Fatal(err)
			}
			exec, err := model.NewExec(b, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
				m := backbone.Part{To: s.Name}.Graph(n.Row.arch, scope, x).Map
				return backbone.Part{From: s.Name, Size: g.Size}.Graph(n.Row.arch, scope, m).Features
			})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Call1(tensors.FromFlatDataAndDimensions(golden.Input(g.Size, 2), 2, g.Size, g.Size, 3))
			if err != nil {
				t.Fatalf("%s in two at %s: %v", g.File, s.Name, err)
			}
			values, _ := tensors.CopyFlatData[float32](out)
			if d := relative(g.Features, values); !(d <= Tolerance) {
				t.Errorf("%s in two at %s is off by %.2g", g.File, s.Name, d)
			}
		}
	}
	n := loadTiny(t, "mobile.onnx", "", 18)
	var stages []string
	for _, s := range n.declared.Stages {
		stages = append(stages, fmt.Sprint(s.Name, s.Shape))
	}
	if got := strings.Join(stages, " "); got != "mul.3[9 9 8] maxpool.4[5 5 8] leakyrelu.20[3 3 16] features[1 1 12]" {
		t.Errorf("the stages of mobile.onnx are %s", got)
	}
	for _, w := range n.declared.Weights {
		if want := map[string]string{"stem.weight": "mul.3", "squeeze.bias": "leakyrelu.20", "down.weight": "leakyrelu.20", "hidden.weight": "features", "fc.weight": backbone.Classifier}[w.Name]; want != "" && w.Stage != want {
			t.Errorf("%s belongs to stage %s, want %s", w.Name, w.Stage, want)
		}
	}
}

// A file does not say which pixels it wants, so Load asks.
func TestONNXWantsPreset(t *testing.T) {
	_, err := Load(context.Background(), "testdata/onnx/old.onnx", Options{})
	if e := (*PresetError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), "--statistics") || !strings.Contains(err.Error(), "old.onnx") {
		t.Errorf("without a preset: %v", err)
	}
	row, err := Find("testdata/onnx/tokens.onnx")
	if err != nil || row.Preset.Size != 16 || row.Features != 12 || row.Name != "tokens.onnx#token" {
		t.Errorf("the row is %+v, %v", row, err)
	}
	if _, err := Load(context.Background(), "testdata/onnx/tokens.onnx", Options{Preset: plainPreset(32)}); err == nil || !strings.Contains(err.Error(), "16 pixels") {
		t.Errorf("pictures of another size than the file's: %v", err)
	}
	// A file of the same network elsewhere, as a head file asks for it by its plain name.
	n, err := Load(context.Background(), "tokens.onnx#token", Options{Preset: plainPreset(16), Weights: "testdata/onnx/tokens.onnx"})
	if err != nil || n.Row.Name != "tokens.onnx#token" || n.Published {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := Load(context.Background(), "tokens.onnx", Options{Preset: plainPreset(16)}); err == nil || !strings.Contains(err.Error(), "--weights") {
		t.Errorf("a file that is elsewhere: %v", err)
	}
}

// The place where a network is cut decides its features, so it is part of what caches go by.
func TestONNXIdentity(t *testing.T) {
	a, b := loadTiny(t, "odd.onnx", "features", 12), loadTiny(t, "odd.onnx", "map", 12)
	if a.SHA256 != b.SHA256 || a.Identity() == b.Identity() {
		t.Errorf("identities %q and %q", a.Identity(), b.Identity())
	}
	// As a person may write it: the node instead of its value.
	if c := loadTiny(t, "old.onnx", "node.15", 15); c.Row.Name != "old.onnx#flatten.15" {
		t.Errorf("cut at a node: %s", c.Row.Name)
	}
}

// The published file says of itself what its row says.
func TestONNXRow(t *testing.T) {
	for _, r := range onnxRows {
		path, ok := r.File.Cached()
		if !ok {
			t.Skipf("needs %s: tlkit verify %s fetches it", r.File.Name, r.Name)
		}
		n, err := Load(context.Background(), r.Name, Options{Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		if d := n.Declaration(); d.Params() != r.Params || d.Features != r.Features || !n.Published || n.Row.Name != r.Name || d.Map[2] != d.Features {
			t.Errorf("%s: %d parameters, %d features, map %v, published %v", path, d.Params(), d.Features, d.Map, n.Published)
		}
	}
}
