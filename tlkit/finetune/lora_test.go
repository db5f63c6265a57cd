package finetune

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// peftSteps are steps of PEFT's LoRA on a network of timm, see internal/golden/referee/lora.py.
type peftSteps struct {
	Row         string
	Size, Rank  int
	Alpha       float64
	Gain        float64
	Rate, Decay float64
	All, Norms  bool
	Losses      []float64
	Features    []float64 // every seventh number of the features of four pictures, after the steps
	Tensors     map[string]struct {
		Every  int
		Values []float64
	}
}

// smallTransformer returns a network with weights from the formula for small pictures.
func smallTransformer(tb testing.TB, name string, size int, gain float64) *zoo.Net {
	tb.Helper()
	row, err := zoo.Find(name)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "formula.safetensors")
	writeFormula(tb, name, gain, path)
	preset := row.Preset.At(size)
	net, err := zoo.Load(tb.Context(), name, zoo.Options{Weights: path, Preset: &preset})
	if err != nil {
		tb.Fatal(err)
	}
	return net
}

// Low-rank adaptation learns what PEFT's learns: four steps from the same A and B give the same losses,
// A, B, norms and features, and no other tensor moves by a bit. Merged, the network computes what it
// computed with the pairs beside its matrices.
func TestLoRAAgainstPEFT(t *testing.T) {
	raw, err := os.ReadFile("testdata/lora.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Runs []peftSteps }
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Runs) != 2 {
		t.Fatal(len(file.Runs), err)
	}
	e := xla(t)
	for _, r := range file.Runs {
		t.Run(r.Row, func(t *testing.T) {
			net := smallTransformer(t, r.Row, r.Size, r.Gain)
			tu := r.tuner(t, net, e)
			o := classes(3)
			_, items := sixPictures("")
			b := &batch{x: frozenMaps(t, net, e, golden.Input(r.Size, 4), 4, tu.border), targets: make([]float32, 12)}
			for i := range 4 {
				b.rows, b.items = append(b.rows, 1), append(b.items, i)
				o.loss.target(items[i], 0, b.targets[3*i:3*i+3])
			}
			for i, want := range r.Losses {
				got, err := tu.run(b, tu.plan.Rule.Now([]int{i}, []float64{r.Rate}, 0))
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("step %d: loss off by %.1e", i, math.Abs(got.loss-want)/want)
				if !(math.Abs(got.loss-want) <= 1e-5*want) {
					t.Errorf("step %d: loss %.6f, PEFT says %.6f", i, got.loss, want)
				}
			}
			values, err := tu.tuned()
			if err != nil {
				t.Fatal(err)
			}
			r.sameTensors(t, tu, values)
			r.sameMerged(t, tu, values, b.x)
		})
	}
}

// tuner adapts the blocks that PEFT adapts, from the formula's A.
func (r peftSteps) tuner(t *testing.T, net *zoo.Net, e *engine.Engine) *tuner {
	t.Helper()
	block := regexp.MustCompile(`^blocks\.\d+`)
	p := Plan{
		Name: "test", Epochs: 1, Batch: 4, Mix: 1, Norms: FrozenNorms, Schedule: optim.Schedule{Kind: optim.Constant},
		Rule:   optim.Rule{Name: optim.AdamW, Epsilon: 1e-3},
		LoRA:   &backbone.LoRA{Rank: r.Rank, Alpha: r.Alpha, All: r.All, Norms: r.Norms},
		Groups: []Group{{Name: "top", Stages: []string{"norm", HeadStage}, Rate: r.Rate, Decay: r.Decay}},
	}
	for key := range r.Tensors {
		if s := block.FindString(key); s != "" && !slices.Contains(p.Groups[0].Stages, s) {
			p.Groups[0].Stages = append(p.Groups[0].Stages, s)
		}
	}
	if err := p.Check(net); err != nil {
		t.Fatal(err)
	}
	h := &head.Linear{Features: net.Row.Features, Classes: 3,
		Weight: golden.Fill("linear.weight", []int{3, net.Row.Features}, r.Gain), Bias: golden.Fill("linear.bias", []int{3}, r.Gain)}
	tu, err := newTuner(net, e, classes(3), h, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tu.close)
	for key, start := range tu.start {
		if isA(key) {
			shape := tu.store.RootScope().GetVariable(key).Shape().Dimensions
			_, a, err := weights.OItoIO.Apply([]int{shape[1], shape[0]}, golden.Fill(key, []int{shape[1], shape[0]}, r.Gain))
			if err != nil || len(a) != len(start) {
				t.Fatal(err)
			}
			tu.start[key] = a
		}
	}
	if err := tu.restart(h); err != nil {
		t.Fatal(err)
	}
	return tu
}

