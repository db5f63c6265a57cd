package zoo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/data"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
)

// Whatever in a row can be recomputed is recomputed here.
func TestTable(t *testing.T) {
	taken := map[string]string{}
	hashes := map[string]string{}
	for _, r := range Rows() {
		t.Run(r.Name, func(t *testing.T) {
			for _, n := range r.names() {
				if n != strings.ToLower(n) || strings.ContainsAny(n, " /") {
					t.Errorf("name %q is not lower case without spaces", n)
				}
				if other, ok := taken[n]; ok {
					t.Errorf("name %q is taken by %s", n, other)
				}
				taken[n] = r.Name
				if found, err := Find(strings.ToUpper(n)); err != nil || found.Name != r.Name {
					t.Errorf("Find(%q) gives %q, %v", n, found.Name, err)
				}
			}
			for what, v := range map[string]string{"tag": r.Tag, "family": r.Family, "licence": r.Licence, "origin": r.Origin, "file name": r.file.Name} {
				if v == "" {
					t.Errorf("no %s", what)
				}
			}
			if !strings.HasPrefix(r.Origin, "https://") {
				t.Errorf("origin %q", r.Origin)
			}
			hash := r.file.SHA256 + r.file.MD5
			if other, ok := hashes[hash]; ok && hash != "" {
				t.Errorf("same file as %s", other)
			}
			hashes[hash] = r.Name
			if strings.Contains(r.Licence, "-NC") != r.NonCommercial {
				t.Errorf("licence %s, non-commercial %v", r.Licence, r.NonCommercial)
			}
			checkFile(t, r)
			checkNetwork(t, r)
		})
	}
}

func checkFile(t *testing.T, r Row) {
	f := r.file
	if len(f.Sources) == 0 {
		if f.SHA256 != "" || f.MD5 != "" || f.Name == "" || !strings.HasPrefix(r.ByHand, "https://") {
			t.Errorf("a file that people bring, %+v, from %q", f, r.ByHand)
		}
		return
	}
	if f.SHA256 == "" && f.MD5 == "" { // the hub says it, and the file here has a name of its own
		if h := f.Sources[0].HF; len(f.Sources) != 1 || h == nil || f.Name != r.Name+".safetensors" || !strings.HasSuffix(r.Origin, h.Repo) {
			t.Errorf("no hash, and not one file of the hub: %+v", f)
		}
		return
	}
	if f.MD5 != "" {
		if _, err := hex.DecodeString(f.MD5); err != nil || len(f.MD5) != 32 || f.SHA256 != "" {
			t.Errorf("md5 %q", f.MD5)
		}
	} else if _, err := hex.DecodeString(f.SHA256); err != nil || len(f.SHA256) != 64 && len(f.SHA256) != 8 {
		t.Errorf("sha256 %q is neither whole nor a published prefix", f.SHA256)
	}
	// PyTorch's files have the beginning of their hash in their name: resnet18-f37072fd.pth.
	if i := strings.LastIndexByte(f.Name, '-'); i >= 0 && !strings.HasSuffix(f.Name, ".tgz") {
		part, _, _ := strings.Cut(f.Name[i+1:], ".")
		if _, err := hex.DecodeString(part); err == nil && !strings.HasPrefix(f.SHA256, part) {
			t.Errorf("file %s does not carry the beginning of its hash %s", f.Name, f.SHA256)
		}
	}
	for _, s := range f.Sources {
		if s.URL != "" && !strings.HasSuffix(s.URL, "/"+f.Name) {
			t.Errorf("URL %s is not of %s", s.URL, f.Name)
		}
		if w := s.Wheel; w != nil && (len(w.SHA256) != 64 || !strings.HasSuffix(w.File, "/"+f.Name) || len(f.SHA256) != 64 || f.Bytes == 0) {
			t.Errorf("wheel %+v for %+v", w, f)
		}
		if n := s.NPM; n != nil && (n.SHA256 != f.SHA256 || len(n.SHA256) != 64 || n.File != "" || f.Bytes == 0) {
			t.Errorf("npm package %+v for %+v", n, f)
		}
	}
}

