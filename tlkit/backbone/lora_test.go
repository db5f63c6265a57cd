package backbone

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
)

// attentive is a block of attention with an MLP, a layer in front of it, and a classifier.
type attentive struct{ pooled bool }

func (a attentive) Build(b *Builder, x *graph.Node) Output {
	d := x.Shape().Dimensions
	x = b.Stage("embed", b.Linear("embed", x, 4))
	x = graph.Reshape(x, d[0], d[1]*d[2], 4)
	block := b.In("block")
	x = graph.Add(x, block.In("attn").Attention(block.LayerNorm("norm1", x, 1e-6), Attention{Heads: 2, Norm: 1e-6}))
	x = graph.Add(x, block.In("mlp").Linear("fc2", GELU(block.In("mlp").Linear("fc1", block.LayerNorm("norm2", x, 1e-6), 8)), 4))
	x = b.Stage("block", x)
	if a.pooled {
		query := graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, 1), graph.AxisRange())
		x = b.Stage("pool", b.In("pool").CrossAttention(query, x, 2))
	}
	features := graph.ReduceMean(x, 1)
	return Output{Map: graph.Reshape(features, d[0], 1, 1, 4), Features: features, Logits: b.Linear("fc", features, 3)}
}

// plain has matrices and no attention.
type plain struct{}

func (plain) Build(b *Builder, x *graph.Node) Output {
	x = b.Stage("mlp", b.Linear("mlp", b.LayerNorm("norm", x, 1e-6), 4))
	return Output{Map: x, Features: GlobalAverage(x)}
}

func TestLoRAAdapts(t *testing.T) {
	d, err := Declare(attentive{pooled: true}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l    LoRA
		want string
	}{
		{LoRA{Rank: 1}, "block.attn.qkv block.attn.proj pool.q pool.kv pool.proj"},
		{LoRA{Rank: 1, All: true}, "embed block.attn.qkv block.attn.proj block.mlp.fc1 block.mlp.fc2 pool.q pool.kv pool.proj"},
		{LoRA{Rank: 1, Norms: true}, "=block.norm1 block.attn.qkv =block.attn.norm block.attn.proj =block.norm2 pool.q pool.kv pool.proj"},
	} {
		var got []string
		for _, w := range d.Weights {
			name, matrix := strings.CutSuffix(w.Name, ".weight")
			switch {
			case w.AdaptedBy(c.l):
				got = append(got, name)
			case w.TrainedBy(c.l) && matrix:
				got = append(got, "="+name)
			}
		}
		if fmt.Sprint(got) != "["+c.want+"]" {
			t.Errorf("%+v: %v, want %s", c.l, got, c.want)
		}
		if err := d.CheckLoRA(c.l); err != nil {
			t.Error(err)
		}
	}
}

func TestLoRACheck(t *testing.T) {
	with, err := Declare(attentive{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	without, err := Declare(plain{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    *Declaration
		l    LoRA
		want string
	}{
		{with, LoRA{}, "rank 0 beside block.attn.qkv.weight, which is 12 x 4, want 1 to 4"},
		{with, LoRA{Rank: 5}, "want 1 to 4"},
		{with, LoRA{Rank: 4, All: true}, "beside embed.weight, which is 4 x 3, want 1 to 3"},
		{with, LoRA{Rank: 2, Alpha: -2}, "alpha -2"},
		{without, LoRA{Rank: 2, All: true}, "attention, which this network does not have"},
	} {
		if err := c.d.CheckLoRA(c.l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: want an error with %q, got %v", c.l, c.want, err)
		}
	}
	if a, b := LoRANames("blocks.0.attn.qkv.weight"); a != "blocks.0.attn.qkv.lora_A.weight" || b != "blocks.0.attn.qkv.lora_B.weight" {
		t.Error(a, b)
	} else if of, ok := BesideOf(b); of != "blocks.0.attn.qkv.weight" || !ok {
		t.Error(of, ok)
	}
	if of, ok := BesideOf("blocks.0.attn.qkv.weight"); ok {
		t.Error(of)
	}
}
