package backbone

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// opCase is one operation as PyTorch computed it, see internal/golden/referee/finetune.py.
type opCase struct {
	Name, Op                   string
	X                          []int
	Width, Kernel, Stride, Pad int
	Groups                     int
	Eps, Momentum              float64
	Steps                      float64 // distinct values of x, so that some are equal; 0 = all differ
	Train                      bool
	Rows                       int
	Y                          []float64
	Gradients, After           map[string][]float64
}

func numbers(name string, dims ...int) array {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return array{dims, golden.Numbers(name, n)}
}

// relaidData returns values of a file in the layout of the graph.
func relaidData(layout weights.Layout, dims []int, data []float32) array {
	out := make([]float32, len(data))
	d := relaid(layout, dims)
	switch layout {
	case weights.OIHWtoHWIO:
		o, i, h, w := dims[0], dims[1], dims[2], dims[3]
		for n, v := range data {
			c, r := n/(h*w), n%(h*w)
			out[(r*i+c%i)*o+c/i] = v
		}
	case weights.OItoIO:
		for n, v := range data {
			out[n%dims[1]*dims[0]+n/dims[1]] = v
		}
	default:
		copy(out, data)
	}
	return array{d, out}
}

// Outputs, gradients and running statistics of every operation agree with PyTorch. float32 sums of
// some dozen terms of size one differ from float64 by a few 1e-6.
func TestOperationsAgainstTorch(t *testing.T) {
	raw, err := os.ReadFile("testdata/gradients.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []opCase }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 20 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		for _, training := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", c.Name, training), func(t *testing.T) { c.check(t, training) })
		}
	}
}

