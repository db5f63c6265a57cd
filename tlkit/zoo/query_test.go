package zoo

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/advice"
)

// Names, families and patterns name rows, each once and in the order of the words.
func TestNamed(t *testing.T) {
	for words, want := range map[string]string{
		"mobilenetv2":                  "mobilenetv2",
		" MobileNetV2 ":                "mobilenetv2",
		"squeezenet":                   "squeezenet1_0 squeezenet1_1",
		"efficientnetlite":             "efficientnet_lite0 efficientnet_lite1 efficientnet_lite2",
		"efficientnet_lite[02],vgg1?":  "efficientnet_lite0 efficientnet_lite2 vgg16 vgg19 vgg11 vgg13",
		"squeezenet1_1,squeezenet":     "squeezenet1_1 squeezenet1_0",
		"teachable_machine,teachable*": "mobilenetv2_035.teachable_machine",
	} {
		rows, err := Named(strings.Split(words, ",")...)
		var names []string
		for _, r := range rows {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", words, got, err, want)
		}
	}
	for _, word := range []string{"resnet19", "efficientnet_lite[0", "nothing*", ""} {
		var unknown *UnknownError
		if rows, err := Named("mobilenetv2", word); !errors.As(err, &unknown) || rows != nil {
			t.Errorf("%q: %v, %v", word, rows, err)
		}
	}
}

// A query keeps the order of the rows, and everything in it has to hold.
func TestQuery(t *testing.T) {
	rows := Rows()
	slices.Reverse(rows)
	found, err := Query{Words: []string{"resnet*"}, Params: "<12M", Licence: "free", Family: "resnet"}.Of(rows)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range found {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "resnet18.a1_in1k resnet18" {
		t.Error(got)
	}
	for want, q := range map[string]Query{
		"no family is called":   {Family: "ResNot"},
		"not a number":          {Params: "many"},
		"nothing is in that":    {Size: "9-3"},
		"nearest are resnet":    {Words: []string{"resnet19"}},
		"as the filters want":   {Words: []string{"resnet18"}, Params: "<1M"},
		"no network is like":    {Licence: "gated", Params: "<1M"},
		"tlkit models --all":    {Words: []string{"what", "ever"}},
		"there are MobileNetV2": {Family: "x"},
	} {
		if rows, err := q.Of(Rows()); err == nil || rows != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %d rows, want %q", q, err, len(rows), want)
		} else if _, fix := advice.Split(err); fix == "" {
			t.Errorf("%v says not what to do", err)
		}
	}
}

// Multiplications are those that the publishers of fvcore, timm and torchvision count, but for depthwise
// convolutions.
func TestProducts(t *testing.T) {
	for name, want := range map[string]float64{
		"resnet18": 1.81, "resnet50": 4.09, "vgg16": 15.47, "mobilenetv2": 0.28,
		"vit_small_patch16_224.augreg_in21k_ft_in1k": 4.61, "swin_tiny_patch4_window7_224.ms_in1k": 4.49,
		"convnext_tiny.in12k_ft_in1k": 4.37, "densenet121": 2.83, "inception_v3": 5.71,
	} {
		r, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Products() / 1e9; got < 0.98*want || got > 1.02*want {
			t.Errorf("%s: %.2f billion, want %.2f", name, got, want)
		}
		r.Preset = r.Preset.At(r.Preset.Size * 2)
		if name == "resnet18" && r.Products() < 3.5*1.81e9 {
			t.Errorf("%s at twice the size: %.2f billion", name, r.Products()/1e9)
		}
	}
	if r, _ := Find("resnet50_thin"); r.Products() != 0 {
		t.Error("the multiplications of an ONNX file are known without it")
	}
}
