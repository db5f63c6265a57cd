package zoo

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// smallSpoken are members of the families that speak dialects, as dialects.py builds them.
func smallSpoken() map[string]backbone.Arch {
	vit := visionTransformer{patch: 16, width: 16, depth: 2, heads: 2, grid: 2, classes: 3}
	dinov2 := visionTransformer{patch: 16, width: 16, depth: 2, heads: 2, grid: 2, layerScale: true}
	registers := dinov2
	registers.registers, registers.patchesOnly = 4, true
	clip := visionTransformer{patch: 16, width: 16, depth: 2, heads: 2, grid: 2, clip: true, eps: 1e-5, gelu: quickGELU}
	open := visionTransformer{patch: 16, width: 64, depth: 2, heads: 2, grid: 2, clip: true, eps: 1e-5}
	siglip := visionTransformer{patch: 16, width: 16, depth: 2, heads: 2, grid: 2, pool: attentionPool}
	next := convNeXt{depths: [4]int{1, 1, 2, 1}, width: 8, classes: 3}
	second := next
	second.second = true
	return map[string]backbone.Arch{
		"vit": vit, "dinov2": dinov2, "dinov2 with registers": registers, "clip": clip, "open_clip": open, "siglip": siglip,
		"convnext": next, "convnextv2": second, "swin": swin{width: 8, window: 7, depths: [4]int{2, 2, 2, 2}, heads: 1, classes: 3},
		"resnet":        resNet{blocks: [4]int{1, 2, 1, 1}, bottleneck: true, classes: 3},
		"resnet narrow": resNet{blocks: [4]int{1, 2, 1, 1}, classes: 3},
	}
}

// spokenCase is a network as another library writes it, see dialects.py.
type spokenCase struct {
	Name, Network string
	Size          int
	Gain          float64
	Tensors       []struct {
		Name     string
		Shape    []int
		Integers bool
	}
	Features []float64
}

func spokenCases(t *testing.T) []spokenCase {
	t.Helper()
	raw, err := os.ReadFile("testdata/dialects.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []spokenCase }
	if err := json.Unmarshal(raw, &all); err != nil || len(all.Cases) < 24 {
		t.Fatal(len(all.Cases), err)
	}
	return all.Cases
}

// tensors are those of the case, filled by the formula under their names.
func (c spokenCase) tensors() (all []weights.Tensor) {
	for _, w := range c.Tensors {
		tensor := weights.FromFloat32(w.Name, w.Shape, golden.Fill(w.Name, w.Shape, c.Gain))
		if w.Integers {
			tensor = zeros(w.Name, w.Shape...).Int64()
		}
		all = append(all, tensor)
	}
	return all
}

// loadSpoken loads tensors for a network that is in no row.
func loadSpoken(t testing.TB, arch backbone.Arch, size int, all []weights.Tensor) (*Net, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.safetensors")
	if err := weights.WriteSafetensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
	preset := square(size, 1, "half")
	preset.Name = "small"
	return Row{Name: "small", arch: arch, Preset: preset}.load(context.Background(), Options{Weights: path, Preset: &preset})
}

// Files of other libraries load, and the network computes what they compute.
func TestDialects(t *testing.T) {
	b, nets := pureGo(t), smallSpoken()
	for _, c := range spokenCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			n, err := loadSpoken(t, nets[c.Network], c.Size, c.tensors())
			if err != nil {
				t.Fatal(err)
			}
			t.Log(n.Notes)
			if len(strings.Join(n.Notes, "\n")) > 600 {
				t.Errorf("long notes: %q", n.Notes)
			}
			compareFeatures(t, n, b, c.Features, Tolerance)
		})
	}
}

// Every tensor of a network comes from exactly one place in each dialect that has the network, no tensor
// of theirs becomes two, and every line of a table is of use.
func TestDialectsAreTurnedAround(t *testing.T) {
	type table struct {
		by    string
		lines map[string]bool // used by some network
	}
	tables := map[string]*table{}
	whole := map[string][]string{
		"vit": {vitTransformers, vitTorchvision}, "dinov2": {vitTransformers}, "dinov2 with registers": {vitTransformers, dinov2Names},
		"clip": {clipTransformers, clipOpen}, "open_clip": {clipTransformers, clipOpen}, "siglip": {clipTransformers},
		"convnext": {convNeXtTransformers, convNeXtFacebook}, "convnextv2": {convNeXtTransformers, convNeXtFacebook},
		"swin": {swinTransformers, swinMicrosoft}, "resnet": {resNetTransformers}, "resnet narrow": {resNetTransformers},
	}
	for name, arch := range smallSpoken() {
		d, err := backbone.Declare(arch, 64)
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int{}
		for _, w := range d.Weights {
			sizes[w.Name] = w.Size()
		}
		for _, dialect := range arch.(spoken).dialects() {
			if tables[dialect.table] == nil {
				tables[dialect.table] = &table{by: dialect.by, lines: map[string]bool{}}
				for _, l := range dialect.lines() {
					tables[dialect.table].lines[l.text] = false
				}
			}
			missing, taken := []string{}, map[string]string{}
			for _, w := range d.Weights {
				origins := dialect.origins(w.Name, sizes)
				if len(origins) == 0 {
					missing = append(missing, w.Name)
				}
				for _, o := range origins {
					tables[dialect.table].lines[o.line] = true
					for _, theirs := range o.theirs {
						if other, ok := taken[theirs]; ok && other != w.Name && o.whole == 0 {
							t.Errorf("%s in the names of %s: %s becomes %s and %s", name, dialect.by, theirs, other, w.Name)
						}
						taken[theirs] = w.Name
					}
				}
			}
			if len(missing) > 0 && slices.Contains(whole[name], dialect.table) {
				t.Errorf("%s in the names of %s: no line for %v", name, dialect.by, missing)
			}
		}
	}
	for _, table := range tables {
		for text, used := range table.lines {
			if !used {
				t.Errorf("the line of %s is of no use: %s", table.by, text)
			}
		}
	}
}