func (c opCase) check(t *testing.T, training bool) {
	vars := map[string]array{"x": numbers(c.Name+".x", c.X...)}
	for i, v := range vars["x"].data {
		if c.Steps > 0 {
			vars["x"].data[i] = float32(math.Floor(float64(v)*c.Steps) / c.Steps)
		}
	}
	put := func(leaf string, layout weights.Layout, dims ...int) {
		v := numbers(c.Name+"."+leaf, dims...)
		if leaf == "running_var" {
			for i := range v.data {
				v.data[i] += 2
			}
		}
		vars["op."+leaf] = relaidData(layout, dims, v.data)
	}
	last := c.X[len(c.X)-1]
	var norms Norms
	var rows []float32
	var op func(b *Builder, x *graph.Node) *graph.Node
	switch c.Op {
	case "conv":
		put("weight", weights.OIHWtoHWIO, c.Width, last/max(c.Groups, 1), c.Kernel, c.Kernel)
		op = func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv("op", x, Conv{Out: c.Width, Kernel: c.Kernel, Stride: c.Stride, Pad: Padding(c.Pad), Groups: c.Groups, Standardise: c.Eps})
		}
	case "groupnorm":
		put("weight", weights.Same, last)
		put("bias", weights.Same, last)
		op = func(b *Builder, x *graph.Node) *graph.Node { return b.GroupNorm("op", x, c.Groups, c.Eps) }
	case "depthwise":
		put("weight", weights.OIHWtoHWIO, c.Width, 1, c.Kernel, c.Kernel)
		op = func(b *Builder, x *graph.Node) *graph.Node {
			return b.Depthwise("op", x, Conv{Kernel: c.Kernel, Stride: c.Stride, Pad: Padding(c.Pad)})
		}
	case "linear":
		put("weight", weights.OItoIO, c.Width, last)
		put("bias", weights.Same, c.Width)
		op = func(b *Builder, x *graph.Node) *graph.Node { return b.Linear("op", x, c.Width) }
	case "maxpool":
		op = func(_ *Builder, x *graph.Node) *graph.Node {
			return MaxPool(x, Pool{Size: c.Kernel, Stride: c.Stride, Pad: Padding(c.Pad)})
		}
	case "relu6":
		op = func(_ *Builder, x *graph.Node) *graph.Node { return ReLU6(graph.MulScalar(x, 8)) }
	case "average":
		op = func(_ *Builder, x *graph.Node) *graph.Node { return GlobalAverage(x) }
	case "norm":
		for _, leaf := range []string{"weight", "bias", "running_mean", "running_var"} {
			put(leaf, weights.Same, last)
		}
		op = func(b *Builder, x *graph.Node) *graph.Node { return b.BatchNorm("op", x, c.Eps) }
		if c.Train {
			norms.Batch = func(key string) bool { return key == "op" }
		}
		for i := range c.X[0] {
			rows = append(rows, 0)
			if c.Rows == 0 || i < c.Rows {
				rows[i] = 1
			}
		}
	default:
		t.Fatalf("no operation %q", c.Op)
	}

	store := model.NewStore()
	names := []string{"x"}
	for name, v := range vars {
		if _, err := store.RootScope().CreateVariable(name, v.tensor()); err != nil {
			t.Fatal(err)
		}
		if leaf := strings.TrimPrefix(name, "op."); c.Gradients[leaf] != nil && leaf != "x" {
			names = append(names, name)
		}
	}
	exec, err := model.NewExec(testBackend(t), store, func(scope *model.Scope, g *graph.Graph) []*graph.Node {
		n := norms
		if c.Momentum != 0 && c.Momentum != 0.1 {
			n.Momentum = graph.Scalar(g, vars["x"].tensor().DType(), c.Momentum)
		}
		if c.Rows != 0 {
			n.Rows = graph.Const(g, rows)
		}
		var nodes []*graph.Node
		for _, name := range names {
			nodes = append(nodes, scope.GetVariable(name).NodeValue(g))
		}
		y := op(&Builder{form: &torchForm, walk: &walk{weights: &scopeWeights{scope: scope}, norms: n, training: training}}, nodes[0])
		if c.Rows != 0 {
			y = graph.Slice(y, graph.AxisRange(0, c.Rows))
		}
		k := numbers(c.Name+".c", y.Shape().Dimensions...)
		loss := graph.ReduceAllSum(graph.Mul(graph.Mul(y, y), graph.ConstTensor(g, k.tensor())))
		return append([]*graph.Node{y}, graph.Gradient(loss, nodes...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call()
	if err != nil {
		t.Fatal(err)
	}
	compare := func(what string, got *tensors.Tensor, want []float64) {
		t.Helper()
		v := tensors.MustCopyFlatData[float32](got)
		if len(v) != len(want) {
			t.Fatalf("%s: %d numbers, want %d", what, len(v), len(want))
		}
		largest := 1.0
		for _, w := range want {
			largest = math.Max(largest, math.Abs(w))
		}
		for i, w := range want {
			if d := math.Abs(float64(v[i]) - w); !(d <= 1e-5*largest) {
				t.Fatalf("%s: number %d is %g, PyTorch says %g", what, i, v[i], w)
			}
		}
	}
	compare("y", out[0], c.Y)
	for i, name := range names {
		compare("gradient of "+name, out[1+i], c.Gradients[strings.TrimPrefix(name, "op.")])
	}
	for leaf, want := range c.After {
		compare(leaf, store.RootScope().GetVariable("op."+leaf).MustValue(), want)
	}
}

// The statistics of a frozen norm keep every bit. A part computes what the whole network computes.
// Weights outside a part are not asked for.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	d, err := Declare(twoStages{}, 8)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]array{}
	for _, w := range d.Weights {
		all[w.Name] = random(r, w.GraphShape...)
		if strings.HasSuffix(w.Name, "running_var") {
			for i := range all[w.Name].data {
				all[w.Name].data[i] += 2
			}
		}
	}
	storeOf := func(stages ...string) *model.Store {
		s := model.NewStore()
		for _, w := range d.Weights {
			for _, stage := range stages {
				if w.Stage == stage {
					if _, err := s.RootScope().CreateVariable(w.Name, all[w.Name].tensor()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		return s
	}
	call := func(s *model.Store, x array, f func(*model.Scope, *graph.Node) *graph.Node) (array, error) {
		exec, err := model.NewExec(testBackend(t), s, f)
		if err != nil {
			return array{}, err
		}
		y, err := exec.Call1(x.tensor())
		if err != nil {
			return array{}, err
		}
		return array{y.Shape().Dimensions, tensors.MustCopyFlatData[float32](y)}, nil
	}
	x := random(r, 3, 8, 8, 3)
	whole, err := call(storeOf("stem", "layer.0", Classifier), x, func(s *model.Scope, x *graph.Node) *graph.Node { return Graph(twoStages{}, s, x).Logits })
	if err != nil {
		t.Fatal(err)
	}
	stem := storeOf("stem")
	mid, err := call(stem, x, func(s *model.Scope, x *graph.Node) *graph.Node {
		out := Part{To: "stem"}.Graph(twoStages{}, s, x)
		if out.Features != nil || out.Logits != nil || len(out.Stages) != 1 {
			t.Errorf("a part that ends early gives %+v", out)
		}
		return out.Map
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](stem.RootScope().GetVariable("bn.running_mean").MustValue()); got[0] != all["bn.running_mean"].data[0] {
		t.Error("frozen statistics moved")
	}
	rest, err := call(storeOf("layer.0", Classifier), mid, func(s *model.Scope, x *graph.Node) *graph.Node {
		return Part{From: "stem", Size: 8}.Graph(twoStages{}, s, x).Logits
	})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, len(whole.data))
	for i, v := range whole.data {
		want[i] = float64(v)
	}
	expected{"the two parts together", whole.dims, want, 1e-6}.check(t, rest)

	for name, c := range map[string]struct {
		p    Part
		x    array
		word string
	}{
		"no such stage": {Part{To: "layer9"}, x, "stem, layer.0"},
		"backwards":     {Part{From: "layer.0", To: "stem", Size: 8}, x, "not behind it"},
		"no size":       {Part{From: "stem"}, mid, "side of the pictures"},
		"wrong map":     {Part{From: "stem", Size: 16}, mid, "for pictures of 16 pixels"},
	} {
		if _, err := call(storeOf("stem", "layer.0", Classifier), c.x, func(s *model.Scope, x *graph.Node) *graph.Node {
			return c.p.Graph(twoStages{}, s, x).Map
		}); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
