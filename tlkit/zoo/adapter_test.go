package zoo

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// A pair of narrow matrices is added to the matrix beside which it stands, and comes out as it went in.
func TestPairIsAdded(t *testing.T) {
	n := formulaNet(t, "vit_tiny_patch16_224.augreg_in21k_ft_in1k")
	const key, out, in, rank = "blocks.3.attn.qkv.weight", 576, 192, 4
	a, b := golden.Numbers("a", rank*in), golden.Numbers("b", out*rank)
	pair := []weights.Tensor{
		weights.FromFloat32("blocks.3.attn.qkv.lora_A.weight", []int{rank, in}, a),
		weights.FromFloat32("blocks.3.attn.qkv.lora_B.weight", []int{out, rank}, b),
	}
	with := func(n *Net, changes ...weights.Tensor) *Net {
		t.Helper()
		c, err := n.With(changes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := with(n, pair...)
	before, _, _ := n.Tensor(key)
	after, shape, _ := c.Tensor(key)
	if !slices.Equal(shape, []int{in, out}) {
		t.Fatalf("in the graph %v", shape)
	}
	for _, at := range [][2]int{{0, 0}, {191, 575}, {7, 100}} {
		i, o := at[0], at[1]
		want := float64(before[i*out+o])
		for r := range rank {
			want += float64(b[o*rank+r]) * float64(a[r*in+i])
		}
		if got := after[i*out+o]; got != float32(want) {
			t.Errorf("input %d, output %d: %v, want %v", i, o, got, want)
		}
	}
	for _, w := range n.Declaration().Weights {
		x, _, _ := n.Tensor(w.Name)
		if y, _, _ := c.Tensor(w.Name); w.Name != key && !slices.Equal(x, y) {
			t.Errorf("%s changed", w.Name)
		}
	}
	changes := c.Changes()
	if len(changes) != 2 || changes[0].Name != pair[0].Name || changes[1].Name != pair[1].Name {
		t.Fatalf("changes %v", changes)
	}
	if again := with(n, changes...); again.Identity() != c.Identity() || c.Identity() == n.Identity() {
		t.Error("the same pair gives another identity, or that of the file")
	}
	// A second pair cannot be told apart from the first, so the matrix comes out as a whole.
	if twice := with(c, pair...).Changes(); len(twice) != 1 || twice[0].Name != key {
		t.Errorf("changes after a second pair: %v", twice)
	}
	// A matrix that is replaced forgets its pair.
	whole := weights.FromFloat32(key, []int{out, in}, make([]float32, out*in))
	if replaced := with(c, whole).Changes(); len(replaced) != 1 || replaced[0].Name != key {
		t.Errorf("changes after a replacement: %v", replaced)
	}

	zeros := func(name string, shape ...int) weights.Tensor {
		return weights.FromFloat32(name, shape, make([]float32, shape[0]*shape[1]))
	}
	for word, bad := range map[string][]weights.Tensor{
		"shapes []":            pair[1:],
		"and []":               {pair[0]},
		"[576,r]":              {pair[0], zeros(pair[1].Name, 575, rank)},
		"[192 4]":              {zeros(pair[0].Name, in, rank), pair[1]},
		"r at most 192":        {zeros(pair[0].Name, 193, in), zeros(pair[1].Name, out, 193)},
		"no tensor":            {zeros("blocks.99.attn.qkv.lora_A.weight", rank, in)},
		"no matrix":            {zeros("patch_embed.proj.lora_A.weight", rank, in), zeros("patch_embed.proj.lora_B.weight", 192, rank)},
		"number 2 in the chan": {pair[0], weights.FromFloat32(pair[1].Name, []int{out, rank}, append([]float32{0, 0, float32(math.Inf(1))}, make([]float32, out*rank-3)...))},
	} {
		if _, err := n.With(bad); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("want an error with %q, got %v", word, err)
		}
	}
}

// LoRA reaches each family with attention: beside every matrix that it names a pair is computed, and
// nothing else of the backbone is.
func TestLoRAReachesEveryTransformer(t *testing.T) {
	smallest := map[string]Row{}
	for _, row := range Rows() {
		if other, seen := smallest[row.Family]; row.Arch() != nil && (!seen || row.Params < other.Params) {
			smallest[row.Family] = row
		}
	}
	var reached []string
	for family, row := range smallest {
		d, err := backbone.Declare(row.Arch(), row.Preset.Size)
		if err != nil { // of an ONNX file that is not here
			continue
		}
		all := backbone.LoRA{Rank: 1, All: true}
		if d.CheckLoRA(all) != nil {
			continue
		}
		reached = append(reached, family)
		attention := backbone.LoRA{Rank: 1}
		store, some, every := model.NewStore(), 0, 0
		scope := store.RootScope()
		for _, w := range d.Weights {
			scope.VariableWithShape(w.Name, shapes.Make(dtypes.Float32, w.GraphShape...))
			if w.AdaptedBy(attention) {
				some++
			}
			if w.AdaptedBy(all) {
				every++
				a, b := backbone.LoRANames(w.Name)
				scope.VariableWithShape(a, shapes.Make(dtypes.Float32, w.GraphShape[0], 1))
				scope.VariableWithShape(b, shapes.Make(dtypes.Float32, 1, w.GraphShape[1]))
			}
		}
		if some < 2 || every <= some {
			t.Errorf("%s: %d matrices of attention, %d of all linear layers", row.Name, some, every)
		}
		g := graph.NewGraph(pureGo(t), "pairs")
		images := graph.Parameter(g, "pictures", shapes.Make(dtypes.Float32, 1, row.Preset.Size, row.Preset.Size, 3))
		backbone.Part{LoRA: all}.Graph(row.Arch(), scope, images)
		used := 0
		for v := range scope.IterVariables() {
			if of, ok := backbone.BesideOf(v.Name()); ok && v.InUseByGraph(g) {
				used++
			} else if ok {
				t.Errorf("%s: nothing is computed beside %s", row.Name, of)
			}
		}
		if used != 2*every {
			t.Errorf("%s: %d of %d narrow matrices are used", row.Name, used, 2*every)
		}
	}
	slices.Sort(reached)
	want := []string{"BEiT", "CLIP", "DINO", "DINOv2", "DINOv3", "DeiT", "DeiT III", "EVA-02", "FlexiViT", "LingBot-Vision", "MAE", "OpenCLIP", "SigLIP", "Swin", "Swin V2", "TinyViT", "ViT"}
	if !slices.Equal(reached, want) {
		t.Errorf("LoRA reaches %q,\nwant %q", reached, want)
	}
}