// What does not fit is refused with every difference.
func TestDialectsRefuse(t *testing.T) {
	cases := map[string]spokenCase{}
	for _, c := range spokenCases(t) {
		cases[c.Name] = c
	}
	nets := smallSpoken()
	vit, dinov2 := cases["ViT of transformers 4"], cases["DINOv2 of transformers 4"]
	deeper := nets["vit"].(visionTransformer)
	deeper.depth = 1
	wider := nets["vit"].(visionTransformer)
	wider.grid = 3
	renamed := func(all []weights.Tensor, from, to string) []weights.Tensor {
		for i := range all {
			all[i].Name = strings.ReplaceAll(all[i].Name, from, to)
		}
		return all
	}
	halfTimm := vit.tensors()
	for i := range halfTimm { // its second block is in timm's names already
		halfTimm[i].Name = strings.Replace(halfTimm[i].Name, "vit.encoder.layer.1.layernorm_before", "vit.blocks.1.norm1", 1)
	}
	strange := nets["vit"].(visionTransformer)
	strange.depth = 3
	for _, c := range []struct {
		what string
		arch backbone.Arch
		all  []weights.Tensor
		want []string
	}{
		{"a deeper network", deeper, vit.tensors(), []string{"in the names of Hugging Face's transformers", "unexpected vit.encoder.layer.1."}},
		{"a shallower one", strange, vit.tensors(), []string{"missing vit.blocks.2.norm1.weight"}},
		{"positions of another size", wider, vit.tensors(), []string{"wrong shape vit.pos_embed: got [1 5 16], want [1 10 16]"}},
		{"a sibling", nets["vit"], dinov2.tensors(), []string{"unexpected encoder.layer.0.layer_scale1.lambda1"}},
		{"no keys", nets["vit"], without(vit.tensors(), "layer.1.attention.attention.key.weight"), []string{"1 missing", "missing vit.blocks.1.attn.qkv.weight", "unexpected vit.encoder.layer.1.attention.attention.query.weight"}},
		{"two dialects with one block each", nets["vit"], renamed(slices.Clone(vit.tensors()), "vit.encoder.layer.1.attention", "vit.encoder.layer.1.attn"), []string{"missing vit.blocks.1.attn.qkv.weight", "unexpected vit.encoder.layer.1.attn."}},
		{"the text tower alone", nets["clip"], without(cases["CLIP of transformers"].tensors(), "vision_model"), []string{"missing"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			n, err := loadSpoken(t, c.arch, 32, c.all)
			if err == nil {
				t.Fatalf("loaded, with notes %q", n.Notes)
			}
			t.Log(err)
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not say %q", err, w)
				}
			}
			if text := err.Error(); len(text) > 1500 || strings.Count(text, "\n") > 12 {
				t.Errorf("%d bytes", len(text))
			}
		})
	}
	// A name of timm's among those of another library is the same tensor all the same.
	if n, err := loadSpoken(t, nets["vit"], 32, halfTimm); err != nil {
		t.Errorf("two dialects that make one network: %v", err)
	} else if !strings.Contains(strings.Join(n.Notes, " "), "transformers") {
		t.Error(n.Notes)
	}
}

// Biases that a file has nowhere are zeros, and the notes say so. One that only a block lacks is missing.
func TestBiasesThatAreNowhere(t *testing.T) {
	nets := smallSpoken()
	var c spokenCase
	for _, c = range spokenCases(t) {
		if c.Name == "ViT of transformers 4" {
			break
		}
	}
	n, err := loadSpoken(t, nets["vit"], 32, without(c.tensors(), "key.bias"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(n.Notes, "\n"), "key.bias, vit.encoder.layer.1.attention.attention.key.bias, taken as 0") {
		t.Error(n.Notes)
	}
	values, _, _ := n.Tensor("blocks.0.attn.qkv.bias")
	if zero := slices.IndexFunc(values[16:32], func(v float32) bool { return v != 0 }); zero >= 0 || values[0] == 0 || values[32] == 0 {
		t.Errorf("biases %v", values)
	}
	n, err = loadSpoken(t, nets["vit"], 32, without(c.tensors(), "query.bias", "key.bias", "value.bias", "projection.bias"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(n.Notes, "\n"), "has no patch_embed.proj.bias, blocks.#.attn.qkv.bias, taken as 0") {
		t.Error(n.Notes)
	}
	for _, lacking := range []string{"layer.0.output.dense.bias", "vit.layernorm.bias", "layer.0.layernorm_before.bias"} {
		if n, err := loadSpoken(t, nets["vit"], 32, without(c.tensors(), lacking)); err == nil || !strings.Contains(err.Error(), "1 missing") {
			t.Errorf("without %s: %v, %v", lacking, n, err)
		}
	}
}
