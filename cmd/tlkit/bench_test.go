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
	if s := one[bench.Timed](t, out); status != 0 || s.Rate <= 0 {
		t.Errorf("status %d, %+v, %s", status, s, errs)
	}
}

// Networks side by side, in processes of their own: the first one compiles, the others find the program.
func TestBenchNetworks(t *testing.T) {
	e, err := engine.Open(t.Context(), engine.Options{})
	if err != nil || !strings.HasPrefix(e.Name, "xla") {
		t.Skip("needs XLA (tlkit setup)")
	}
	e.Close()
	status, out, errs := tlkit(t, "bench", "--models", "resnet20_cifar10", "--seconds", "0.05", "--json")
	figures := one[[]bench.Figure](t, out)
	if status != 0 || len(figures) != 3 {
		t.Fatalf("status %d, %s, %s", status, out, errs)
	}
	for i, want := range []struct {
		what     string
		batch    int
		compiled bool
	}{{"forward", 32, true}, {"forward", 0, false}, {"step", 8, true}} {
		f := figures[i]
		if f.What != want.what || f.Model != "resnet20_cifar10" || f.Rate <= 0 || f.Processor == "" || want.batch > 0 && f.Batch != want.batch {
			t.Errorf("figure %d: %+v", i, f)
		}
		if want.compiled != (f.Compiled > 0) || f.Cached > f.Compiled {
			t.Errorf("figure %d: compiled in %v s, found in %v s", i, f.Compiled, f.Cached)
		}
	}
	if status, _, errs := tlkit(t, "bench", "step", "--models", "resnet20_cifar1"); status != 1 || !strings.Contains(errs, "resnet20_cifar10") {
		t.Errorf("a network that is not there: status %d, %s", status, errs)
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
