package features

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// formulaNet is a network of the zoo with weights made by a formula.
func formulaNet(t *testing.T, name string) *zoo.Net {
	t.Helper()
	row, err := zoo.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "formula.safetensors")
	if err := formulanet.Write(file, row.Arch(), row.Preset.Size, 1); err != nil {
		t.Fatal(err)
	}
	net, err := zoo.Load(t.Context(), name, zoo.Options{Weights: file})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func needRuntime(t *testing.T) *engine.Engine {
	t.Helper()
	t.Setenv(engine.BackendVar, "") // both runtimes
	testruntime.Open(t)
	e, err := engine.Open(t.Context(), engine.Options{Install: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// runAll runs pictures through a form, batch by batch.
func runAll(t *testing.T, b Backbone, size, pictures int) []float32 {
	t.Helper()
	run, err := b.Open(context.Background(), size)
	if err != nil {
		t.Fatal(err)
	}
	pixels := golden.Input(size, pictures)
	each := size * size * 3
	var out []float32
	for at := 0; at < pictures; at += b.Batch {
		values, err := run(pixels[at*each : min(at+b.Batch, pictures)*each])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, values...)
	}
	return out
}

// Form.Bits promises that ONNX Runtime's rows do not depend on the batch or on the threads.
func TestRowsOfONNXRuntimeHaveTheSameBits(t *testing.T) {
	e := needRuntime(t)
	for _, name := range []string{"mobilenetv2", "resnet18", "resnet20_cifar10"} {
		net := formulaNet(t, name)
		b := FromNet(net, e)
		const pictures = 5
		var first []float32
		for _, form := range []engine.Form{{Batch: 8}, {Batch: 1, Side: 2}, {Batch: 2, Side: 2}, {Batch: 4}, {Batch: 1}, {Batch: 3, Side: 3}} {
			form.Runtime = engine.ONNXRuntime
			got := runAll(t, b.forms.backbone(form), net.Preset.Size, pictures)
			if first == nil {
				first = got
				continue
			}
			for i, v := range got {
				if math.Float32bits(v) != math.Float32bits(first[i]) {
					t.Errorf("%s in the form %s: number %d is %g, with batch 8 it is %g", name, form, i, v, first[i])
					break
				}
			}
		}
	}
}

// Features of every form agree with those of the usual one, for pooled features and for logits.
func TestFormsOfANetworkAgree(t *testing.T) {
	e := needRuntime(t)
	net := formulaNet(t, "resnet20_cifar10")
	scores, err := Logits(net, e)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string]Backbone{"features": FromNet(net, e), "logits": scores} {
		c, err := b.Tune(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Refused) > 0 || len(c.Trials) != len(b.forms.list) {
			t.Errorf("%s: refused %+v of %d", what, c.Refused, len(b.forms.list))
		}
		for _, trial := range c.Trials {
			values, err := b.forms.builtIn(t.Context(), b.forms.backbone(trial.Form))
			if err == nil {
				err = b.forms.agree(t.Context(), values)
			}
			if err != nil {
				t.Errorf("%s, form %s: %v", what, trial.Form, err)
			}
		}
	}
}

// Maps of several stages at once are those of each stage alone, and those of XLA.
func TestMapsAgreeWithTheNetwork(t *testing.T) {
	e := needRuntime(t)
	net := formulaNet(t, "resnet20_cifar10")
	stages := []string{"layer1", "layer2"}
	const pictures = 8
	maps := func(stages []string, form engine.Form) (values []float32, b Backbone) {
		b = Maps(net, e, stages, form)
		if b.Form.Runtime != form.Runtime {
			t.Fatalf("maps on %s, want %s", b.Form.Runtime, form.Runtime)
		}
		return runAll(t, b, 32, pictures), b
	}
	var both [2][]float32
	for k, form := range []engine.Form{{Runtime: engine.ONNXRuntime, Batch: 8}, {Runtime: engine.XLA}} {
		got, b := maps(stages, form)
		if b.Features != 32*32*16+16*16*32 {
			t.Fatalf("maps of %d numbers", b.Features)
		}
		both[k] = got
		for i, stage := range stages {
			alone, one := maps([]string{stage}, form)
			if one.Identity == b.Identity {
				t.Error("maps of other stages have the same identity")
			}
			for k := range pictures {
				at := k*b.Features + i*32*32*16
				if off := difference(alone[k*one.Features:(k+1)*one.Features], got[at:at+one.Features]); off > 1e-6 {
					t.Errorf("%s, picture %d: the map of %s among others is not the one alone: %g", form.Runtime, k, stage, off)
				}
			}
		}
	}
	if off := difference(both[1], both[0]); off > 2e-5 {
		t.Errorf("the maps of ONNX Runtime and of XLA differ by %g of the largest", off)
	}
}
