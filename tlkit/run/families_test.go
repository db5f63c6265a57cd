package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tlkit/transfer-learning/internal/testbrowser"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/export"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/finetune"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// made stands for weights that the formula of package golden makes, where the published ones are not at
// hand.
const made = "formula"

// members are networks of every family and of every kind of its files. Weights are the published ones,
// made, or a file below the folder of TLKIT_DATA.
var members = []struct{ model, weights string }{
	{"mobilenetv2", ""},
	{"mobilenetv2.nsfwjs", ""},
	{"mobilenetv2_035.teachable_machine", ""},
	{"efficientnet_lite0", ""},
	{"resnet18", made},
	{"resnet18.a1_in1k", made},
	{"resnet50.keras_in1k", made},
	{"resnet20_cifar10", "cifar10_resnet/resnet20-12fca82f.th"},
	{"vgg16.hed_bsds500", ""},
	{"mini_xception", ""},
	{"xception", made},
	{"vit_tiny_patch16_224.augreg_in21k_ft_in1k", made},
	{"swin_tiny_patch4_window7_224.ms_in1k", made},
	{"swinv2_tiny_window8_256.ms_in1k", made},
	{"tiny_vit_5m_224.in1k", made},
	{"beitv2_base_patch16_224.in1k_ft_in1k", made},
	{"eva02_tiny_patch14_336.mim_in22k_ft_in1k", made},
	{"vit_small_patch16_dinov3.lvd1689m", made},
	{"convnext_atto.d2_in1k", made},
	{"resnet50_thin", ""},
	{"my.onnx", ""}, // an own file that reads bytes: the export of a head on mobilenetv2
}

// TestEveryFamily makes the table of docs/parity.md: heads on a network of every family, frozen and
// fine-tuned, exported, in ONNX Runtime of Python after onnx.checker, and in Chromium from the files.
//
//	TLKIT_FAMILIES=all TLKIT_DATA=DIR TLKIT_ONNX_PYTHON=PY go test ./tlkit/run -run EveryFamily -timeout 3h -v
//
// TLKIT_FAMILIES may also be names of networks, separated by commas.
func TestEveryFamily(t *testing.T) {
	which, data, python := os.Getenv("TLKIT_FAMILIES"), os.Getenv("TLKIT_DATA"), os.Getenv("TLKIT_ONNX_PYTHON")
	if which == "" || data == "" || python == "" {
		t.Skip("needs TLKIT_FAMILIES (all, or names of networks), TLKIT_DATA with hymenoptera, and TLKIT_ONNX_PYTHON with onnx and onnxruntime")
	}
	ds, err := datasets.Open(t.Context(), "hymenoptera", datasets.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	f := &families{data: data, python: python, few: someToTune(t, ds)}
	for _, item := range ds.In(ds.Evaluation()) {
		f.paths = append(f.paths, item.Path)
	}
	var table []string
	for _, m := range members {
		if which != "all" && !slices.Contains(strings.Split(which, ","), m.model) {
			continue
		}
		for _, tuned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s tuned=%v", m.model, tuned), func(t *testing.T) {
				row := f.row(t, m.model, m.weights, tuned)
				t.Log(row)
				table = append(table, row)
			})
		}
	}
	t.Logf("\n| family | network | weights | head | onnx.checker | labels in ONNX Runtime | logits | labels in Chromium | logits |\n|---|---|---|---|---|---|---|---|---|\n%s", strings.Join(table, "\n"))
}

// families is what the rows of the table share.
type families struct {
	data, python string
	few          string   // a folder of few pictures, to fine-tune on
	paths        []string // the pictures to predict
}

