package export

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/internal/testruntime"
	"github.com/tlkit/transfer-learning/tlkit/datasets"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/features"
	"github.com/tlkit/transfer-learning/tlkit/head"
	"github.com/tlkit/transfer-learning/tlkit/metrics"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// byHand are families that take up to a minute each. Some are the code of another family with other
// numbers (ViT's), and package zoo compares what the files of all of them compute.
var byHand = []string{
	"FlexiViT", "DINO", "DeiT III", "DINOv3", "LingBot-Vision", "Swin V2",
	"ResNeXt", "SE-ResNet", "ResNet-D", "BiT", "DenseNet", "Inception-v3",
}

// smallest returns the row with the fewest parameters of each family whose architecture is known
// without its file. Those of byHand, and families that begin with more than 30 million, are tested with
// TLKIT_FAMILIES=all.
func smallest() (rows []zoo.Row) {
	least := map[string]zoo.Row{}
	var order []string
	for _, r := range zoo.Rows() {
		if r.Family == "ONNX" {
			continue
		}
		if _, ok := least[r.Family]; !ok {
			order = append(order, r.Family)
			least[r.Family] = r
		}
		if r.Params < least[r.Family].Params {
			least[r.Family] = r
		}
	}
	for _, family := range order {
		slow := least[family].Params > 30e6 || slices.Contains(byHand, family)
		if slow && os.Getenv("TLKIT_FAMILIES") != "all" {
			continue
		}
		rows = append(rows, least[family])
	}
	return rows
}

// onFamily returns a head on a row with weights made by a formula.
func onFamily(t *testing.T, e *engine.Engine, r zoo.Row) *Classifier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "weights.safetensors")
	preset := r.Preset
	if preset.Size > 64 {
		preset.Size, preset.Resize = 64, 72
	}
	if r.Fits(preset.Size) != nil { // patches of 14
		preset.Size, preset.Resize = 56, 64
	}
	if r.Family == "Inception-v3" {
		preset.Size, preset.Resize = 96, 108 // it takes no fewer than 75 pixels
	}
	if err := formulanet.Write(file, r.Arch(), preset.Size, 1); err != nil {
		t.Fatal(err)
	}
	o := zoo.Options{Weights: file, Offline: true, Preset: &preset}
	net, err := zoo.Load(t.Context(), r.Name, o)
	if err != nil {
		t.Fatal(err)
	}
	const k = 3
	h := &Head{
		Task: datasets.Classes, Labels: []string{"a", "b", "c"}, Preset: preset,
		Backbone: Backbone{Name: r.Name, SHA256: net.SHA256, Entry: net.Entry, Features: r.Features},
		Data:     Data{Name: "made", Train: 1}, Result: Result{Score: metrics.Fraction{Correct: 1, Total: 1}.Score()},
		Linear: head.Linear{Features: r.Features, Classes: k, Bias: make([]float32, k)},
	}
	for i := range k * r.Features {
		h.Linear.Weight = append(h.Linear.Weight, float32(math.Sin(float64(i*i))))
	}
	h.Parity, err = Parity(t.Context(), features.FromNet(net, e), preset, &h.Linear)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Open(context.Background(), e, Options{Zoo: o})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Our own reader reads what our writer writes, of each family.
func TestONNXOfEachFamily(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rt := testruntime.Open(t)
	seen := 0
	for _, r := range smallest() {
		t.Run(fmt.Sprint(r.Family, " ", r.Name), func(t *testing.T) {
			f, err := onFamily(t, e, r).onnx(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			in, err := f.Replay(rt)
			if err != nil {
				t.Error(err)
			}
			here, err := f.ReplayHere(t.Context(), e)
			if err != nil {
				t.Error(err)
			}
			t.Logf("off by %.1e in ONNX Runtime, %.1e in our own reader", in, here)
			resizes, err := f.resizing(t.Context(), ONNXOptions{Runtime: rt, ResizeOn: patterns})
			if err != nil {
				t.Fatal(err)
			}
			t.Log("resizing: ", resizes.Resize)
			packed, err := f.int8(t.Context(), rt, someSquares(f.Head.Preset.Size, 16))
			if err != nil {
				t.Fatal(err)
			}
			if in, err := packed.Replay(rt); err != nil || in > 1e-3 {
				t.Errorf("integers in ONNX Runtime are off by %v, %v", in, err)
			}
			here, err = packed.ReplayHere(t.Context(), e)
			if err != nil {
				t.Error(err)
			}
			t.Logf("integers: %+v, allowed %.2f, off by %.2f in our own reader, %d bytes", packed.Int8, packed.Tolerance(), here, packed.Bytes())
			// Such weights make features that hardly differ between pictures.
			if d := packed.Int8.Difference; !(d < 0.6) || packed.Bytes() > f.Bytes()*3/5 {
				t.Errorf("integers differ by %.2f, in %d bytes instead of %d", d, packed.Bytes(), f.Bytes())
			}
		})
		seen++
	}
	if seen < 6 {
		t.Errorf("%d families, want at least 6", seen)
	}
}

// someSquares are pictures as an ONNX file reads them: smooth, and each of other colours.
func someSquares(size, n int) (pictures [][]uint8) {
	for k := range n {
		p := golden.Picture(size, size, k)
		for i := range p {
			p[i] = uint8((int(p[i])*(k+3) + 40*k*(i%3)) / (k + 5) % 256)
		}
		pictures = append(pictures, p)
	}
	return pictures
}
