package evaluate

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

func TestNormsThatMove(t *testing.T) {
	row, err := zoo.Find("resnet20_cifar10")
	if err != nil {
		t.Fatal(err)
	}
	made, err := formulanet.Tensors(row.Arch(), row.Preset.Size, 1)
	if err != nil {
		t.Fatal(err)
	}
	var moved []weights.Tensor
	for _, w := range made {
		if !strings.HasPrefix(w.Name, "layer2.1.bn2.running_") { // one norm of the six of layer2
			continue
		}
		to := golden.Fill(w.Name, w.Shape, 1)
		if strings.HasSuffix(w.Name, "mean") {
			variance := golden.Fill("layer2.1.bn2.running_var", w.Shape, 1)
			for i := range to {
				to[i] += 3 * float32(math.Sqrt(float64(variance[i])))
			}
		}
		moved = append(moved, weights.FromFloat32(w.Name, w.Shape, to))
	}
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	if err := weights.WriteSafetensors(path, made, nil); err != nil {
		t.Fatal(err)
	}
	before, err := zoo.Load(context.Background(), row.Name, zoo.Options{Weights: path})
	if err != nil {
		t.Fatal(err)
	}
	same, err := CompareNorms(before, before)
	if err != nil || same.Moved != 0 || same.Total != 19 || !strings.Contains(same.Text(), "all 19 have the checkpoint's statistics, bit for bit") {
		t.Errorf("nothing moved: %+v, %v", same, err)
	}
	after, err := before.With(moved)
	if err != nil {
		t.Fatal(err)
	}
	n, err := CompareNorms(before, after)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Stages) != 4 || n.Moved != 1 || !strings.Contains(n.Text(), "1 of 19 moved, most in layer2, by 0.50 ") {
		t.Errorf("%+v: %s", n, n.Text())
	}
	for _, s := range n.Stages {
		want := 0.0
		if s.Stage == "layer2" {
			want = 3. / 6
		}
		if math.Abs(s.Shift-want) > 1e-5 {
			t.Errorf("%s moved by %v, want %v", s.Stage, s.Shift, want)
		}
	}
	if text := n.Figure().Text(); !strings.Contains(text, "layer2") {
		t.Errorf("the figure says %q", text)
	}
}

// Keras calls the statistics of its norms differently.
func TestNormsOfKerasMove(t *testing.T) {
	row, err := zoo.Find("mini_xception")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "formula.safetensors")
	if err := formulanet.Write(path, row.Arch(), row.Preset.Size, 1); err != nil {
		t.Fatal(err)
	}
	before, err := zoo.Load(t.Context(), row.Name, zoo.Options{Weights: path})
	if err != nil {
		t.Fatal(err)
	}
	const mean = "batch_normalization_2.moving_mean"
	values, shape, ok := before.Tensor(mean)
	if !ok {
		t.Fatalf("%s has no %s", row.Name, mean)
	}
	after, err := before.With([]weights.Tensor{weights.FromFloat32(mean, shape, make([]float32, len(values)))})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := CompareNorms(before, after); err != nil || n.Moved != 1 || n.Total != 14 {
		t.Errorf("%+v, %v", n, err)
	}
}
