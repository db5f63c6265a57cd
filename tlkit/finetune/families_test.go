package finetune

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/optim"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// lastSteps are the losses of four steps of the last stages of a network and a head in PyTorch, see
// internal/golden/referee/finetune.py and transformer_steps.py.
type lastSteps struct {
	Row       string
	Size      int
	Border    string   // the last stage that is frozen
	Stages    []string // those behind it
	Gain      float64
	Rate      float64
	Smoothing float64
	Losses    []float64
}

// A network of each family learns what it learns in PyTorch, in float64, with the same weights, pictures
// and rates. Two of them are tested in each run, among them convolutions in groups; TLKIT_GOLDENS=all
// tests every one, which takes some minutes of compiling.
func TestFamiliesAgainstTorch(t *testing.T) {
	raw, err := os.ReadFile("testdata/families.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Runs []lastSteps }
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Runs) < 10 {
		t.Fatal(len(file.Runs), err)
	}
	for _, r := range file.Runs {
		if os.Getenv("TLKIT_GOLDENS") == "all" || slices.Contains([]string{"squeezenet1_1", "regnet_y_400mf"}, r.Row) {
			t.Run(r.Row, func(t *testing.T) { r.agree(t, 1e-3) })
		}
	}
}

// agree makes the steps and compares their losses, relative to PyTorch's. It returns what was trained.
func (r lastSteps) agree(t *testing.T, within float64) (*tuner, *zoo.Net) {
	t.Helper()
	const classes, pictures = 3, 4
	e := xla(t)
	row, err := zoo.Find(r.Row)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	writeFormula(t, r.Row, r.Gain, path)
	preset := row.Preset.At(r.Size)
	net, err := zoo.Load(t.Context(), r.Row, zoo.Options{Weights: path, Preset: &preset})
	if err != nil {
		t.Fatal(err)
	}
	h := &head.Linear{
		Features: row.Features, Classes: classes,
		Weight: golden.Fill("linear.weight", []int{classes, row.Features}, r.Gain), Bias: golden.Fill("linear.bias", []int{classes}, r.Gain),
	}
	p := Plan{
		Name: "test", Epochs: 1, Batch: pictures, Mix: 1, Norms: FrozenNorms, Schedule: optim.Schedule{Kind: optim.Constant},
		Rule:   optim.Rule{Name: optim.SGD, Momentum: 0.9},
		Groups: []Group{{Name: "top", Stages: append(slices.Clone(r.Stages), HeadStage), Rate: r.Rate}},
	}
	if err := p.Check(net); err != nil {
		t.Fatal(err)
	}
	o, items := sixPictures("")
	tu, err := newTuner(net, e, o, h, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tu.close)
	if tu.border != r.Border {
		t.Fatalf("the frozen part ends with %q, want %q", tu.border, r.Border)
	}
	b := &batch{x: frozenMaps(t, net, e, golden.Input(r.Size, pictures), pictures, r.Border), targets: make([]float32, pictures*classes)}
	for i := range pictures {
		b.rows, b.items = append(b.rows, 1), append(b.items, i)
		o.loss.target(items[i], r.Smoothing, b.targets[classes*i:classes*(i+1)])
	}
	for i, want := range r.Losses {
		got, err := tu.run(b, p.Rule.Now([]int{i}, []float64{r.Rate}, p.Rule.Momentum))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("step %d: loss %.7f, off by %.1e", i, got.loss, math.Abs(got.loss-want)/want)
		if !(math.Abs(got.loss-want) <= within*want) {
			t.Errorf("step %d: loss %.6f, PyTorch says %.6f", i, got.loss, want)
		}
	}
	return tu, net
}
