package onnx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// runtimeGolden is what ONNX Runtime computed for the small files in testdata, see
// internal/golden/referee/onnx_zoo.py.
type runtimeGolden struct {
	File     string      `json:"file"`
	Size     int         `json:"size"`
	Cut      string      `json:"cut"`   // as asked for
	Value    string      `json:"value"` // where it is cut
	Features [][]float64 `json:"features"`
	Logits   [][]float64 `json:"logits"`
}

func runtimeGoldens(t testing.TB) []runtimeGolden { return goldensIn(t, "testdata") }

func goldensIn(t testing.TB, folder string) []runtimeGolden {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Nets []runtimeGolden `json:"nets"`
	}
	if err := json.Unmarshal(raw, &all); err != nil || len(all.Nets) < 7 {
		t.Fatal(len(all.Nets), err)
	}
	return all.Nets
}

// loaded is a network with its weights.
type loaded struct {
	*Net
	declared *backbone.Declaration
	tensors  map[string]weights.Loaded
}

// load reads a network of testdata for pictures of size pixels.
func load(t testing.TB, file, cut string, size int) loaded {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(file))
	net, err := Open(Ref{File: path, Cut: cut})
	if err != nil {
		t.Fatal(err)
	}
	d, err := backbone.Declare(net, size)
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found, _, err := weights.Match(f, d.Wants(), weights.MatchOptions{Rename: net.Key})
	if err != nil {
		t.Fatal(err)
	}
	return loaded{Net: net, declared: d, tensors: found}
}

