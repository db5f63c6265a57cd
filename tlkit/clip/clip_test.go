package clip

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// tolerance of vectors of length 1, relative to their largest number: float32, summed in another order.
const tolerance = 2e-5

// shallow is a text tower as the referee has it, with weights made by the formula.
func shallow(t *testing.T, text string, quickGELU bool, gain float64) *Model {
	t.Helper()
	m := &Model{Row: zoo.Row{Name: "made", Text: text}, tower: towers[text], tokenizer: openAI(t)}
	m.tower.layers, m.tower.gelu, m.Embed = 2, backbone.GELU, m.tower.embed
	if quickGELU {
		m.tower.gelu = backbone.QuickGELU
	}
	d, err := backbone.DeclareInput(m.tower, Context, m.tower.width)
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.NewReplacer(".attn.qkv.", ".attn.in_proj_", ".attn.proj.", ".attn.out_proj.", projection, "text_projection")
	var made []weights.Tensor
	for _, w := range slices.Concat(d.Wants(), m.tower.wants(false)) {
		name := theirs.Replace(w.Name)
		values := golden.Fill(name, w.Shape, gain)
		if w.Name == scale {
			values = []float32{float32(math.Log(100))}
		}
		made = append(made, weights.FromFloat32(name, w.Shape, values))
	}
	path := filepath.Join(t.TempDir(), "open_clip_model.safetensors")
	if err := weights.WriteSafetensors(path, made, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.read(path); err != nil {
		t.Fatal(err)
	}
	return m
}

func testEngine(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func TestTextsAreThoseOfOpenCLIP(t *testing.T) {
	r, e := openReferee(t), testEngine(t)
	if len(r.Models) < 3 {
		t.Fatalf("%d models", len(r.Models))
	}
	for _, want := range r.Models {
		m := shallow(t, want.Name, want.QuickGELU, want.Gain)
		if s := m.Scale(); math.Abs(s-100) > 1e-3 {
			t.Errorf("%s: scale %v, want 100", want.Name, s)
		}
		got, err := m.Texts(t.Context(), e, r.Prompts)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range want.Texts.Values {
			if off := difference(got[i], row, want.Texts.Step); off > tolerance {
				t.Errorf("%s: %q is off by %.1e, allowed %.0e", want.Name, r.Prompts[i], off, tolerance)
			} else {
				t.Logf("%s: %q is off by %.1e", want.Name, r.Prompts[i], off)
			}
		}
	}
}

// difference of a vector from every step-th number of the referee's, relative to its largest.
func difference(got []float32, want []float64, step int) (off float64) {
	most := 0.0
	for i, w := range want {
		off, most = max(off, math.Abs(float64(got[i*step])-w)), max(most, math.Abs(w))
	}
	return off / most
}

// Probabilities are the softmax of scaled cosines, also where a difference of logits is too large for exp.
func TestProbabilities(t *testing.T) {
	m := &Model{Embed: 2, scale: 100}
	p := m.Probabilities([]float32{1, 0}, [][]float32{{0.31, 0.95}, {0.3, -0.95}, {-1, 0}})
	if want := 1 / (1 + math.Exp(-1)); math.Abs(p[0]-want) > 1e-6 || math.Abs(p[1]-(1-want)) > 1e-6 || !(p[2] < 1e-40) {
		t.Errorf("%v, want %v, %v and next to nothing", p, want, 1-want)
	}
}
