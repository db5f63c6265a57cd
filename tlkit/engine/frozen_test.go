package engine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
)

// What GOMLX_BACKEND says about frozen networks is noted, whatever is installed.
func TestFrozen(t *testing.T) {
	setenv(t, cachedir.EnvVar, t.TempDir()) // nothing is installed
	for order, want := range map[string]Frozen{
		"":                             FrozenEither,
		"go":                           FrozenBackend,
		"onnxruntime":                  FrozenONNXRuntime,
		"onnxruntime:":                 FrozenONNXRuntime,
		"onnxruntime:/nowhere/libo.so": FrozenONNXRuntime,
	} {
		setenv(t, BackendVar, order)
		e := open4test(t, Options{})
		if e.Frozen != want || e.Name != "go:ops_sequential" {
			t.Errorf("%q: frozen networks on %s, the others on %s; want %s, plain Go", order, e.Frozen, e.Name, want)
		}
		says := map[string]string{"go": "GOMLX_BACKEND=go", "onnxruntime:/nowhere/libo.so": "no such file"}[order]
		if says == "" {
			says = "not installed"
		}
		if _, err := e.ONNXRuntime(t.Context()); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", order, err, says)
		}
		if order != "go" && e.Plugin == "" && xlaBuilt && !strings.Contains(e.Why, "tlkit setup") {
			t.Errorf("%q: why = %q", order, e.Why)
		}
	}
	setenv(t, BackendVar, "onnxruntime:libo.so")
	if _, err := Open(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "absolute path") || !strings.Contains(err.Error(), BackendVar) {
		t.Errorf("a relative path: %v", err)
	}
}

// GOMLX_BACKEND=onnxruntime does not agree to training in plain Go.
func TestONNXRuntimeAloneAgreesToNothing(t *testing.T) {
	setenv(t, cachedir.EnvVar, t.TempDir())
	setenv(t, PlainGoVar, "")
	for order, agreed := range map[string]bool{"onnxruntime": false, "go": true} {
		setenv(t, BackendVar, order)
		if err := open4test(t, Options{}).Agreed(); (err == nil) != agreed {
			t.Errorf("%s: %v", order, err)
		}
	}
}

// Both libraries are open in one process and compute.
func TestONNXRuntimeBesideXLA(t *testing.T) {
	p := needPlugin(t)
	l, err := onnxruntime.Install(t.Context(), onnxruntime.Options{})
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for order, want := range map[string]Frozen{"": FrozenEither, "onnxruntime": FrozenONNXRuntime, "onnxruntime:" + l.Path: FrozenONNXRuntime, "xla:cpu": FrozenBackend, "xla:" + p.Path: FrozenBackend} {
		setenv(t, BackendVar, order)
		e := open4test(t, Options{})
		if strings.HasPrefix(e.Name, "xla:cuda") {
			t.Skip("networks run on a card here")
		}
		if e.Name != "xla:cpu" || e.Frozen != want {
			t.Errorf("%q: %s, frozen networks on %s; want %s", order, e.Name, e.Frozen, want)
		}
		if err := smoke(e.Backend); err != nil {
			t.Errorf("%q: XLA: %v", order, err)
		}
		rt, err := e.ONNXRuntime(t.Context())
		if want == FrozenBackend {
			if err == nil || !strings.Contains(err.Error(), order) {
				t.Errorf("%q: %v", order, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", order, err)
		} else if err := rt.Check(); err != nil {
			t.Errorf("%q: ONNX Runtime: %v", order, err)
		}
	}
}

// compile makes a shared library.
func compile(t *testing.T, so, code string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler here")
	}
	src := so + ".c"
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A library that ends its process ends the probe's child, and the engine's report is kept.
func TestProbeOfONNXRuntime(t *testing.T) {
	needPlugin(t)
	dir := t.TempDir()
	deadly := filepath.Join(dir, "libonnxruntime.so")
	compile(t, deadly, `#include <signal.h>
#include <unistd.h>
void* OrtGetApiBase(void) { kill(getpid(), SIGKILL); return 0; }`)
	setenv(t, BackendVar, "onnxruntime:"+deadly)
	p, err := plugin.Probe(t.Context(), "")
	if err != nil || p.Name != "xla:cpu" || !strings.Contains(p.ONNXRuntime.Error, "kills the process") || p.ONNXRuntime.Fix == "" {
		t.Errorf("a deadly library: %+v, %v", p, err)
	}
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, BackendVar, "onnxruntime:"+text)
	p, err = plugin.Probe(t.Context(), "")
	if err != nil || !strings.Contains(p.ONNXRuntime.Error, "not a shared library") {
		t.Errorf("text: %+v, %v", p, err)
	}
	l, err := onnxruntime.Install(t.Context(), onnxruntime.Options{})
	if err != nil {
		t.Skip(err)
	}
	for order, unused := range map[string]string{"": "", "onnxruntime": "", "xla:cpu": "GOMLX_BACKEND=xla:cpu", "nonsense": ""} {
		setenv(t, BackendVar, order)
		p, err := plugin.Probe(t.Context(), "")
		if p == nil || (err == nil) != (order != "nonsense") {
			t.Errorf("%q: %v, %v", order, p, err)
			continue
		}
		if r := p.ONNXRuntime; r.Error != "" || !strings.Contains(r.Library, l.Version) || r.Open <= 0 || !strings.Contains(r.Unused, unused) || (r.Unused == "") != (unused == "") {
			t.Errorf("%q: %+v", order, r)
		}
	}
}
