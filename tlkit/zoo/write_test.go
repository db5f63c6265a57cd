package zoo

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
)

// written is a network with the formula's weights and its ONNX file.
type written struct {
	row   Row
	g     golden.Golden
	net   *Net
	file  []byte
	model *protos.ModelProto
}

// golds returns a row of each architecture that has golden values with the formula's weights.
func golds() (rows []Row) {
	done := map[string]bool{}
	for _, r := range Rows() {
		if _, file := r.arch.(onnxFile); !file && !done[r.golden] && everyDay(r) {
			done[r.golden] = true
			rows = append(rows, r)
		}
	}
	return rows
}

// everyDay reports whether the architecture of a row is tested in each run. Of the families with many
// large members some stand for all; TLKIT_GOLDENS=all tests every one, as tlkit verify does.
func everyDay(r Row) bool {
	many := []string{"ViT", "MAE", "DINO", "DINOv2", "DeiT", "DeiT III", "CLIP", "SigLIP", "FlexiViT", "BEiT", "EVA-02", "DINOv3", "LingBot-Vision", "ConvNeXt", "ConvNeXt V2", "Swin", "Swin V2", "TinyViT", "EfficientNet", "EfficientNetV2", "MobileNetV3",
		"VGG", "ResNeXt", "Wide ResNet", "SE-ResNet", "ResNet-D", "BiT", "RegNet", "DenseNet", "Inception-v3", "SqueezeNet", "MobileNetV4", "OpenCLIP"}
	return os.Getenv("TLKIT_GOLDENS") == "all" || !slices.Contains(many, r.Family) || slices.Contains(members, r.golden)
}

