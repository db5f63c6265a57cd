package zoo

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// pureGo is the backend that is always there. It is slow on convolutions, but it is right.
func pureGo(t testing.TB) compute.Backend {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// Every architecture, filled by the formula, agrees with PyTorch, torchvision and timm: tensors bit
// for bit, stages, features and logits within Tolerance.
func TestFormulaGoldens(t *testing.T) {
	for _, r := range golds() {
		t.Run(r.golden, func(t *testing.T) {
			t.Parallel()
			g, ok, err := golden.Find(r.golden, golden.Formula)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			backend := pureGo(t)
			if r.Family == "VGG" || r.Family == "Swin" || r.Family == "Swin V2" || r.Family == "TinyViT" || r.Family == "BEiT" || r.Name == "xception" { // 5 GFLOP: 7 seconds of pure Go
				if e, err := engine.Open(context.Background(), engine.Options{}); err == nil {
					t.Cleanup(func() { e.Close() })
					backend = e.Backend
				}
			}
			v, err := Options{}.replay(context.Background(), backend, r, g)
			if err != nil {
				t.Fatal(err)
			}
			if !v.OK {
				t.Errorf("%s (relative %.2g)", v.Problem, v.Relative)
			}
			t.Logf("relative difference %.1e to %v", v.Relative, v.Referee)
		})
	}
}

// The published CIFAR weights, if they are on this machine.
func TestWeightsGoldens(t *testing.T) {
	folder := os.Getenv("TLKIT_DATA")
	if folder == "" {
		t.Skip("needs TLKIT_DATA: a folder with cifar10_resnet/resnet20-12fca82f.th and others")
	}
	for _, name := range []string{"resnet20_cifar10", "resnet56_cifar10"} {
		r, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "cifar10_resnet", r.file.Name)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("no %s in TLKIT_DATA", r.file.Name)
		}
		verdicts, err := Verify(context.Background(), pureGo(t), []string{name}, Options{Offline: true, Weights: path})
		if err != nil {
			t.Fatal(err)
		}
		if len(verdicts) != 2 || !verdicts[0].OK || !verdicts[1].OK || verdicts[1].Kind != golden.Weights {
			t.Errorf("%+v", verdicts)
		}
	}
}

// Architectures with one common mistake each. The golden must see it, and where it is.
type faulty struct {
	backbone.Arch
	stem func(b *backbone.Builder, x *graph.Node) *graph.Node
}

func (f faulty) Build(b *backbone.Builder, x *graph.Node) backbone.Output {
	r := f.Arch.(resNet)
	x = b.Stage("stem", f.stem(b, x))
	for i, name := range []string{"layer1", "layer2", "layer3", "layer4"} {
		for j := range r.blocks[i] {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			x = r.basicBlock(b.In(name, j), x, 64<<i, stride)
		}
		x = b.Stage(name, x)
	}
	features := backbone.GlobalAverage(x)
	return backbone.Output{Map: x, Features: features, Logits: b.Linear("fc", features, 1000)}
}

