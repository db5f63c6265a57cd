package backbone

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// oneOp is an architecture of a single operation, whose output is the Map.
type oneOp func(b *Builder, x *graph.Node) *graph.Node

func (op oneOp) Build(b *Builder, x *graph.Node) Output {
	y := op(b, x)
	f := y
	if y.Rank() == 4 {
		f = GlobalAverage(y)
	}
	return Output{Map: y, Features: f}
}

func testBackend(t testing.TB) compute.Backend {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

type array struct {
	dims []int
	data []float32
}

func random(r *rand.Rand, dims ...int) array {
	n := 1
	for _, d := range dims {
		n *= d
	}
	a := array{dims, make([]float32, n)}
	for i := range a.data {
		a.data[i] = r.Float32()*2 - 1
	}
	return a
}

func (a array) tensor() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(a.data, a.dims...) }

// run builds op with the variables vars and returns its output.
func run(t *testing.T, x array, vars map[string]array, op func(b *Builder, x *graph.Node) *graph.Node) array {
	t.Helper()
	store := model.NewStore()
	for name, v := range vars {
		if _, err := store.RootScope().CreateVariable(name, v.tensor()); err != nil {
			t.Fatal(err)
		}
	}
	exec, err := model.NewExec(testBackend(t), store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return op(&Builder{form: &torchForm, walk: &walk{weights: &scopeWeights{scope: scope}}}, x)
	})
	if err != nil {
		t.Fatal(err)
	}
	y, err := exec.Call1(x.tensor())
	if err != nil {
		t.Fatal(err)
	}
	return array{y.Shape().Dimensions, tensors.MustCopyFlatData[float32](y)}
}

// expected is what an operation has to compute.
type expected struct {
	what      string
	dims      []int
	values    []float64
	tolerance float64
}

func (e expected) check(t *testing.T, got array) {
	t.Helper()
	if !slices.Equal(got.dims, e.dims) {
		t.Fatalf("%s has shape %v, want %v", e.what, got.dims, e.dims)
	}
	for i := range e.values {
		if d := math.Abs(float64(got.data[i]) - e.values[i]); !(d <= e.tolerance) {
			t.Fatalf("%s: number %d is %g, want %g", e.what, i, got.data[i], e.values[i])
		}
	}
}

// slowConv is a convolution as its definition says. w is [k,k,in/groups,out]; pads are top, bottom,
// left, right.
func slowConv(x, w array, stride, groups int, pads [4]int) ([]int, []float64) {
	n, h, wd, in := x.dims[0], x.dims[1], x.dims[2], x.dims[3]
	k, group, out := w.dims[0], w.dims[2], w.dims[3]
	oh, ow := (h+pads[0]+pads[1]-k)/stride+1, (wd+pads[2]+pads[3]-k)/stride+1
	y := make([]float64, n*oh*ow*out)
	for b := range n {
		for i := range oh {
			for j := range ow {
				for o := range out {
					first := o / (out / groups) * group // first input channel of o's group
					for u := range k {
						for v := range k {
							r, c := i*stride+u-pads[0], j*stride+v-pads[2]
							if r < 0 || c < 0 || r >= h || c >= wd {
								continue
							}
							for m := range group {
								y[((b*oh+i)*ow+j)*out+o] += float64(x.data[((b*h+r)*wd+c)*in+first+m]) * float64(w.data[((u*k+v)*group+m)*out+o])
							}
						}
					}
				}
			}
		}
	}
	return []int{n, oh, ow, out}, y
}

func TestPaddingSameIsTensorFlows(t *testing.T) {
	for _, c := range []struct{ size, kernel, stride, top, bottom int }{
		{224, 3, 2, 0, 1}, // the stem of every EfficientNet: nothing on the left, one on the right
		{112, 5, 2, 1, 2},
		{225, 3, 2, 1, 1},
		{7, 5, 1, 2, 2},
		{8, 2, 2, 0, 0},
		{5, 1, 2, 0, 0},
		{4, 3, 3, 1, 1},
	} {
		if got := Same.pixels(c.size, c.kernel, c.stride); got != [2]int{c.top, c.bottom} {
			t.Errorf("side %d, kernel %d, stride %d: %v, want %d and %d", c.size, c.kernel, c.stride, got, c.top, c.bottom)
		}
	}
	if got := Padding(3).pixels(224, 7, 2); got != [2]int{3, 3} {
		t.Errorf("padding 3 gives %v", got)
	}
}

func TestConvAndDepthwiseAgainstTheirDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		h, w, kernel, stride int
		pad                  Padding
	}{
		{6, 7, 3, 1, 1}, {6, 7, 3, 2, 1}, {8, 8, 7, 2, 3}, {5, 6, 1, 1, 0}, {5, 6, 1, 2, 0}, {6, 6, 3, 1, 0},
		{6, 7, 3, 2, Same}, {7, 6, 5, 2, Same}, {6, 6, 5, 1, Same}, {3, 3, 5, 1, Same}, {1, 1, 3, 2, Same},
	} {
		name := fmt.Sprintf("%dx%d kernel %d stride %d padding %d", c.h, c.w, c.kernel, c.stride, c.pad)
		t.Run(name, func(t *testing.T) {
			x := random(r, 2, c.h, c.w, 4)
			v, u := c.pad.pixels(c.h, c.kernel, c.stride), c.pad.pixels(c.w, c.kernel, c.stride)
			pads := [4]int{v[0], v[1], u[0], u[1]}

			w := random(r, c.kernel, c.kernel, 4, 3)
			dims, want := slowConv(x, w, c.stride, 1, pads)
			got := run(t, x, map[string]array{"op.weight": w}, func(b *Builder, x *graph.Node) *graph.Node {
				return b.Conv("op", x, Conv{Out: 3, Kernel: c.kernel, Stride: c.stride, Pad: c.pad})
			})
			expected{"Conv", dims, want, 1e-5}.check(t, got)

			w = random(r, c.kernel, c.kernel, 1, 4)
			dims, want = slowConv(x, w, c.stride, 4, pads)
			got = run(t, x, map[string]array{"op.weight": w}, func(b *Builder, x *graph.Node) *graph.Node {
				return b.Depthwise("op", x, Conv{Kernel: c.kernel, Stride: c.stride, Pad: c.pad})
			})
			expected{"Depthwise", dims, want, 1e-5}.check(t, got)
		})
	}
}

func TestBatchNormByHand(t *testing.T) {
	vars := map[string]array{
		"bn.weight": {[]int{2}, []float32{2, -1}}, "bn.bias": {[]int{2}, []float32{0.5, 3}},
		"bn.running_mean": {[]int{2}, []float32{1, -2}}, "bn.running_var": {[]int{2}, []float32{3, 0}},
	}
	x := array{[]int{1, 1, 2, 2}, []float32{5, 0, 1, -2}}
	got := run(t, x, vars, func(b *Builder, x *graph.Node) *graph.Node { return b.BatchNorm("bn", x, 1) })
	// channel 0: 2(x-1)/sqrt(3+1)+0.5; channel 1: -(x+2)/sqrt(0+1)+3
	expected{"BatchNorm", x.dims, []float64{4.5, 1, 0.5, 3}, 1e-6}.check(t, got)
}

func TestMaxPoolPaddingNeverWins(t *testing.T) {
	x := array{[]int{1, 3, 3, 1}, []float32{-9, -8, -7, -6, -5, -4, -3, -2, -1}}
	got := run(t, x, nil, func(_ *Builder, x *graph.Node) *graph.Node { return MaxPool(x, Pool{Size: 3, Stride: 2, Pad: 1}) })
	expected{"MaxPool", []int{1, 2, 2, 1}, []float64{-5, -4, -2, -1}, 0}.check(t, got)
}

func TestShortcutKeepsEverySecondPixel(t *testing.T) {
	x := array{[]int{1, 3, 3, 1}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}}
	got := run(t, x, nil, func(_ *Builder, x *graph.Node) *graph.Node { return Shortcut(x, 4, 2) })
	expected{"Shortcut", []int{1, 2, 2, 4}, []float64{0, 1, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0}, 0}.check(t, got)
}

