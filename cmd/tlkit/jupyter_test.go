package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
	"github.com/tlkit/transfer-learning/tlkit/engine/onnxruntime"
	"github.com/tlkit/transfer-learning/tlkit/engine/plugin"
	"github.com/tlkit/transfer-learning/tlkit/zoo"
)

// linked gives the test a cache with links to what is needed besides ONNX Runtime.
func linked(t *testing.T) (cache string) {
	t.Helper()
	if len(onnxruntime.Here()) == 0 {
		t.Skip("there is no ONNX Runtime for this platform")
	}
	p, err := plugin.InstallCPU(t.Context(), plugin.Options{})
	var weights string
	if err == nil {
		weights, err = zoo.Rows()[0].Fetch(t.Context(), zoo.Options{})
	}
	if errors.Is(err, fetch.ErrUnreachable) {
		t.Skipf("XLA or the default weights cannot be fetched here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	cache = t.TempDir()
	for _, path := range []string{p.Path, weights} {
		dir := filepath.Join(cache, "files", filepath.Base(filepath.Dir(path)))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			t.Skip(err)
		}
	}
	return cache
}

// `tlkit setup` fetches ONNX Runtime, and so does the first command that needs a set-up. One that finds
// XLA does not wait for it, and a card does not need it.
func TestStepOfONNXRuntime(t *testing.T) {
	bare, made := t.TempDir(), linked(t)
	c := &command{out: io.Discard, err: io.Discard}
	for name, s := range map[string]struct {
		cache string
		want  wanted
		there bool
	}{
		"setup":              {made, wanted{}, true},
		"lab on a new one":   {bare, wanted{terse: true}, true},
		"lab on a made one":  {made, wanted{terse: true}, false},
		"setup for a card":   {bare, wanted{cuda: true}, false},
		"setup on a new one": {bare, wanted{}, true},
	} {
		t.Setenv(cachedir.EnvVar, s.cache)
		steps, err := c.steps(c.progress(), s.want)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, step := range steps {
			names = append(names, step.Name)
		}
		if slices.Contains(names, runtimeName) != s.there || names[0] != "xla plugin" {
			t.Errorf("%s: steps %q", name, names)
		}
	}
}

// Without ONNX Runtime a set-up is complete all the same; the row says how to bring it by hand.
func TestSetupWithoutONNXRuntime(t *testing.T) {
	t.Setenv(cachedir.EnvVar, linked(t))
	status, out, errs := tlkit(t, "setup", "--no-jupyter", "--offline", "--json")
	got := one[struct {
		Steps []struct{ Name, State, Note string }
	}](t, out)
	i := slices.IndexFunc(got.Steps, func(s struct{ Name, State, Note string }) bool { return s.Name == runtimeName })
	if status != 0 || i < 0 || got.Steps[i].State != "failed" {
		t.Fatalf("status %d, steps %+v\n%s", status, got.Steps, errs)
	}
	if note := got.Steps[i].Note; !strings.Contains(note, "by hand") || !strings.Contains(note, "XLA alone") {
		t.Errorf("the row says %q", note)
	}
}
