package finetune

import (
	"cmp"
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

// lastSteps are three steps of the last stages of a network and a head in PyTorch, in float64, see
// internal/golden/referee/family_steps.py.
type lastSteps struct {
	Family  string
	Row     string
	Size    int
	Norms   Norms
	Border  string   // the last stage that is frozen
	Stages  []string // those behind it
	Gain    float64
	Rate    float64
	Trained int       // tensors, without the head's
	Losses  []float64 // of the steps, and behind them
	Moved   map[string]struct {
		Every  int       // each so many numbers of the tensor
		Values []float64 // by how much they changed, in the layout of the file
	}
}

func familySteps(t *testing.T) []lastSteps {
	t.Helper()
	raw, err := os.ReadFile("testdata/families.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Runs []lastSteps }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Runs
}

// ofONNX is the family of networks that are inside a file. A member of another one stands for it.
const ofONNX = "ONNX"

// quick are the families of each run, different in what they learn: squeeze and excitation, attention
// with its rotations and gates, depthwise convolutions with layer norms and response norms, batch norms
// that follow the batch in the way of PyTorch and of Keras, a file of ONNX.
var quick = []string{"SqueezeNet", ofONNX, "MobileNetV3", "Xception", "ViT", "EVA-02", "ConvNeXt V2"}

// A network of each family learns what it learns in PyTorch (that of Xception: in Keras), with the same
// weights, pictures and rates. TLKIT_FAMILIES=all tests all of them, which takes minutes of compiling.
func TestFamiliesAgainstTorch(t *testing.T) {
	for _, r := range familySteps(t) {
		if os.Getenv("TLKIT_FAMILIES") != "all" && !slices.Contains(quick, r.Family) {
			continue
		}
		t.Run(r.Family, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "formula.safetensors")
			writeFormula(t, r.Row, r.Gain, path)
			net := r.load(t, r.Row, path)
			if r.Family == ofONNX {
				net = r.fromONNX(t, net)
			}
			r.agree(t, net)
		})
	}
}

// fromONNX returns the same network from an ONNX file, whose stages have names of their own.
func (r lastSteps) fromONNX(t *testing.T, net *zoo.Net) *zoo.Net {
	t.Helper()
	content, err := net.ONNX()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "network.onnx")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return r.load(t, file+"#features", "")
}

// There is no family without steps of a referee, nor a network that has moved to another family.
func TestEveryFamilyHasSteps(t *testing.T) {
	family := map[string]string{}
	for _, r := range familySteps(t) {
		family[r.Family] = r.Row
		if row, err := zoo.Find(r.Row); err != nil || row.Family != r.Family && r.Family != ofONNX {
			t.Errorf("%s belongs to %q, want %q (%v)", r.Row, row.Family, r.Family, err)
		}
		if len(r.Losses) != 4 || len(r.Moved) < 3 || r.Trained == 0 {
			t.Errorf("%s: %d losses, %d tensors compared, %d trained", r.Row, len(r.Losses), len(r.Moved), r.Trained)
		}
	}
	for _, row := range zoo.Rows() {
		if family[row.Family] == "" {
			t.Errorf("no steps of family %s (%s): add it to internal/golden/referee/family_steps.py", row.Family, row.Name)
			family[row.Family] = row.Name
		}
	}
	for _, f := range quick {
		if family[f] == "" {
			t.Errorf("no family is called %s", f)
		}
	}
}

// load loads a network for pictures of the referee's size.
func (r lastSteps) load(t *testing.T, name, weights string) *zoo.Net {
	t.Helper()
	row, err := zoo.Find(r.Row)
	if err != nil {
		t.Fatal(err)
	}
	preset := row.Preset.At(r.Size)
	net, err := zoo.Load(t.Context(), name, zoo.Options{Weights: weights, Preset: &preset, NonCommercial: true})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// agree takes the steps and compares their losses, and what they have changed, with PyTorch's.
func (r lastSteps) agree(t *testing.T, net *zoo.Net) {
	const classes, pictures = 3, 4
	e := xla(t)
	width := net.Declaration().Features
	h := &head.Linear{
		Features: width, Classes: classes,
		Weight: golden.Fill("linear.weight", []int{classes, width}, r.Gain), Bias: golden.Fill("linear.bias", []int{classes}, r.Gain),
	}
	p := Plan{
		Name: "test", Epochs: 1, Batch: pictures, Mix: 1, Norms: r.Norms, Schedule: optim.Schedule{Kind: optim.Constant},
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
	if trained := len(tu.params) - 2; tu.border != r.Border || trained != r.Trained {
		t.Fatalf("the frozen part ends with %q, and %d tensors are trained, want %q and %d", tu.border, trained, r.Border, r.Trained)
	}
	b := &batch{x: frozenMaps(t, net, e, golden.Input(r.Size, pictures), pictures, r.Border), targets: make([]float32, pictures*classes)}
	for i := range pictures {
		b.rows, b.items = append(b.rows, 1), append(b.items, i)
		o.loss.target(items[i], 0.1, b.targets[classes*i:classes*(i+1)])
	}
	const within = 2e-4 // float32 against float64, through all blocks and back
	worst := 0.0
	for i, want := range r.Losses {
		got, err := tu.run(b, p.Rule.Now([]int{i}, []float64{r.Rate}, p.Rule.Momentum))
		if err != nil {
			t.Fatal(err)
		}
		off := math.Abs(got.loss-want) / want
		worst = max(worst, off)
		if !(off <= within) {
			t.Errorf("after %d steps: loss %.6f, PyTorch says %.6f", i, got.loss, want)
		}
		if i == 2 {
			r.changed(t, tu, net)
		}
	}
	t.Logf("%s: losses differ by %.1e", net.Row.Name, worst)
}

// changed compares the weights after the steps.
func (r lastSteps) changed(t *testing.T, tu *tuner, net *zoo.Net) {
	t.Helper()
	values, err := tu.tuned()
	if err != nil {
		t.Fatal(err)
	}
	_, after, err := tu.result(values)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range net.Declaration().Weights {
		old, _, _ := net.Tensor(w.Name)
		now, _, _ := after.Tensor(w.Name)
		learns := slices.Contains(r.Stages, w.Stage) && (w.Trainable || r.Norms == BatchNorms)
		if !learns && !slices.Equal(old, now) {
			t.Errorf("%s is frozen and moved", w.Name)
		}
	}
	const within = 0.01 // of the largest
	for name, want := range r.Moved {
		old, now := fileOrder(t, net, name), fileOrder(t, after, name)
		largest, off := 0.0, 0.0
		for i, by := range want.Values {
			at := i * want.Every
			largest, off = max(largest, math.Abs(by)), max(off, math.Abs(float64(now[at])-float64(old[at])-by))
		}
		t.Logf("%s: %.1e of what it moved", name, off/largest)
		if !(off <= within*largest) {
			t.Errorf("%s is off by %.2g after it moved by up to %.2g", name, off, cmp.Or(largest, math.Inf(1)))
		}
	}
}