func TestLinearAverageAndClipping(t *testing.T) {
	vars := map[string]array{"fc.weight": {[]int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, "fc.bias": {[]int{3}, []float32{10, 20, 30}}}
	x := array{[]int{1, 2, 1, 2}, []float32{1, 10, 3, 30}} // mean over the picture: 2, 20
	got := run(t, x, vars, func(b *Builder, x *graph.Node) *graph.Node { return b.Linear("fc", GlobalAverage(x), 3) })
	expected{"Linear", []int{1, 3}, []float64{92, 124, 156}, 0}.check(t, got)

	x = array{[]int{1, 4}, []float32{-1, 0.5, 6, 7}}
	expected{"ReLU", x.dims, []float64{0, 0.5, 6, 7}, 0}.check(t, run(t, x, nil, func(_ *Builder, x *graph.Node) *graph.Node { return ReLU(x) }))
	expected{"ReLU6", x.dims, []float64{0, 0.5, 6, 6}, 0}.check(t, run(t, x, nil, func(_ *Builder, x *graph.Node) *graph.Node { return ReLU6(x) }))
}

// Gradients with respect to the pictures and to every weight agree with finite differences. Some
// operations of GoMLX have no gradient or a wrong one; fine-tuning must not use any of them.
func TestGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	bn := func(c int) map[string]array {
		v := random(r, c)
		for i := range v.data {
			v.data[i] += 2 // a variance is positive
		}
		return map[string]array{"op.weight": random(r, c), "op.bias": random(r, c), "op.running_mean": random(r, c), "op.running_var": v}
	}
	distinct := random(r, 1, 5, 4, 2) // so that a finite step does not change which value is the largest
	for i, p := range r.Perm(len(distinct.data)) {
		distinct.data[i] = float32(p)/10 - 1.95
	}
	for _, c := range []struct {
		name string
		x    array
		vars map[string]array
		op   oneOp
	}{
		{"conv", random(r, 1, 5, 4, 2), map[string]array{"op.weight": random(r, 3, 3, 2, 3)},
			func(b *Builder, x *graph.Node) *graph.Node {
				return b.Conv("op", x, Conv{Out: 3, Kernel: 3, Stride: 2, Pad: 1})
			}},
		{"conv 1x1 stride 2", random(r, 1, 5, 4, 2), map[string]array{"op.weight": random(r, 1, 1, 2, 3)},
			func(b *Builder, x *graph.Node) *graph.Node { return b.Conv("op", x, Conv{Out: 3, Stride: 2}) }},
		{"conv same", random(r, 1, 6, 4, 2), map[string]array{"op.weight": random(r, 3, 3, 2, 3)},
			func(b *Builder, x *graph.Node) *graph.Node {
				return b.Conv("op", x, Conv{Out: 3, Kernel: 3, Stride: 2, Pad: Same})
			}},
		{"depthwise", random(r, 1, 5, 6, 2), map[string]array{"op.weight": random(r, 3, 3, 1, 2)},
			func(b *Builder, x *graph.Node) *graph.Node {
				return b.Depthwise("op", x, Conv{Kernel: 3, Stride: 2, Pad: 1})
			}},
		{"depthwise same", random(r, 1, 6, 5, 2), map[string]array{"op.weight": random(r, 5, 5, 1, 2)},
			func(b *Builder, x *graph.Node) *graph.Node {
				return b.Depthwise("op", x, Conv{Kernel: 5, Stride: 2, Pad: Same})
			}},
		{"batch norm", random(r, 2, 2, 2, 3), bn(3),
			func(b *Builder, x *graph.Node) *graph.Node { return b.BatchNorm("op", x, 1e-3) }},
		{"linear", random(r, 2, 3), map[string]array{"op.weight": random(r, 3, 4), "op.bias": random(r, 4)},
			func(b *Builder, x *graph.Node) *graph.Node { return b.Linear("op", x, 4) }},
		{"relu", distinct, nil, func(_ *Builder, x *graph.Node) *graph.Node { return ReLU(x) }},
		{"relu6", distinct, nil, func(_ *Builder, x *graph.Node) *graph.Node { return ReLU6(graph.MulScalar(x, 4)) }},
		{"max pool", distinct, nil, func(_ *Builder, x *graph.Node) *graph.Node { return MaxPool(x, Pool{Size: 3, Stride: 2, Pad: 1}) }},
		{"shortcut", random(r, 1, 5, 4, 2), nil, func(_ *Builder, x *graph.Node) *graph.Node { return Shortcut(x, 5, 2) }},
		{"average", random(r, 2, 3, 2, 2), nil, func(_ *Builder, x *graph.Node) *graph.Node { return GlobalAverage(x) }},
	} {
		t.Run(c.name, func(t *testing.T) { checkGradients(t, c.x, c.vars, c.op) })
	}
}

