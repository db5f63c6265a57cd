package run

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A run with LoRA says how much it trained, and writes a head file of pairs that opens as the network
// that was judged.
func TestLoRARun(t *testing.T) {
	const model = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 12)
	spec := Spec{Data: folder, Model: model, Weights: formula(t, model), Size: 32, Seed: 1,
		Finetune: 2, Plan: finetune.KerasGuide, Rate: 3e-3, Batch: 8, From: "blocks.11", LoRA: backbone.LoRA{Rank: 2}}
	said := &heard{}
	r, err := Train(context.Background(), spec, Place{Folder: t.TempDir(), Name: "lora"}, said)
	if err != nil {
		t.Fatal(err)
	}
	const pairs, head = 2*(192+576) + 2*(192+192), 2 * 193
	f := r.Finetune
	if f == nil || f.Trainable != pairs+head || f.Parameters < 5e6 || f.Changed != 2 || f.LoRA == nil || f.LoRA.Rank != 2 || f.From != "blocks.11" {
		t.Fatalf("fine-tuned %+v", f)
	}
	if line := f.Share(); !strings.Contains(line, "0.00269 of 5.53 million parameters were trained (0.0487 %), LoRA of rank 2") {
		t.Error(line)
	}
	if !said.has("LoRA of rank 2") || !said.has("the backbone keeps its bits") {
		t.Errorf("said %q", said.lines)
	}
	if info, err := os.Stat(r.Head); err != nil || info.Size() > 100e3 {
		t.Errorf("the head file: %v, %v", info.Size(), err)
	}
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Changed) != 4 || len(h.Tuned()) != 2 || !slices.Contains(h.Tuned(), "blocks.11.attn.qkv.weight") {
		t.Errorf("%d tensors in the file, of %v", len(h.Changed), h.Tuned())
	}
	e, err := engine.Open(context.Background(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c, err := h.Open(context.Background(), e, export.Options{Zoo: zoo.Options{Weights: spec.Weights}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := zoo.Load(context.Background(), model, zoo.Options{Weights: spec.Weights})
	if err != nil {
		t.Fatal(err)
	}
	if c.Net().Changed() != 2 || c.Net().Identity() == plain.Identity() {
		t.Error("the opened network is the published one")
	}
}

func TestLoRASpecs(t *testing.T) {
	for words, s := range map[string]Spec{
		"mobilenetv2: backbone: LoRA adapts attention": {Model: "mobilenetv2", Finetune: 1, LoRA: backbone.LoRA{Rank: 8}},
		"train its last stages instead":                {Model: "convnext_tiny.in12k_ft_in1k", Finetune: 1, LoRA: backbone.LoRA{Rank: 8, All: true}},
		"want 1 to 192":                                {Model: "vit_tiny_patch16_224.augreg_in21k_ft_in1k", Finetune: 1, LoRA: backbone.LoRA{Rank: 500}},
		"LoRA of rank 0, want 1 or more":               {Model: "vit_tiny_patch16_224.augreg_in21k_ft_in1k", Finetune: 1, LoRA: backbone.LoRA{Norms: true}},
		"LoRA of rank 8 without fine-tuning":           {Model: "vit_tiny_patch16_224.augreg_in21k_ft_in1k", LoRA: backbone.LoRA{Rank: 8}},
	} {
		s.Data = "insects"
		if err := s.check(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want an error with %q, got %v", words, err)
		}
	}
}
