package zoo

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/weights"
)

func TestChangedNet(t *testing.T) {
	n := formulaNet(t, "resnet20_cifar10")
	const key = "layer3.0.conv1.weight"
	moved := golden.Fill("another", []int{64, 32, 3, 3}, 1)
	c, err := n.With([]weights.Tensor{weights.FromFloat32(key, []int{64, 32, 3, 3}, moved)})
	if err != nil {
		t.Fatal(err)
	}
	if n.Identity() == c.Identity() || n.Identity() != n.SHA256 || !strings.HasPrefix(c.Identity(), n.SHA256) || n.Changes() != nil {
		t.Errorf("identities %q and %q", n.Identity(), c.Identity())
	}
	changes := c.Changes()
	if len(changes) != 1 || changes[0].Name != key {
		t.Fatalf("changes %v", changes)
	}
	if got, err := changes[0].Float32(); err != nil || !slices.Equal(got, moved) {
		t.Errorf("what comes out is not what went in: %v", err)
	}
	again, err := n.With(changes)
	if err != nil || again.Identity() != c.Identity() {
		t.Errorf("the same changes give another identity: %v", err)
	}
	// In the graph the change has the layout of the graph.
	values, shape, _ := c.Tensor(key)
	if !slices.Equal(shape, []int{3, 3, 32, 64}) || values[1] != moved[1*32*9] {
		t.Errorf("in the graph %v, second value %v, want %v", shape, values[1], moved[32*9])
	}
	pictures := golden.Input(32, 1)
	features := func(n *Net) []float32 {
		x, err := n.NewExtractor(pureGo(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := x.Run(pictures)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if slices.Equal(features(n), features(c)) {
		t.Error("the changed net computes what the published one does")
	}

	for word, bad := range map[string]weights.Tensor{
		"no tensor":   weights.FromFloat32("layer9.weight", []int{1}, []float32{1}),
		"has shape":   weights.FromFloat32("bn1.weight", []int{4, 4}, make([]float32, 16)),
		"is NaN":      weights.FromFloat32("bn1.weight", []int{16}, slices.Repeat([]float32{float32(math.NaN())}, 16)),
		"bn1.running": weights.FromFloat32("bn1.running_var", []int{16}, make([]float32, 3)),
	} {
		if _, err := n.With([]weights.Tensor{bad}); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("want an error with %q, got %v", word, err)
		}
	}
}
