package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"go1.26.5", "go1.26.5", true}, {"go1.26.5", "go1.26.10", true}, {"go1.26.5", "go1.27", true},
		{"go1.26.5", "go1.26.4", false}, {"go1.26.5", "go1.9.7", false}, {"go1.26.5", "devel +abc", true},
	} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%s, %s) is %v", c.a, c.b, got)
		}
	}
}

// A machine without anything still gets an answer, with a repair for each line.
func TestNothingOnThePath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TLKIT_CACHE", t.TempDir())
	r := Run(context.Background(), Probes{Engine: "/does/not/exist"})
	for _, c := range r.Checks {
		if c.Value == "" || !c.OK && c.Repair == "" {
			t.Errorf("check %+v has no value or no repair", c)
		}
	}
	text := r.Text()
	for _, word := range []string{"no go command", "none found", "tlkit setup", "FAIL  engine"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
	if r.OK {
		t.Error("a machine whose engine does not open is fine")
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TLKIT_CACHE", filepath.Join(file, "below"))
	if c := cache(); c.OK || !strings.Contains(c.Repair, "TLKIT_CACHE") {
		t.Errorf("%+v", c)
	}
}

func TestONNXRuntime(t *testing.T) {
	fine := plugin.ProbedRuntime{Library: "ONNX Runtime 1.2.3", Open: 0.25}
	broken := plugin.ProbedRuntime{Error: "it is damaged", Fix: "run: tlkit setup --no-jupyter"}
	unused := fine
	unused.Unused = "GOMLX_BACKEND=go names the backend"
	for name, c := range map[string]struct {
		probed  *plugin.Probed
		backend string
		cached  bool
		want    Check
	}{
		"fine":          {&plugin.Probed{ONNXRuntime: fine}, "", true, Check{OK: true, Level: Optional, Value: "ONNX Runtime 1.2.3, opened in 0.25 s"}},
		"not used":      {&plugin.Probed{ONNXRuntime: unused}, "go", true, Check{OK: true, Level: Optional, Value: "ONNX Runtime 1.2.3, opened in 0.25 s; not used: GOMLX_BACKEND=go names the backend"}},
		"broken":        {&plugin.Probed{ONNXRuntime: broken}, "", true, Check{Level: Optional, Value: "it is damaged", Repair: "tlkit setup --no-jupyter"}},
		"asked for":     {&plugin.Probed{ONNXRuntime: broken}, "onnxruntime", true, Check{Level: Required, Value: "it is damaged", Repair: "tlkit setup --no-jupyter"}},
		"no build here": {&plugin.Probed{ONNXRuntime: plugin.ProbedRuntime{Error: "no build for plan9", None: true}}, "", true, Check{OK: true, Level: Optional, Value: "none: no build for plan9"}},
		"no engine":     {nil, "", true, Check{Level: Optional, Value: "unknown, because the engine does not open", Repair: "repair the engine first"}},
		"no cache":      {&plugin.Probed{ONNXRuntime: broken}, "", false, Check{Level: Optional, Value: "unknown, because the cache cannot be used", Repair: "repair the cache first"}},
	} {
		t.Setenv("GOMLX_BACKEND", c.backend)
		got := onnxRuntime(c.probed, c.cached)
		got.Name, got.Why = "", ""
		if c.want.Repair == "" {
			got.Repair = ""
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
