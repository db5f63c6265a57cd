package finetune

import (
	"os"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// transformer is a network with steps of its own, and what they must change.
type transformer struct {
	lastSteps
	still string // a tensor that is frozen
	moves string // one that is trained
}

// transformerSteps are those of internal/golden/referee/transformer_steps.py.
var transformerSteps = []transformer{
	{lastSteps{Row: "vit_tiny_patch16_224.augreg_in21k_ft_in1k", Size: 32, Gain: 0.5, Rate: 0.01, Border: "blocks.9", Stages: []string{"blocks.10", "blocks.11", "norm"},
		Losses: []float64{1.709415577, 1.057604729, 1.032717213, 0.873773077}}, "blocks.9.mlp.fc2.weight", "blocks.10.attn.qkv.weight"},
	// Rotated queries and keys, gated MLPs, biases of queries and values alone.
	{lastSteps{Row: "eva02_tiny_patch14_336.mim_in22k_ft_in1k", Size: 42, Gain: 0.5, Rate: 0.01, Border: "blocks.9", Stages: []string{"blocks.10", "blocks.11", "fc_norm"},
		Losses: []float64{1.060986102, 0.917133366, 0.771080486, 0.576079252}}, "blocks.9.attn.q_bias", "blocks.10.attn.q_bias"},
	{lastSteps{Row: "vit_small_plus_patch16_dinov3.lvd1689m", Size: 48, Gain: 0.5, Rate: 0.01, Border: "blocks.10", Stages: []string{"blocks.11", "norm"},
		Losses: []float64{0.962911347, 0.770896157, 0.517413840, 0.287900970}}, "blocks.10.gamma_1", "blocks.11.mlp.fc1_g.weight"},
	// Cosines, and a network that computes what distances add.
	{lastSteps{Row: "swinv2_tiny_window8_256.ms_in1k", Size: 64, Gain: 0.5, Rate: 0.001, Border: "layers.1", Stages: []string{"layers.2", "layers.3", "norm"},
		Losses: []float64{1.096038848, 0.943688434, 0.835950044, 0.617812593}}, "layers.1.blocks.1.attn.logit_scale", "layers.2.blocks.1.attn.cpb_mlp.0.weight"},
	// Windows that the map does not fill, distances in a table, batch norms that are frozen.
	{lastSteps{Row: "tiny_vit_5m_224.in1k", Size: 64, Gain: 1, Rate: 0.001, Border: "stages.1", Stages: []string{"stages.2", "stages.3", "head.norm"},
		Losses: []float64{1.062142299, 0.987410435, 0.894962249, 0.824633741}}, "stages.1.blocks.0.attn.attention_biases", "stages.2.blocks.0.attn.attention_biases"},
}

// Transformers, whose stages are tokens or maps, learn what timm's learn: the losses of four steps are
// those of PyTorch in float64, with the same weights, pictures and rates.
func TestTransformersAgainstTorch(t *testing.T) {
	for _, c := range transformerSteps {
		t.Run(c.Row, func(t *testing.T) {
			if c.Size == 64 && os.Getenv("TLKIT_GOLDENS") != "all" {
				t.Skip("XLA compiles the steps of windows for half a minute: TLKIT_GOLDENS=all")
			}
			tu, net := c.agree(t, 5e-5) // float32 against float64, through all blocks and back
			c.moved(t, tu, net)
		})
	}
}

// moved checks that training changed what it was to change, and nothing else.
func (c transformer) moved(t *testing.T, tu *tuner, net *zoo.Net) {
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
