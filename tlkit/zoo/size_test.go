package zoo

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
)

func TestFits(t *testing.T) {
	for _, c := range []struct {
		model string
		size  int
		word  string // of the error; "" = it fits
	}{
		{"vit_small_patch16_224.dino", 288, ""},
		{"vit_small_patch16_224.dino", 290, "--size 288 or 304"},
		{"vit_small_patch14_dinov2.lvd142m", 518, ""},
		{"vit_small_patch14_dinov2.lvd142m", 512, "--size 504 or 518"},
		{"vit_small_patch16_dinov3.lvd1689m", 8, "--size 16"},
		{"beitv2_base_patch16_224.in1k_ft_in1k", 224, ""},
		{"beitv2_base_patch16_224.in1k_ft_in1k", 384, "--size 224"},
		{"swin_tiny_patch4_window7_224.ms_in1k", 256, ""},
		{"swinv2_tiny_window8_256.ms_in1k", 322, "--size 320 or 324"},
		{"convnext_atto.d2_in1k", 288, ""},
		{"convnext_atto.d2_in1k", 20, "--size 32"},
		{"resnet18", 97, ""},
		{"resnet18", 0, "size 0"},
		{"resnet18", -224, "size -224"},
		{"resnet18", 1 << 40, "8192"},
		{"vgg16", 20, "--size 32"},
	} {
		r, err := Find(c.model)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Fits(c.size)
		if (err == nil) != (c.word == "") || err != nil && !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s at %d: %v, want %q", c.model, c.size, err, c.word)
		}
	}
}

// The networks that resample positions or fill up windows are compared with timm and torchvision at
// another size than that of their files.
func TestGoldensOfOtherSizes(t *testing.T) {
	for _, model := range []string{"vit_small_patch16_224.augreg_in21k_ft_in1k", "vit_small_patch14_dinov2.lvd142m", "vit_small_patch16_dinov3.lvd1689m", "eva02_tiny_patch14_336.mim_in22k_ft_in1k",
		"swin_tiny_patch4_window7_224.ms_in1k", "swin_s", "swinv2_base_window12to16_192to256.ms_in22k_ft_in1k", "tiny_vit_5m_224.in1k", "convnext_atto.d2_in1k", "resnet18"} {
		r, err := Find(model)
		if err != nil {
			t.Fatal(err)
		}
		g, ok, err := golden.Find(r.golden, golden.Formula)
		if err != nil || !ok || g.Size == r.Preset.Size || r.Fits(g.Size) != nil {
			t.Errorf("%s: golden at %d pixels, the row has %d (%v, %v)", model, g.Size, r.Preset.Size, ok, err)
		}
	}
}
