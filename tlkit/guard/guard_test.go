package guard

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/onnx"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// What a network was taught with is found again from its weights, whatever it was.
func TestInfer(t *testing.T) {
	for _, name := range []string{"imagenet", "half", "unit", "raw", "caffe", "clip"} {
		net := taught(t, name)
		net.Preset = net.Preset.WithStatistics(transforms.Preset{Range: [2]float32{0, 3}, Std: [3]float32{9, 9, 9}, Channels: "RGB"}) // must not matter
		p, err := Infer(net)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := transforms.Statistics(name)
		if err != nil {
			t.Fatal(err)
		}
		if !alike(p.Preset, want) || p.Times < 2 || p.Confidence < 0.95 || p.Preset.Size != 32 {
			t.Errorf("%s: %s with %+v", name, p, p.Preset)
		}
	}
}

// Nothing is proposed for weights that remember nothing, or nothing of pictures.
func TestInferNothing(t *testing.T) {
	for _, name := range []string{"convnextv2_atto.fcmae_ft_in1k", "resnet20_cifar10"} {
		net := untrained(t, name)
		if p, err := Infer(net); err == nil || !strings.Contains(err.Error(), "--statistics") {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		v, err := Check(net, nil)
		if err != nil || v.Finding != CannotTell || !v.OK || !strings.Contains(v.Line(), "cannot be told") {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// untrained returns a network with weights drawn by chance.
func untrained(t *testing.T, name string) *zoo.Net {
	t.Helper()
	row, err := zoo.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	made, err := formulanet.Tensors(row.Arch(), row.Preset.Size, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "untrained.safetensors")
	if err := weights.WriteSafetensors(path, made, nil); err != nil {
		t.Fatal(err)
	}
	net, err := zoo.Load(context.Background(), name, zoo.Options{Weights: path})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// The stem is that of the first convolution, in all families of the table that have a norm there.
func TestStems(t *testing.T) {
	want := map[string]string{
		"resnet18": "conv1.weight bn1.running_mean", "resnet18d.ra2_in1k": "conv1.0.weight conv1.1.running_mean",
		"densenet121": "features.conv0.weight features.norm0.running_mean", "mobilenetv4_conv_small.e2400_r224_in1k": "conv_stem.weight bn1.running_mean",
		"inception_v3": "Conv2d_1a_3x3.conv.weight Conv2d_1a_3x3.bn.running_mean", "regnet_y_400mf": "stem.0.weight stem.1.running_mean",
		"convnext_tiny": "", "vit_small_patch16_224.dino": "", "vgg16": "", "squeezenet1_0": "",
	}
	found := map[string]string{}
	families := map[string]bool{}
	for _, r := range zoo.Rows() {
		if _, wanted := want[r.Name]; families[r.Family] && !wanted {
			continue
		}
		d, err := backbone.Declare(r.Arch(), r.Preset.Size)
		if err != nil {
			continue // an ONNX file
		}
		f := declaredStem(d)
		line := ""
		if f.mean != "" {
			line = f.kernel + " " + f.mean
		}
		if !families[r.Family] {
			families[r.Family] = true
			t.Logf("%-20s %-36s %s", r.Family, r.Name, line)
		}
		found[r.Name] = line
	}
	for name, stem := range want {
		if got, ok := found[name]; !ok || got != stem {
			t.Errorf("%s: %q, want %q", name, got, stem)
		}
	}
}

// Statistics are decided without a look at pictures, and with the published preset where the weights
// remember nothing.
func TestPresetAlone(t *testing.T) {
	net := taught(t, "imagenet")
	for name, want := range map[string]Finding{"imagenet": Fits, "clip": Fits, "cifar10": Fits, "half": HalfForImageNet, "raw": NotDivided, "caffe": NotDivided, "unit": OtherStatistics} {
		q, err := transforms.Statistics(name)
		if err != nil {
			t.Fatal(err)
		}
		net.Preset = net.Preset.WithStatistics(q)
		v := check(t, net, nil)
		if v.Finding != want || v.OK != (want == Fits) || v.Pictures != 0 {
			t.Errorf("%s: %s", name, v.Line())
		}
		if !v.OK && !strings.Contains(v.Line(), "wants imagenet") {
			t.Errorf("%s: it does not say which: %s", name, v.Line())
		}
	}
}

// The order of channels is in the weights too, where the mean that is taken away is the same for all.
func TestOrderOfPreset(t *testing.T) {
	for _, net := range append(here(t, 21e6), taught(t, "unit")) {
		if net.Preset.Channels != "RGB" || net.Preset.Mean[0] != net.Preset.Mean[2] {
			continue
		}
		if v := check(t, net, nil); !v.OK || v.Order != Fits {
			t.Errorf("%s: %s, order %q", net.Row.Name, v.Line(), v.Order)
		}
		net.Preset.Channels = "BGR"
		if v := check(t, net, nil); v.Finding != SwappedChannels || v.Order != SwappedChannels {
			t.Errorf("%s: %s, order %q", net.Row.Name, v.Line(), v.Order)
		}
	}
}

// Values that were resized as floats are no whole levels; what is certain is still found, and nothing
// else.
func TestFloats(t *testing.T) {
	net := taught(t, "imagenet")
	blurred := func(p transforms.Preset) []transforms.Tensor {
		all := prepared(t, p, clean[0].pictures(48, 64))
		for _, x := range all {
			for k := range len(x.Data) - 3 {
				x.Data[k] = 0.7*x.Data[k] + 0.3*x.Data[k+3]
			}
		}
		return all
	}
	if v := check(t, net, blurred(net.Preset)); !v.OK {
		t.Errorf("a false alarm: %s", v.Line())
	}
	for _, m := range mistakes[:2] {
		p := net.Preset
		if m.want == NotDivided {
			p.Range = [2]float32{0, 255}
		} else {
			p.Range = [2]float32{0, 1. / 255}
		}
		if v := check(t, net, blurred(p)); v.Finding != m.want {
			t.Errorf("%s is found to be %q", m.want, v.Finding)
		}
	}
}

// Red and blue that are exchanged are named where the pictures can tell.
func TestSwappedPictures(t *testing.T) {
	net := taught(t, "unit")
	brown := set{"brown", nil}
	brown.draw = clean[1].draw
	p := net.Preset
	p.Channels = "BGR"
	for _, s := range []set{clean[0], brown} {
		pictures := s.pictures(48, 40)
		if v := check(t, net, prepared(t, net.Preset, pictures)); !v.OK {
			t.Errorf("%s: a false alarm: %s", s.name, v.Line())
		}
		if v := check(t, net, prepared(t, p, pictures)); v.Finding != SwappedChannels && v.Order != CannotTell {
			t.Errorf("%s: %q, order %q", s.name, v.Finding, v.Order)
		}
	}
}

// A few pictures may have any colours, and lines: no alarm.
func TestFewPictures(t *testing.T) {
	net := taught(t, "imagenet")
	p := net.Preset
	p.Channels = "BGR" // blue where red is usual
	for _, s := range clean {
		for n := range 4 {
			for _, q := range []transforms.Preset{net.Preset, p} {
				if v := check(t, net, prepared(t, q, s.pictures(n+1, 32))); !v.OK {
					t.Errorf("%d of %s: %s", n+1, s.name, v.Line())
				}
			}
		}
	}
}

func TestBadPictures(t *testing.T) {
	net := taught(t, "half")
	good := transforms.Tensor{Height: 32, Width: 32, Channels: 3, Data: make([]float32, 3*32*32)}
	for name, bad := range map[string]transforms.Tensor{
		"nothing":   {},
		"grey":      {Height: 32, Width: 32, Channels: 1, Data: make([]float32, 32*32)},
		"too short": {Height: 32, Width: 32, Channels: 3, Data: make([]float32, 5)},
		"negative":  {Height: -1, Width: -1, Channels: 3, Data: make([]float32, 3)},
		"NaN":       {Height: 1, Width: 1, Channels: 3, Data: []float32{0, float32(math.NaN()), 0}},
		"infinite":  {Height: 1, Width: 1, Channels: 3, Data: []float32{0, 0, float32(math.Inf(-1))}},
	} {
		if v, err := Check(net, []transforms.Tensor{good, bad}); err == nil || !strings.HasPrefix(err.Error(), "guard: picture 1 ") {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	// One pixel, one picture, the same picture again and again, huge values.
	one := transforms.Tensor{Height: 1, Width: 1, Channels: 3, Data: []float32{-1, 0, 1}}
	if v := check(t, net, []transforms.Tensor{one}); v.Finding != Constant {
		t.Errorf("one pixel: %s", v.Line())
	}
	same := prepared(t, net.Preset, clean[0].pictures(1, 32))
	for range 5 {
		same = append(same, same[0])
	}
	if v := check(t, net, same); !v.OK || len(v.Warnings) != 1 || v.Warnings[0] != "all 6 pictures are the same" {
		t.Errorf("the same picture: %s, %q", v.Line(), v.Warnings)
	}
	huge := prepared(t, net.Preset, clean[0].pictures(3, 32))
	for _, x := range huge {
		for i := range x.Data {
			x.Data[i] *= 3e37
		}
	}
	v := check(t, net, huge)
	if err := v.Figure().PNG(io.Discard); err != nil {
		t.Error(err)
	}
	net.Preset.Std[1] = 0
	if v, err := Check(net, nil); err == nil {
		t.Errorf("a deviation of 0: %+v", v)
	}
}

// The verdict is the same in whatever order, and from however many goroutines, pictures come.
func TestOrderOfPictures(t *testing.T) {
	net := taught(t, "half")
	pictures := prepared(t, net.Preset, clean[5].pictures(30, 32))
	text := func(backwards bool) string {
		g := New(net)
		done := make(chan error, len(pictures))
		for i := range pictures {
			if backwards {
				i = len(pictures) - 1 - i
			}
			go func() { done <- g.Look(i, pictures[i]) }()
		}
		for range pictures {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		v, err := g.Verdict()
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out) + v.Figure().Text()
	}
	if a, b := text(false), text(true); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// The figure's band is where photographs are, as the network wants them, and its title says the finding.
func TestFigure(t *testing.T) {
	net := taught(t, "imagenet")
	pictures := prepared(t, net.Preset, clean[0].pictures(20, 32))
	v := check(t, net, pictures)
	if text := v.Figure().Text(); !strings.Contains(text, "prepared as") || !strings.Contains(text, "Red mean") || !strings.Contains(text, "(expected 0)") {
		t.Errorf("%s", text)
	}
	half, err := transforms.Statistics("half")
	if err != nil {
		t.Fatal(err)
	}
	net.Preset = net.Preset.WithStatistics(half)
	v = check(t, net, prepared(t, net.Preset, clean[0].pictures(20, 32)))
	if text := v.Figure().Text(); !strings.Contains(text, "From -1 to 1: resnet20_cifar10 wants imagenet") {
		t.Errorf("%s", text)
	}
	var b bytes.Buffer
	if err := v.Figure().PNG(&b); err != nil || b.Len() > 150_000 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	if text := v.Text(); !strings.Contains(text, "* half") || !strings.Contains(text, "the best") {
		t.Error(text)
	}
}

// Another part of the pictures than in training is a warning.
func TestCrop(t *testing.T) {
	for _, net := range here(t, 12e6) {
		if net.Row.Preset.Geometry != transforms.GeometryShort {
			continue
		}
		if v := check(t, net, nil); len(v.Warnings) > 0 {
			t.Errorf("%s: %q", net.Row.Name, v.Warnings)
		}
		whole := net.Preset
		net.Preset.Geometry = transforms.GeometrySquash
		if v := check(t, net, nil); len(v.Warnings) != 1 || !v.OK {
			t.Errorf("%s squashed: %q", net.Row.Name, v.Warnings)
		}
		net.Preset = whole
		net.Preset.Resize = 2 * whole.Size
		if v := check(t, net, nil); len(v.Warnings) != 1 || !v.OK {
			t.Errorf("%s closer: %q", net.Row.Name, v.Warnings)
		}
		return
	}
	t.Skip("no weights of a network with a crop are here")
}

// An ONNX file that keeps its batch norms tells its statistics too; one that changes the pictures first,
// or has no norm there, does not.
func TestInferONNX(t *testing.T) {
	for _, c := range []struct{ file, cut, kernel, mean, variance string }{
		{"old.onnx", "", "conv1.weight", "bn1.running_mean", "bn1.running_var"},
		{"tensorflow.onnx", "#pool:0", "stem/kernel.weight", "stem/norm/mean.running_mean", "stem/norm/variance.running_var"},
		{"mobile.onnx", "", "", "", ""},
		{"odd.onnx", "#features", "", "", ""},
	} {
		raw, err := os.ReadFile(filepath.Join("..", "onnx", "testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), c.file)
		net := loadBytes(t, file, c.cut, raw)
		if p, err := Infer(net); err == nil {
			t.Errorf("%s, weights made by chance: %s", c.file, p)
		}
		if c.kernel == "" {
			continue
		}
		f, err := weights.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		values := func(name string) []float32 {
			tensor, _ := f.Tensor(name)
			v, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		kernel := values(c.kernel)
		mean, variance := seen(kernel, 8, prepared(t, net.Preset, clean[0].pictures(30, 32)))
		for name, to := range map[string][]float32{c.mean: mean, c.variance: variance} {
			old := floats(values(name))
			if bytes.Count(raw, old) != 1 {
				t.Fatalf("%s of %s is there %d times", name, c.file, bytes.Count(raw, old))
			}
			raw = bytes.Replace(raw, old, floats(to), 1)
		}
		f.Close()
		p, err := Infer(loadBytes(t, file, c.cut, raw))
		if err != nil || p.Name != "half" {
			t.Errorf("%s: %v, %v", c.file, p, err)
		}
	}
}

func floats(values []float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// loadBytes loads an ONNX file with the statistics "half".
func loadBytes(t *testing.T, file, cut string, raw []byte) *zoo.Net {
	t.Helper()
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	row, err := zoo.Find(file + cut)
	if err != nil {
		t.Fatal(err)
	}
	half, err := transforms.Statistics("half")
	if err != nil {
		t.Fatal(err)
	}
	preset := row.Preset.At(32).WithStatistics(half)
	if own, ok := row.Arch().(*onnx.Net); ok && own.Size() != 0 {
		preset = preset.At(own.Size())
	}
	net, err := zoo.Load(context.Background(), file+cut, zoo.Options{Preset: &preset})
	if err != nil {
		t.Fatal(err)
	}
	return net
}