// store holds the weights as the variables that graphs ask for.
func (n loaded) store(t testing.TB) *model.Store {
	t.Helper()
	s := model.NewStore()
	t.Cleanup(s.Finalize)
	for key, w := range n.tensors {
		if _, err := s.RootScope().CreateVariable(key, tensors.FromFlatDataAndDimensions(slices.Clone(w.Data), w.Shape...)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// run computes features and logits of pictures [count,size,size,3].
func (n loaded) run(t testing.TB, b compute.Backend, size, count int) (features, logits []float32) {
	t.Helper()
	exec, err := model.NewExec(b, n.store(t), func(scope *model.Scope, x *graph.Node) []*graph.Node {
		out := backbone.Graph(n.Net, scope, x)
		if out.Logits == nil {
			return []*graph.Node{out.Features}
		}
		return []*graph.Node{out.Features, out.Logits}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	input := golden.Input(size, count)
	if n.kind == "U8" { // as the referee makes them
		for i, v := range input {
			input[i] = float32(min(max(math.RoundToEven(float64(v*48+120)), 0), 255))
		}
	}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(input, count, size, size, 3))
	if err != nil {
		t.Fatal(err)
	}
	features = tensors.MustCopyFlatData[float32](out[0])
	if len(out) > 1 {
		logits = tensors.MustCopyFlatData[float32](out[1])
	}
	return features, logits
}

func pureGo(t testing.TB) compute.Backend {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

func xla(t testing.TB) compute.Backend {
	t.Helper()
	e, err := engine.Open(context.Background(), engine.Options{Install: true})
	if err != nil {
		t.Skipf("needs XLA, which could not be opened: %v", err)
	}
	t.Cleanup(func() { e.Close() })
	if !strings.HasPrefix(e.Name, "xla") {
		t.Skipf("needs XLA: %s", e.Why)
	}
	return e.Backend
}

// tolerance is the largest difference from ONNX Runtime that is allowed, as a share of the largest
// number of its answer. Its own rounding takes a twentieth of it.
const tolerance = 2e-5

// Features and logits are those of ONNX Runtime, within tolerance. The files use every operation
// that is read, as TensorFlow, an old and a new PyTorch write them. There are two pictures even
// where a file was written for one.
func TestAgainstRuntime(t *testing.T) {
	againstRuntime(t, "")
}

// Networks as people bring them: vision transformers of torchvision and timm by both exporters of
// PyTorch, for one picture, for eight, and for any number; networks that prepare bytes themselves;
// quantised ones; numbers in a file beside the network. See internal/golden/referee/onnx_exports.py.
func TestExportsAgainstRuntime(t *testing.T) {
	againstRuntime(t, "exports")
}

func againstRuntime(t *testing.T, folder string) {
	b := pureGo(t)
	for _, g := range goldensIn(t, filepath.Join("testdata", folder)) {
		t.Run(g.File+"#"+g.Cut, func(t *testing.T) {
			g.File = filepath.Join(folder, g.File)
			n := load(t, g.File, g.Cut, g.Size)
			if n.Cut() != g.Value {
				t.Errorf("it is cut at %q, want %q", n.Cut(), g.Value)
			}
			if (n.declared.Classes > 0) != (g.Logits != nil) {
				t.Errorf("%d classes, logits in the golden: %v", n.declared.Classes, g.Logits != nil)
			}
			features, logits := n.run(t, b, g.Size, 2)
			for what, pair := range map[string]struct {
				want [][]float64
				have []float32
			}{"features": {g.Features, features}, "logits": {g.Logits, logits}} {
				if d := relative(pair.want, pair.have); !(d <= tolerance) {
					t.Errorf("%s differ by %.2g of the largest, %.0e is allowed", what, d, tolerance)
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
	var largest, difference float64
	for i, w := range flat {
		largest = max(largest, math.Abs(w))
		if d := math.Abs(w - float64(have[i])); d > difference || math.IsNaN(d) {
			difference = d
		}
	}
	if len(flat) == 0 {
		return 0
	}
	return difference / largest
}

// What is read can be trained: the gradient of every weight before the cut, along some direction,
// is the slope between two runs.
func TestGradients(t *testing.T) {
	b := pureGo(t)
	for _, g := range append(runtimeGoldens(t), exports(t, "torchvision_vit_script_one.onnx")...) {
		if g.Cut != "" {
			continue
		}
		t.Run(g.File, func(t *testing.T) {
			n := load(t, g.File, "", g.Size)
			slopes(t, b, n, g.Size)
		})
	}
}

// exports are the goldens of some of the networks as people bring them.
func exports(t testing.TB, files ...string) (out []runtimeGolden) {
	for _, g := range goldensIn(t, "testdata/exports") {
		if slices.Contains(files, g.File) {
			g.File = "exports/" + g.File
			out = append(out, g)
		}
	}
	if len(out) != len(files) {
		t.Fatalf("%d of %v", len(out), files)
	}
	return out
}

func slopes(t *testing.T, b compute.Backend, n loaded, size int) {
	t.Helper()
	store := n.store(t)
	input := tensors.FromFlatDataAndDimensions(golden.Input(size, 2), 2, size, size, 3)
	var keys []string
	for _, w := range n.declared.Weights {
		if w.Stage != backbone.Classifier && w.Trainable {
			keys = append(keys, w.Name)
		}
	}
	// A sum with different signs and sizes depends on each feature in another way.
	loss := func(scope *model.Scope, x *graph.Node) *graph.Node {
		f := backbone.Part{}.Graph(n.Net, scope, x).Features
		factors := graph.AddScalar(graph.Sin(graph.MulScalar(graph.IotaFull(x.Graph(), f.Shape()), 1.7)), 0.3)
		return graph.ReduceAllSum(graph.Mul(f, factors))
	}
	gradients, err := model.NewExec(b, store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		l := loss(scope, x)
		var variables []*graph.Node
		for _, k := range keys {
			variables = append(variables, scope.GetVariable(k).NodeValue(x.Graph()))
		}
		return append(graph.Gradient(l, variables...), l)
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
	lossWith := func(key string, shape []int, values []float32) float64 {
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
		start, shape := n.tensors[key].Data, n.tensors[key].Shape
		direction := golden.Fill(key+" direction", []int{len(start), 1}, 1)
		want, size := 0.0, 0.0
		for k, g := range gradient {
			want += float64(g) * float64(direction[k])
			size += float64(g) * float64(g)
		}
		if size > 0 {
			moving++
		}
		// Several step sizes: large ones suffer from kinks (ReLU, pools), small ones from rounding.
		best := math.Inf(1)
		var seen []string
		for _, h := range []float64{3e-3, 1e-3, 3e-4, 1e-4, 3e-5} {
			plus, minus := slices.Clone(start), slices.Clone(start)
			for k := range plus {
				plus[k] += float32(h * float64(direction[k]))
				minus[k] -= float32(h * float64(direction[k]))
			}
			slope := (lossWith(key, shape, plus) - lossWith(key, shape, minus)) / (2 * h)
			seen = append(seen, fmt.Sprintf("%.4g", slope))
			best = min(best, math.Abs(slope-want)/(0.05*math.Sqrt(size)+math.Abs(want)+1e-3))
		}
		lossWith(key, shape, start)
		if best > 0.03 {
			t.Errorf("%s: the gradient says %.4g, runs beside it say %v", key, want, seen)
		}
	}
	if moving < len(keys)*9/10 {
		t.Errorf("only %d of %d weights have a gradient", moving, len(keys))
	}
}

// The parts before and behind a stage compute what the whole network computes, and each weight
// belongs to the stage that uses it.
func TestParts(t *testing.T) {
	b := xla(t) // the backend in pure Go stumbles over the second half of tensorflow.onnx
	for _, g := range append(runtimeGoldens(t), exports(t, "torchvision_vit_script_one.onnx", "timm_vit_dynamo_eight.onnx", "beside.onnx")...) {
		if g.Cut != "" {
			continue
		}
		n := load(t, g.File, "", g.Size)
		if len(n.declared.Stages) == 0 {
			t.Errorf("%s has no stages", g.File)
		}
		for _, s := range n.declared.Stages {
			store := n.store(t)
			exec, err := model.NewExec(b, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
				m := backbone.Part{To: s.Name}.Graph(n.Net, scope, x).Map
				return backbone.Part{From: s.Name, Size: g.Size}.Graph(n.Net, scope, m).Features
			})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Call1(tensors.FromFlatDataAndDimensions(golden.Input(g.Size, 2), 2, g.Size, g.Size, 3))
			if err != nil {
				t.Fatalf("%s in two at %s: %v", g.File, s.Name, err)
			}
			values, _ := tensors.CopyFlatData[float32](out)
			if d := relative(g.Features, values); !(d <= tolerance) {
				t.Errorf("%s in two at %s is off by %.2g", g.File, s.Name, d)
			}
		}
	}
	n := load(t, "mobile.onnx", "", 18)
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

// ParseRef takes apart names of .onnx files and reports false for all others.
func TestParseRef(t *testing.T) {
	for name, want := range map[string]Ref{
		"my.onnx":                   {File: "my.onnx"},
		"a b/My.ONNX#pool/x:0":      {File: "a b/My.ONNX", Cut: "pool/x:0"},
		"my.onnx#a#b":               {File: "my.onnx", Cut: "a#b"},
		"folder.with.onnx#x/y.onnx": {File: "folder.with.onnx", Cut: "x/y.onnx"},
	} {
		r, ok := ParseRef(name)
		if !ok || r != want || r.String() != name {
			t.Errorf("%q is %+v, %v, and again %q", name, r, ok, r)
		}
	}
	for _, name := range []string{"", "resnet18", "my.onnxx", "my.onnx.zip", "onnx"} {
		if r, ok := ParseRef(name); ok || r != (Ref{}) {
			t.Errorf("%q is taken for the file %+v", name, r)
		}
	}
	if r, ok := ParseRef("a.onnx_b/c.onnx.d/my.onnx#cut.onnx"); !ok || r != (Ref{File: "a.onnx_b/c.onnx.d/my.onnx", Cut: "cut.onnx"}) {
		t.Errorf("folders with the extension: %+v, %v", r, ok)
	}
	if r, ok := ParseRef("my.onnx#"); !ok || r != (Ref{File: "my.onnx"}) {
		t.Errorf("an empty cut: %+v, %v", r, ok)
	}
}

// A person may name a node instead of the value it makes.
func TestCutAtANode(t *testing.T) {
	if n := load(t, "old.onnx", "node.15", 15); n.Cut() != "flatten.15" {
		t.Errorf("cut at %s", n.Cut())
	}
}

// The error for a file that is not a network says what it is and what to do.
func TestOpenWantsANetwork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.onnx")
	if err := weights.WriteSafetensors(path, []weights.Tensor{weights.FromFloat32("w", []int{1}, []float32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Ref{File: path}); err == nil || !strings.Contains(err.Error(), "safetensors") || !strings.Contains(err.Error(), "--weights") {
		t.Errorf("a safetensors file: %v", err)
	}
	if _, err := Open(Ref{File: path + "x"}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "--weights") {
		t.Errorf("no file: %v", err)
	}
}

// A batch norm with PyTorch's names is one of package backbone: it can follow its batches in
// training.
func TestNormsFollowTheirBatches(t *testing.T) {
	n := load(t, "old.onnx", "", 15)
	store := n.store(t)
	var keys []string
	exec, err := model.NewExec(pureGo(t), store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		norms := backbone.Norms{Batch: func(key string) bool { keys = append(keys, key); return true }}
		out := backbone.Part{Norms: norms}.Graph(n.Net, scope, x)
		return []*graph.Node{out.Features, out.Logits}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.Call(tensors.FromFlatDataAndDimensions(golden.Input(15, 2), 2, 15, 15, 3)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(keys, []string{"bn1"}) {
		t.Errorf("norms that were asked about: %q, want bn1", keys)
	}
	mean := tensors.MustCopyFlatData[float32](store.RootScope().GetVariable("bn1.running_mean").MustValue())
	if slices.Equal(mean, n.tensors["bn1.running_mean"].Data) {
		t.Error("the running mean has not moved")
	}
}

// Building reads the network and does not change it, so several goroutines can.
func TestBuildAtTheSameTime(t *testing.T) {
	for _, g := range runtimeGoldens(t) {
		n := load(t, g.File, g.Cut, g.Size).Net
		uses := maps.Clone(n.uses)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := backbone.Declare(n, g.Size); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if !maps.Equal(uses, n.uses) {
			t.Errorf("%s: building changed the network", g.File)
		}
	}
}