func checkNetwork(t *testing.T, r Row) {
	if err := r.Preset.Validate(); err != nil || r.Preset.Name != r.Name {
		t.Errorf("preset %q: %v", r.Preset.Name, err)
	}
	if r.TestSize != 0 && (r.TestSize <= r.Preset.Size || r.Fits(r.TestSize) != nil) {
		t.Errorf("tested at %d pixels: %v", r.TestSize, r.Fits(r.TestSize))
	}
	if _, ok := r.arch.(onnxFile); ok {
		return // the network is inside the file: TestONNXRow
	}
	d, err := backbone.Declare(r.arch, r.Preset.Size)
	if err != nil {
		t.Fatal(err)
	}
	if d.Params() != r.Params {
		t.Errorf("%d parameters declared, the row says %d", d.Params(), r.Params)
	}
	if d.Features != r.Features {
		t.Errorf("%d features declared, the row says %d", d.Features, r.Features)
	}
	classes := 0
	referee := d
	if r.small != nil {
		referee, err = backbone.Declare(r.small, r.Preset.Size)
		if err != nil {
			t.Fatal(err)
		}
	}
	if r.Classes != "" {
		labels, err := data.Labels(r.Classes)
		if err != nil {
			t.Error(err)
		}
		classes = len(labels)
	}
	if d.Classes != classes {
		t.Errorf("%d classes declared, the list %q has %d", d.Classes, r.Classes, classes)
	}
	if r.Top1 != 0 && (r.Top1 < 50 || r.Top1 >= 100 || r.Top5 != 0 && r.Top5 <= r.Top1) {
		t.Errorf("top-1 %g, top-5 %g percent", r.Top1, r.Top5)
	}
	if last := d.Stages[len(d.Stages)-1].Shape; len(last) == 3 && fmt.Sprint(last) != fmt.Sprint(d.Map) || last[len(last)-1] != d.Features {
		t.Errorf("the last stage %v is not the map %v or its %d features", last, d.Map, d.Features)
	}
	if r.Verified() && len(r.file.SHA256) != 64 {
		t.Error("verified, but without its whole hash")
	}
	for _, w := range d.Weights {
		if w.Stage == backbone.Classifier && d.Classes == 0 {
			t.Errorf("tensor %s lies beyond the last stage", w.Name)
		}
	}
	if g, ok, err := golden.Find(r.golden, golden.Formula); err != nil || !ok || len(g.Stages) != len(referee.Stages) || (g.Logits != nil) != (referee.Classes > 0) {
		t.Errorf("golden %q: %v, %v", r.golden, ok, err)
	}
}

