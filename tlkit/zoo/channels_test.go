package zoo

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// channelCase is a network that timm adapted to other channels, see internal/golden/referee/channels.py.
type channelCase struct {
	Name           string
	Channels, Size int
	Gain           float64
	Features       golden.Sample
}

func channelCases(t *testing.T) []channelCase {
	t.Helper()
	raw, err := os.ReadFile("testdata/channels.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []channelCase }
	if err := json.Unmarshal(raw, &all); err != nil || len(all.Cases) < 30 {
		t.Fatal(len(all.Cases), err)
	}
	return all.Cases
}

// goldenNet is the architecture of a golden, filled by the formula.
func goldenNet(t *testing.T, name string, size int) *Net {
	t.Helper()
	g, ok, err := golden.Find(name, golden.Formula)
	if err != nil || !ok {
		t.Fatal(name, ok, err)
	}
	i := slices.IndexFunc(table, func(r Row) bool { return r.golden == name })
	if i < 0 {
		t.Fatalf("no row has the golden %s", name)
	}
	r := table[i]
	if r.small != nil {
		r.arch = r.small
	}
	path, err := formulaFile(r, g)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	preset := r.Preset.At(size)
	n, err := r.load(t.Context(), Options{Weights: path, Preset: &preset})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// channelled is the referee's two pictures: the first one's red, or red, green, blue and the other one's
// green.
func channelled(size, channels int) []float32 {
	in, out := golden.Input(size, 2), []float32(nil)
	pixels := size * size
	for i := range 2 * pixels {
		if channels == 1 {
			out = append(out, in[3*i])
			continue
		}
		out = append(out, in[3*i], in[3*i+1], in[3*i+2], in[3*((i+pixels)%(2*pixels))+1])
	}
	return out
}

// Networks of all families compute, on one channel and on four, what timm's in_chans=1 and 4 do with the
// same weights.
//
// By default it takes one of each kind of first layer; TLKIT_FAMILIES=all takes all, three minutes.
func TestChannelsAreThoseOfTimm(t *testing.T) {
	quick := []string{"vit_tiny_patch16_224", "resnet20_cifar10", "squeezenet1_0"}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var net *Net
	for _, c := range channelCases(t) {
		if os.Getenv("TLKIT_FAMILIES") != "all" && !slices.Contains(quick, c.Name) {
			continue
		}
		if net == nil || net.Row.golden != c.Name {
			net = goldenNet(t, c.Name, c.Size)
		}
		n, err := net.WithChannels(c.Channels)
		if err != nil {
			t.Fatal(err)
		}
		x, err := n.NewExtractor(e.Backend, 2)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := x.Run(channelled(c.Size, c.Channels))
		x.Close()
		if err != nil {
			t.Fatal(err)
		}
		if off := c.Features.Difference(got); !(off <= Tolerance) {
			t.Errorf("%s with %d channels is off by %.1e, allowed %.0e", c.Name, c.Channels, off, Tolerance)
		} else {
			t.Logf("%s with %d channels is off by %.1e", c.Name, c.Channels, off)
		}
	}
}

// One grey channel, with the average statistics, is the picture that is grey in all three.
func TestGreyIsTheSumOfColours(t *testing.T) {
	n := goldenNet(t, "vit_tiny_patch16_224", 32)
	one, err := n.WithChannels(1)
	if err != nil {
		t.Fatal(err)
	}
	b := pureGo(t)
	grey := channelled(32, 1)
	var colour []float32
	for _, v := range grey {
		colour = append(colour, v, v, v)
	}
	features := func(n *Net, pictures []float32) []float32 {
		x, err := n.NewExtractor(b, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		got, _, err := x.Run(pictures)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got, want := features(one, grey), features(n, colour)
	for i := range want {
		if d := got[i] - want[i]; d > 1e-4 || d < -1e-4 {
			t.Fatalf("feature %d is %v, in three channels %v", i, got[i], want[i])
		}
	}
}

// Every architecture of the table can be adapted, and only its first convolution changes.
func TestEveryRowTakesOtherChannels(t *testing.T) {
	done := map[string]bool{}
	for _, r := range table {
		switch r.arch.(type) {
		case onnxFile, fitted, miniXception:
			continue
		}
		if done[r.golden] {
			continue
		}
		done[r.golden] = true
		if r.small != nil {
			r.arch = r.small
		}
		three, err := backbone.DeclareInput(r.arch, r.Preset.Size, r.Preset.Size, 3)
		if err != nil {
			t.Fatal(err)
		}
		four, err := backbone.DeclareInput(r.arch, r.Preset.Size, r.Preset.Size, 4)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		var changed []string
		for i, w := range four.Weights {
			if !slices.Equal(w.GraphShape, three.Weights[i].GraphShape) {
				changed = append(changed, fmt.Sprint(w.Name, three.Weights[i].GraphShape, w.GraphShape))
			}
		}
		if len(changed) != 1 {
			t.Errorf("%s: %v", r.Name, changed)
		}
	}
	if len(done) < 100 {
		t.Errorf("%d architectures", len(done))
	}
}

// An ONNX file of an adapted net takes its channels.
func TestChannelsInONNX(t *testing.T) {
	rt := testruntime.Open(t)
	for _, channels := range []int{1, 4} {
		n, err := goldenNet(t, "vit_tiny_patch16_224", 32).WithChannels(channels)
		if err != nil {
			t.Fatal(err)
		}
		got, err := n.everythingOn(rt, channelled(32, channels), 2)
		if err != nil {
			t.Fatal(err)
		}
		want, err := n.everything(pureGo(t), channelled(32, channels), 2)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range want.features {
			if d := got.features[i] - v; d > 1e-4 || d < -1e-4 {
				t.Fatalf("%d channels: feature %d is %v, in XLA %v", channels, i, got.features[i], v)
			}
		}
	}
}

func TestNormalisation(t *testing.T) {
	n := &Net{Preset: short("", 256, 224, "")}
	for channels, want := range map[int][]float32{1: {(0.485 + 0.456 + 0.406) / 3}, 3: {0.485, 0.456, 0.406}, 4: {0.485, 0.456, 0.406, 0.485}} {
		n.channels = channels
		mean, std := n.Normalisation()
		if !slices.EqualFunc(mean, want, func(a, b float32) bool { return a-b < 1e-6 && b-a < 1e-6 }) || len(std) != channels {
			t.Errorf("%d channels: mean %v, deviation %v, want %v", channels, mean, std, want)
		}
	}
}

func TestChannelsAreRefused(t *testing.T) {
	n := goldenNet(t, "vit_tiny_patch16_224", 32)
	four, err := n.WithChannels(4)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"none":     {func() error { _, err := n.WithChannels(0); return err }, "0 channels, want 1"},
		"millions": {func() error { _, err := n.WithChannels(1 << 30); return err }, "channels, want 1"},
		"twice":    {func() error { _, err := four.WithChannels(1); return err }, "one of 3"},
		"grey faces": {func() error {
			r, err := Find("mini_xception")
			if err != nil {
				return err
			}
			d, err := r.declare()
			if err != nil {
				return err
			}
			random, err := (&Net{Row: r, Preset: r.Preset, declared: d, tensors: map[string]weights.Loaded{}}).Random(1)
			if err != nil {
				return err
			}
			_, err = random.WithChannels(4)
			return err
		}, "mixes colours itself"},
		"wrong pictures": {func() error {
			x, err := four.NewExtractor(pureGo(t), 1)
			if err != nil {
				return err
			}
			defer x.Close()
			_, _, err = x.Run(make([]float32, 32*32*3))
			return err
		}, "32x32x4"},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	store := model.NewStore()
	defer store.Finalize()
	exec, err := model.NewExec(pureGo(t), store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		out := four.Graph(scope, x)
		return []*graph.Node{out.Features, out.Logits} // the pure Go backend fails where an operation has no use
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	if out, err := exec.Call(tensors.FromFlatDataAndDimensions(channelled(32, 4), 2, 32, 32, 4)); err != nil || out[0].Shape().Dim(1) != 192 {
		t.Errorf("in a graph: %v", err)
	}
	if _, err := exec.Call(tensors.FromFlatDataAndDimensions(golden.Input(32, 2), 2, 32, 32, 3)); err == nil || !strings.Contains(err.Error(), "want [N,H,W,4]") {
		t.Errorf("three channels in a graph: %v", err)
	}
}
