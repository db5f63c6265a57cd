package finetune

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/task"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// xla opens XLA on this machine, and installs its plugin on the first run. It skips the test
// without XLA, because plain Go takes seconds a step.
func xla(tb testing.TB) *engine.Engine {
	tb.Helper()
	e, err := engine.Open(context.Background(), engine.Options{Install: true})
	if err != nil {
		tb.Skipf("needs XLA, which could not be opened: %v", err)
	}
	tb.Cleanup(e.Close)
	if !strings.HasPrefix(e.Name, "xla") {
		tb.Skipf("needs XLA: %s", e.Why)
	}
	return e
}

// formulaNet returns a network of the zoo with weights from the formula.
func formulaNet(tb testing.TB, name string, gain float64) *zoo.Net {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "formula.safetensors")
	writeFormula(tb, name, gain, path)
	n, err := zoo.Load(context.Background(), name, zoo.Options{Weights: path})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func writeFormula(tb testing.TB, name string, gain float64, path string) {
	tb.Helper()
	row, err := zoo.Find(name)
	if err != nil {
		tb.Fatal(err)
	}
	if err := formulanet.Write(path, row.Arch(), row.Preset.Size, gain); err != nil {
		tb.Fatal(err)
	}
}

// torchSteps are complete training steps of PyTorch, see internal/golden/referee/finetune.py.
type torchSteps struct {
	Task  datasets.Task
	Rule  optim.Method
	Norms Norms
	Rates []float64
	Gain  float64
	Steps []struct {
		Loss, Norm float64
		Right      int
	}
	Logits  []float64
	Tensors map[string]struct {
		Every  int
		Values []float64
	}
}