func TestGoldenSeesFaults(t *testing.T) {
	relu, conv := backbone.ReLU, func(b *backbone.Builder, x *graph.Node, pad backbone.Padding) *graph.Node {
		return b.Conv("conv1", x, backbone.Conv{Out: 64, Kernel: 7, Stride: 2, Pad: pad})
	}
	for _, c := range []struct {
		name string
		stem func(b *backbone.Builder, x *graph.Node) *graph.Node
		want string
	}{
		{"none", func(b *backbone.Builder, x *graph.Node) *graph.Node {
			return backbone.MaxPool(relu(b.BatchNorm("bn1", conv(b, x, 3), 1e-5)), backbone.Pool{Size: 3, Stride: 2, Pad: 1})
		}, ""},
		{"TensorFlow's eps", func(b *backbone.Builder, x *graph.Node) *graph.Node {
			return backbone.MaxPool(relu(b.BatchNorm("bn1", conv(b, x, 3), 1e-3)), backbone.Pool{Size: 3, Stride: 2, Pad: 1})
		}, "stage stem differs"},
		{"TensorFlow's padding", func(b *backbone.Builder, x *graph.Node) *graph.Node {
			return backbone.MaxPool(relu(b.BatchNorm("bn1", conv(b, x, backbone.Same), 1e-5)), backbone.Pool{Size: 3, Stride: 2, Pad: 1})
		}, "stage stem differs"},
		{"pooling padded like TensorFlow", func(b *backbone.Builder, x *graph.Node) *graph.Node {
			return backbone.MaxPool(relu(b.BatchNorm("bn1", conv(b, x, 3), 1e-5)), backbone.Pool{Size: 3, Stride: 2, Pad: backbone.Same})
		}, "stage stem differs"},
		{"ReLU6 for ReLU", func(b *backbone.Builder, x *graph.Node) *graph.Node {
			return backbone.MaxPool(backbone.ReLU6(b.BatchNorm("bn1", conv(b, x, 3), 1e-5)), backbone.Pool{Size: 3, Stride: 2, Pad: 1})
		}, "stage "},
		{"no ReLU", func(b *backbone.Builder, x *graph.Node) *graph.Node {
			return backbone.MaxPool(b.BatchNorm("bn1", conv(b, x, 3), 1e-5), backbone.Pool{Size: 3, Stride: 2, Pad: 1})
		}, "stage stem differs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := formulaNet(t, "resnet18")
			n.Row.arch = faulty{n.Row.arch, c.stem}
			g, _, _ := golden.Find("resnet18", golden.Formula)
			relative, problem := n.compare(n.on(pureGo(t)), g)
			if (c.want == "") != (problem == "") || !strings.HasPrefix(problem, c.want) {
				t.Errorf("problem %q (relative %.2g), want %q", problem, relative, c.want)
			}
			if c.want != "" && relative < 10*Tolerance {
				t.Errorf("relative %.2g is too near to the tolerance %g", relative, Tolerance)
			}
		})
	}
}

// A single wrong number among millions changes no logit noticeably, but it changes the checksum.
func TestGoldenSeesOneWrongNumber(t *testing.T) {
	g, _, _ := golden.Find("resnet20_cifar10", golden.Formula)
	for _, name := range []string{"layer2.1.conv1.weight", "bn1.bias", "linear.weight"} {
		n := formulaNet(t, "resnet20_cifar10")
		if problem := n.checksums(g); problem != "" {
			t.Fatal(problem)
		}
		d := n.tensors[name].Data
		d[len(d)/2] = math.Nextafter32(d[len(d)/2], 2)
		if problem := n.checksums(g); !strings.Contains(problem, "CRC-32") {
			t.Errorf("%s: %q", name, problem)
		}
	}
}

func TestVerifyRefusesAndSkips(t *testing.T) {
	t.Setenv("TLKIT_CACHE", t.TempDir())
	b := pureGo(t)
	var unknown *UnknownError
	if _, err := Verify(context.Background(), b, []string{"resnet51"}, Options{}); !errors.As(err, &unknown) {
		t.Errorf("unknown name: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, b, []string{"resnet20_cifar10"}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	verdicts, err := Verify(context.Background(), b, []string{"resnet20_cifar10", "resnet20_cifar10"}, Options{Offline: true})
	if err != nil || len(verdicts) != 2 {
		t.Fatalf("%+v, %v", verdicts, err)
	}
	if v := verdicts[1]; v.OK || v.Problem != "" || !strings.Contains(v.Skipped, "resnet20-12fca82f.th") {
		t.Errorf("nothing cached, offline: %+v", v)
	}
	// A file that is not the published one cannot be compared with a golden of the published one.
	other := filepath.Join(t.TempDir(), "other.safetensors")
	writeFormula(t, "resnet20_cifar10", other)
	verdicts, err = Verify(context.Background(), b, []string{"resnet20_cifar10"}, Options{Offline: true, Weights: other})
	if err != nil || len(verdicts) != 2 || verdicts[1].OK || !strings.Contains(verdicts[1].Problem, "was made from 12fca82f") {
		t.Errorf("%+v, %v", verdicts, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("Verify took away the file of the caller: %v", err)
	}
}

// writeFormula puts the formula's tensors for a row into a file.
func writeFormula(t testing.TB, name, path string) {
	t.Helper()
	r, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	g, ok, err := golden.Find(r.golden, golden.Formula)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := formulanet.Write(path, r.arch, g.Size, g.Gain); err != nil {
		t.Fatal(err)
	}
}

// formulaNet is a row's network with the formula's weights, at the golden's size.
func formulaNet(t testing.TB, name string) *Net {
	t.Helper()
	r, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	g, _, _ := golden.Find(r.golden, golden.Formula)
	preset := r.Preset
	preset.Size = g.Size
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	writeFormula(t, name, path)
	n, err := Load(context.Background(), name, Options{Weights: path, Preset: &preset, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
