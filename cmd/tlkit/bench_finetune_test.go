package main

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// One kind of step, as `bench finetune` has it measured in a process of its own.
func TestBenchStep(t *testing.T) {
	e, err := engine.Open(context.Background(), engine.Options{})
	if err != nil || !strings.HasPrefix(e.Name, "xla") {
		t.Skip("needs XLA (tlkit setup)")
	}
	e.Close()
	for _, from := range []string{"", `,"from":"layer3"`} {
		status, out, errs := tlkit(t, "bench", "step", `{"model":"resnet20_cifar10","batch":4,"norms":"batch","seconds":0.05`+from+`}`, "--json")
		s := one[stepped](t, out)
		if status != 0 || s.Rate <= 0 || s.Compiled <= 0 || s.CPU < 0 || runtime.GOOS == "linux" && s.Peak < 50 || s.Threads < 1 {
			t.Errorf("status %d, %+v, %s", status, s, errs)
		}
	}
	if status, _, errs := tlkit(t, "bench", "step", `{"model":"resnet20_cifar10","batch":4,"norms":"batch","from":"layer9"}`); status != 1 || !strings.Contains(errs, "layer3") {
		t.Errorf("a stage that is none: status %d, %s", status, errs)
	}
	if status, _, errs := tlkit(t, "bench", "finetune"); status != 1 || !strings.Contains(errs, "--python PY") {
		t.Errorf("without a peer: status %d, %s", status, errs)
	}
}
