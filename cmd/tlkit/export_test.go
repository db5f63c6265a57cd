package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// A head leaves as one file, which verify replays; what is in the way or damaged is named.
func TestExportAndVerify(t *testing.T) {
	if len(onnxruntime.Here()) == 0 {
		t.Skip("no ONNX Runtime for this platform")
	}
	if _, err := onnxruntime.Install(t.Context(), onnxruntime.Options{}); errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("ONNX Runtime cannot be fetched here: %v", err)
	}
	folder := testpictures.Shapes(t, []string{"discs", "bars"}, 8)
	t.Chdir(t.TempDir())
	do := func(want int, args ...string) (out, errs string) {
		t.Helper()
		var o, e strings.Builder
		if status := execute(t.Context(), args, &o, &e); status != want {
			t.Fatalf("%v: status %d, want %d\n%s", args, status, want, e.String())
		}
		return o.String(), e.String()
	}
	do(0, "train", folder, "--name", "shapes", "-o", "shapes.head.safetensors")
	if _, errs := do(1, "export", "shapes"); !strings.Contains(errs, "--onnx FILE") {
		t.Errorf("without a file: %s", errs)
	}
	out, _ := do(0, "export", "shapes", "--onnx", "shapes.onnx")
	for _, word := range []string{"shapes.onnx", "uint8 RGB [N,224,224,3]", "short side resized to 256", "float32 [N,2]", "ONNX Runtime 1."} {
		if !strings.Contains(out, word) {
			t.Errorf("no %q in\n%s", word, out)
		}
	}
	// The same again, from the head file: an export may be replaced.
	again, _ := do(0, "export", "shapes.head.safetensors", "--onnx", "shapes.onnx", "--json")
	if e := one[exportedONNX](t, again); e.File != "shapes.onnx" || e.Off == nil || !(*e.Off < 1e-4) || e.Bytes < 8e6 {
		t.Errorf("%s", again)
	}
	if _, errs := do(1, "export", "shapes", "--onnx", "shapes.head.safetensors"); !strings.Contains(errs, "--force") {
		t.Errorf("over another file: %s", errs)
	}
	if _, errs := do(1, "export", "shapes.head.safetensors", "--onnx", "shapes.head.safetensors", "--force"); !strings.Contains(errs, "what is exported") {
		t.Errorf("over the head itself: %s", errs)
	}
	do(0, "predict", "shapes.head.safetensors", folder) // it is as it was

	text, _ := do(0, "export", "shapes", "--torch", "taken", "--onnx", "shapes.onnx", "--json")
	if e := one[map[string]any](t, text); e["file"] != "shapes.onnx" || fmt.Sprint(e["torch"].(map[string]any)["model"]) != "mobilenet_v2" {
		t.Errorf("%s", text)
	}
	if out, _ = do(0, "export", "shapes", "--torch", "taken"); !strings.Contains(out, "mobilenet_v2 of torchvision, 314 tensors") {
		t.Errorf("%s", out)
	}
	var e struct{ Cards []string }
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	if want := []string{"taken/README.md", "taken/card.html", "shapes.card.md", "shapes.card.html"}; !slices.Equal(e.Cards, want) {
		t.Errorf("cards %q, want %q", e.Cards, want)
	}
	do(0, "export", "shapes", "--card", "a.md", "--card", "a.html")
	for file, words := range map[string][]string{
		"taken/README.md": {`library_name: "pytorch"`, "torchvision.models.mobilenet_v2", "load_state_dict", "Calibration: "},
		"taken/card.html": {"torchvision.models.mobilenet_v2", "data:image/png"},
		"shapes.card.md":  {`library_name: "onnx"`, "tlkit verify shapes.onnx"},
		"a.md":            {`library_name: "tlkit"`, "tlkit predict head.safetensors"},
		"a.html":          {"data:image/png", "tlkit predict head.safetensors"},
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range append(words, "discs", "bars", "What it must not be used for") {
			if !strings.Contains(string(data), w) {
				t.Errorf("%s has no %q", file, w)
			}
		}
	}
	if text, _ = do(0, "export", "shapes", "--go", "program", "--json"); !strings.Contains(text, `"picture_seconds"`) || strings.Contains(text, "unchecked") {
		t.Errorf("%s", text)
	}
	if _, errs := do(1, "export", "shapes", "--card", "shapes.head.safetensors"); !strings.Contains(errs, ".html") {
		t.Errorf("a card over the head: %s", errs)
	}
	testpictures.Write(t, "taken/README.md", []byte("mine"))
	if _, errs := do(1, "export", "shapes", "--torch", "taken"); !strings.Contains(errs, "--force") {
		t.Errorf("over another file: %s", errs)
	}

	text, _ = do(0, "export", "shapes", "--page", "page", "--json")
	if e := one[exported](t, text); e.Page == nil || e.Page.Dir != "page" || e.Page.Off == nil || !(*e.Page.Off < 1e-4) || e.Page.Bytes < 25e6 {
		t.Errorf("%s", text)
	}
	if out, _ = do(0, "export", "shapes", "--page", "page"); !strings.Contains(out, "open page/single-file.html") {
		t.Errorf("%s", out)
	}
	if index, err := os.ReadFile("page/index.html"); err != nil || !strings.Contains(string(index), "<title>shapes</title>") {
		t.Errorf("%v, no title in the page", err)
	}
	if out, _ = do(0, "verify", "page/model.onnx"); !strings.Contains(out, "1 file replayed") {
		t.Errorf("%s", out)
	}

	out, _ = do(0, "verify", "shapes.onnx")
	for _, word := range []string{"ONNX Runtime 1.", "tlkit's own reader on", "1 file replayed in"} {
		if strings.Count(out, word) < 1 || strings.Count(out, " ok\n") != 2 {
			t.Errorf("no %q, or not twice ok, in\n%s", word, out)
		}
	}
	data, err := os.ReadFile("shapes.onnx")
	if err != nil {
		t.Fatal(err)
	}
	testpictures.Write(t, "torn.onnx", data[:len(data)-5000])
	data[len(data)/2] ^= 4
	testpictures.Write(t, "flipped.onnx", data)
	text, errs := do(1, "verify", "torn.onnx", "shapes.onnx", "flipped.onnx", "--json")
	v := one[verification](t, text)
	if v.OK || len(v.Models) != 4 || v.Models[0].OK || !v.Models[1].OK || !v.Models[2].OK || v.Models[3].OK {
		t.Fatalf("%s\n%s", text, errs)
	}
	for _, k := range []int{0, 3} {
		if p := v.Models[k].Problem; !strings.Contains(p, "damaged") {
			t.Errorf("%s: %q", v.Models[k].Model, p)
		}
	}
	if _, errs := do(1, "verify", "none.onnx"); !strings.Contains(errs, "none.onnx") {
		t.Errorf("a missing file: %s", errs)
	}
	if _, errs := do(1, "verify", "shapes.onnx", "resnet18"); !strings.Contains(errs, "resnet18") {
		t.Errorf("a network beside a file: %s", errs)
	}

	if _, errs := do(1, "export", "shapes", "--resize"); !strings.Contains(errs, "--resize --onnx FILE") {
		t.Errorf("--resize alone: %s", errs)
	}
	out, _ = do(0, "export", "shapes", "--onnx", "any.onnx", "--resize")
	for _, word := range []string{"uint8 RGB [N,H,W,3] of any height and width", "beside tlkit's resizing:", "labels change on 0 of", "probabilities differ by", "for pictures that tlkit has resized"} {
		if !strings.Contains(out, word) {
			t.Errorf("no %q in\n%s", word, out)
		}
	}
	out, _ = do(0, "verify", "any.onnx")
	if strings.Contains(out, "own reader") || !strings.Contains(out, "ok, allowed 1.0e-03") || !strings.Contains(out, "1 file replayed in ONNX Runtime 1.") {
		t.Errorf("%s", out)
	}
	text, _ = do(0, "export", "shapes", "--onnx", "any.onnx", "--resize", "--json")
	if e := one[exportedONNX](t, text); e.Resize == nil || e.Resize.Samples == 0 || e.Off == nil {
		t.Errorf("%s", text)
	}

	out, _ = do(0, "export", "shapes", "--onnx", "small.onnx", "--int8")
	for _, word := range []string{"int8    53 layers", "and the head in floats", "chosen on", "floats   accuracy", "integers accuracy", "gain ", "ms a picture here"} {
		if !strings.Contains(out, word) {
			t.Errorf("no %q in\n%s", word, out)
		}
	}
	text, _ = do(0, "verify", "small.onnx", "--json")
	if v := one[verification](t, text); len(v.Models) != 2 || !(v.Models[0].Allowed >= 0.05) || *v.Models[0].Relative > 1e-4 || !v.OK {
		t.Errorf("%s", text)
	}
	head, err := os.ReadFile("shapes.head.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "alone.head.safetensors")
	testpictures.Write(t, alone, head)
	if err := os.Rename(".tlkit", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	if _, errs := do(1, "export", alone, "--onnx", "alone.onnx", "--int8"); !strings.Contains(errs, "--data DIR") {
		t.Errorf("a head file alone: %s", errs)
	}
	do(0, "export", alone, "--onnx", "alone.onnx", "--int8", "--data", folder)
	if err := os.Rename("elsewhere", ".tlkit"); err != nil {
		t.Fatal(err)
	}
	if _, errs := do(1, "export", "shapes", "--int8"); !strings.Contains(errs, "--int8 --onnx FILE") {
		t.Errorf("--int8 alone: %s", errs)
	}

	// A machine with nothing but the weights: tlkit's own reader checks alone, and says so.
	row, err := zoo.Find("mobilenetv2")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := row.Fetch(t.Context(), zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TLKIT_CACHE", t.TempDir())
	out, errs = do(0, "export", "shapes", "--onnx", "bare.onnx", "--offline", "--weights", weights)
	if !strings.Contains(out, "check   tlkit's own reader on go") || !strings.Contains(out, "not compared with ONNX Runtime: ") {
		t.Errorf("%s\n%s", out, errs)
	}
	out, errs = do(0, "verify", "bare.onnx", "--offline")
	if strings.Count(out, " ok\n") != 1 || !strings.Contains(out, "replayed in tlkit's own reader on go") || !strings.Contains(errs, "without ONNX Runtime: ") {
		t.Errorf("%s\n%s", out, errs)
	}
}
