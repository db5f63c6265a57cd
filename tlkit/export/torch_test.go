package export

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testpictures"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// network says what a head of these tests is trained on.
type network struct {
	model  string
	task   datasets.Task
	preset string // of presets; "" = the row's own
	tuned  bool   // with changed tensors
	size   int    // 0 = the preset's
}

// onNetwork returns a head on a network of the zoo, opened. The weights are those of the row where they
// are on this machine and the head is frozen, and of the formula otherwise.
func onNetwork(t *testing.T, e *engine.Engine, n network) *Classifier {
	t.Helper()
	row, err := zoo.Find(n.model)
	if err != nil {
		t.Fatal(err)
	}
	preset := row.Preset
	if n.preset != "" {
		preset = presets[n.preset]
	}
	if n.size != 0 {
		preset.Size, preset.Resize = n.size, n.size+8
	}
	path, d := formulaTrunk(t, row)
	if published, ok := row.Here(); ok && !n.tuned {
		path = published
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := onMobile(t, n.task, preset)
	h.Backbone = Backbone{Name: row.Name, SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Features: row.Features}
	h.Linear.Features, h.Linear.Weight = row.Features, nil
	for i := range 3 * row.Features {
		h.Linear.Weight = append(h.Linear.Weight, float32(math.Sin(float64(i*i))))
	}
	if n.tuned {
		for i := 0; i < 10; i += 3 { // a kernel, and each kind of tensor of a norm
			values := golden.Fill(d[i].Name, d[i].Shape, 1)
			for j := range values {
				values[j] *= 1.25
			}
			h.Changed = append(h.Changed, weights.FromFloat32(d[i].Name, d[i].Shape, values))
		}
	}
	o := zoo.Options{Weights: path, Offline: true, Preset: &h.Preset}
	net, err := zoo.Load(t.Context(), row.Name, o)
	if err != nil {
		t.Fatal(err)
	}
	if net, err = net.With(h.Changed); err != nil {
		t.Fatal(err)
	}
	if h.Parity, err = Parity(t.Context(), features.FromNet(net, e), h.Preset, &h.Linear); err != nil {
		t.Fatal(err)
	}
	c, err := h.Open(t.Context(), e, Options{Zoo: o})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// formulaTrunk writes a row's network with weights of the formula, without its classifier.
func formulaTrunk(t *testing.T, row zoo.Row) (path string, trunk []backbone.Weight) {
	t.Helper()
	d, err := backbone.Declare(row.Arch(), row.Preset.Size)
	if err != nil {
		t.Fatal(err)
	}
	var made []weights.Tensor
	for _, w := range d.Weights {
		if w.Stage != backbone.Classifier {
			made = append(made, weights.FromFloat32(w.Name, w.Shape, golden.Fill(w.Name, w.Shape, 1)))
			trunk = append(trunk, w)
		}
	}
	path = filepath.Join(t.TempDir(), "formula.safetensors")
	if err := weights.WriteSafetensors(path, made, nil); err != nil {
		t.Fatal(err)
	}
	return path, trunk
}

// The state dict has exactly the keys, shapes and types of the library's model, the head in the place of
// the classifier and what fine-tuning changed.
func TestWriteTorch(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, test := range []struct {
		network
		tensors int
		shapes  map[string][]int
		lines   []string // of README.md
	}{
		{network{model: "mobilenetv2", tuned: true}, 314, map[string][]int{
			"features.0.0.weight": {32, 3, 3, 3}, "features.1.conv.0.0.weight": {32, 1, 3, 3}, "features.1.conv.1.weight": {16, 32, 1, 1},
			"features.2.conv.1.1.num_batches_tracked": {}, "features.17.conv.3.bias": {320}, "features.18.1.running_var": {1280},
			"classifier.1.weight": {3, 1280}, "classifier.1.bias": {3},
		}, []string{"net = torchvision.models.mobilenet_v2(num_classes=3)", "T.Resize(256, T.InterpolationMode.BILINEAR),", "T.CenterCrop(224),", "T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),"}},
		{network{model: "resnet18", size: 64, task: datasets.Labels}, 122, map[string][]int{
			"conv1.weight": {64, 3, 7, 7}, "layer2.0.downsample.1.num_batches_tracked": {}, "layer4.1.bn2.running_mean": {512}, "fc.weight": {3, 512}, "fc.bias": {3},
		}, []string{"net = torchvision.models.resnet18(num_classes=3)", "sigmoid", `about["thresholds"]`}},
		{network{model: "efficientnet_lite0", size: 64, task: datasets.Values}, 296, map[string][]int{
			"conv_stem.weight": {32, 3, 3, 3}, "blocks.0.0.conv_dw.weight": {32, 1, 3, 3}, "blocks.2.1.conv_pwl.weight": {40, 240, 1, 1},
			"bn2.num_batches_tracked": {}, "classifier.weight": {3, 1280}, "classifier.bias": {3},
		}, []string{`net = timm.create_model("tf_efficientnet_lite0", num_classes=3)`, "T.Lambda(middle),", "T.Lambda(lambda x: x.float()),", "side = min(max(1, int(0.875 *"}},
	} {
		t.Run(test.model, func(t *testing.T) {
			c := onNetwork(t, e, test.network)
			dir := filepath.Join(t.TempDir(), "new", "torch")
			f, err := c.WriteTorch(dir, TorchOptions{})
			if err != nil {
				t.Fatal(err)
			}
			file, err := weights.Open(filepath.Join(dir, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if got := len(file.Names()); got != test.tensors || f.Tensors != got || file.Metadata["format"] != "pt" {
				t.Errorf("%d tensors, said %d, want %d; metadata %v", got, f.Tensors, test.tensors, file.Metadata["format"])
			}
			for name, shape := range test.shapes {
				kind := "F32"
				if len(shape) == 0 {
					kind = "I64"
				}
				if got, ok := file.Tensor(name); !ok || !slices.Equal(got.Shape, shape) || got.DType != kind {
					t.Errorf("%s: %v %s %v, want %s %v", name, ok, got.DType, got.Shape, kind, shape)
				}
			}
			for i, name := range []string{"classifier.1.weight", "fc.weight", "classifier.weight"} {
				if got, ok := file.Tensor(name); ok {
					values, err := got.Float32()
					if err != nil || !slices.Equal(values, c.Head.Linear.Weight) {
						t.Errorf("%d: %s is not the head: %v", i, name, err)
					}
				}
			}
			for _, changed := range c.Head.Changed[:min(1, len(c.Head.Changed))] { // the first has the same name in both
				want, _ := changed.Float32()
				tensor, _ := file.Tensor(changed.Name)
				if got, err := tensor.Float32(); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s is not what training left: %v", changed.Name, err)
				}
			}
			sayTorch(t, dir, c.Head, test.lines)
		})
	}
}

// sayTorch checks the texts of an export.
func sayTorch(t *testing.T, dir string, h *Head, lines []string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if !strings.Contains(string(readme), line) {
			t.Errorf("no %q in\n%s", line, readme)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "preprocess.json"))
	if err != nil {
		t.Fatal(err)
	}
	var about torchPreprocessing
	if err := json.Unmarshal(text, &about); err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if about.SHA256 != fmt.Sprintf("%x", sha256.Sum256(model)) || !slices.Equal(about.Labels, h.Labels) || about.Task != h.Task && h.Task != "" || !slices.Equal(about.Thresholds, h.Thresholds) {
		t.Errorf("%s", text)
	}
	for _, s := range about.Transforms {
		if !strings.Contains(string(readme), "    "+s.Python+",\n") || !strings.HasPrefix(s.Python, "T."+s.Transform+"(") {
			t.Errorf("the step %+v is not in\n%s", s, readme)
		}
	}
}

// Only what such an export wrote is replaced, completely, and a network without a twin is refused.
func TestWriteTorchRefuses(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := onNetwork(t, e, network{model: "mobilenetv2", preset: "torch"})
	dir := t.TempDir()
	note := filepath.Join(dir, "notes.txt")
	testpictures.Write(t, note, []byte("mine"))
	write := func(force bool) error {
		_, err := c.WriteTorch(dir, TorchOptions{Force: force})
		return err
	}
	head := filepath.Join(t.TempDir(), "a.head.safetensors")
	if err := c.Head.Write(head); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(head)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{torchModel: foreign, torchPreprocess: []byte(`{"do_resize": true}`), torchReadme: []byte("# Mine\n")} {
		path := filepath.Join(dir, name)
		testpictures.Write(t, path, content)
		if err := write(false); err == nil || !strings.Contains(err.Error(), "--force") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s was replaced: %v", name, err)
		}
		if now, _ := os.ReadFile(path); string(now) != string(content) {
			t.Errorf("%s has changed", name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 2 {
			t.Errorf("%d files, want 2: %v", len(entries), entries)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	testpictures.Write(t, filepath.Join(dir, torchReadme), []byte("# Mine\n"))
	for _, force := range []bool{true, false} { // the second time it replaces its own files
		if err := write(force); err != nil {
			t.Error(err)
		}
		sayTorch(t, dir, c.Head, nil)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v, want three files and notes.txt", entries, err)
	}
	if _, err := c.WriteTorch(note, TorchOptions{Force: true}); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a file: %v", err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	_, err = opened(t, e, onMobile(t, datasets.Classes, presets["torch"])).WriteTorch(absent, TorchOptions{})
	if err == nil || !strings.Contains(err.Error(), "--onnx") {
		t.Errorf("an ONNX network: %v", err)
	}
	if _, err := os.Stat(absent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written all the same: %v", err)
	}
}

// torch, torchvision and timm load the files with the Python of README.md, prepare the same numbers and
// compute the same. Set TLKIT_ONNX_PYTHON to a Python that has them.
func TestTorchReferee(t *testing.T) {
	python := os.Getenv("TLKIT_ONNX_PYTHON")
	if python == "" {
		t.Skip("TLKIT_ONNX_PYTHON is not set: no Python with torch, torchvision and timm to compare with")
	}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir, heads := t.TempDir(), map[string]*Head{}
	for _, n := range []network{
		{model: "mobilenetv2"}, {model: "mobilenetv2", tuned: true}, {model: "mobilenetv2.tv_in1k", tuned: true, size: 96},
		{model: "resnet18"}, {model: "resnet50", size: 96}, {model: "vgg16", size: 64},
		{model: "efficientnet_lite0"}, {model: "efficientnet_lite2", tuned: true},
		{model: "mobilenetv2", preset: "torch", task: datasets.Labels}, {model: "mobilenetv2", preset: "caffe", task: datasets.Values},
		{model: "mobilenetv2", preset: "grey", task: datasets.Classes}, {model: "mobilenetv2", preset: "widely", task: datasets.Labels},
	} {
		c := onNetwork(t, e, n)
		name := fmt.Sprintf("%s %s %s %v", n.model, n.preset, n.task, n.tuned)
		folder := filepath.Join(dir, name)
		if _, err := c.WriteTorch(folder, TorchOptions{}); err != nil {
			t.Fatal(err)
		}
		testpictures.Write(t, filepath.Join(folder, "prepared.bin"), preparedBuiltIn(t, c.Head.Preset))
		heads[name] = c.Head
	}
	cmd := exec.CommandContext(t.Context(), python, "../../internal/golden/referee/torch_exported.py", dir)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Logits []float32
		Exact  bool
	}
	if err := json.Unmarshal(said, &got); err != nil || len(got) != len(heads) {
		t.Fatal(len(got), err)
	}
	for name, h := range heads {
		g := got[name]
		if len(g.Logits) != len(h.Parity) {
			t.Fatalf("%s: %d logits", name, len(g.Logits))
		}
		off := h.off(g.Logits)
		t.Logf("%s: off by %.2g", name, off)
		if !(off <= 2e-5+h.rounding()) || !g.Exact {
			t.Errorf("%s: off by %.2g, pictures equal: %v", name, off, g.Exact)
		}
	}
}

// preparedBuiltIn are the built-in pictures as the network reads them, float32 [3,S,S,3].
func preparedBuiltIn(t *testing.T, p transforms.Preset) (out []byte) {
	t.Helper()
	for k, size := range builtInSizes {
		x, err := p.Eval().Apply(&transforms.Picture{Width: size[0], Height: size[1], Pix: golden.Picture(size[0], size[1], k)}, transforms.Rand{})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range x.Data {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	return out
}
