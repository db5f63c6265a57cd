package backbone

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// kerasNet has every layer that has a form of its own in Keras.
type kerasNet struct{}

func (kerasNet) Build(b *Builder, x *graph.Node) Output {
	b = b.Keras().In() // the form survives a level
	x = b.Stage("stem", ReLU(b.BatchNorm("bn", b.Conv("conv", x, Conv{Out: 4, Kernel: 3, Stride: 2, Pad: Same, Bias: true}), 1e-3)))
	x = b.Depthwise("dw", x, Conv{Kernel: 3, Pad: 1})
	x = b.Stage("end", b.BatchNorm("sep_bn", b.Separable("sep", x, Conv{Out: 6, Kernel: 3, Pad: Same}), 1e-3))
	f := GlobalAverage(x)
	return Output{Map: x, Features: f, Logits: b.Linear("predictions", f, 10)}
}

// Names, shapes and order are those of Keras. The axes are those of the graph.
func TestKerasForm(t *testing.T) {
	d, err := Declare(kerasNet{}, 8)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range d.Weights {
		got = append(got, fmt.Sprint(w.Name, w.Shape, w.Stage))
		if !slices.Equal(w.Shape, w.GraphShape) {
			t.Errorf("%s is %v in the file and %v in the graph", w.Name, w.Shape, w.GraphShape)
		}
	}
	want := strings.Fields(`conv.kernel[3,3,3,4]stem conv.bias[4]stem
		bn.gamma[4]stem bn.beta[4]stem bn.moving_mean[4]stem bn.moving_variance[4]stem
		dw.depthwise_kernel[3,3,4,1]end sep.depthwise_kernel[3,3,4,1]end sep.pointwise_kernel[1,1,4,6]end
		sep_bn.gamma[6]end sep_bn.beta[6]end sep_bn.moving_mean[6]end sep_bn.moving_variance[6]end
		predictions.kernel[6,10]classifier predictions.bias[10]classifier`)
	if g := strings.ReplaceAll(strings.Join(got, "\n"), " ", ","); g != strings.Join(want, "\n") {
		t.Errorf("declared\n%s\nwant\n%s", g, strings.Join(want, "\n"))
	}
	for _, w := range d.Weights {
		if statistic := strings.Contains(w.Name, ".moving_"); w.Trainable == statistic {
			t.Errorf("%s: trainable %v", w.Name, w.Trainable)
		}
	}
}

// kerasVars are weights for kerasNet.
func kerasVars(t *testing.T, r *rand.Rand) map[string]array {
	t.Helper()
	d, err := Declare(kerasNet{}, 8)
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]array{}
	for _, w := range d.Weights {
		v := random(r, w.GraphShape...)
		if strings.HasSuffix(w.Name, "variance") {
			for i := range v.data {
				v.data[i] += 2
			}
		}
		vars[w.Name] = v
	}
	return vars
}

// In training a frozen norm is folded into the convolution in front of it, here one with a bias.
// The numbers must stay the same. With the statistics of the batch nothing is folded, and the
// running statistics follow, under Keras' names.
func TestBiasedConvolutionBeforeNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x, vars := random(r, 2, 8, 8, 3), kerasVars(t, r)
	outs := map[string]array{}
	for name, part := range map[string]*Part{"plain": nil, "training": {}, "batch": {Norms: Norms{Batch: func(key string) bool { return key == "bn" }}}} {
		store := model.NewStore()
		for key, v := range vars {
			if _, err := store.RootScope().CreateVariable(key, v.tensor()); err != nil {
				t.Fatal(err)
			}
		}
		exec, err := model.NewExec(testBackend(t), store, func(scope *model.Scope, x *graph.Node) *graph.Node {
			if part == nil {
				return Graph(kerasNet{}, scope, x).Logits
			}
			return part.Graph(kerasNet{}, scope, x).Logits
		})
		if err != nil {
			t.Fatal(err)
		}
		y, err := exec.Call1(x.tensor())
		if err != nil {
			t.Fatal(err)
		}
		outs[name] = array{y.Shape().Dimensions, copied(y)}
		mean := copied(store.GetVariable("/bn.moving_mean").MustValue())
		if moved := mean[0] != vars["bn.moving_mean"].data[0]; moved != (name == "batch") {
			t.Errorf("%s: the running mean has moved: %v", name, moved)
		}
	}
	expected{"training", outs["plain"].dims, wide(outs["plain"].data), 1e-5}.check(t, outs["training"])
	if outs["batch"].data[0] == outs["plain"].data[0] {
		t.Error("the statistics of the batch change nothing")
	}
}

