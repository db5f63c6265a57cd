package finetune

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// stepsOfTorch are four training steps.
type stepsOfTorch struct {
	model      string
	size       int
	gain, rate float64
	border     string   // the last stage that is frozen
	stages     []string // those behind it
	still      string   // a tensor that is frozen
	moves      string   // one that is trained
	losses     []float64
}

// transformerSteps are those of internal/golden/referee/transformer_steps.py.
var transformerSteps = []stepsOfTorch{
	{"vit_tiny_patch16_224.augreg_in21k_ft_in1k", 32, 0.5, 0.01, "blocks.9", []string{"blocks.10", "blocks.11", "norm"},
		"blocks.9.mlp.fc2.weight", "blocks.10.attn.qkv.weight", []float64{1.709415577, 1.057604729, 1.032717213, 0.873773077}},
	// Rotated queries and keys, gated MLPs, biases of queries and values alone.
	{"eva02_tiny_patch14_336.mim_in22k_ft_in1k", 42, 0.5, 0.01, "blocks.9", []string{"blocks.10", "blocks.11", "fc_norm"},
		"blocks.9.attn.q_bias", "blocks.10.attn.q_bias", []float64{1.060986102, 0.917133366, 0.771080486, 0.576079252}},
	{"vit_small_plus_patch16_dinov3.lvd1689m", 48, 0.5, 0.01, "blocks.10", []string{"blocks.11", "norm"},
		"blocks.10.gamma_1", "blocks.11.mlp.fc1_g.weight", []float64{0.962911347, 0.770896157, 0.517413840, 0.287900970}},
	// Cosines, and a network that computes what distances add.
	{"swinv2_tiny_window8_256.ms_in1k", 64, 0.5, 0.001, "layers.1", []string{"layers.2", "layers.3", "norm"},
		"layers.1.blocks.1.attn.logit_scale", "layers.2.blocks.1.attn.cpb_mlp.0.weight", []float64{1.096038848, 0.943688434, 0.835950044, 0.617812593}},
	// Windows that the map does not fill, distances in a table, batch norms that are frozen.
	{"tiny_vit_5m_224.in1k", 64, 1, 0.001, "stages.1", []string{"stages.2", "stages.3", "head.norm"},
		"stages.1.blocks.0.attn.attention_biases", "stages.2.blocks.0.attn.attention_biases", []float64{1.062142299, 0.987410435, 0.894962249, 0.824633741}},
}

// Transformers, whose stages are tokens or maps, learn what timm's learn: the losses of four steps are
// those of PyTorch in float64, with the same weights, pictures and rates.
func TestTransformersAgainstTorch(t *testing.T) {
	const pictures = 4
	for _, c := range transformerSteps {
		t.Run(c.model, func(t *testing.T) {
			if c.size == 64 && os.Getenv("TLKIT_GOLDENS") != "all" {
				t.Skip("XLA compiles the steps of windows for half a minute: TLKIT_GOLDENS=all")
			}
			e := xla(t)
			path := filepath.Join(t.TempDir(), "formula.safetensors")
			writeFormula(t, c.model, c.gain, path)
			row, err := zoo.Find(c.model)
			if err != nil {
				t.Fatal(err)
			}
			preset := row.Preset.At(c.size)
			net, err := zoo.Load(context.Background(), c.model, zoo.Options{Weights: path, Preset: &preset})
			if err != nil {
				t.Fatal(err)
			}
			width := row.Features
			h := &head.Linear{Features: width, Classes: 3, Weight: golden.Fill("linear.weight", []int{3, width}, c.gain), Bias: golden.Fill("linear.bias", []int{3}, c.gain)}
			p := Plan{Name: "test", Epochs: 1, Batch: pictures, Mix: 1, Norms: FrozenNorms, Schedule: optim.Schedule{Kind: optim.Constant},
				Rule:   optim.Rule{Name: optim.SGD, Momentum: 0.9},
				Groups: []Group{{Name: "top", Stages: append(slices.Clone(c.stages), HeadStage), Rate: c.rate}}}
			if err := p.Check(net); err != nil {
				t.Fatal(err)
			}
			o, items := sixPictures("")
			tu, err := newTuner(net, e, o, h, p)
			if err != nil {
				t.Fatal(err)
			}
			defer tu.close()
			if tu.border != c.border {
				t.Fatalf("the frozen part ends with %q, want %q", tu.border, c.border)
			}
			b := &batch{x: frozenMaps(t, net, e, golden.Input(c.size, pictures), pictures, c.border), targets: make([]float32, 3*pictures), rows: []float32{1, 1, 1, 1}, items: []int{0, 1, 2, 3}}
			for i := range pictures {
				o.loss.target(items[i], 0, b.targets[3*i:3*i+3])
			}
			for i, loss := range c.losses {
				got, err := tu.run(b, p.Rule.Now([]int{i}, []float64{c.rate}, p.Rule.Momentum))
				if err != nil {
					t.Fatal(err)
				}
				// float32 against float64, through all blocks and back
				if !(math.Abs(got.loss-loss) <= 5e-5*loss) {
					t.Errorf("step %d: loss %.6f, PyTorch says %.6f", i, got.loss, loss)
				}
			}
			c.moved(t, tu, net)
		})
	}
}

// moved checks that training changed what it was to change, and nothing else.
func (c stepsOfTorch) moved(t *testing.T, tu *tuner, net *zoo.Net) {
	values, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	_, changed, err := tu.result(values)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{c.still, c.moves} {
		before, _, ok := net.Tensor(key)
		after, _, _ := changed.Tensor(key)
		if moved := !slices.Equal(before, after); !ok || moved != (key == c.moves) {
			t.Errorf("%s is there: %v, moved: %v", key, ok, moved)
		}
	}
}