// someToTune copies 12 training and 4 validation pictures of each label.
func someToTune(t *testing.T, ds *datasets.Dataset) string {
	t.Helper()
	dir, seen := t.TempDir(), map[string]int{}
	for split, n := range map[datasets.Split]int{datasets.Train: 12, ds.Evaluation(): 4} {
		for _, item := range ds.In(split) {
			to := filepath.Join(dir, string(split), filepath.Base(filepath.Dir(item.Path)))
			if seen[to]++; seen[to] > n {
				continue
			}
			content, err := os.ReadFile(item.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.MkdirAll(to, 0o700), os.WriteFile(filepath.Join(to, filepath.Base(item.Path)), content, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// row trains a head, exports it and compares.
func (f *families) row(t *testing.T, model, weights string, tuned bool) string {
	t.Helper()
	dir := t.TempDir()
	place := Place{Folder: dir, Name: "taken", Offline: true, NonCommercial: true}
	spec := Spec{Data: "hymenoptera", Model: model, Seed: 1}
	from, own := "published", ""
	switch {
	case weights == made:
		spec.Weights, from = formula(t, model), "by formula"
	case weights != "":
		spec.Weights = filepath.Join(f.data, weights)
	case strings.HasSuffix(model, ".onnx"):
		first := train(t, Spec{Data: f.few, Model: "mobilenetv2", Seed: 1}, Place{Folder: dir, Name: "first", Offline: true})
		file := filepath.Join(dir, model)
		spec.Model, own, from = file, file, "own file"
		if _, err := (HeadSpec{Head: first.Head}).ExportONNX(t.Context(), file, export.ONNXOptions{}, place, nil); err != nil {
			t.Fatal(err)
		}
	}
	kind := "frozen"
	if tuned {
		kind = "fine-tuned"
		spec.Data, spec.Finetune, spec.Plan, spec.Batch = f.few, 1, finetune.PytorchTutorial, 8
		spec.From = lastStage(t, spec, place)
	}
	r := train(t, spec, place)
	h, err := export.Read(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	if tuned != (len(h.Changed) > 0) {
		t.Fatalf("%d tensors of the backbone changed", len(h.Changed))
	}
	head := HeadSpec{Head: r.Head, Weights: cmp.Or(spec.Weights, own)}
	page := filepath.Join(dir, "page")
	if _, err := head.ExportPage(t.Context(), page, export.PageOptions{}, place, nil); err != nil {
		t.Fatal(err)
	}
	want := f.here(t, head, place)
	inPython := compareOutputs(t, "ONNX Runtime", f.inPython(t, h, page), want)
	inChromium := compareOutputs(t, "Chromium", f.inChromium(t, page), want)
	return fmt.Sprintf("| %s | %s | %s | %s | ok | %s | %s |", family(t, model), model, from, kind, inPython, inChromium)
}

func family(t *testing.T, model string) string {
	if strings.HasSuffix(model, ".onnx") {
		return "ONNX of one's own"
	}
	row, err := zoo.Find(model)
	if err != nil {
		t.Fatal(err)
	}
	return row.Family
}

// lastStage is the stage of the backbone that fine-tuning changes here: all stages would take hours.
func lastStage(t *testing.T, s Spec, place Place) string {
	t.Helper()
	net, err := openNet(t.Context(), s, place, silent{})
	if err != nil {
		t.Fatal(err)
	}
	stages := net.Declaration().Stages
	return stages[len(stages)-1].Name
}

// here returns the logits of this program, [N][K].
func (f *families) here(t *testing.T, s HeadSpec, place Place) [][]float64 {
	t.Helper()
	opened, err := s.open(t.Context(), place, silent{})
	if err != nil {
		t.Fatal(err)
	}
	c := opened.classifier
	b := features.FromNet(c.Net(), opened.eng)
	pipeline := c.Head.Preset.Eval()
	out := make([][]float64, len(f.paths))
	err = features.Forward(t.Context(), b, features.Pass{
		Size: c.Head.Preset.Size, Pictures: len(f.paths),
		Prepare: func(i int) (transforms.Tensor, error) {
			return pipeline.LoadFile(nil, f.paths[i], transforms.DecodeOptions{}, transforms.Rand{})
		},
		Use: func(pictures []int, values []float32) error {
			for i, p := range pictures {
				for _, v := range c.Head.Linear.Logits(values[i*b.Features : (i+1)*b.Features]) {
					out[p] = append(out[p], float64(v))
				}
			}
			return nil
		},
		Bad: func(i int, err error) { t.Errorf("%s: %v", f.paths[i], err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inPython returns what ONNX Runtime computes for the prepared pictures.
func (f *families) inPython(t *testing.T, h *export.Head, page string) [][]float64 {
	t.Helper()
	squares := filepath.Join(t.TempDir(), "squares")
	out, err := os.Create(squares)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range f.paths {
		if _, err := out.Write(prepared(t, h.Preset, path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), f.python, "../../internal/golden/referee/onnx_pictures.py", filepath.Join(page, "model.onnx"), squares)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	var said struct {
		Outputs           [][]float64
		ONNX, ONNXRuntime string
		Opset             int
	}
	if err := errors.Join(err, json.Unmarshal(text, &said)); err != nil {
		t.Fatal(err)
	}
	t.Logf("onnx %s, ONNX Runtime %s, opset %d", said.ONNX, said.ONNXRuntime, said.Opset)
	return said.Outputs
}

// inChromium returns what the page computes from the files.
func (f *families) inChromium(t *testing.T, page string) [][]float64 {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(page)))
	defer s.Close()
	tab := testbrowser.Open(t, testbrowser.Options{Patience: 40 * time.Minute})
	tab.Run(chromedp.Navigate(s.URL))
	tab.Wait(5*time.Minute, "document.documentElement.dataset.ready")
	tab.Run(chromedp.SetUploadFiles("#files", f.paths, chromedp.ByQuery))
	begin := time.Now()
	tab.Wait(35*time.Minute, fmt.Sprintf("answers.filter(a => a.out || a.error).length === %d", len(f.paths)))
	t.Logf("%d ms a picture; %s", time.Since(begin).Milliseconds()/int64(len(f.paths)), testbrowser.Value[string](tab, "document.getElementById('check').textContent"))
	return testbrowser.Value[[][]float64](tab, "answers.map(a => [...(a.out?.logits ?? [])])")
}

// compareOutputs counts equal labels and returns the largest difference of a logit as a share of the
// largest logit, as two cells of the table.
func compareOutputs(t *testing.T, where string, got, want [][]float64) string {
	t.Helper()
	same, off, largest := 0, 0.0, 0.0
	for i := range want {
		if len(got) != len(want) || len(got[i]) != len(want[i]) {
			t.Fatalf("%s: %d pictures, picture %d with %v", where, len(got), i, got[min(i, len(got)-1)])
		}
		best := func(v []float64) int { return slices.Index(v, slices.Max(v)) }
		if best(got[i]) == best(want[i]) {
			same++
		}
		for k, w := range want[i] {
			largest, off = max(largest, math.Abs(w)), max(off, math.Abs(w-got[i][k]))
		}
	}
	off /= largest
	if same != len(want) || !(off <= 1e-4) {
		t.Errorf("%s: %d of %d labels equal, logits off by %.1e of the largest", where, same, len(want), off)
	}
	return fmt.Sprintf("%d of %d | %.1e", same, len(want), off)
}