// The rows of torchvision's files agree with torchvision, and none of its files is missing.
func TestTorchvisionRows(t *testing.T) {
	published, err := golden.Torchvision()
	if err != nil || len(published) != 62 {
		t.Fatal(len(published), err)
	}
	for _, p := range published {
		r, err := Find(p.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		e := r.Preset
		got := fmt.Sprint(r.file.Sources[0].URL, r.Params, r.Top1, r.Top5, e.Resize, e.Size, e.Interpolation, e.Geometry, e.Mean, e.Std, e.Range, e.Channels)
		want := fmt.Sprint(p.URL, p.Params, p.Top1, p.Top5, p.Resize, p.Size, p.Interpolation, "short", p.Mean, p.Std, [2]float32{0, 1}, "RGB")
		if got != want {
			t.Errorf("%s says\n%s, torchvision\n%s", r.Name, got, want)
		}
	}
}

// Every golden is used by a row.
func TestNoGoldenIsForgotten(t *testing.T) {
	used := map[string]bool{}
	for _, r := range table {
		used[r.golden+golden.Formula] = true
		if g, ok, _ := r.goldenOf(golden.Weights); ok {
			used[g.Name+golden.Weights] = true
		}
	}
	for _, kind := range []string{golden.Formula, golden.Weights} {
		for _, name := range golden.Names(kind) {
			if !used[name+kind] {
				t.Errorf("golden %s, %s is replayed by no row", name, kind)
			}
		}
	}
}

// Stages have the widths and strides of the papers: a picture of 224 pixels becomes a map of 7.
func TestStages(t *testing.T) {
	for name, want := range map[string]string{
		"resnet18":           "[{stem [56 56 64]} {layer1 [56 56 64]} {layer2 [28 28 128]} {layer3 [14 14 256]} {layer4 [7 7 512]}]",
		"resnet152":          "[{stem [56 56 64]} {layer1 [56 56 256]} {layer2 [28 28 512]} {layer3 [14 14 1024]} {layer4 [7 7 2048]}]",
		"resnet110_cifar10":  "[{stem [32 32 16]} {layer1 [32 32 16]} {layer2 [16 16 32]} {layer3 [8 8 64]}]",
		"mobilenetv2":        "[{features.0 [112 112 32]} {features.1 [112 112 16]}",
		"efficientnet_lite2": "[{stem [130 130 32]} {_blocks.0 [130 130 16]}",
	} {
		r, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := backbone.Declare(r.Arch(), r.Preset.Size)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(d.Stages); !strings.HasPrefix(got, want) {
			t.Errorf("%s: stages %s, want %s", name, got, want)
		}
	}
}

func TestFindUnknown(t *testing.T) {
	for name, near := range map[string]string{
		"resnet51": "resnet50", "mobilnetv2": "mobilenetv2", "efficientnet-lite0": "efficientnet_lite0",
		"": "", strings.Repeat("x", 1<<20): "",
	} {
		_, err := Find(name)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || len(unknown.Nearest) != 3 {
			t.Fatalf("Find(%.20q): %v", name, err)
		}
		if near != "" && unknown.Nearest[0] != near {
			t.Errorf("Find(%q) proposes %v, want %s first", name, unknown.Nearest, near)
		}
		if len(err.Error()) > 300 {
			t.Errorf("the error for a name of %d bytes has %d", len(name), len(err.Error()))
		}
	}
}

func TestRowsIsACopy(t *testing.T) {
	Rows()[0].Aliases[0] = "spoilt"
	if _, err := Find("mobilenet_v2"); err != nil {
		t.Error(err)
	}
}

// Google scales widths by rounding to multiples of 8, never down by more than a tenth.
func TestScaledWidth(t *testing.T) {
	for _, c := range []struct {
		width  int
		factor float64
		want   int
	}{{16, 1.1, 16}, {24, 1.1, 24}, {40, 1.1, 48}, {112, 1.1, 120}, {320, 1.1, 352}, {16, 0.7, 16}, {8, 0.1, 8}} {
		if got := scaledWidth(c.width, c.factor); got != c.want {
			t.Errorf("%d times %g: %d, want %d", c.width, c.factor, got, c.want)
		}
	}
}

func TestDifferenceSeesWhatIsWrong(t *testing.T) {
	s := golden.Sample{Shape: []int{4}, Step: 2, Largest: 10, Values: [][]float64{{1, 2}, {3, 4}}}
	for _, c := range []struct {
		got  []float32
		want float64
	}{
		{[]float32{1, 9, 2, 9, 3, 9, 4, 9}, 0},
		{[]float32{1, 9, 2, 9, 3, 9, 4.5, 9}, 0.05},
		{[]float32{1, 9, 2}, math.Inf(1)},
		{[]float32{1, 9, 2, 9, 3, 9, float32(math.NaN()), 9}, math.Inf(1)},
	} {
		if got := s.Difference(c.got); got != c.want {
			t.Errorf("%v: %g, want %g", c.got, got, c.want)
		}
	}
}
