package finetune

import (
	"math"
	"runtime"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/optim"
)

func TestNetworksChooseTheirConvolutions(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("chosen on amd64 only")
	}
	for _, c := range []struct {
		name, border, engine string
		want                 engine.Convolutions
	}{
		{"resnet18", "", "xla:cpu", engine.Eigen},
		{"resnet18", "layer3", "xla:cpu", engine.Eigen},
		{"resnet20_cifar10", "", "xla:cpu", engine.Eigen},
		{"mobilenetv2", "", "xla:cpu", engine.YNNPACK},
		{"mobilenetv2", "features.13", "xla:cpu", engine.YNNPACK},
		{"resnet18", "", "xla:cuda", engine.YNNPACK},
		{"resnet18", "", "go", engine.YNNPACK},
	} {
		if got := convolutions(formulaNet(t, c.name, 0.8), c.border, c.engine); got != c.want {
			t.Errorf("%s from %q on %s: %q, want %q", c.name, c.border, c.engine, got, c.want)
		}
	}
}

// The library is part of what a checkpoint depends on, because the bits of a step depend on it.
func TestCheckpointsKnowTheirConvolutions(t *testing.T) {
	p := small("plain")
	if got, want := p.forms(formulaNet(t, "resnet20_cifar10", 0.8), "xla:cpu") != "", runtime.GOARCH == "amd64"; got != want {
		t.Errorf("ResNet-20's checkpoints know of Eigen: %v, want %v", got, want)
	}
	p.Groups[0].Stages = []string{"features.18"}
	if got := p.forms(formulaNet(t, "mobilenetv2", 0.8), "xla:cpu"); got != "" {
		t.Errorf("MobileNetV2's checkpoints: %q, want nothing, as before", got)
	}
}

// Both libraries compute the same step up to rounding, and the tuner's form reaches XLA: the last
// bits differ.
func TestLibrariesOfConvolutionsAgree(t *testing.T) {
	e := xla(t)
	if e.Name != "xla:cpu" || runtime.GOARCH != "amd64" {
		t.Skip("two libraries of convolutions on amd64 only")
	}
	net := clearNet(t)
	const n, width = 4, 32 * 32 * 3
	x := golden.Numbers("x", n*width)
	checkClear(t, net, e, x, n)
	step := func(c engine.Convolutions) map[string][]float32 {
		p := Plan{Name: "form", Epochs: 1, Batch: n, Norms: BatchNorms, Mix: 1, Rule: optim.Rule{Name: optim.SGD},
			Schedule: optim.Schedule{Kind: optim.Constant},
			Groups:   []Group{{Name: "everything", Stages: append(stages(net), HeadStage), Rate: 1}}}
		tu, err := newTuner(net, e, classes(2), freshHead(2, net.Row.Features, 1), p)
		if err != nil {
			t.Fatal(err)
		}
		defer tu.close()
		tu.form.Convolutions = c
		b := &batch{x: x, targets: []float32{1, 0, 0, 1, 1, 0, 0, 1}, rows: []float32{1, 1, 1, 1}, items: []int{0, 1, 2, 3}}
		if o, err := tu.run(b, p.Rule.Now([]int{0}, []float64{1e-3}, 0)); err != nil || !o.finite {
			t.Fatalf("%+v, %v", o, err)
		}
		values, err := tu.tuned()
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	ynn, eigen := step(engine.YNNPACK), step(engine.Eigen)
	differ := false
	for name, a := range ynn {
		for i, v := range a {
			w := eigen[name][i]
			differ = differ || v != w
			if d := math.Abs(float64(v - w)); d > 1e-5*(1+math.Abs(float64(v))) {
				t.Fatalf("%s[%d]: %v with YNNPACK, %v with Eigen", name, i, v, w)
			}
		}
	}
	if !differ {
		t.Error("the same bits: the form did not reach XLA")
	}
}
