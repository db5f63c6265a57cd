package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/ownhome"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/heads"
	"github.com/tlkit/transfer-learning/tlkit/transforms"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func TestMain(m *testing.M) { os.Exit(ownhome.Run(m)) }

// ofFormula is a network with the weights of the formula, for pictures of a size.
func ofFormula(t *testing.T, name string, size int, gain float64) *zoo.Net {
	t.Helper()
	row, err := zoo.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	if err := formulanet.Write(path, row.Arch(), size, gain); err != nil {
		t.Fatal(err)
	}
	preset := row.Preset
	preset.Size = size
	net, err := zoo.Load(t.Context(), name, zoo.Options{Weights: path, Preset: &preset, Offline: true, NonCommercial: true})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func input(size int) transforms.Tensor {
	return transforms.Tensor{Height: size, Width: size, Channels: 3, Data: golden.Input(size, 1)}
}

// The heat is that of PyTorch's gradients to 1e-4 of the largest: float32 against float64, through a
// whole network and half a block back.
func TestHeatAgainstReferee(t *testing.T) {
	raw, err := os.ReadFile("testdata/referee.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Cases []struct {
			Name, Stage string
			Size, Width int
			Gain        float64
			Heat        []float64
		}
	}
	if err := json.Unmarshal(raw, &all); err != nil || len(all.Cases) < 8 {
		t.Fatal(len(all.Cases), err)
	}
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, c := range all.Cases {
		t.Run(c.Name, func(t *testing.T) {
			net := ofFormula(t, c.Name, c.Size, c.Gain)
			n, err := Open(net, e.Backend)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			width := net.Row.Features
			m := &head.Linear{Features: width, Classes: 1, Weight: golden.Fill("head.weight", []int{1, width}, 1), Bias: []float32{0}}
			h, err := n.Heat(input(c.Size), m, 0)
			if err != nil {
				t.Fatal(err)
			}
			if n.Stage() != c.Stage || h.Width != c.Width || len(h.Values) != len(c.Heat) {
				t.Fatalf("%d x %d behind %s, the referee has %d numbers, %d wide, behind %s", h.Width, h.Height, n.Stage(), len(c.Heat), c.Width, c.Stage)
			}
			largest, off := 0.0, 0.0
			for i, v := range c.Heat {
				largest, off = max(largest, v), max(off, math.Abs(v-h.Values[i]))
			}
			if !(off <= 1e-4*largest) {
				t.Errorf("off by %.2g of the largest", off/largest)
			}
		})
	}
}

// A head that is not linear has its own gradient at the picture.
func TestGradientOfOtherHeads(t *testing.T) {
	x := []float32{0.5, -1, 2}
	l := head.Linear{Features: 3, Classes: 2, Weight: []float32{1, 2, 3, -1, 0.5, 2}, Bias: []float32{0.1, 0.2}}
	cosine := &heads.Cosine{Linear: l}
	for output := range 2 {
		got, err := gradient(cosine, x, output)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x {
			const step = 1e-2
			up, down := append([]float32(nil), x...), append([]float32(nil), x...)
			up[i], down[i] = up[i]+step, down[i]-step
			want := (cosine.Logits(up)[output] - cosine.Logits(down)[output]) / (2 * step)
			if math.Abs(float64(got[i]-want)) > 1e-3 {
				t.Errorf("output %d, feature %d: %v, by differences %v", output, i, got[i], want)
			}
		}
	}
	mean := &heads.Mean{Of: []heads.Model{&l, cosine}}
	if g, err := gradient(mean, x, 0); err != nil || g[0] == 0 {
		t.Errorf("of a mean: %v, %v", g, err)
	}
	flat := &head.Linear{Features: 3, Classes: 1, Weight: make([]float32, 3), Bias: []float32{1}}
	if _, err := gradient(&heads.Mean{Of: []heads.Model{flat, flat}}, x, 0); !errors.Is(err, ErrFlat) {
		t.Errorf("a head that never changes: %v", err)
	}
}

func TestBadQuestions(t *testing.T) {
	net := ofFormula(t, "resnet20_cifar10", 32, 1)
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	n, err := Open(net, e.Backend)
	if err != nil {
		t.Fatal(err)
	}
	m := &head.Linear{Features: 64, Classes: 2, Weight: make([]float32, 128), Bias: make([]float32, 2)}
	narrow := &head.Linear{Features: 3, Classes: 2, Weight: make([]float32, 6), Bias: make([]float32, 2)}
	if _, err := n.Heat(input(31), m, 0); err == nil {
		t.Error("a picture of another size is no error")
	}
	if _, err := n.Heat(input(32), m, 2); err == nil {
		t.Error("an output that is not there is no error")
	}
	if _, err := n.Heat(input(32), narrow, 0); err == nil {
		t.Error("a head on other features is no error")
	}
	if h, err := n.Heat(input(32), m, 0); err != nil || h.Share() != 1 {
		t.Errorf("weights of zero: %v, %v", h, err)
	}
	n.Close()
	n.Close()
	if _, err := n.Heat(input(32), m, 0); err == nil {
		t.Error("a closed network is no error")
	}
}

func TestHeat(t *testing.T) {
	h := &Heat{Width: 2, Height: 2, Values: []float64{0, 1, 0, 3}}
	if v, x, y := h.Peak(); v != 3 || x != 0.75 || y != 0.75 {
		t.Errorf("peak %v at %v, %v", v, x, y)
	}
	if s := h.Share(); s != 0.25 {
		t.Errorf("half of the heat on %v", s)
	}
	if a := h.Alike(h); math.Abs(a-1) > 1e-12 {
		t.Errorf("a map is like itself by %v", a)
	}
	if a := h.Alike(&Heat{Width: 2, Height: 2, Values: []float64{3, 1, 3, 0}}); a > -0.9 {
		t.Errorf("the opposite is alike by %v", a)
	}
	for _, other := range []*Heat{{Width: 1, Height: 4, Values: h.Values}, {Width: 2, Height: 2, Values: make([]float64, 4)}} {
		if a := h.Alike(other); !math.IsNaN(a) {
			t.Errorf("alike by %v", a)
		}
	}
	if s := (&Heat{Width: 2, Height: 1, Values: make([]float64, 2)}).Share(); s != 1 {
		t.Errorf("no heat on %v", s)
	}
}

// The hottest part is the lightest, and all colours of heat differ in lightness.
func ExampleHeat_Over() {
	picture := image.NewGray(image.Rect(0, 0, 64, 64))
	for i := range picture.Pix {
		picture.Pix[i] = 128
	}
	h := &Heat{Width: 2, Height: 1, Values: []float64{0, 4}}
	over := h.Over(picture)
	light := func(x int) uint8 { return color.GrayModel.Convert(over.At(x, 32)).(color.Gray).Y }
	fmt.Println(light(0) < light(32), light(32) < light(63))
	// Output: true true
}
