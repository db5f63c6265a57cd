package finetune

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/formulanet"
	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
	"github.com/tlkit/transfer-learning/tlkit/weights"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// At the kink of a ReLU the gradient jumps. An input of a ReLU that is zero up to rounding is
// above zero on one processor and below it on another, and then all gradients in front of it
// differ by as much as that unit contributes: a tenth of a percent to one percent in ResNet-20,
// where rounding alone leaves 1e-6. Ten pictures have two million such inputs, so some of them
// always are that near. Tests that compare gradients computed in two ways use a network whose
// ReLUs stay far from their kinks.

// clearGain is the gain of the convolutions of clearNet.
const clearGain = 0.3

// clearNet is ResNet-20 with the weights of the formula, changed by clearOfKinks.
func clearNet(tb testing.TB) *zoo.Net {
	tb.Helper()
	const name = "resnet20_cifar10"
	path := filepath.Join(tb.TempDir(), "clear.safetensors")
	row, err := zoo.Find(name)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := formulanet.Tensors(row.Arch(), row.Preset.Size, clearGain)
	if err != nil {
		tb.Fatal(err)
	}
	for i, w := range made {
		values, err := w.Float32()
		if err != nil {
			tb.Fatal(err)
		}
		clearOfKinks(w.Name, values)
		made[i] = weights.FromFloat32(w.Name, w.Shape, values)
	}
	if err := weights.WriteSafetensors(path, made, nil); err != nil {
		tb.Fatal(err)
	}
	n, err := zoo.Load(context.Background(), name, zoo.Options{Weights: path})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// clearOfKinks changes a tensor of a CIFAR ResNet in place: norms get small gains and large
// biases. In every second channel between the two convolutions of a block the ReLU is always off,
// elsewhere it is always on. The other half is clear in internal/golden/referee/finetune.py.
func clearOfKinks(name string, values []float32) {
	if !strings.Contains(name, "bn") {
		return
	}
	for i := range values {
		switch {
		case strings.HasSuffix(name, ".weight"):
			values[i] /= 8
		case strings.HasSuffix(name, ".bias") && strings.Contains(name, ".bn1.") && i%2 == 1:
			values[i]--
		case strings.HasSuffix(name, ".bias"):
			values[i]++
		}
	}
}

// checkClear fails the test where a ReLU of the net is near its kink for one of n pictures: where
// no ReLU switches while the pictures get 5 % darker or brighter, the features follow on a
// straight line.
func checkClear(tb testing.TB, net *zoo.Net, e *engine.Engine, pictures []float32, n int) {
	tb.Helper()
	if bend := bent(tb, net, e, pictures, n); !(bend < 1e-5) {
		tb.Fatalf("the features bend by %.1e of the largest: some ReLUs are near their kinks, and how their gradients are rounded depends on the processor", bend)
	}
}

// bent is how far the features are from a straight line, as a share of the largest one.
func bent(tb testing.TB, net *zoo.Net, e *engine.Engine, pictures []float32, n int) float64 {
	tb.Helper()
	x, err := net.NewExtractor(e.Backend, n)
	if err != nil {
		tb.Fatal(err)
	}
	defer x.Close()
	var f [3][]float32
	for i, scale := range []float32{0.95, 1, 1.05} {
		scaled := make([]float32, len(pictures))
		for j, v := range pictures {
			scaled[j] = v * scale
		}
		if f[i], _, err = x.Run(scaled); err != nil {
			tb.Fatal(err)
		}
	}
	worst, largest := 0.0, 0.0
	for i, v := range f[1] {
		worst = max(worst, math.Abs(float64(f[0][i])+float64(f[2][i])-2*float64(v)))
		largest = max(largest, math.Abs(float64(v)))
	}
	return worst / largest
}

func TestKinksAreSeen(t *testing.T) {
	e := xla(t)
	x := golden.Numbers("x", 4*32*32*3)
	away, plain := bent(t, clearNet(t), e, x, 4), bent(t, formulaNet(t, "resnet20_cifar10", 0.8), e, x, 4)
	t.Logf("clear of kinks %.1e, the formula as it is %.1e", away, plain)
	if !(away < 1e-5) || !(plain > 1e-4) {
		t.Errorf("the features bend by %.1e clear of kinks and by %.1e elsewhere, want below 1e-5 and above 1e-4", away, plain)
	}
}