func checkGradients(t *testing.T, x array, vars map[string]array, op oneOp) {
	store := model.NewStore()
	values := map[string]array{"x": x}
	names := []string{"x"}
	for name, v := range vars {
		names, values[name] = append(names, name), v
	}
	for _, name := range names {
		if _, err := store.RootScope().CreateVariable(name, values[name].tensor()); err != nil {
			t.Fatal(err)
		}
	}
	loss := func(scope *model.Scope, g *graph.Graph) *graph.Node {
		y := op(&Builder{form: &torchForm, walk: &walk{weights: &scopeWeights{scope: scope}}}, scope.GetVariable("x").NodeValue(g))
		// Squares weigh each output differently, so that a gradient that lands in the wrong place
		// shows.
		i := graph.IotaFull(g, y.Shape())
		return graph.ReduceAllSum(graph.Mul(graph.Mul(y, y), graph.AddScalar(graph.Sin(i), 1.5)))
	}
	backend := testBackend(t)
	valueExec, err := model.NewExec(backend, store, loss)
	if err != nil {
		t.Fatal(err)
	}
	gradExec, err := model.NewExec(backend, store, func(scope *model.Scope, g *graph.Graph) []*graph.Node {
		y := loss(scope, g)
		var nodes []*graph.Node
		for _, name := range names {
			nodes = append(nodes, scope.GetVariable(name).NodeValue(g))
		}
		return graph.Gradient(y, nodes...)
	})
	if err != nil {
		t.Fatal(err)
	}
	gradients, err := gradExec.Call()
	if err != nil {
		t.Fatal(err)
	}
	const h = 1.0 / 256
	moved := func(name string, i int, step float32) float64 {
		v := array{values[name].dims, append([]float32(nil), values[name].data...)}
		v.data[i] += step
		if err := store.RootScope().GetVariable(name).SetValue(v.tensor()); err != nil {
			t.Fatal(err)
		}
		y, err := valueExec.Call1()
		if err != nil {
			t.Fatal(err)
		}
		return float64(tensors.ToScalar[float32](y))
	}
	for k, name := range names {
		got := tensors.MustCopyFlatData[float32](gradients[k])
		for i := range got {
			want := (moved(name, i, h) - moved(name, i, -h)) / (2 * h)
			if d := math.Abs(float64(got[i]) - want); !(d <= 0.02*math.Max(1, math.Abs(want))) {
				t.Errorf("gradient of %s[%d] is %g, finite differences give %g", name, i, got[i], want)
			}
		}
		moved(name, 0, 0) // put it back
	}
}

// twoStages is a network that is small enough to check what Declare returns by reading.
type twoStages struct{ twice bool }

func (a twoStages) Build(b *Builder, x *graph.Node) Output {
	x = b.Stage("stem", ReLU(b.BatchNorm("bn", b.Conv("conv", x, Conv{Out: 4, Kernel: 3, Stride: 2, Pad: 1}), 1e-5)))
	name := "1"
	if a.twice {
		name = "0"
	}
	block := b.In("layer", 0)
	x = block.Depthwise("0", x, Conv{Kernel: 3, Pad: 1})
	x = b.Stage("layer.0", block.Conv(name, x, Conv{Out: 6}))
	f := GlobalAverage(x)
	return Output{Map: x, Features: f, Logits: b.Linear("fc", f, 10)}
}

func TestDeclare(t *testing.T) {
	d, err := Declare(twoStages{}, 9)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range d.Weights {
		got = append(got, fmt.Sprintf("%s %v %v %s %v %v", w.Name, w.Shape, w.GraphShape, w.Stage, w.Trainable, w.Layout))
	}
	want := []string{
		"conv.weight [4 3 3 3] [3 3 3 4] stem true OIHW to HWIO",
		"bn.weight [4] [4] stem true same", "bn.bias [4] [4] stem true same",
		"bn.running_mean [4] [4] stem false same", "bn.running_var [4] [4] stem false same",
		"layer.0.0.weight [4 1 3 3] [3 3 1 4] layer.0 true OIHW to HWIO",
		"layer.0.1.weight [6 4 1 1] [1 1 4 6] layer.0 true OIHW to HWIO",
		"fc.weight [10 6] [6 10] classifier true OI to IO", "fc.bias [10] [10] classifier true same",
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("declared\n%s\nwant\n%s", a, b)
	}
	if s := fmt.Sprint(d.Stages, d.Map, d.Features, d.Classes); s != "[{stem [5 5 4]} {layer.0 [5 5 6]}] [5 5 6] 6 10" {
		t.Errorf("stages, map, features, classes: %s", s)
	}
	if n := d.Params(); n != 4*27+8+4*9+24+70 {
		t.Errorf("%d parameters", n)
	}
	if w := d.Wants(); len(w) != len(want) || w[0].Layout != weights.OIHWtoHWIO {
		t.Errorf("wants %v", w)
	}
}