// Separable and biased convolutions compute what their definitions say.
func TestKerasLayersAgainstTheirDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	x := random(r, 2, 6, 7, 4)
	dw, pw := random(r, 3, 3, 4, 1), random(r, 1, 1, 4, 5)
	_, mid := slowConv(x, array{[]int{3, 3, 1, 4}, dw.data}, 1, 4, [4]int{1, 1, 1, 1})
	narrow := make([]float32, len(mid))
	for i, v := range mid {
		narrow[i] = float32(v)
	}
	dims, want := slowConv(array{[]int{2, 6, 7, 4}, narrow}, pw, 1, 1, [4]int{})
	got := run(t, x, map[string]array{"op.depthwise_kernel": dw, "op.pointwise_kernel": pw}, func(b *Builder, x *graph.Node) *graph.Node {
		return b.Keras().Separable("op", x, Conv{Out: 5, Kernel: 3, Pad: Same})
	})
	expected{"Separable", dims, want, 1e-5}.check(t, got)

	got = run(t, x, map[string]array{"op.conv1.weight": {[]int{3, 3, 1, 4}, dw.data}, "op.pointwise.weight": pw}, func(b *Builder, x *graph.Node) *graph.Node {
		return b.Separable("op", x, Conv{Out: 5, Kernel: 3, Pad: Same})
	})
	expected{"Separable in timm's form", dims, want, 1e-5}.check(t, got)

	w, bias := random(r, 3, 3, 4, 3), random(r, 3)
	dims, want = slowConv(x, w, 2, 1, [4]int{0, 1, 1, 1})
	for i := range want {
		want[i] += float64(bias.data[i%3])
	}
	got = run(t, x, map[string]array{"op.kernel": w, "op.bias": bias}, func(b *Builder, x *graph.Node) *graph.Node {
		return b.Keras().Conv("op", x, Conv{Out: 3, Kernel: 3, Stride: 2, Pad: Same, Bias: true})
	})
	expected{"Conv with bias", dims, want, 1e-5}.check(t, got)
}

// The windows are those of PyTorch's AdaptiveAvgPool2d: even, overlapping, repeating pixels.
func TestAdaptiveAverage(t *testing.T) {
	x := array{[]int{1, 3, 2, 1}, []float32{1, 2, 3, 4, 5, 6}}
	average := func(size int) array {
		return run(t, x, nil, func(_ *Builder, x *graph.Node) *graph.Node { return AdaptiveAverage(x, size) })
	}
	expected{"1", []int{1, 1, 1, 1}, []float64{3.5}, 1e-6}.check(t, average(1))
	expected{"2", []int{1, 2, 2, 1}, []float64{2, 3, 4, 5}, 1e-6}.check(t, average(2)) // rows 0-1 and 1-2
	expected{"4", []int{1, 4, 4, 1}, []float64{1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6, 6}, 1e-6}.check(t, average(4))
	expected{"3 of 3 rows", []int{1, 3, 3, 1}, []float64{1, 1.5, 2, 3, 3.5, 4, 5, 5.5, 6}, 1e-6}.check(t, average(3))
}

// Keras' "same" also pools what is behind the last whole window; its "valid" leaves it out.
func TestPoolingSameAndValid(t *testing.T) {
	x := array{[]int{1, 3, 3, 1}, []float32{-9, -8, -7, -6, -5, -4, -3, -2, -1}}
	pool := func(window, stride int, pad Padding) array {
		return run(t, x, nil, func(_ *Builder, x *graph.Node) *graph.Node {
			return MaxPool(x, Pool{Size: window, Stride: stride, Pad: pad})
		})
	}
	expected{"2, same", []int{1, 2, 2, 1}, []float64{-5, -4, -2, -1}, 0}.check(t, pool(2, 2, Same))
	expected{"2, stride by default", []int{1, 2, 2, 1}, []float64{-5, -4, -2, -1}, 0}.check(t, pool(2, 0, Same))
	expected{"2, valid", []int{1, 1, 1, 1}, []float64{-5}, 0}.check(t, pool(2, 2, 0))
	expected{"3, same", []int{1, 2, 2, 1}, []float64{-5, -4, -2, -1}, 0}.check(t, pool(3, 2, Same))
}

func copied(t *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](t) }

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = float64(v[i])
	}
	return out
}

func TestGradientsOfKerasLayers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	distinct := random(r, 1, 6, 4, 2)
	for i, p := range r.Perm(len(distinct.data)) {
		distinct.data[i] = float32(p)/10 - 2.35
	}
	for _, c := range []struct {
		name string
		x    array
		vars map[string]array
		op   oneOp
	}{
		{"conv with bias", random(r, 1, 6, 4, 2), map[string]array{"op.kernel": random(r, 3, 3, 2, 3), "op.bias": random(r, 3)},
			func(b *Builder, x *graph.Node) *graph.Node {
				return b.Keras().Conv("op", x, Conv{Out: 3, Kernel: 3, Stride: 2, Pad: Same, Bias: true})
			}},
		{"separable", random(r, 1, 5, 6, 2), map[string]array{"op.depthwise_kernel": random(r, 3, 3, 2, 1), "op.pointwise_kernel": random(r, 1, 1, 2, 3)},
			func(b *Builder, x *graph.Node) *graph.Node {
				return b.Keras().Separable("op", x, Conv{Out: 3, Kernel: 3, Pad: Same})
			}},
		{"max pool same", distinct, nil, func(_ *Builder, x *graph.Node) *graph.Node { return MaxPool(x, Pool{Size: 3, Stride: 2, Pad: Same}) }},
		{"max pool of even windows", distinct, nil, func(_ *Builder, x *graph.Node) *graph.Node { return MaxPool(x, Pool{Size: 2, Stride: 2}) }},
		{"adaptive average", random(r, 1, 5, 4, 2), nil, func(_ *Builder, x *graph.Node) *graph.Node { return AdaptiveAverage(x, 3) }},
	} {
		t.Run(c.name, func(t *testing.T) { checkGradients(t, c.x, c.vars, c.op) })
	}
}
