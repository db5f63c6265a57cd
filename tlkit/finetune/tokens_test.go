package finetune

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A vision transformer, whose stages are tokens and not maps, learns what timm's learns: the losses of
// four steps are those of PyTorch in float64, with the same weights, pictures and rates.
func TestTokensAgainstTorch(t *testing.T) {
	const gain, name = 0.5, "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
	want := []float64{1.709415577, 1.057604729, 1.032717213, 0.873773077}
	e := xla(t)
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	writeFormula(t, name, gain, path)
	row, err := zoo.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	row.Preset.Size = 32 // four patches
	net, err := zoo.Load(context.Background(), name, zoo.Options{Weights: path, Preset: &row.Preset})
	if err != nil {
		t.Fatal(err)
	}
	h := &head.Linear{Features: 192, Classes: 3, Weight: golden.Fill("linear.weight", []int{3, 192}, gain), Bias: golden.Fill("linear.bias", []int{3}, gain)}
	p := Plan{Name: "test", Epochs: 1, Batch: 4, Mix: 1, Norms: FrozenNorms, Schedule: optim.Schedule{Kind: optim.Constant},
		Rule:   optim.Rule{Name: optim.SGD, Momentum: 0.9},
		Groups: []Group{{Name: "top", Stages: []string{"blocks.10", "blocks.11", "norm", HeadStage}, Rate: 0.01}}}
	if err := p.Check(net); err != nil {
		t.Fatal(err)
	}
	o, items := sixPictures("")
	tu, err := newTuner(net, e, o, h, p)
	if err != nil {
		t.Fatal(err)
	}
	defer tu.close()
	maps := frozenMaps(t, net, e, golden.Input(32, 4), 4, "blocks.9")
	if tu.border != "blocks.9" || len(maps) != 4*5*192 {
		t.Fatalf("the frozen part ends with %q, in %d numbers", tu.border, len(maps))
	}
	b := &batch{x: maps, targets: make([]float32, 12), rows: []float32{1, 1, 1, 1}, items: []int{0, 1, 2, 3}}
	for i := range 4 {
		o.loss.target(items[i], 0, b.targets[3*i:3*i+3])
	}
	for i, loss := range want {
		got, err := tu.run(b, p.Rule.Now([]int{i}, []float64{0.01}, p.Rule.Momentum))
		if err != nil {
			t.Fatal(err)
		}
		// float32 against float64, through twelve blocks and back
		if !(math.Abs(got.loss-loss) <= 2e-5*loss) {
			t.Errorf("step %d: loss %.6f, PyTorch says %.6f", i, got.loss, loss)
		}
	}
	values, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	_, changed, err := tu.result(values)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"blocks.9.mlp.fc2.weight", "blocks.10.attn.qkv.weight"} {
		before, _, _ := net.Tensor(key)
		after, _, _ := changed.Tensor(key)
		if moved := !slices.Equal(before, after); moved != (key == "blocks.10.attn.qkv.weight") {
			t.Errorf("%s moved: %v", key, moved)
		}
	}
}