func writtenBy(t *testing.T, r Row) written {
	t.Helper()
	g, ok, err := golden.Find(r.golden, golden.Formula)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if r.small != nil {
		r.arch = r.small
	}
	path, err := formulaFile(r, g)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	preset := r.Preset
	preset.Size = g.Size
	w := written{row: r, g: g, model: &protos.ModelProto{}}
	w.net, err = r.load(t.Context(), Options{Weights: path, Preset: &preset, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	w.file, err = w.net.ONNX()
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(w.file, w.model); err != nil {
		t.Fatal(err)
	}
	return w
}

// opsOf counts the nodes of a file by operation.
func opsOf(m *protos.ModelProto) map[string]int {
	count := map[string]int{}
	for _, n := range m.Graph.Node {
		count[n.OpType]++
	}
	return count
}

// The file of every architecture is as fast as it can be, package onnx reads it back, and it
// computes what PyTorch, torchvision, timm and Keras computed.
func TestONNX(t *testing.T) {
	for _, r := range golds() {
		t.Run(r.golden, func(t *testing.T) {
			t.Parallel()
			w := writtenBy(t, r)
			t.Run("form", w.form)
			t.Run("ONNX Runtime", w.inRuntime)
			if slices.Contains(members, r.golden) {
				t.Run("read back", w.readBack)
			}
		})
	}
}

// members are one of each family and naming; the others have more or wider layers of the same kind.
var members = []string{
	"mobilenetv2", "mobilenetv2.tv_in1k", "mobilenetv2_035.keras", "mobilenetv2_035.trunk", "efficientnet_lite0", "resnet18", "resnet50",
	"resnet50.keras", "resnet20_cifar10", "vgg16", "vgg16.keras", "vgg16.notop", "xception", "mini_xception",
	"convnext_atto", "convnext_tiny.torchvision", "convnextv2_atto", "swin_tiny_patch4_window7_224", "swin_t", "swinv2_base_window12to16_192to256", "tiny_vit_5m_224",
	"vit_tiny_patch16_224", "vit_little_patch16_reg1_gap_256", "vit_small_patch14_reg4_dinov2", "deit3_small_patch16_224",
	"vit_base_patch32_clip_quickgelu_224", "vit_base_patch32_siglip_256", "open_clip_ViT-B-32",
	"beitv2_base_patch16_224", "eva02_tiny_patch14_336", "eva02_base_patch16_clip_224", "vit_small_plus_patch16_dinov3",
	"resnet18d", "resnetv2_bit", "regnet_y_400mf", "regnety_002", "densenet121", "squeezenet1_1", "mobilenetv4_conv_small_050",
	"mobilenetv3_small_100", "mobilenet_v3_small.torchvision", "efficientnet_b0.torchvision", "tf_efficientnet_b0", "tf_efficientnetv2_b0",
}

// form checks that the file has what engines are fast at: one transposition, norms and biases inside
// the convolutions. Tensors have the checkpoint's own names.
func (w written) form(t *testing.T) {
	if opsOf(w.model)["LayerNormalization"] > 0 {
		w.normedForm(t)
		return
	}
	constants, numbers := map[string]bool{}, map[string]bool{}
	for _, c := range w.model.Graph.Initializer {
		constants[c.Name] = true
		numbers[c.Name] = len(c.Dims) == 0
	}
	transposes := 1
	if v, ok := w.row.arch.(vgg); ok && v.keras && v.classes > 0 {
		transposes = 2 // Keras flattens maps as [H,W,C]
	}
	early := w.row.Family == "DenseNet" || w.row.Family == "BiT" // norms come in front of convolutions
	allowed := strings.Fields("HardSigmoid HardSwish Sigmoid Mul Div Transpose Conv Relu Clip Add MaxPool GlobalAveragePool Flatten Gemm Concat Slice Pad Reshape ReduceMean AveragePool")
	if early {
		allowed = append(allowed, "BatchNormalization", "Sqrt", "Sub", "Expand", "Shape")
	}
	for op, n := range opsOf(w.model) {
		if !slices.Contains(allowed, op) || op == "Transpose" && n != transposes {
			t.Errorf("%d of %s", n, op)
		}
	}
	if early {
		w.normsInFront(t)
		return
	}
	for _, n := range w.model.Graph.Node {
		for _, in := range n.Input {
			if n.OpType == "Add" && constants[in] && !numbers[in] { // an activation may add a number
				t.Errorf("%s adds the constant %s: a bias outside its layer", n.Name, in)
			}
		}
		// Xception has depthwise convolutions right in front of pointwise ones.
		if n.OpType == "Conv" && len(n.Input) != 3 && w.row.Family != "Xception" {
			t.Errorf("%s has no bias: its norm is elsewhere", n.Name)
		}
	}
	if w.net.declared.Classes > 0 && w.row.Name != "mini_xception" { // whose classifier is a convolution
		last := w.net.declared.Weights[len(w.net.declared.Weights)-1].Name
		if !constants[last] {
			t.Errorf("no tensor has the checkpoint's name %s", last)
		}
	}
}

// normsInFront checks the file of a network with norms in front of its convolutions: a batch norm is one
// operation, or inside the convolution before it.
func (w written) normsInFront(t *testing.T) {
	norms, inside := 0, 0
	for _, weight := range w.net.declared.Weights {
		if strings.HasSuffix(weight.Name, ".running_var") {
			norms++
		}
	}
	for _, n := range w.model.Graph.Node {
		if n.OpType == "Conv" && len(n.Input) == 3 {
			inside++
		}
	}
	if alone := opsOf(w.model)["BatchNormalization"]; norms > 0 && (alone+inside != norms || inside < norms/3) {
		t.Errorf("%d batch norms alone and %d inside convolutions, the network has %d", alone, inside, norms)
	}
}

// normedForm checks the file of a network with layer norms: each is one operation, and so is each
// softmax. Engines join products with the biases behind them themselves.
func (w written) normedForm(t *testing.T) {
	allowed := strings.Fields("Shape LayerNormalization BatchNormalization Softmax Clip Erf Sigmoid Tanh MatMul Mul Div Sqrt ReduceSum ReduceMean Sub Unsqueeze Squeeze Expand Transpose Conv Add GlobalAveragePool Flatten Gemm Concat Slice Pad Reshape")
	ops := opsOf(w.model)
	for op, n := range ops {
		if !slices.Contains(allowed, op) {
			t.Errorf("%d of %s", n, op)
		}
	}
	norms, attentions := 0, 0
	for _, weight := range w.net.declared.Weights {
		name, isGain := strings.CutSuffix(weight.Name, ".weight")
		switch {
		case isGain && len(weight.Shape) == 1 && !strings.HasSuffix(name, "grn") && !strings.HasSuffix(name, ".bn"):
			norms++
		case strings.HasSuffix(name, "attn.proj") && isGain, strings.HasSuffix(name, "attn_pool.proj") && isGain:
			attentions++
		}
	}
	if ops["LayerNormalization"] != norms || ops["Softmax"] != attentions {
		t.Errorf("%d layer norms and %d softmaxes, the network has %d and %d", ops["LayerNormalization"], ops["Softmax"], norms, attentions)
	}
}

// fastEngine is XLA where it is installed: large networks take seconds in pure Go.
func fastEngine(t *testing.T, row Row) compute.Backend {
	if row.Family == "VGG" || row.Family == "Xception" || row.Family == "Swin" || row.Family == "Swin V2" || row.Family == "BEiT" || strings.HasPrefix(row.golden, "resnet50") {
		if e, err := engine.Open(context.Background(), engine.Options{}); err == nil {
			t.Cleanup(func() { e.Close() })
			return e.Backend
		}
	}
	return pureGo(t)
}

// readBack runs the file as package onnx reads it.
func (w written) readBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(path, w.file, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(output string, want golden.Sample) {
		n, err := Load(t.Context(), path+"#"+output, Options{Preset: plainPreset(w.g.Size)})
		if err != nil {
			t.Fatal(err)
		}
		o, err := n.everything(fastEngine(t, w.row), golden.Input(w.g.Size, w.g.Pictures), w.g.Pictures)
		if err != nil {
			t.Fatal(err)
		}
		d := want.Difference(o.features)
		t.Logf("%s: relative difference %.1e", output, d)
		if !(d <= Tolerance) {
			t.Errorf("%s: relative difference %.2g", output, d)
		}
	}
	if w.g.Logits != nil {
		check("logits", *w.g.Logits) // which need the features
	} else {
		check("features", w.g.Features)
	}
}

// inRuntime runs the file in ONNX Runtime, for one, three and eight pictures at a time.
func (w written) inRuntime(t *testing.T) {
	rt := testruntime.Open(t)
	s, err := rt.Session(w.file, onnxruntime.SessionOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pictures := golden.Input(w.g.Size, w.g.Pictures)
	one := len(pictures) / w.g.Pictures
	for _, batch := range []int{1, 3, 8} {
		in := onnxruntime.Tensor{Shape: []int{batch, w.g.Size, w.g.Size, 3}}
		for i := range batch {
			k := i % w.g.Pictures
			in.Float32 = append(in.Float32, pictures[k*one:(k+1)*one]...)
		}
		out, err := s.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		wants := []*golden.Sample{&w.g.Features, w.g.Logits}
		for j, o := range out {
			for i := range batch { // each picture against its row of the golden
				want := *wants[j]
				k := i % w.g.Pictures
				want.Values = want.Values[k : k+1]
				each := len(o.Float32) / batch
				if d := want.Difference(o.Float32[i*each : (i+1)*each]); !(d <= Tolerance) {
					t.Errorf("%s of picture %d of %d: relative difference %.2g", s.Outputs()[j].Name, i+1, batch, d)
				}
			}
		}
		if w.g.Logits != nil && len(out) != 2 {
			t.Errorf("%d outputs, want features and logits", len(out))
		}
	}
}

// An ONNX file of the caller's own is written as package onnx reads it: cut where it is cut, in
// 32-bit floats, for any number of pictures.
func TestONNXOwnFiles(t *testing.T) {
	rt := testruntime.Open(t)
	for _, folder := range []string{"../onnx/testdata", "../onnx/testdata/exports"} {
		raw, err := os.ReadFile(filepath.Join(folder, "golden.json"))
		if err != nil {
			t.Fatal(err)
		}
		var all struct {
			Nets []struct {
				File, Cut string
				Size      int
				Features  [][]float64
				Logits    [][]float64
			}
		}
		if err := json.Unmarshal(raw, &all); err != nil || len(all.Nets) < 5 {
			t.Fatal(len(all.Nets), err)
		}
		for _, g := range all.Nets {
			t.Run(g.File+"#"+g.Cut, func(t *testing.T) {
				path, preset := filepath.Join(folder, g.File), *plainPreset(g.Size)
				own, err := onnx.Open(onnx.Ref{File: path, Cut: g.Cut})
				if err != nil {
					t.Fatal(err)
				}
				if own.Bytes() {
					preset = preset.WithStatistics(statistics("raw"))
				}
				net, err := Load(t.Context(), path+"#"+g.Cut, Options{Preset: &preset})
				if err != nil {
					t.Fatal(err)
				}
				file, err := net.ONNX()
				if err != nil {
					t.Fatal(err)
				}
				s, err := rt.Session(file, onnxruntime.SessionOptions{Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				pictures := golden.Input(g.Size, len(g.Features))
				if own.Bytes() { // as the referee makes them
					for i, v := range pictures {
						pictures[i] = float32(min(max(math.RoundToEven(float64(v*48+120)), 0), 255))
					}
				}
				out, err := s.Run(onnxruntime.Tensor{Shape: []int{len(g.Features), g.Size, g.Size, 3}, Float32: pictures})
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range [][][]float64{g.Features, g.Logits} {
					if len(want) == 0 {
						continue
					}
					if d := difference(out[i].Float32, slices.Concat(want...)); !(d <= Tolerance) {
						t.Errorf("%s: relative difference %.2g", s.Outputs()[i].Name, d)
					}
				}
			})
		}
	}
}

// difference is the largest one as a fraction of the largest number wanted.
func difference(got []float32, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst, largest := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, largest = max(worst, d), max(largest, math.Abs(w))
	}
	return worst / largest
}

// The referee's own tools take the files too: onnx.checker, strict shape inference, and ONNX Runtime
// as Python calls it. Set TLKIT_ONNX_PYTHON to a Python that has onnx and onnxruntime.
func TestONNXReferee(t *testing.T) {
	python := os.Getenv("TLKIT_ONNX_PYTHON")
	if python == "" {
		t.Skip("TLKIT_ONNX_PYTHON is not set: no Python with onnx and onnxruntime to compare with")
	}
	dir, all := t.TempDir(), map[string]written{}
	for _, r := range golds() {
		if !slices.Contains(members, r.golden) {
			continue
		}
		w := writtenBy(t, r)
		all[r.golden] = w
		var pictures bytes.Buffer
		writeLittleEndian(&pictures, golden.Input(w.g.Size, w.g.Pictures))
		for extension, content := range map[string][]byte{".onnx": w.file, ".f32": pictures.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, r.golden+extension), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "../../internal/golden/referee/onnx_written.py", dir)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var computed map[string]map[string][]float32
	if err := json.Unmarshal(said, &computed); err != nil || len(computed) != len(all) {
		t.Fatal(len(computed), err)
	}
	for name, w := range all {
		if d := w.g.Features.Difference(computed[name]["features"]); !(d <= Tolerance) {
			t.Errorf("%s: features: relative difference %.2g", name, d)
		}
		if w.g.Logits == nil {
			continue
		}
		if d := w.g.Logits.Difference(computed[name]["logits"]); !(d <= Tolerance) {
			t.Errorf("%s: logits: relative difference %.2g", name, d)
		}
	}
}

// A network of full size computes in ONNX Runtime what the extractor computes.
func TestONNXFullSize(t *testing.T) {
	rt := testruntime.Open(t)
	r, err := Find("mobilenetv2.tv_in1k")
	if err != nil {
		t.Fatal(err)
	}
	g, _, err := golden.Find(r.golden, golden.Formula)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	if err := formulanet.Write(path, r.arch, r.Preset.Size, g.Gain); err != nil {
		t.Fatal(err)
	}
	n, err := Load(t.Context(), r.Name, Options{Weights: path, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Skip(err)
	}
	defer e.Close()
	x, err := n.NewExtractor(e.Backend, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	pictures := golden.Input(n.Preset.Size, 3)
	features, logits, err := x.Run(pictures)
	if err != nil {
		t.Fatal(err)
	}
	file, err := n.ONNX()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.ONNX(); err != nil || !bytes.Equal(again, file) {
		t.Errorf("written twice it has other bytes (%v)", err)
	}
	s, err := rt.Session(file, onnxruntime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(onnxruntime.Tensor{Shape: []int{3, n.Preset.Size, n.Preset.Size, 3}, Float32: pictures})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float32{features, logits} {
		wide := make([]float64, len(want))
		for k, v := range want {
			wide[k] = float64(v)
		}
		if d := difference(out[i].Float32, wide); !(d <= Tolerance) {
			t.Errorf("%s: relative difference %.2g", s.Outputs()[i].Name, d)
		}
	}
}

// The half-width ResNet-50, which is published as an ONNX file, is written anew and computes what
// ONNX Runtime computed from the published file.
func TestONNXPublishedFile(t *testing.T) {
	for _, r := range onnxRows {
		if _, ok := r.file.Cached(); !ok {
			t.Skipf("needs %s: tlkit verify %s fetches it", r.file.Name, r.Name)
		}
		g, ok, err := golden.Find(r.golden, golden.Weights)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		n, err := Load(t.Context(), r.Name, Options{Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		w := written{row: r, g: g, net: n, model: &protos.ModelProto{}}
		w.file, err = n.ONNX()
		if err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(w.file, w.model); err != nil {
			t.Fatal(err)
		}
		if ops := opsOf(w.model); ops["Transpose"] != 1 || ops["Pad"] != 0 || ops["Mul"] != 0 {
			t.Errorf("%v", ops)
		}
		if n.Preset.Size != g.Size {
			t.Fatalf("the golden is of %d pixels, the network takes %d", g.Size, n.Preset.Size)
		}
		w.inRuntime(t)
	}
}