// sameTensors compares what has moved with PEFT's.
func (r peftSteps) sameTensors(t *testing.T, tu *tuner, values map[string][]float32) {
	t.Helper()
	if got, want := len(values), len(r.Tensors)+2; got != want { // those of the head too
		t.Errorf("%d tensors move, %d in PEFT", got, want)
	}
	for key, want := range r.Tensors {
		got, ok := values[key]
		if !ok {
			t.Errorf("%s does not move", key)
			continue
		}
		if shape := tu.store.RootScope().GetVariable(key).Shape().Dimensions; len(shape) == 2 {
			var err error
			if got, err = weights.OItoIO.Undo([]int{shape[1], shape[0]}, got); err != nil {
				t.Fatal(err)
			}
		}
		big, off := 0.0, 0.0
		for i, w := range want.Values {
			big, off = max(big, math.Abs(w)), max(off, math.Abs(float64(got[i*want.Every])-w))
		}
		t.Logf("%s: %.1e", key, off/big)
		if !(off <= 5e-5*big) {
			t.Errorf("%s is off by %.2g of %.2g", key, off, big)
		}
	}
}

// sameMerged compares the network with the pairs added to its matrices with the one that has them
// beside, and with PEFT's, and checks that everything else has kept its bits.
func (r peftSteps) sameMerged(t *testing.T, tu *tuner, values map[string][]float32, x []float32) {
	t.Helper()
	h, net, err := tu.result(values)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := tu.predict(x)
	if err != nil {
		t.Fatal(err)
	}
	extractor, err := net.NewExtractor(tu.engine.Backend, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer extractor.Close()
	features, _, err := extractor.Run(golden.Input(r.Size, 4))
	if err != nil {
		t.Fatal(err)
	}
	big, off := 1e-9, 0.0
	for i, v := range h.Logits(features) {
		big, off = max(big, math.Abs(float64(v))), max(off, math.Abs(float64(v-beside[i])))
	}
	t.Logf("merged: %.1e", off/big)
	if !(off <= 2e-5*big) {
		t.Errorf("merged, the logits are off by %.2g of %.2g", off, big)
	}
	big, off = 1e-9, 0.0
	for i, want := range r.Features {
		big, off = max(big, math.Abs(want)), max(off, math.Abs(float64(features[7*i])-want))
	}
	t.Logf("features: %.1e", off/big)
	if !(off <= 2e-5*big) {
		t.Errorf("the features are off by %.2g of %.2g", off, big)
	}
	onlyPairsMoved(t, tu.net, net, tu.plan)
}

// onlyPairsMoved checks that the changes are pairs, and norms if they are trained, and that every other
// tensor has the bits of before.
func onlyPairsMoved(t *testing.T, before, after *zoo.Net, p Plan) {
	t.Helper()
	moved, group := 0, p.moving(before)
	for _, w := range before.Declaration().Weights {
		x, _, _ := before.Tensor(w.Name)
		y, _, _ := after.Tensor(w.Name)
		_, in := group[w.Stage]
		if may := in && (w.AdaptedBy(*p.LoRA) || w.TrainedBy(*p.LoRA)); !may && !slices.Equal(x, y) {
			t.Errorf("%s is frozen and moved", w.Name)
		} else if may && !slices.Equal(x, y) {
			moved++
		}
	}
	if moved == 0 {
		t.Error("nothing moved")
	}
	for _, c := range after.Changes() {
		if _, pair := backbone.BesideOf(c.Name); !pair && !p.LoRA.Norms {
			t.Errorf("%s is a change as a whole", c.Name)
		}
	}
}

// tinyLoRA is a plan that adapts the last block of a small transformer.
func tinyLoRA(t *testing.T, net *zoo.Net) Plan {
	t.Helper()
	p := small("plain")
	p.Batch, p.Epochs, p.Views, p.LoRA = 8, 2, 1, &backbone.LoRA{Rank: 2}
	p.Groups = []Group{{Name: "blocks.11", Stages: []string{"blocks.11"}, Rate: 3e-3, Decay: 0.01}, {Name: HeadStage, Stages: []string{HeadStage}, Rate: 1e-3}}
	if err := p.Check(net); err != nil {
		t.Fatal(err)
	}
	return p
}

// A training with LoRA that was interrupted ends with the same bits. Its checkpoints hold the pairs and
// the head, and nothing of the backbone.
func TestLoRAResumes(t *testing.T) {
	e := xla(t)
	net := smallTransformer(t, "vit_tiny_patch16_224.augreg_in21k_ft_in1k", 32, 0.5)
	d := job(t, e, net, t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	p := tinyLoRA(t, net)
	straight, err := Train(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Folder = t.TempDir()
	resumed, n := interrupting(t, d, p, 4, nil)
	if a, b := fingerprint(t, straight), fingerprint(t, resumed); a != b || n < 2 {
		t.Errorf("straight %.12s, resumed %.12s after %d interruptions", a, b, n)
	}
	onlyPairsMoved(t, net, resumed.Net, p)
	files, err := checkpoints{filepath.Join(d.Folder, "checkpoints")}.list()
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	s, err := files[0].load()
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.tensors {
		if _, pair := backbone.BesideOf(name); !pair && !strings.Contains(name, "tlkit.head.") {
			t.Errorf("a checkpoint holds %s", name)
		}
	}
	if want := 3 * (4 + 2); len(s.tensors) != want { // A and B of two matrices, and the head, each with two moments
		t.Errorf("a checkpoint holds %d tensors, want %d", len(s.tensors), want)
	}
}

// Half of the way to the adapted network is half of what was added to each matrix.
func TestLoRAMixes(t *testing.T) {
	net := smallTransformer(t, "vit_tiny_patch16_224.augreg_in21k_ft_in1k", 32, 0.5)
	tu, err := newTuner(net, xla(t), classes(2), freshHead(2, net.Row.Features, 1), tinyLoRA(t, net))
	if err != nil {
		t.Fatal(err)
	}
	defer tu.close()
	tuned := map[string][]float32{}
	for key, v := range tu.start {
		tuned[key] = golden.Numbers(key, len(v))
	}
	added := func(share float64) []float32 {
		_, mixed, err := tu.result(tu.mixed(tuned, share))
		if err != nil {
			t.Fatal(err)
		}
		before, _, _ := net.Tensor("blocks.11.attn.qkv.weight")
		after, _, _ := mixed.Tensor("blocks.11.attn.qkv.weight")
		for i := range after {
			after[i] -= before[i]
		}
		return after
	}
	none, half, whole := added(0), added(0.5), added(1)
	for i := range whole {
		if none[i] != 0 || math.Abs(float64(2*half[i]-whole[i])) > 1e-5 {
			t.Fatalf("number %d: %v, %v and %v", i, none[i], half[i], whole[i])
		}
	}
	if slices.Max(whole) < 0.1 {
		t.Error("nothing was added")
	}
}

func TestLoRAIsRefused(t *testing.T) {
	vit := smallTransformer(t, "vit_tiny_patch16_224.augreg_in21k_ft_in1k", 32, 0.5)
	cnn := formulaNet(t, "resnet20_cifar10", 0.8)
	for name, c := range map[string]struct {
		net   *zoo.Net
		o     Options
		words string
	}{
		"rank 0":            {vit, Options{LoRA: backbone.LoRA{Alpha: 8}}, "rank 0"},
		"rank below 0":      {vit, Options{LoRA: backbone.LoRA{Rank: -1}}, "rank -1"},
		"rank too large":    {vit, Options{LoRA: backbone.LoRA{Rank: 193}}, "want 1 to 192"},
		"alpha below 0":     {vit, Options{LoRA: backbone.LoRA{Rank: 8, Alpha: -1}}, "alpha -1"},
		"alpha no number":   {vit, Options{LoRA: backbone.LoRA{Rank: 8, Alpha: math.NaN()}}, "alpha NaN"},
		"alpha out of size": {vit, Options{LoRA: backbone.LoRA{Rank: 8, Alpha: 1e300}}, "at most 1000 times the rank"},
		"no attention":      {cnn, Options{LoRA: backbone.LoRA{Rank: 8, All: true}}, "train its last stages instead"},
		"behind attention":  {vit, Options{LoRA: backbone.LoRA{Rank: 8}, From: "norm"}, "the stages of vit_tiny_patch16_224.augreg_in21k_ft_in1k with attention are blocks.0, "},
	} {
		for _, r := range []Recipe{Tlkit, KerasGuide} {
			if _, err := NewPlan(r, Data{Net: c.net, Outputs: 2}, c.o); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s, %s: want an error with %q, got %v", name, r, c.words, err)
			}
		}
	}
	p := tinyLoRA(t, vit)
	p.Norms = BatchNorms
	if err := p.Check(vit); err == nil || !strings.Contains(err.Error(), "keeps the backbone as it is") {
		t.Errorf("norms that follow the batch: %v", err)
	}
	p = tinyLoRA(t, vit)
	p.Groups[0].Stages = []string{"norm"}
	if err := p.Check(vit); err == nil || !strings.Contains(err.Error(), "without attention") {
		t.Errorf("a group without attention: %v", err)
	}
}

// What a plan trains and caches with LoRA, by our own plan and the recipes.
func TestLoRAPlans(t *testing.T) {
	net := smallTransformer(t, "vit_tiny_patch16_224.augreg_in21k_ft_in1k", 32, 0.5)
	const head, block = 2 * 193, 8*(192+576) + 8*(192+192) // of two classes; of rank 8
	d := Data{Net: net, Outputs: 2, Train: stripes(t, t.TempDir(), 24)}
	for _, c := range []struct {
		recipe Recipe
		o      Options
		border string
		moving int
	}{
		{Tlkit, Options{LoRA: backbone.LoRA{Rank: 8}}, "patch_embed", 12*block + head},
		{Tlkit, Options{LoRA: backbone.LoRA{Rank: 8}, From: "blocks.10"}, "blocks.9", 2*block + head},
		{Tlkit, Options{LoRA: backbone.LoRA{Rank: 8, All: true}, From: "blocks.11"}, "blocks.10", block + 2*8*(192+768) + head},
		{Tlkit, Options{LoRA: backbone.LoRA{Rank: 8, Norms: true}, From: "blocks.11"}, "blocks.10", block + 6*192 + head}, // and the last norm
		{PytorchTutorial, Options{LoRA: backbone.LoRA{Rank: 8}, From: "blocks.11"}, "blocks.10", block + head},
		{Fastai, Options{LoRA: backbone.LoRA{Rank: 8}, From: "patch_embed"}, "patch_embed", 12*block + head},
	} {
		p, err := NewPlan(c.recipe, d, c.o)
		if err != nil {
			t.Errorf("%s %+v: %v", c.recipe, c.o, err)
			continue
		}
		moving, all := p.Trainable(net, 2)
		if got := p.border(net); got != c.border || p.Norms != FrozenNorms || all <= moving {
			t.Errorf("%s %+v: %d of %d move behind %q, want %d behind %q", c.recipe, c.o, moving, all, got, c.moving, c.border)
		}
		if moving != c.moving {
			t.Errorf("%s %+v: %d parameters are trained, want %d", c.recipe, c.o, moving, c.moving)
		}
		if text := p.String(); !strings.Contains(text, "LoRA of rank 8") || !strings.Contains(text, "the backbone keeps its bits") {
			t.Errorf("the plan does not say what LoRA trains:\n%s", text)
		}
	}
	whole, err := NewPlan(KerasGuide, d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if moving, all := whole.Trainable(net, 2); moving != all {
		t.Errorf("without LoRA %d of %d are trained", moving, all)
	}
}