// Six steps of ResNet-20 in batches of four and two, the last one padded; two groups, weight decay,
// clipping, smoothed labels; frozen norms and norms that follow the batch; classes, several labels
// and values. The referee computes in float64; float32 differs by up to 1e-6, and any wrong detail
// (decay on biases, a biased running variance, padding that counts) by 1e-3 and more.
func TestStepsAgainstTorch(t *testing.T) {
	e := xla(t)
	raw, err := os.ReadFile("testdata/steps.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Runs []torchSteps }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	const tolerance = 2e-5
	for _, c := range file.Runs {
		t.Run(string(c.Task)+" "+string(c.Norms)+" "+string(c.Rule), func(t *testing.T) {
			if c.Gain != clearGain {
				t.Fatalf("the referee's gain is %v, ours %v", c.Gain, clearGain)
			}
			net := clearNet(t)
			checkClear(t, net, e, golden.Input(32, 6), 6)
			h := &head.Linear{Features: 64, Classes: 3, Weight: golden.Fill("linear.weight", []int{3, 64}, c.Gain), Bias: golden.Fill("linear.bias", []int{3}, c.Gain)}
			p := Plan{Name: "test", Epochs: 3, Batch: 4, Norms: c.Norms, Smoothing: 0.1, Mix: 1, Schedule: optim.Schedule{Kind: optim.Constant},
				Rule: optim.Rule{Name: c.Rule, Clip: 1},
				Groups: []Group{{Name: "layer2", Stages: []string{"layer2"}, Rate: c.Rates[0], Decay: 0.05},
					{Name: "top", Stages: []string{"layer3", HeadStage}, Rate: c.Rates[1], Decay: 0.05}}}
			if c.Rule == optim.SGD {
				p.Rule.Momentum = 0.9
			} else {
				p.Rule.Epsilon = 1e-3
			}
			if err := p.Check(net); err != nil {
				t.Fatal(err)
			}
			o, items := sixPictures(c.Task)
			tu, err := newTuner(net, e, o, h, p)
			if err != nil {
				t.Fatal(err)
			}
			defer tu.close()
			if tu.border != "layer1" {
				t.Fatalf("the frozen part ends with %q", tu.border)
			}
			maps := frozenMaps(t, net, e, golden.Input(32, 6), 6, "layer1")
			width := len(maps) / 6
			input := func(rows []int) *batch {
				b := &batch{x: make([]float32, 4*width), targets: make([]float32, 12), rows: make([]float32, 4), items: rows}
				for i, r := range rows {
					copy(b.x[i*width:], maps[r*width:(r+1)*width])
					o.loss.target(items[r], p.Smoothing, b.targets[i*3:i*3+3])
					b.rows[i] = 1
				}
				return b
			}
			for i, want := range c.Steps {
				rows := []int{0, 1, 2, 3}
				if i%2 == 1 {
					rows = []int{4, 5}
				}
				b := input(rows)
				o, err := tu.run(b, p.Rule.Now([]int{i, i}, c.Rates, p.Rule.Momentum))
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(o.loss-want.Loss) > tolerance*want.Loss || math.Abs(o.norm-want.Norm) > 5*tolerance*want.Norm {
					t.Errorf("step %d: loss %.6f, norm %.5f; PyTorch says %.6f, %.5f", i, o.loss, o.norm, want.Loss, want.Norm)
				}
				if r := right(o.logits, b.targets, len(rows), 3); c.Task == datasets.Classes && int(r) != want.Right {
					t.Errorf("step %d: %v right; PyTorch says %d", i, r, want.Right)
				}
				t.Logf("step %d: loss off by %.1e, norm by %.1e", i, math.Abs(o.loss/want.Loss-1), math.Abs(o.norm/want.Norm-1))
			}
			values, err := tu.tuned()
			if err != nil {
				t.Fatal(err)
			}
			written, changed, err := tu.result(values)
			if err != nil {
				t.Fatal(err)
			}
			if h = o.loss.inTraining(written); c.Task == datasets.Values && slices.Equal(h.Weight, written.Weight) {
				t.Error("the head that is written is in standard deviations")
			}
			compare := func(name string, got []float32, every int, want []float64) {
				t.Helper()
				big, off := 0.0, 0.0
				for i, w := range want {
					big, off = max(big, math.Abs(w)), max(off, math.Abs(float64(got[i*every])-w))
				}
				if !(off <= tolerance*big) {
					t.Errorf("%s is off by %.2g of %.2g", name, off, big)
				}
				t.Logf("%s: %.1e", name, off/big)
			}
			for name, want := range c.Tensors {
				switch name {
				case "linear.weight":
					compare(name, h.Weight, want.Every, want.Values)
				case "linear.bias":
					compare(name, h.Bias, want.Every, want.Values)
				default:
					v := fileOrder(t, changed, name)
					compare(name, v, want.Every, want.Values)
				}
			}
			for _, w := range net.Declaration().Weights { // frozen, so the same bits
				before, _, _ := net.Tensor(w.Name)
				after, _, _ := changed.Tensor(w.Name)
				statistics := !w.Trainable && c.Norms == FrozenNorms
				if (w.Stage == "stem" || w.Stage == "layer1" || statistics) && !slices.Equal(before, after) {
					t.Errorf("%s is frozen and moved", w.Name)
				}
			}
			if c.Norms == FrozenNorms {
				checkClear(t, changed, e, golden.Input(32, 6), 6)
			}
			// The complete changed net, run on pictures, gives PyTorch's final logits.
			x, err := changed.NewExtractor(e.Backend, 6)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			f, _, err := x.Run(golden.Input(32, 6))
			if err != nil {
				t.Fatal(err)
			}
			compare("logits", h.Logits(f), 1, c.Logits)
		})
	}
}

// classes returns the objective of one label a picture, for k classes.
func classes(k int) objective { return objective{task.Classes{}, classLoss{k: k}, k} }

// sixPictures returns the referee's pictures with their labels or values. The values have different
// means and standard deviations.
func sixPictures(kind datasets.Task) (objective, []datasets.Item) {
	class := []int{0, 1, 2, 2, 1, 0}
	targets := [][]float64{{1, 0, 0}, {0, 1, 1}, {0, 0, 0}, {1, 1, 0}, {0, 0, 1}, {1, 0, 1}}
	o := classes(3)
	switch kind {
	case datasets.Labels:
		o = objective{task.Labels{}, labelLoss{k: 3}, 3}
	case datasets.Values:
		l := valueLoss{mean: []float64{10, -3, 0.5}, sd: []float64{2, 500, 0.0625}}
		o = objective{task.Values{}, l, 3}
		targets = [][]float64{{0.5, -1, 2}, {1.5, 0, -0.25}, {-0.5, 1, 0.75}, {-2, 0.5, 0}, {0.25, -0.5, 1}, {0, 0.75, -1.5}}
		for _, row := range targets {
			for c, v := range row {
				row[c] = l.mean[c] + v*l.sd[c]
			}
		}
	}
	items := make([]datasets.Item, 6)
	for i := range items {
		if items[i].Class = class[i]; kind != datasets.Classes {
			items[i].Targets = targets[i]
		}
	}
	return o, items
}

// fileOrder returns a tensor in PyTorch's layout.
func fileOrder(t *testing.T, n *zoo.Net, name string) []float32 {
	t.Helper()
	v, _, ok := n.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	for _, w := range n.Declaration().Weights {
		if w.Name == name {
			out, err := w.Layout.Undo(w.Shape, v)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	return nil
}

// frozenMaps runs the frozen part over prepared pictures.
func frozenMaps(t *testing.T, net *zoo.Net, e *engine.Engine, pictures []float32, n int, border string) []float32 {
	t.Helper()
	width := 1
	for _, s := range net.Declaration().Stages {
		if s.Name == border {
			width = s.Size()
		}
	}
	b := features.Maps(net, e, []string{border}, engine.Form{})
	run, err := b.Open(context.Background(), net.Preset.Size)
	if err != nil {
		t.Fatal(err)
	}
	one := len(pictures) / n
	in := make([]float32, b.Batch*one)
	copy(in, pictures)
	out, err := run(in)
	if err != nil {
		t.Fatal(err)
	}
	return out[:n*width]
}
