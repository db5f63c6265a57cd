package main

import (
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/kernel/bench"
	"github.com/tlkit/transfer-learning/tlkit/engine"
)

// One kind of step, as bench step has it measured in a process of its own.
func TestBenchStep(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil || !strings.HasPrefix(e.Name, "xla") {
		t.Skip("needs XLA (tlkit setup)")
	}
	e.Close()
	status, out, errs := tlkit(t, "bench", "one-step", `{"model":"resnet20_cifar10","batch":4,"norms":"batch","seconds":0.05}`, "--json")
	if s := one[bench.Stepped](t, out); status != 0 || s.Rate <= 0 {
		t.Errorf("status %d, %+v, %s", status, s, errs)
	}
}

func TestBenchSaysWhatItMeasured(t *testing.T) {
	status, out, errs := tlkit(t, "bench", "head", "--data", "insects", "--json")
	if figures := one[[]bench.Figure](t, out); status != 0 || len(figures) != 2 || figures[0].Unit != "s" {
		t.Errorf("status %d, %s, %s", status, out, errs)
	}
	status, out, _ = tlkit(t, "bench", "head", "--data", "insects", "--markdown")
	if status != 0 || !strings.Contains(out, "| what | tlkit | command |\n") || strings.Count(out, "`tlkit bench head` |\n") != 2 {
		t.Errorf("status %d, %s", status, out)
	}
	if status, _, errs := tlkit(t, "bench", "finetune"); status != 1 || !strings.Contains(errs, "--python PY") {
		t.Errorf("without a peer: status %d, %s", status, errs)
	}
	for _, m := range bench.All() {
		if long := (&command{}).bench().Long; !strings.Contains(long, "\n  "+string(m)+" ") {
			t.Errorf("the help does not explain %s", m)
		}
	}
}
