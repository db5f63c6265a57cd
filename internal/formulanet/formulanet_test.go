package formulanet

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/backbone"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

// linear is the mean colour times a matrix.
type linear struct{}

func (linear) Build(b *backbone.Builder, x *graph.Node) backbone.Output {
	x = b.Stage("pixels", x)
	features := backbone.GlobalAverage(x)
	return backbone.Output{Map: x, Features: features, Logits: b.Linear("fc", features, 4)}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made.safetensors")
	if err := Write(path, linear{}, 8, 0.5); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, shape := range map[string][]int{"fc.weight": {4, 3}, "fc.bias": {4}} {
		w, ok := f.Tensor(name)
		if !ok || !slices.Equal(w.Shape, shape) {
			t.Fatalf("%s: %v, %v", name, w.Shape, ok)
		}
		if got, err := w.Float32(); err != nil || !slices.Equal(got, golden.Fill(name, shape, 0.5)) {
			t.Errorf("%s is not what the formula makes with gain 0.5: %v", name, err)
		}
	}
	if n := len(f.Names()); n != 2 {
		t.Errorf("%d tensors, want 2", n)
	}
	if err := Write(path, linear{}, -1, 1); err == nil || !strings.HasPrefix(err.Error(), "formulanet: ") {
		t.Errorf("pictures of -1 pixels: %v", err)
	}
}