// The walk ends at the first tensor that is looked for.
func TestAsksFor(t *testing.T) {
	var seen []string
	asks, err := AsksFor(twoStages{}, 9, func(w weights.Want) bool {
		seen = append(seen, w.Name)
		return len(w.Shape) == 4 && w.Shape[1] == 1
	})
	if err != nil || !asks || seen[len(seen)-1] != "layer.0.0.weight" || len(seen) != 6 {
		t.Errorf("%v %v, saw %v", asks, err, seen)
	}
	if asks, err := AsksFor(twoStages{}, 9, func(w weights.Want) bool { return len(w.Shape) == 3 }); asks || err != nil {
		t.Errorf("a tensor that is not there: %v %v", asks, err)
	}
	if _, err := AsksFor(twoStages{}, 0, func(weights.Want) bool { return false }); err == nil {
		t.Error("no error at 0 pixels")
	}
}

// Numbers that a network computes for itself are not computed where only shapes are wanted.
func TestConstant(t *testing.T) {
	asked := 0
	op := func(_ *Builder, x *graph.Node) *graph.Node {
		return graph.Mul(x, Constant(x.Graph(), func() []float32 { asked++; return []float32{1, 2, 3} }, 1, 1, 1, 3))
	}
	d, err := Declare(oneOp(op), 2)
	if err != nil || asked != 0 || !slices.Equal(d.Map, []int{2, 2, 3}) || len(d.Weights) != 0 {
		t.Errorf("%+v, %v, asked %d times", d, err, asked)
	}
	y := run(t, array{[]int{1, 1, 1, 3}, []float32{5, 5, 5}}, nil, op)
	if asked != 1 || !slices.Equal(y.data, []float32{5, 10, 15}) {
		t.Errorf("%v, asked %d times", y.data, asked)
	}
}

func TestDeclareRefuses(t *testing.T) {
	for _, c := range []struct {
		arch Arch
		size int
		want string
	}{
		{twoStages{twice: true}, 9, `asks twice for "layer.0.0.weight"`},
		{twoStages{}, 0, "0"},
		{twoStages{}, -3, "-3"},
		{oneOp(func(b *Builder, x *graph.Node) *graph.Node { return b.Conv("c", x, Conv{Out: 4, Kernel: 7}) }), 5, "too small for a window of 7"},
		{oneOp(func(b *Builder, x *graph.Node) *graph.Node {
			return b.Conv("c", x, Conv{Out: 4, Kernel: 3, Stride: -1})
		}), 5, "stride -1"},
		{oneOp(func(b *Builder, x *graph.Node) *graph.Node { return b.Depthwise("c", x, Conv{Out: 4, Kernel: 3}) }), 5, "leave Out at 0"},
		{oneOp(func(b *Builder, x *graph.Node) *graph.Node { return b.Separable("c", x, Conv{Out: 4, Bias: true}) }), 5, "with bias"},
		{oneOp(func(_ *Builder, x *graph.Node) *graph.Node { return graph.Reshape(x, 7) }), 5, "declaring at 5 pixels"},
	} {
		d, err := Declare(c.arch, c.size)
		if err == nil || d != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("size %d: error %v, want one with %q", c.size, err, c.want)
		}
	}
}

func TestGraphNamesWhatIsMissing(t *testing.T) {
	d, err := Declare(twoStages{}, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ spoil, want string }{
		{"", ""},
		{"missing", `no weight "layer.0.1.weight"`},
		{"shape", `"layer.0.1.weight" is [1 1 4 7], the architecture wants [1 1 4 6]`},
	} {
		store := model.NewStore()
		for _, w := range d.Weights {
			dims := append([]int(nil), w.GraphShape...)
			if w.Name == "layer.0.1.weight" {
				if c.spoil == "missing" {
					continue
				} else if c.spoil == "shape" {
					dims[3]++
				}
			}
			a := random(rand.New(rand.NewPCG(5, 6)), dims...)
			if _, err := store.RootScope().CreateVariable(w.Name, a.tensor()); err != nil {
				t.Fatal(err)
			}
		}
		exec, err := model.NewExec(testBackend(t), store, func(scope *model.Scope, x *graph.Node) *graph.Node {
			return Graph(twoStages{}, scope, x).Logits
		})
		if err != nil {
			t.Fatal(err)
		}
		y, err := exec.Call1(random(rand.New(rand.NewPCG(7, 8)), 3, 8, 8, 3).tensor())
		switch {
		case c.want == "" && (err != nil || !slices.Equal(y.Shape().Dimensions, []int{3, 10})):
			t.Errorf("whole: %v, %v", y, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one with %q", c.spoil, err, c.want)
		}
		if _, err := exec.Call1(random(rand.New(rand.NewPCG(7, 8)), 3, 8, 8, 1).tensor()); err == nil {
			t.Error("grey pictures were accepted")
		}
	}
}
